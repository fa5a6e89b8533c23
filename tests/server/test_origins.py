"""What the pages of other sites may not ask, and what a server's own pages and programs still may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.server.origins import is_astray, is_foreign
from tenfold.server.wire import Head
from tests.server.running import Running, serve, write_service


def head(**headers: str) -> Head:
    """A request with these headers."""
    return Head("POST", b"/", {name.replace("_", "-"): value for name, value in headers.items()}, True)


@pytest.mark.parametrize(
    ("headers", "foreign"),
    [
        ({}, False),
        ({"origin": "http://evil.com"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://localhost:8000"}, False),
        ({"origin": "http://localhost:9000"}, True),
        ({"origin": "https://models.org", "x_forwarded_host": "models.org"}, False),
        ({"origin": "https://models.org", "sec_fetch_site": "same-origin"}, False),
        ({"origin": "https://evil.com", "sec_fetch_site": "cross-site"}, True),
    ],
)
def test_the_page_of_another_site_is_known(headers: dict[str, str], foreign: bool) -> None:
    """By what browsers say and pages cannot; a program says nothing, and a proxy may call the host something else."""
    assert is_foreign(head(host="localhost:8000", **headers)) == foreign


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:9090", "[::1]:9090", "a.localhost"])
def test_this_machine_has_many_names(host: str) -> None:
    """None of which another site can have."""
    assert not is_astray(head(host=host))


@pytest.mark.parametrize("host", ["evil.com", "evil.com:9090", "10.0.0.1", "", "[::1", "localhost.evil.com"])
def test_a_name_that_was_pointed_here_is_astray(host: str) -> None:
    """However it resolves."""
    assert is_astray(head(host=host))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service on loopback, where no key is asked for."""
    with serve(write_service(tmp_path_factory.mktemp("origins") / "echoes")) as running:
        yield running


@pytest.mark.slow
def test_a_server_on_loopback_does_nothing_for_other_sites(server: Running, tmp_path: Path) -> None:
    """Predictions, labels and jobs are refused, the console is not shown; the server's own pages and programs go on."""
    row, evil = {"x": 1.0, "wish": "echo"}, {"origin": "http://evil.com"}
    own = {"origin": f"http://127.0.0.1:{server.port}"}
    label = {"id": "x", "label": {"x": 1.0}}
    for path, body in (("/echoes/predict", row), ("/echoes/feedback", label), ("/echoes/jobs", {"input": "x"})):
        reply = server.ask(path, body, evil)
        assert (reply.status, reply.json["code"]) == (403, "forbidden"), path
        assert "own pages" in reply.json["detail"]
    assert server.ask("/echoes/predict", row, own).status == 200
    assert server.ask("/echoes/feedback", label, own).status == 202
    assert server.ask("/echoes/feedback", label, {"content-type": "text/plain"}).status == 415
    assert server.ask("/echoes/jobs", {"input": "x"}, {"content-type": "text/plain"}).status == 415
    assert server.ask("/", port=server.admin_port).status == 200
    assert server.ask("/", headers={"host": "evil.com"}, port=server.admin_port).status == 403

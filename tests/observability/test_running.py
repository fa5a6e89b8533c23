"""What a running server shows of itself: metrics on a port of their own, the last minutes, and their drawing."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.engines.plan import Plan
from tenfold.errors import UsageError
from tenfold.server.history import History
from tests.server.running import Running, kill, serve, until, write_service

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a port for metrics."""
    with serve(write_service(tmp_path_factory.mktemp("echoes")), "--metrics", "127.0.0.1:0") as running:
        yield running


def metrics_port(server: Running) -> int:
    """The port that has metrics alone."""
    port: int = next(event for event in server.events() if event.get("event") == "serving")["metrics"][1]
    return port


def run_folder(server: Running) -> Path:
    """The server's folder of sockets and counters, as its processes are told."""
    (admin,) = server.pids("admin")
    words = Path(f"/proc/{admin}/cmdline").read_text().split("\0")
    return Path(words[words.index("--run") + 1])


def test_the_port_for_metrics_has_nothing_else(server: Running) -> None:
    """Whoever may scrape sees counts, and neither the console nor an answer sheet."""
    port = metrics_port(server)
    assert server.ask("/metrics", port=port).body.startswith(b"# HELP tenfold_received_rows_total")
    for path in ("/", "/api/status", "/api/answers/echoes", "/api/history/echoes", "/metrics/x", "/predict"):
        assert server.ask(path, port=port).status == 404
    assert server.ask("/metrics", b"{}", port=port).status in (405, 413)


def test_a_scraper_gets_the_format_that_it_wants(server: Running) -> None:
    """The same address answers in both formats, and says which."""
    text = server.ask("/metrics", port=server.admin_port)
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    openmetrics = server.ask("/metrics", headers=accept, port=server.admin_port)
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.body.endswith(b"# EOF\n")


def test_the_last_minutes(server: Running) -> None:
    """The minutes are there as JSON and as a drawing, also those that another admin process wrote down."""
    now = int(time.time() // 60)
    history = History(run_folder(server) / "history.echoes")
    for ago, rows in ((61, 5), (3, 120), (2, 240)):
        history.record(now - ago, "echoes@abc", {"seconds": 60.0, "rows": rows, "p99_s": 0.004, "good": rows})
    (admin,) = server.pids("admin")
    kill(admin)
    until(lambda: server.pids("admin") not in ([], [admin]), "another admin process")
    found = server.ask("/api/history/echoes", port=server.admin_port).json
    assert (found["schema"], found["service"], len(found["minutes"])) == (1, "echoes", 2)
    first, second = found["minutes"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", first["at"])
    assert (first["rows_per_s"], second["rows_per_s"], second["p99_s"], second["p50_s"]) == (2.0, 4.0, 0.004, None)
    assert len(server.ask("/api/history/echoes?minutes=90", port=server.admin_port).json["minutes"]) == 3
    page = server.ask("/", port=server.admin_port).body.decode()
    assert "at most 4 rows/s, p99 at most 4 ms" in page
    assert page.count("<polyline") == 2


def test_history_is_asked_rightly_or_not_at_all(server: Running) -> None:
    """A wrong number and a wrong name are answered with what is wrong."""
    for minutes in ("0", "2881", "many", ""):
        asked = server.ask(f"/api/history/echoes?minutes={minutes}", port=server.admin_port)
        assert asked.status == (200 if minutes == "" else 400)
    assert server.ask("/api/history/nobody", port=server.admin_port).status == 404


@pytest.mark.parametrize(
    ("metrics", "address"),
    [("0.0.0.0:9100", ("0.0.0.0", 9100)), ("[::1]:0", ("::1", 0)), ("host:1", ("host", 1)), ("", None)],
)
def test_where_metrics_are_opened(metrics: str, address: tuple[str, int] | None) -> None:
    """--metrics takes HOST:PORT, an IPv6 address in brackets."""
    assert Plan([], metrics=metrics).metrics_address == address


@pytest.mark.parametrize("metrics", ["9100", ":9100", "host:", "host:http", "host:99999"])
def test_a_wrong_address_is_said_at_once(metrics: str) -> None:
    """What cannot be listened on is an error before anything starts."""
    with pytest.raises(UsageError, match="is no address"):
        Plan([], metrics=metrics)

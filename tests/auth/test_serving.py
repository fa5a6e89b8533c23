"""Keys at a server that runs: who is let in at which door, and how soon a key that was made or revoked counts."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tenfold.control import keys
from tenfold.store.opening import checkpoint, open_store
from tests.cli.conftest import Run, run
from tests.server.running import launch, serve, until, write_service

__all__ = ["run"]
pytestmark = pytest.mark.slow

ROW = {"x": 1, "wish": "echo", "level": 0.5, "secret": None}
PREDICT = "/echoes/predict"


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surroundings of whoever runs the tests don't matter."""
    monkeypatch.delenv("TENFOLD_STORE", raising=False)


def bearer(created: keys.Created) -> dict[str, str]:
    """The header that a client sends."""
    return {"authorization": f"Bearer {created.text}"}


def test_where_others_reach_a_server_it_asks_for_keys(tmp_path: Path, run: Run) -> None:
    """Predictions and the admin's pages need a key of their scope; health and the contract are open, and a key that is
    made, revoked or runs out counts within moments, also on a connection that has been let in before."""
    folder = write_service(tmp_path / "echoes")
    store = str(folder / ".tenfold")
    predicting = bearer(keys.create("laboratory", ["predict"], place=store))
    watching = bearer(keys.create("watch", ["operate"], place=store))
    hosts = ["--host", "0.0.0.0", "--admin-host", "0.0.0.0"]
    with serve(folder, *hosts, log=tmp_path / "log") as server:
        nobody = server.ask(PREDICT, ROW)
        assert nobody.status == 401
        assert nobody.json["code"] == "unauthorized"
        assert nobody.json["detail"] == "A key is needed, and none was sent."
        assert nobody.headers["www-authenticate"].startswith("Bearer")
        assert server.ask(PREDICT, ROW, watching).status == 403
        assert server.ask(PREDICT, ROW, predicting).status == 200
        assert server.ask(PREDICT, b"x" * 500_000).status == 401  # whatever it sends, it hears why
        assert [server.ask(path).status for path in ("/healthz", "/readyz", "/echoes", "/echoes/answers")] == [200] * 4

        admin = server.admin_port
        assert server.ask("/api/status", port=admin).status == 401
        assert server.ask("/metrics", headers=predicting, port=admin).status == 403
        assert server.ask("/api/status", headers=watching, port=admin).status == 200
        person = base64.b64encode(f"anna:{watching['authorization'].partition(' ')[2]}".encode()).decode()
        browser = {"authorization": f"Basic {person}"}
        assert server.ask("/", headers=browser, port=admin).status == 200
        assert server.ask("/", {}, browser, port=admin).status == 401  # a page elsewhere might make it ask for that
        url = f"http://127.0.0.1:{admin}"
        assert run("status", url).code == 2
        assert "asks for a key" in run("status", url).err
        assert "echoes" in run("status", url, "--access", watching["authorization"].partition(" ")[2]).out

        later = bearer(keys.create("later", ["predict"], expires="3 s", place=store))
        until(lambda: server.ask(PREDICT, ROW, later).status == 200, "a new key")
        keys.revoke("laboratory", store)
        until(lambda: server.ask(PREDICT, ROW, predicting).status == 401, "a revoked key")
        assert "was revoked" in server.ask(PREDICT, ROW, predicting).json["detail"]
        until(lambda: server.ask(PREDICT, ROW, later).status == 401, "a key that runs out")


def test_on_loopback_what_changes_things_needs_a_key_all_the_same(tmp_path: Path) -> None:
    """Nothing is asked of who predicts or looks, but no page in a browser can change anything: not without a store, and not
    with a key that may only predict."""
    folder = write_service(tmp_path / "echoes")
    with serve(folder, log=tmp_path / "log") as server:
        assert server.ask(PREDICT, ROW).status == 200
        assert server.ask("/api/status", port=server.admin_port).status == 200
        assert server.ask("/api/status", {}, port=server.admin_port).status == 401
        assert not (folder / ".tenfold" / "store.db").exists()  # a single service needs none
        store = str(folder / ".tenfold")
        predicting = bearer(keys.create("laboratory", ["predict"], place=store))
        operating = bearer(keys.create("anna", ["operate"], place=store))

        def status(headers: dict[str, str]) -> int:
            return server.ask("/api/status", {}, headers, port=server.admin_port).status

        until(lambda: status(operating) == 405, "a key of a store that came later")  # nothing is changed at this route
        assert status(predicting) == 403
        assert server.ask(PREDICT, ROW).status == 200


@pytest.mark.parametrize("made", [None, "expired"])
def test_an_address_that_others_reach_needs_a_key_that_holds(tmp_path: Path, made: str | None) -> None:
    """Without a key, or with one that was revoked, the command says how to make one, and opens nothing."""
    folder = write_service(tmp_path / "echoes")
    if made:
        keys.create("old", place=str(folder / ".tenfold"))
        keys.revoke("old", str(folder / ".tenfold"))
    with launch(folder, "--host", "0.0.0.0", "--port", "0", log=tmp_path / "log") as running:
        assert running.process.wait(30) == 2
        [event] = running.events()
        assert "no key" in event["error"]["message"]
        assert "tenfold keys create" in event["error"]["fix"]


def test_the_log_of_a_database_is_emptied(tmp_path: Path) -> None:
    """What was written is moved into the database by whoever looks after it; where there is none, that is no error."""
    checkpoint(str(tmp_path))
    assert not list(tmp_path.iterdir())
    store = open_store(tmp_path, create=True)
    keys.create("anna", place=str(tmp_path))
    log = tmp_path / "store.db-wal"
    assert log.stat().st_size > 0
    checkpoint(str(tmp_path))
    assert log.stat().st_size == 0
    assert len(store.keys.list()) == 1
    store.close()

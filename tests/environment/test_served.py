"""Replicas of releases with libraries of their own, behind one server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.store import Store
from tests.environment.conftest import asking, greeting, pushed
from tests.releases.serving import deploy, served
from tests.server.running import Running, until

pytestmark = pytest.mark.slow


def answered(server: Running) -> float:
    """What is answered: forty, and the version of the library; 0 where nothing is."""
    reply = server.ask("/greet/predict", {"x": 40})
    return float(reply.json["output"]["y"]) if reply.status == 200 else 0.0


def test_a_release_changes_its_libraries_without_touching_the_server(
    folder: Path, store: Store, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two releases of the same code answer one after the other, each with the version of the library that it asks for."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "greeting.py").write_text("OFFSET = 0\n")
    monkeypatch.syspath_prepend(tmp_path / "beside")
    first = pushed(folder, store)
    greeting(index, 2)
    second = pushed(asking(folder, "greeting==2.0"), store)
    with served(store.folder) as server:
        deploy(first.name, store.folder, now=True)
        until(lambda: answered(server) == 41.0, "the first release")
        deploy(second.name, store.folder, now=True)
        until(lambda: answered(server) == 42.0, "the second release")

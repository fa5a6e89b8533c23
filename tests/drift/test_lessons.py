"""Would training again help? Told live from labels alone, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run, run
from tests.drift.test_challenge import PROJECT, World, service
from tests.drift.test_serving import until

__all__ = ["run"]

NOISY = 1500  # rows at a time


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service that was well."""
    (tmp_path / "service.py").write_text(service("inputs"), "utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, "utf-8")
    with ExitStack() as stack:
        world = World(tmp_path, stack)
        world.lend(600)
        until(lambda: world.verdict(False) == "HEALTHY" and world.was_judged())
        yield world


def test_where_labels_have_become_noise_an_update_wont_help(world: World, run: Run) -> None:
    """What labels teach is tried on those that came after them, without a release that challenges; and it is kept."""

    def judged() -> dict[str, Any]:
        world.lend(NOISY, noise=True)
        found = world.client.drift()
        return found if found["verdict"] == "UPDATE_WONT_HELP" else {}

    found = until(judged)
    assert found["challenge"]["name"] == ""
    assert found["challenge"]["rows"] >= NOISY
    assert "what recent labels teach saves" in found["because"]
    done = run("drift", str(world.folder))
    assert done.out.startswith("UPDATE_WONT_HELP since ")

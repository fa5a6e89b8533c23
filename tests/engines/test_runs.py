"""Folders of servers that were killed do not pile up."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from tenfold.engines import runs


def test_the_folder_of_a_server_that_was_killed_is_cleared_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next one that starts; one that lives keeps its own, and what is not proven to be ours stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, alive = runs.begin(), runs.begin()
    (dead.folder / "front-1.x.counters").touch()
    (tmp_path / "tenfold-of-somebody").mkdir()
    (tmp_path / "tenfold-link").symlink_to(dead.folder)
    os.close(dead.lock)  # as the kernel does for a process that ends
    third = runs.begin()
    assert not dead.folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        alive.folder.name,
        third.folder.name,
        "tenfold-of-somebody",
        "tenfold-link",
    }
    for run in (alive, third):
        os.close(run.lock)

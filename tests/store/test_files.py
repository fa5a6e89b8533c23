"""Blobs as files: nobody can write to one, and what an interrupted writer left goes in time."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tenfold.store.blobs import UNFINISHED, Files


def test_blobs_cannot_be_written_to(tmp_path: Path) -> None:
    """A content is made read-only before it has its name, also one that takes the place of an altered one."""
    blobs = Files(tmp_path)
    digest = blobs.put(b"weights")
    path = tmp_path / digest[:2] / digest
    assert path.stat().st_mode & 0o777 == 0o444
    path.chmod(0o644)
    path.write_bytes(b"evil")
    blobs.put(b"weights")
    assert path.stat().st_mode & 0o777 == 0o444
    assert list((tmp_path / UNFINISHED).iterdir()) == []


def test_what_an_interrupted_push_left_is_tidied(tmp_path: Path) -> None:
    """Half-written files go once they are old, and not while somebody writes them."""
    left = tmp_path / UNFINISHED / "tmp123"
    left.parent.mkdir()
    left.write_bytes(b"half")
    Files(tmp_path).tidy(time.time() - 60)
    assert left.exists()
    os.utime(left, (0, 0))
    Files(tmp_path).tidy(time.time() - 60)
    assert not left.exists()

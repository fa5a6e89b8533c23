"""How long the journal remembers: segments are deleted by their age, and the oldest where there are too many bytes.

A segment that is being written is locked by its writer (``flock``), so that no other process deletes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tenfold.journal.segment import segments


class Limits(NamedTuple):
    """How long and how much: seconds after the last record that a segment may have, and bytes of all segments together."""

    keep_s: float
    keep_bytes: int


def tidy(folders: Sequence[Path], limits: Limits, now_us: int, room_bytes: int = 0) -> None:
    """Delete what is too old at ``now_us`` (microseconds since 1970), and then the oldest until the rest, with
    ``room_bytes`` more, is within the limit. What cannot be deleted stays."""
    found = segments(folders)
    total = sum(segment.size for segment in found) + room_bytes
    for segment in found:
        too_old = segment.end_us < now_us - limits.keep_s * 1e6
        if (too_old or total > limits.keep_bytes) and _delete(segment.path):
            total -= segment.size
    for folder in folders:
        with contextlib.suppress(OSError):  # it is not empty, as a rule
            folder.rmdir()


def lock(file: int) -> bool:
    """Say that this process writes the open file; False where another one does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _delete(path: Path) -> bool:
    """Delete a segment, unless somebody writes it."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        if not lock(file):
            return False
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(file)
    return True

"""Where the sockets and counters of a server lie while it runs; what servers that were killed left behind is cleared away.

Each folder has a lock that its supervisor holds for as long as it lives: the kernel lets go of it, however that ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

PREFIX = "tenfold-"
LOCK = "supervisor.lock"


class Run(NamedTuple):
    """A folder of our own, and the descriptor by which it is held."""

    folder: Path
    lock: int


def begin() -> Run:
    """Clear away the folders of servers of this user that are gone, and make one. It has no lock that is not held."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    fresh = folder / f".{LOCK}"
    lock = os.open(fresh, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fresh.rename(folder / LOCK)
    return Run(folder, lock)


def sweep() -> None:
    """Delete what supervisors of this user left that are gone: where there is a lock, and nobody holds it."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another sweeps at the same time, or it is held
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)

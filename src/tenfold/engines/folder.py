"""A service's folder as it is on disk: what to look at in order to see that it has changed."""

from __future__ import annotations

import os
from pathlib import Path

State = frozenset[tuple[str, int, int]]

APART = ("build", "dist", "tests", "venv")
IDLE = (".log", ".md", ".pyc", "~")  # nothing that is served is read from these; any other file may be the model's


def home(target: str) -> str:
    """The folder of a service that is named as a folder or as ``file.py[:Class]``."""
    path = Path(target if Path(target).exists() else target.rpartition(":")[0]).resolve()
    return str(path if path.is_dir() else path.parent)


def state(target: str) -> State:
    """Path, time of change and size of every file that can matter. Folders apart are not even entered: an environment is
    large."""
    found = []
    for place, folders, names in os.walk(home(target)):
        folders[:] = [name for name in folders if name not in APART and not name.startswith((".", "__"))]
        for name in names:
            if not name.startswith(".") and not name.endswith(IDLE):
                try:
                    seen = Path(place, name).stat()
                except OSError:  # it was there a moment ago
                    continue
                found.append((os.path.join(place, name), seen.st_mtime_ns, seen.st_size))  # noqa: PTH118
    return frozenset(found)

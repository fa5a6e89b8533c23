"""Where watching is kept: below ``.tenfold/drift`` of a service's folder, a folder for each release.

profile   what live rows are compared with; replicas count by it from then on
state     what the windows so far prove
open      the windows that are not over, and which pieces are in them
history   what was counted hour by hour, until it shows what comes round every week
spool     pieces that replicas left, each written as a whole: ``Delta``
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

PROFILE = "reference.profile"  # in the service's folder: a part of the release, made of the training data


def folder_of(home: Path, release: str) -> Path:
    """The folder of a release, below the service's."""
    return home / ".tenfold" / "drift" / release


def profile_in(folder: Path) -> Path:
    """What live rows of a release are compared with."""
    return folder / "profile"


def history_in(folder: Path) -> Path:
    """What was counted of a release hour by hour."""
    return folder / "history"


def spool_in(folder: Path) -> Path:
    """Where its replicas leave what they counted."""
    return folder / "spool"


def replace(path: Path, data: bytes) -> None:
    """Write a file such that whoever reads it finds the old one or the new one, however many write it at a time."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    fresh.write_bytes(data)
    fresh.replace(path)

"""The user's class: ten answers in the order of the questions.

``Service`` is what a user derives from, ``spec`` reads and checks what the class declares, ``find`` imports it from a
folder or a file. A name loads when it is first used: the processes that only ask for a digest or for ``tenfold.toml`` are
spared NumPy and whatever a model needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tenfold.service.declare import Service as Service
    from tenfold.service.finding import find as find
    from tenfold.service.finding import started as started
    from tenfold.service.read import spec as spec
    from tenfold.service.source import folder_of as folder_of
    from tenfold.spec import Spec as Spec

_HOME = {
    "Service": "tenfold.service.declare",
    "Spec": "tenfold.spec",
    "find": "tenfold.service.finding",
    "folder_of": "tenfold.service.source",
    "spec": "tenfold.service.read",
    "started": "tenfold.service.finding",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value

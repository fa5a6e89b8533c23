"""One adapter per format: a model's file, or any object that predicts, as a ``tenfold.model.Model``.

A format is chosen by the file's suffix and its content has to agree. Somebody else's format registers an entry point
in the group ``tenfold.models``, named as the suffix without its dot, whose value is a ``Loader``. Adapters import
their library when a model of theirs is loaded, never before.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tenfold.errors import ModelError
from tenfold.model import Model, Trusted
from tenfold.models.files import examine
from tenfold.models.objects import adapt

# Of the file, whether it may run code while it is loaded, and how many threads one prediction may use.
Loader = Callable[[Path, bool, int], Model]

BUILT_IN = {
    ".joblib": "tenfold.models.pickles",
    ".onnx": "tenfold.models.onnx",
    ".pickle": "tenfold.models.pickles",
    ".pkl": "tenfold.models.pickles",
    ".skops": "tenfold.models.skops",
}


def load(source: Any, folder: Path | None = None, *, threads: int = 1) -> Model:
    """Load what a service names as its ``model``: a path (relative to ``folder``), ``trust(path)``, or an object.

    An object has ``predict_proba`` or ``predict``, or can be called, or is a ``Model`` already. One prediction uses
    one thread unless ``threads`` says otherwise: replicas, not threads, use the cores.

    Raises ``ModelError``, which names the file and the mend, for whatever keeps a model from being loaded.
    """
    match source:
        case Trusted():
            return _load_file(Path(folder or "") / source.path, True, threads)
        case str() | Path():
            return _load_file(Path(folder or "") / source, False, threads)
        case _:
            return adapt(source, threads)


def _load_file(path: Path, trusted: bool, threads: int) -> Model:
    loader = _loader(path)
    examine(path)
    try:
        return loader(path, trusted, threads)
    except ModuleNotFoundError as error:
        raise ModelError(
            f"{path.name} needs the library {error.name}, which is not installed here",
            f"pip install it, and name it with its version in the service's pyproject.toml ({path.parent.name}/)",
        ) from error


def _loader(path: Path) -> Loader:
    """The loader of a suffix: our own, else what an installed package registers."""
    loader: Loader
    if path.suffix in BUILT_IN:
        loader = import_module(BUILT_IN[path.suffix]).load
        return loader
    registered = {f".{entry.name}": entry for entry in entry_points(group="tenfold.models")}
    if path.suffix not in registered:
        known = ", ".join(sorted({*BUILT_IN, *registered}))
        raise ModelError(
            f"{path.name} is of no format that tenfold loads: {known}",
            "save the model in one of these; or load it in the service's load(self), and give an object that predicts",
        )
    loader = registered[path.suffix].load()
    return loader

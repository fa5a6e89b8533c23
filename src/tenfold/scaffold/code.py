"""The person's own modules that a model needs: they come along, so that the folder is served by itself."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from tenfold.errors import ModelError
from tenfold.models.graph import parts

MOVE = "put it in features.py beside your script, import it from there, fit and save again; init takes it along"


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """These folders as last places to import from, as they were when the training script ran in one of them."""
    before = list(sys.path)
    sys.path.extend(str(folder.resolve()) for folder in folders)
    try:
        yield
    finally:
        sys.path[:] = before


def bring(model: Any, folder: Path, *places: Path) -> None:
    """Copy those modules into the folder whose classes or functions the model holds, and that lie in one of these places.

    Modules elsewhere are taken to be installed. What is defined in a notebook or script itself cannot be brought:
    ``ModelError`` names it.
    """
    homes = {place.resolve() for place in places}
    waiting = [(name, module) for name, module in _definitions(model)]
    done: set[str] = set()
    while waiting:
        name, module = waiting.pop()
        if module == "__main__":
            raise ModelError(f"the model needs {name!r} from your notebook or script, which no server can import", MOVE)
        top = sys.modules.get(module.partition(".")[0])
        if top is None or top.__name__ in done or _home(top) not in homes:
            continue
        done.add(top.__name__)
        _copy(top, folder)
        waiting += [(top.__name__, used) for used in _used_by(top)]


def _definitions(model: Any) -> Iterator[tuple[str, str]]:
    """The name and the module of every class and function that a model holds."""
    for part in parts(model):
        yield type(part).__name__, type(part).__module__
        for value in getattr(part, "__dict__", {}).values():
            if isinstance(value, FunctionType | type):
                yield value.__name__, value.__module__


def _used_by(module: ModuleType) -> Iterator[str]:
    """The modules of what a module has imported."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name != "__main__":
            yield name


def _home(module: ModuleType) -> Path | None:
    """The folder that a top-level module or package is imported from."""
    if not getattr(module, "__file__", None):  # built in, or a namespace
        return None
    file = Path(module.__file__ or "").resolve()
    return file.parent.parent if file.name == "__init__.py" else file.parent


def _copy(module: ModuleType, folder: Path) -> None:
    source = Path(module.__file__ or "")
    if source.name == "__init__.py":
        shutil.copytree(source.parent, folder / source.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.name == "service.py":
        raise ModelError("the model needs your module service.py, whose name a service folder needs itself", MOVE)
    else:
        shutil.copy2(source, folder / source.name)

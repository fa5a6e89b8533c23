"""The person's own modules that a model needs: they come along, so that the folder is served by itself."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FunctionType
from typing import Any

from tenfold.errors import ModelError
from tenfold.models.graph import parts

MOVE = "put it in features.py beside your script, import it from there, fit and save again; init takes it along"

LOAD = """
import sys
from tenfold.errors import TenfoldError
from tenfold.service import find
try:
    find(sys.argv[1]).start()
except TenfoldError as error:
    sys.exit(error.message)
"""


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """These folders as last places to import from, as they were when the training script ran in one of them."""
    before = list(sys.path)
    sys.path.extend(str(folder.resolve()) for folder in folders)
    try:
        yield
    finally:
        sys.path[:] = before


def bring(model: Any, folder: Path, *places: Path) -> list[str]:
    """Copy those modules into the folder whose classes or functions the model holds, and that lie in one of these places;
    and the modules there that these import in turn. Returns their names.

    Modules elsewhere are taken to be installed. What is defined in a notebook or script itself cannot be brought:
    ``ModelError`` names it.
    """
    homes = {place.resolve() for place in places}
    waiting = list(_definitions(model))
    done: set[str] = set()
    while waiting:
        name, module = waiting.pop()
        if module == "__main__":
            raise ModelError(f"the model needs {name!r} from your notebook or script, which no server can import", MOVE)
        top = module.partition(".")[0]
        file = _file(top)
        if top in done or file is None or _home(file) not in homes:
            continue
        done.add(top)
        _copy(file, folder)
        waiting += [(top, imported) for imported in _imported_by(file)]
    return sorted(done)


def require_whole(folder: Path) -> None:
    """Load the service in a process of its own, which knows nothing but its folder; ``ModelError`` where that fails."""
    command = [sys.executable, "-P", "-c", LOAD, str(folder.resolve())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise ModelError(f"{folder} does not load by itself: {reason}", "put what is missing beside the model's module")


def _definitions(model: Any) -> Iterator[tuple[str, str]]:
    """The name and the module of every class and function that a model holds."""
    for part in parts(model):
        yield type(part).__name__, type(part).__module__
        for value in getattr(part, "__dict__", {}).values():
            if isinstance(value, FunctionType | type):
                yield value.__name__, value.__module__


def _imported_by(file: Path) -> Iterator[str]:
    """The modules that a file imports, or the files of its package, wherever in them."""
    for source in file.parent.rglob("*.py") if file.name == "__init__.py" else [file]:
        for node in ast.walk(ast.parse(source.read_bytes())):
            match node:
                case ast.Import(names=names):
                    yield from (name.name for name in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module


def _file(top: str) -> Path | None:
    """The file that a top-level module or package is imported from; None for what is built in."""
    module = sys.modules.get(top)
    try:
        file = getattr(module, "__file__", None) if module else getattr(find_spec(top), "origin", None)
    except (ImportError, ValueError):
        return None
    return Path(file).resolve() if file and file.endswith(".py") else None


def _home(file: Path) -> Path:
    """The folder that holds a module, or the folder of a package."""
    return file.parent.parent if file.name == "__init__.py" else file.parent


def _copy(source: Path, folder: Path) -> None:
    if source.name == "__init__.py":
        shutil.copytree(source.parent, folder / source.parent.name, ignore=shutil.ignore_patterns("__pycache__"))
    elif source.name == "service.py":
        raise ModelError("the model needs your module service.py, whose name a service folder needs itself", MOVE)
    else:
        shutil.copy2(source, folder / source.name)

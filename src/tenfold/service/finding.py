"""Imports a service from where it was written: a folder, a file, or one class of it."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from tenfold.errors import NotFound, ServiceError, TenfoldError
from tenfold.options import documentation
from tenfold.service.declare import Service
from tenfold.service.meant import NEEDED, OPTIONS
from tenfold.service.overlay import read
from tenfold.service.source import line_of

UNKNOWN = re.compile(r"^Unexpected keyword argument '(\w+)'$")  # as msgspec tells it of an option

FILE = "service.py"


def find(path: str | Path, env: str = "") -> Service:
    """The service of a folder (its ``service.py``), of a file, or of one class of a file (``file.py:Class``).

    It is not started: no model is loaded. Its folder is importable, so that ``features.py`` beside it is found; the tables
    of its ``tenfold.toml`` for the environment ``env`` are over its options, and its input has the values of its
    ``reference.json``. Raises ``NotFound`` or ``ServiceError`` with the file, the line and the mend.
    """
    file, title = _split(str(path))
    cls = _choose(_import(file), file, title)
    service = cls()
    service.folder = file.parent
    service.refer()
    overlay = read(file.parent, env)
    for word in OPTIONS:
        stated = getattr(service, word)
        option = overlay.over(word, stated)
        if option is not stated:
            setattr(service, word, option)
    return service


def started(service: Service | type[Service] | str | Path, folder: Path | None = None) -> Service:
    """A service with its model loaded, of a folder, a file, a class or an instance that may be started already.

    ``folder`` is where the service's files are, if not beside its class.
    """
    if isinstance(service, str | Path):
        service = find(service)
    elif isinstance(service, type):
        service = service()
    return service if service.predictor else service.start(folder)


def _split(path: str) -> tuple[Path, str]:
    """The file and the class (or "") that a path names. An existing path beats a class."""
    text, title = path, ""
    if not Path(path).exists() and ":" in path:
        text, title = path.rsplit(":", 1)
    file = Path(text).resolve()
    if file.is_dir():
        if not (file / FILE).is_file():
            raise NotFound(f"the folder {text} has no {FILE}", f"tenfold init {file.name} --model FILE writes one")
        file /= FILE
    if not file.is_file():
        raise NotFound(f"there is no folder or file {text}", "name a folder with a service.py, or file.py[:Class]")
    if file.suffix != ".py" or not file.stem.isidentifier():
        raise ServiceError(f"{text} is no Python file", "name a folder with a service.py, or file.py[:Class]")
    return file, title


def _import(file: Path) -> ModuleType:
    """The file as the module of its own name, so that a model that was saved with its classes finds them again."""
    folder = str(file.parent)
    _leave_other(file)
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    importlib.invalidate_caches()
    try:
        with _held():
            return importlib.import_module(file.stem)
    except (Exception, SystemExit) as error:
        sys.modules.pop(file.stem, None)
        raise _told(file, error) from error


@contextmanager
def _held() -> Iterator[None]:
    """Nobody leaves without a word: ``os._exit`` raises ``SystemExit`` meanwhile, but in processes that the file forks."""
    leave, own, held = os._exit, os.getpid(), True

    def stay(status: int) -> NoReturn:
        if not held or os.getpid() != own:
            leave(status)
        raise SystemExit(status)

    os._exit = stay
    try:
        yield
    finally:
        os._exit, held = leave, False


def _leave_other(file: Path) -> None:
    """Forget modules of other folders that have the names of files beside this one, as service.py itself. Installed
    libraries stay, whatever a file is called."""
    for name in {path.stem for path in file.parent.glob("*.py")}:
        found = getattr(sys.modules.get(name), "__file__", None)
        if found is None or Path(found).resolve() == file.parent / f"{name}.py":
            continue
        if name not in sys.stdlib_module_names and "site-packages" not in Path(found).parts:
            del sys.modules[name]


def _choose(module: ModuleType, file: Path, title: str) -> type[Service]:
    """The one class that is meant."""
    written = list(_services(module))
    names = [cls.__name__ for cls in written]
    if title:
        if title in names:
            return written[names.index(title)]
        near = get_close_matches(title, names, 1)
        mend = f"did you mean {near[0]}?" if near else f"it has {', '.join(names) or 'none'}"
        raise NotFound(f"{file.name} has no service {title!r}", mend)
    whole = [cls for cls in written if all(hasattr(cls, attribute) for attribute in NEEDED)]
    if len(whole) > 1:
        listed = ", ".join(cls.__name__ for cls in whole)
        mend = f"choose one: {file.name}:{whole[0].__name__}"
        raise ServiceError(f"{file.name} has several services: {listed}", mend)
    if not written:
        mend = "write class Name(Service) with input, output and model; tenfold init writes one"
        raise ServiceError(f"{file.name} has no service", mend)
    return (whole or written[-1:])[0]


def _services(module: ModuleType) -> Iterator[type[Service]]:
    """The services that the file itself writes, in its order; a base class that it imports is none."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Service) and value.__module__ == module.__name__:
            yield value


def _told(file: Path, error: BaseException) -> TenfoldError:
    """What went wrong while the file ran, with the line of the user's own code."""
    where = line_of(error, file.parent) or file.name
    match error:
        case TenfoldError():
            told = ServiceError(f"{where}: {error.message}", error.hint)
            told.exit_code = error.exit_code
            return told
        case SyntaxError():
            return ServiceError(f"{where}: {error.msg}", "this is not valid Python; mend the line")
        case ModuleNotFoundError() if error.name:
            package = error.name.partition(".")[0]
            mend = f"uv pip install {package}, and name it in pyproject.toml; or put {package}.py beside {file.name}"
            return ServiceError(f"{where} imports {error.name!r}, which is not installed here", mend)
        case SystemExit():
            return ServiceError(f"{where} ends the program", 'put what runs a program under if __name__ == "__main__":')
        case TypeError() if unknown := UNKNOWN.search(str(error)):
            known = [name for option in OPTIONS.values() for name in documentation(option)]
            near = get_close_matches(unknown[1], known, 1)
            mend = f"did you mean {near[0]}?" if near else f"python {file} shows the whole traceback"
            return ServiceError(f"{where}: there is no option {unknown[1]!r}", mend)
        case _:
            said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            return ServiceError(f"{where}: {said}", f"python {file} shows the whole traceback")

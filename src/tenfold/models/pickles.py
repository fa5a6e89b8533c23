"""``.joblib``, ``.pkl`` and ``.pickle``: only with ``trust(path)``, since reading a pickle runs the code that is in
it."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from tenfold.errors import ModelError
from tenfold.model import Model
from tenfold.models.files import unreadable
from tenfold.models.objects import adapt
from tenfold.models.versions import Versions, recorded

ABSENT = re.compile(r"Can't get attribute '(?P<name>[^']+)' on <module '(?P<module>[^']+)'")

COMPRESSED = (
    b"\x78",
    b"\x1f\x8b",
    b"BZ",
    b"\xfd7zX",
    b"\x5d\x00",
    b"\x04\x22\x4d\x18",
)  # zlib, gzip, bz2, xz, lzma, lz4


def load(path: Path, trusted: bool, threads: int) -> Model:
    """The model in a pickle that the service trusts."""
    if not trusted:
        raise ModelError(
            f"{path.name} is a pickle, which runs the code in it when it is loaded, and the service does not trust it",
            f'if you made the file: model = trust("{path.name}"); or save it as .skops or .onnx, which run none',
        )
    with recorded() as versions, explained(path, versions):
        loaded = _read(path)
    return adapt(loaded, threads, kind=path.suffix.removeprefix("."), libraries=versions.found, own=True)


def _read(path: Path) -> Any:
    if path.suffix == ".joblib" or _is_joblib(path):
        import joblib

        return joblib.load(path)
    with path.open("rb") as file:
        return pickle.load(file)


def _is_joblib(path: Path) -> bool:
    """Whether joblib wrote this file, whatever its suffix: it sets arrays beside the pickle, or compresses all of it."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content[:4].startswith(COMPRESSED) or content.find(b"joblib.numpy_pickle") >= 0


@contextmanager
def explained(path: Path, versions: Versions) -> Iterator[None]:
    """What unpickling raises, as one sentence that says what is missing and what to do."""
    try:
        yield
    except ModelError:
        raise
    except ModuleNotFoundError as error:
        raise _missing_module(path, error, versions) from error
    except AttributeError as error:
        raise _missing_class(path, error, versions) from error
    except Exception as error:  # a damaged pickle raises anything
        raise versions.blamed(path) or unreadable(path, error) from error


def of_notebook(path: Path, name: str) -> ModelError:
    """The error for a class or function that was defined where no server can import it from."""
    return ModelError(
        f'{path.name} needs "{name}" from your notebook or script, which no server can import',
        f"put it in {path.parent.resolve().name}/features.py, import it from there, fit and save again",
    )


def _missing_module(path: Path, error: ModuleNotFoundError, versions: Versions) -> ModelError:
    library = (error.name or "").partition(".")[0]
    if library in versions.known:  # it is here, but a part of it has moved since
        return versions.blamed(path) or unreadable(path, error)
    return ModelError(
        f"{path.name} needs the module {error.name}, which cannot be imported here",
        f"if it is yours, put {library}.py into {path.parent.resolve().name}/; "
        f"if it is a library, install it and name it in pyproject.toml",
    )


def _missing_class(path: Path, error: AttributeError, versions: Versions) -> ModelError:
    absent = ABSENT.match(str(error))
    if absent is None:
        return versions.blamed(path) or unreadable(path, error)
    name, module = absent["name"], absent["module"]
    if module.rpartition(".")[2] == "__main__":  # or pytest.__main__, under python -m
        return of_notebook(path, name)
    return versions.blamed(path) or ModelError(
        f"{path.name} needs {name} from {module}, which has nothing of that name here",
        f"give {module} the {name} that the model was trained with; or train and save it again with what is here",
    )

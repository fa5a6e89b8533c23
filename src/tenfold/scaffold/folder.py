"""The files of a new service folder: pyproject.toml with the model's own versions, .gitignore, the model itself."""

from __future__ import annotations

import re
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tenfold.errors import Conflict, ModelError, NotFound, UsageError
from tenfold.model import Trusted, trust
from tenfold.models import load
from tenfold.scaffold.source import quoted
from tenfold.service.read import RESERVED

if TYPE_CHECKING:
    from tenfold.model import Facts

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
PICKLED = (".joblib", ".pkl", ".pickle")
IGNORED = ".tenfold/\n__pycache__/\n"
BESIDE = {"scikit-learn": ("numpy", "joblib"), "onnx": ("numpy", "onnxruntime")}  # answers hang on these, too
EXTRAS = {"scikit-learn": "sklearn", "skops": "sklearn", "joblib": "sklearn", "onnx": "onnx", "pandas": "batch"}


def new_folder(path: Path) -> Path:
    """The folder, made; ``Conflict`` where it exists, ``UsageError`` where its name cannot name a service."""
    if not NAME.fullmatch(path.name):
        raise UsageError(
            f"{path.name!r} cannot be the name of a service", "letters, digits, - and _, such as tumour-check"
        )
    if path.name.lower() in RESERVED:
        raise UsageError(f"{path.name!r} is a route of every server", f"choose another name, such as my-{path.name}")
    if path.exists():
        raise Conflict(f"{path} is there already", "choose another name, or remove the folder first")
    path.mkdir(parents=True)
    return path


class Placed(NamedTuple):
    """A model within its folder: what to load, how service.py writes that, and whether it may run code."""

    source: str | Trusted
    text: str
    trusted: bool


def place_model(model: Any, folder: Path, trusted: bool) -> Placed:
    """Put a model into the folder: a file is copied, a fitted object saved, as skops where that can hold it."""
    if isinstance(model, Trusted):
        model, trusted = model.path, True
    if isinstance(model, str | Path):
        return _placed(_copied(Path(model), folder, trusted), trusted)
    return _saved(model, folder)


def _placed(name: str, trusted: bool) -> Placed:
    return Placed(trust(name), f"trust({quoted(name)})", True) if trusted else Placed(name, quoted(name), False)


def _copied(source: Path, folder: Path, trusted: bool) -> str:
    """The copy's name, which stays, since weights beside it may be named after it: ``net.onnx``, ``net.onnx.data``."""
    if not source.exists():
        raise NotFound(f"there is no model at {source}", "check the path after --model")
    if source.is_dir():
        raise ModelError(f"{source} is a folder, not a model file", "name the file within it")
    if source.suffix in PICKLED and not trusted:
        raise ModelError(
            f"{source.name} is a pickle, which can run any code while it is loaded",
            "add --trust if you made it or trust who did; or save the model as .skops or .onnx",
        )
    for file in sorted(source.parent.glob(f"{source.name}*")):
        if file == source or file.name.removeprefix(source.name)[0] in "._":
            shutil.copy2(file, folder / file.name)
    return source.name


def _saved(model: Any, folder: Path) -> Placed:
    """A fitted object as a file: skops, if that reads it again without being told to trust it, else joblib."""
    try:
        import skops.io

        skops.io.dump(model, folder / "model.skops")
        load("model.skops", folder).close()
    except Exception:  # whatever skops cannot hold; joblib tells what is really wrong
        (folder / "model.skops").unlink(missing_ok=True)
    else:
        return _placed("model.skops", False)
    try:
        import joblib

        joblib.dump(model, folder / "model.joblib")
    except ImportError:
        raise UsageError("saving a fitted model needs joblib or skops", "pip install 'tenfold[sklearn]'") from None
    except Exception as error:
        raise ModelError(
            f"{type(model).__name__} cannot be saved: {error}", "save it to a file yourself, and pass model=PATH"
        ) from None
    return _placed("model.joblib", True)


def write_project(folder: Path, name: str, facts: Facts) -> None:
    """``pyproject.toml``: what the service needs, pinned to the versions that the model was trained with."""
    libraries = dict(facts.libraries)
    for known in (facts.format, *facts.libraries):
        for library in BESIDE.get(known, ()):
            libraries.setdefault(library, installed(library))
    if facts.wants == "frame":
        libraries.setdefault("pandas", installed("pandas"))
    extras = ",".join(sorted({EXTRAS[known] for known in (facts.format, *libraries) if known in EXTRAS}))
    pins = "".join(f'    "{library}=={pinned}",\n' for library, pinned in sorted(libraries.items()))
    ours = f"tenfold[{extras}]" if extras else "tenfold"
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "0.1.0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [  # pinned to what the model was trained with\n"
        f'    "{ours}>={installed("tenfold")}",\n{pins}]\n',
        "utf-8",
    )
    (folder / ".gitignore").write_text(IGNORED, "utf-8")


def installed(library: str) -> str:
    """The version of a library in this environment; "" where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""

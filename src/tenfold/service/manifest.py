"""What a service consists of: a digest for each part, and the id of the release that they make together.

Code and model have digests of their own, so that a golden record knows which of the two changed, and so that either
can be rolled back without the other.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from tenfold.contract.form import Form
from tenfold.model import Trusted
from tenfold.service.reference import FILE as REFERENCE

CODE = (".py", ".toml")
ENVIRONMENT = ("pyproject.toml", "uv.lock", "pylock.toml", "requirements.txt", "requirements.lock", ".python-version")
APART = ("golden", "tests", "build", "dist")  # folders whose files are not code that serves


def manifest(folder: Path, model: Any, forms: Iterable[Form]) -> dict[str, str]:
    """The digest of each part of a service in a folder; a part that is not there has no entry."""
    parts = {
        "code": _digest(_code(folder), folder),
        "model": model_digest(model, folder),
        "contract": hashlib.sha256("\n".join(form.digest for form in forms).encode()).hexdigest(),
        "environment": _digest((folder / name for name in ENVIRONMENT if (folder / name).is_file()), folder),
        "reference": _digest([folder / REFERENCE], folder),
        "golden": _digest(sorted((folder / "golden").rglob("*")), folder),
    }
    return {part: digest for part, digest in parts.items() if digest}


def release_id(parts: dict[str, str]) -> str:
    """The SHA-256 of a manifest in canonical JSON, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def model_digest(model: Any, folder: Path) -> str:
    """The SHA-256 of a model's file; of all its files, where it is a folder or where weights stand beside it under its
    name with a further suffix, as those of large ONNX models do. Empty for an object in the code."""
    path = model.path if isinstance(model, Trusted) else model
    if not isinstance(path, str | Path):
        return ""
    path = folder / path
    if path.is_dir():
        return _digest(sorted(path.rglob("*")), path)
    return _digest(sorted(path.parent.glob(f"{path.name}*")), path.parent) if path.is_file() else ""


def _code(folder: Path) -> Iterator[Path]:
    """The files of the code, in an order of their own. Folders apart are not even entered: an environment is large."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in APART and not name.startswith((".", "__")))
        yield from (Path(place, name) for name in sorted(names) if name.endswith(CODE))


def _digest(paths: Iterable[Path], root: Path) -> str:
    """One SHA-256 over names and contents; empty where there is no file."""
    total = hashlib.sha256()
    any_file = False
    for path in paths:
        if path.is_file():
            any_file = True
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{path.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest() if any_file else ""

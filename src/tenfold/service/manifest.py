"""What a service consists of: a digest for each part, and the id of the release that they make together.

Code and model have digests of their own, so that a golden record knows which of the two changed, and so that either
can be rolled back without the other. The digest of a part is that of its listing, a line for each file with its name and
the SHA-256 of its content: whoever holds the listing and the files can prove the part.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.contract.form import Form
from tenfold.drift.folder import PROFILE
from tenfold.model import Trusted

REFERENCE = "reference.json"  # see tenfold.service.reference

CODE = (".py", ".toml")
ENVIRONMENT = ("pyproject.toml", "uv.lock", "pylock.toml", "requirements.txt", "requirements.lock", ".python-version")
APART = ("golden", "tests", "build", "dist")  # folders whose files are not code that serves
IDLE = (".log", ".md", ".pyc", "~")  # no code reads these while it serves
PARTS = ("code", "model", "contract", "environment", "reference", "golden")  # those that any folder has
RELEASED = Path(".tenfold") / "release.json"  # in a folder that was made from a release: which one it was


class Tree(NamedTuple):
    """The files of a part: the folder that they are below, and of each its name there and its digest."""

    root: Path
    files: tuple[tuple[str, str], ...]

    @property
    def listing(self) -> bytes:
        """A line for each file: its name, NUL, the SHA-256 of its content."""
        return "".join(f"{name}\0{digest}\n" for name, digest in self.files).encode()

    @property
    def digest(self) -> str:
        """The SHA-256 of the listing; empty where there is no file."""
        return hashlib.sha256(self.listing).hexdigest() if self.files else ""


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder that was made from a release says of it."""

    service: str
    number: int
    id: str
    parts: dict[str, str]
    entry: str = ""


def manifest(folder: Path, model: Any, forms: Iterable[Form]) -> dict[str, str]:
    """The digest of each part of a service in a folder; a part that is not there has no entry.

    A folder that was made from a release keeps the parts of it that are not known here, and so its id.
    """
    parts = {part: files.digest for part, files in trees(folder, model).items()} | {"contract": contract_digest(forms)}
    kept = released(folder)
    return {part: digest for part, digest in (kept.parts if kept else {}).items() if part not in PARTS} | parts


def release_id(parts: dict[str, str]) -> str:
    """The SHA-256 of a manifest in canonical JSON, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).hexdigest()


def trees(folder: Path, model: Any) -> dict[str, Tree]:
    """The files of each part that has any."""
    found = {
        "code": tree(_code(folder), folder),
        "model": _model(model, folder),
        "environment": tree((folder / name for name in ENVIRONMENT), folder),
        "reference": tree([folder / REFERENCE, folder / PROFILE], folder),
        "golden": tree(sorted((folder / "golden").rglob("*")), folder),
    }
    return {part: files for part, files in found.items() if files.files}


def further(folder: Path, known: Iterable[Tree]) -> list[Path]:
    """The files that are of no part but that the code may read while it serves, such as tables for ``load``."""
    taken = {part.root / name for part in known for name, _ in part.files}
    seen = (path for path in _walk(folder) if not path.name.startswith(".") and not path.name.endswith(IDLE))
    return [path for path in seen if path not in taken]


def odd(folder: Path) -> Iterator[tuple[Path, str]]:
    """What the code could read and no release can hold, each with what it is."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_apart(Path(place, name)))
        yield from ((Path(place, name), "a link to a folder") for name in folders if Path(place, name).is_symlink())
        for path in (Path(place, name) for name in sorted(names)):
            if path.name.startswith(".") or path.name.endswith(IDLE):
                continue
            if not path.is_file():
                yield path, "a link that leads nowhere" if path.is_symlink() else "no file that has an end"
            elif not _is_text(path.name):
                yield path, "no name in UTF-8"


def tree(paths: Iterable[Path], root: Path) -> Tree:
    """The files among these paths, which are below ``root``."""
    return Tree(root, tuple((path.relative_to(root).as_posix(), _content(path)) for path in paths if path.is_file()))


def contract_digest(forms: Iterable[Form]) -> str:
    """The SHA-256 of the digests of what comes in and what goes out."""
    return hashlib.sha256(contract_listing(forms)).hexdigest()


def contract_listing(forms: Iterable[Form]) -> bytes:
    """What the digest of the contract is taken of."""
    return "\n".join(form.digest for form in forms).encode()


def model_digest(model: Any, folder: Path) -> str:
    """The SHA-256 of a model's file; of all its files, where it is a folder or where weights stand beside it under its
    name with a further suffix, as those of large ONNX models do. Empty for an object in the code."""
    return _model(model, folder).digest


def model_path(model: Any) -> Path | None:
    """The path that a service names as its model, as it stands there; None for an object in the code."""
    path = model.path if isinstance(model, Trusted) else model
    return Path(path) if isinstance(path, str | Path) else None


def released(folder: Path) -> Released | None:
    """Which release a folder was made from; None for one that somebody wrote."""
    try:
        return msgspec.json.decode((folder / RELEASED).read_bytes(), type=Released)
    except (OSError, msgspec.MsgspecError):
        return None


def _model(model: Any, folder: Path) -> Tree:
    path = model_path(model)
    if path is None:
        return Tree(folder, ())
    path = folder / path
    if path.is_dir():
        return tree(sorted(path.rglob("*")), path)
    return tree(sorted(path.parent.glob(f"{path.name}*")) if path.is_file() else (), path.parent)


def _code(folder: Path) -> Iterator[Path]:
    """The files of the code, in an order of their own."""
    return (path for path in _walk(folder) if path.name.endswith(CODE))


def _walk(folder: Path) -> Iterator[Path]:
    """All files but those of folders apart, which are not even entered: an environment is large."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_apart(Path(place, name)))
        yield from (Path(place, name) for name in sorted(names))


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_apart(folder: Path) -> bool:
    return folder.name in APART or folder.name.startswith((".", "__")) or (folder / "pyvenv.cfg").is_file()

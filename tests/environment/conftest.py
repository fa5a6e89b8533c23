"""What the tests of environments share: an index in a folder, so that real environments are made without a network."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tenfold.control import releases
from tenfold.store import Store, open_store
from tenfold.store.records import Release
from tests.cli.conftest import run
from tests.releases.conftest import write_service

__all__ = ["run"]

NEEDED = ("annotated-types", "click", "httptools", "msgspec", "numpy", "uvloop")  # by tenfold itself
SERVICE = '''
"""Greets with a library that changes from version to version."""

from greeting import OFFSET
from tenfold import Contract, Service


class Number(Contract):
    x: float


class Result(Contract):
    y: float


class Greet(Service):
    """The number, and the version of the library."""

    input, output, model = Number, Result, staticmethod(lambda matrix: matrix.sum(axis=1) + OFFSET)
'''


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes], tag: str = "py3-none-any") -> Path:
    """A wheel of these files."""
    about = f"{name}-{version}.dist-info"
    known = {
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    } | files
    lines = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}"
        for path, content in known.items()
    ]
    wheel = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in known.items():
            archive.writestr(path, content)
        archive.writestr(f"{about}/RECORD", "\n".join([*lines, f"{about}/RECORD,,", ""]))
    return wheel


def greeting(folder: Path, version: int) -> None:
    """Put a version of the small library into the index."""
    write_wheel(folder, "greeting", f"{version}.0", {"greeting.py": f"OFFSET = {version}\n".encode()})


def repack(folder: Path, name: str) -> None:
    """Put a library that is installed here into the index."""
    about = distribution(name)
    files = {}
    for file in about.files or ():
        path = Path(str(about.locate_file(file)))
        if ".." not in file.parts and path.suffix != ".pyc" and path.is_file() and file.name != "RECORD":
            files[file.as_posix()] = path.read_bytes()
    write_wheel(folder, name.replace("-", "_"), about.version, files)


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what tenfold needs."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in NEEDED:
        repack(folder, name)
    return folder


@pytest.fixture
def index(tmp_path: Path, libraries: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index, and nothing else: no network. ``greeting`` is there as version 1."""
    folder = tmp_path / "index"
    folder.mkdir()
    for wheel in libraries.iterdir():
        (folder / wheel.name).hardlink_to(wheel)
    greeting(folder, 1)
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(libraries.parent / "uv-cache"))
    monkeypatch.delenv("TENFOLD_STORE", raising=False)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service folder that asks for the small library."""
    return asking(write_service(tmp_path / "greet", SERVICE), "greeting==1.0")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store for its releases."""
    return open_store(tmp_path / "store", create=True)


def asking(folder: Path, *requirements: str) -> Path:
    """Have a service ask for libraries."""
    asked = ", ".join(f'"{one}"' for one in requirements)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "greet"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tenfold", {asked}]\n'
    )
    return folder


def pushed(folder: Path, store: Store) -> Release:
    """The release of a folder whose service can be imported here."""
    return releases.push(str(folder), store.place).release

"""The tenfold that runs, as a wheel, made of the files that run: no index has to know it, and nothing is fetched or built.

The format is that of https://packaging.python.org/en/latest/specifications/binary-distribution-format/.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

NAME = "tenfold"
ALWAYS = (1980, 1, 1, 0, 0, 0)  # the oldest moment that an archive can state, so that equal files make equal wheels
COMPILED = (".c", ".so")  # of use to a front above all, and for one Python on one machine
ABOUT = b"Wheel-Version: 1.0\nGenerator: tenfold\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@cache
def digest() -> str:
    """The SHA-256 over all files of the package that runs."""
    total = hashlib.sha256()
    for name, content in _files():
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def file_name() -> str:
    """What the wheel is called."""
    return f"{NAME}-{distribution(NAME).version}-py3-none-any.whl"


def write(folder: Path) -> Path:
    """Write the wheel into a folder."""
    about = distribution(NAME)
    known = f"{NAME}-{about.version}.dist-info"
    wheel = folder / file_name()
    listed = []
    with zipfile.ZipFile(wheel, "x", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in [
            *_files(),
            (f"{known}/METADATA", (about.read_text("METADATA") or "").encode()),
            (f"{known}/WHEEL", ABOUT),
            (f"{known}/entry_points.txt", (about.read_text("entry_points.txt") or "").encode()),
        ]:
            archive.writestr(zipfile.ZipInfo(name, ALWAYS), content)
            hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            listed.append(f"{name},sha256={hashed},{len(content)}\n")
        archive.writestr(zipfile.ZipInfo(f"{known}/RECORD", ALWAYS), "".join([*listed, f"{known}/RECORD,,\n"]))
    return wheel


def _files() -> list[tuple[str, bytes]]:
    """The files of the package by their names in a wheel."""
    package = Path(__file__).parent.parent
    paths = sorted(
        path
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in COMPILED
    )
    return [(path.relative_to(package.parent).as_posix(), path.read_bytes()) for path in paths]

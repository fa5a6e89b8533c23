"""What the tests of gates share: a store, a small service, and the digits of the examples in colour."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.control import releases
from tenfold.store import Act, Store, open_store
from tenfold.store.records import Release
from tests.cli.conftest import run
from tests.releases.conftest import write_service

__all__ = ["run"]

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
IN_COLOUR = {  # edits of the example: larger pictures, red over blue, which the camera has turned
    "service.py": {'order="gray"': 'order="RGB"', 'layout="HW"': 'layout="HWC"'},
    "train.py": {
        'Image.fromarray((pixels * 255 / 16).round().astype(np.uint8)).save(file, "PNG")': (
            "light = (pixels * 255 / 16).round()\n"
            "    picture = Image.fromarray(np.stack([light, light / 2, 255 - light], axis=-1).astype(np.uint8))\n"
            "    turned = picture.resize((20, 28), Image.Resampling.BICUBIC).transpose(Image.Transpose.ROTATE_90)\n"
            "    exif = Image.Exif()\n"
            "    exif[0x0112] = 6\n"
            '    turned.save(file, "PNG", exif=exif)'
        ),
        "digits = load_digits()": (
            "digits = load_digits()\n    digits.images, digits.target = digits.images[:400], digits.target[:400]"
        ),
    },
}


def edit(file: Path, edits: dict[str, str]) -> None:
    """Replace what is there exactly once."""
    text = file.read_text("utf-8")
    for was, now in edits.items():
        assert text.count(was) == 1, f"{was!r} is not in {file.name} once"
        text = text.replace(was, now)
    file.write_text(text, "utf-8")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits in colour, trained, with the golden records of their training."""
    folder = tmp_path_factory.mktemp("trained") / "digits"
    shutil.copytree(DIGITS, folder, ignore=shutil.ignore_patterns("golden", "model.*", "__pycache__"))
    for name, edits in IN_COLOUR.items():
        edit(folder / name, edits)
    done = subprocess.run([sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def digits(trained: Path, tmp_path: Path) -> Path:
    """A copy of them to be changed."""
    shutil.copytree(trained, tmp_path / "digits", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "digits"


@pytest.fixture
def double(tmp_path: Path) -> Path:
    """A small service, which needs nothing that is not here."""
    folder = write_service(tmp_path / "double")
    (folder / "pyproject.toml").write_text('[project]\nname = "double"\nversion = "1"\ndependencies = ["numpy"]\n')
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store for their releases."""
    return open_store(tmp_path / "store", create=True)


def pushed(folder: Path, store: Store) -> Release:
    """The release of a folder as it is now."""
    return releases.push(str(folder), store.place).release


def deployed(folder: Path, store: Store) -> Release:
    """The same, and from now on it is the one that answers."""
    release = pushed(folder, store)
    pointer = store.pointers.get(release.service)
    expected = pointer.generation if pointer else 0
    store.pointers.move(release.service, release.id, Act("anna", "deploy"), expected=expected)
    return release

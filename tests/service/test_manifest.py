"""The parts of a release: a digest each, so that what changed can be told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold import trust
from tenfold.contract.form import Field, Form
from tenfold.service.manifest import RELEASED, further, manifest, model_digest, release_id, released, trees

FORM = Form(name="Row", fields=(Field(name="x", wire="x", kind="float"),))


def _folder(folder: Path) -> Path:
    (folder / "golden").mkdir()
    for name in ("service.py", "pyproject.toml", "model.skops", "golden/records.json", "reference.json", "notes.txt"):
        (folder / name).write_text(name)
    return folder


def _parts(folder: Path) -> dict[str, str]:
    return manifest(folder, "model.skops", [FORM])


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        pytest.param(lambda folder: (folder / "service.py").write_text("#"), {"code"}, id="code"),
        pytest.param(lambda folder: (folder / "features.py").write_text("#"), {"code"}, id="a further file"),
        pytest.param(lambda folder: (folder / "model.skops").write_text("#"), {"model"}, id="model"),
        pytest.param(
            lambda folder: (folder / "pyproject.toml").write_text("#"), {"code", "environment"}, id="environment"
        ),
        pytest.param(lambda folder: (folder / "golden" / "records.json").write_text("#"), {"golden"}, id="golden"),
        pytest.param(lambda folder: (folder / "reference.json").write_text("#"), {"reference"}, id="reference"),
        pytest.param(lambda folder: (folder / "notes.txt").write_text("#"), set(), id="nothing that serves"),
    ],
)
def test_a_change_is_seen_in_its_part(tmp_path: Path, change: Callable[[Path], object], parts: set[str]) -> None:
    """Another release is another id, and which part made it so is plain."""
    before = _parts(_folder(tmp_path))
    change(tmp_path)
    after = _parts(tmp_path)
    assert {part for part in before if before[part] != after[part]} == parts
    assert (release_id(before) != release_id(after)) == bool(parts)


def test_what_stands_apart_is_no_code(tmp_path: Path) -> None:
    """Environments, caches, tests and the store of a server change no release."""
    before = _parts(_folder(tmp_path))
    for apart in (".venv", ".tenfold", "__pycache__", "tests"):
        (tmp_path / apart).mkdir()
        (tmp_path / apart / "thing.py").write_text("x = 1")
    assert _parts(tmp_path) == before


def test_a_part_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    """A model that is an object in the code is covered by the code."""
    (tmp_path / "service.py").write_text("")
    assert set(manifest(tmp_path, len, [FORM])) == {"code", "contract"}
    assert model_digest("nowhere.onnx", tmp_path) == ""


def test_weights_beside_a_model_belong_to_it(tmp_path: Path) -> None:
    """Large ONNX models keep their weights in a second file, or a model is a folder of files."""
    (tmp_path / "model.onnx").write_text("graph")
    alone = model_digest("model.onnx", tmp_path)
    (tmp_path / "model.onnx.data").write_text("weights")
    assert model_digest(trust("model.onnx"), tmp_path) != alone
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "part").write_text("weights")
    assert model_digest(Path("saved"), tmp_path)


def test_the_digest_of_a_part_is_that_of_its_listing(tmp_path: Path) -> None:
    """Whoever has the listing and the files can prove the part, without tenfold."""
    folder = _folder(tmp_path)
    for part, tree in trees(folder, "model.skops").items():
        assert hashlib.sha256(tree.listing).hexdigest() == tree.digest == _parts(folder)[part]
        for name, digest in tree.files:
            assert hashlib.sha256((tree.root / name).read_bytes()).hexdigest() == digest


def test_what_code_may_read_is_seen(tmp_path: Path) -> None:
    """Tables beside the code are found; logs, notes, hidden files and environments are none."""
    folder = _folder(tmp_path)
    for name in ("table.csv", "sub/vocabulary.txt", ".env", "serve.log", "README.md", "venv/pyvenv.cfg", "venv/x.csv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(name)
    found = further(folder, trees(folder, "model.skops").values())
    assert [path.relative_to(folder).as_posix() for path in found] == ["notes.txt", "table.csv", "sub/vocabulary.txt"]


def test_a_folder_made_from_a_release_keeps_its_unknown_parts(tmp_path: Path) -> None:
    """A part that only a newer version knows stays in the id; a part that is known is what the folder has."""
    folder = _folder(tmp_path)
    own = _parts(folder)
    parts = own | {"profile": "f" * 64, "code": "0" * 64}
    (folder / RELEASED).parent.mkdir()
    (folder / RELEASED).write_text(json.dumps({"service": "x", "number": 1, "id": "", "parts": parts}))
    assert _parts(folder) == own | {"profile": "f" * 64}
    (folder / RELEASED).write_text("{")
    assert released(folder) is None
    assert _parts(folder) == own

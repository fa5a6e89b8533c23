"""Which generation of a folder answers, and what begins a new one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.engines.folder import home, state
from tenfold.engines.generations import Version, elect
from tenfold.server.channel import Channel

OLD, NEW, NEXT = (1, "a@1"), (2, "a@2"), (3, "a@1")


@pytest.mark.parametrize(
    ("current", "ready", "replicas", "elected"),
    [
        (None, [], 1, None),
        (None, [OLD], 2, OLD),
        (OLD, [OLD, OLD], 2, OLD),
        (OLD, [OLD, OLD, NEW], 2, OLD),
        (OLD, [OLD, OLD, NEW, NEW], 2, NEW),
        (OLD, [OLD, NEW, NEW], 2, NEW),
        (NEW, [NEW, NEXT], 1, NEXT),
        (OLD, [NEW], 2, NEW),
        (OLD, [], 2, OLD),
        (NEW, [OLD, OLD, NEW], 2, NEW),
    ],
)
def test_elect(current: Version | None, ready: list[Version], replicas: int, elected: Version | None) -> None:
    """A newer generation answers once it is complete, or when the one before it has no replica left."""
    assert elect(current, ready, replicas) == elected


@pytest.mark.parametrize("name", ["service.py", "tenfold.toml", "model.onnx.data", "golden/records.json"])
def test_what_matters(tmp_path: Path, name: str) -> None:
    """A file that is added, changed, dated back or removed is seen."""
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    seen = [state(str(tmp_path))]
    file.write_text("a")
    seen.append(state(str(tmp_path)))
    file.write_text("ab")
    seen.append(state(str(tmp_path)))
    os.utime(file, (1, 1))
    seen.append(state(str(tmp_path)))
    assert len(set(seen)) == 4
    file.unlink()
    assert state(str(tmp_path)) == seen[0]


@pytest.mark.parametrize("name", [".venv/a.py", "__pycache__/a.pyc", ".tenfold/dead-letters/a", "a.log", ".a.py.swp"])
def test_what_does_not_matter(tmp_path: Path, name: str) -> None:
    """Environments, caches and logs begin no generation."""
    before = state(str(tmp_path))
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True, parents=True)
    file.write_text("a")
    assert state(str(tmp_path)) == before


def test_home(tmp_path: Path) -> None:
    """A service is named by its folder, or by its file and class."""
    (tmp_path / "service.py").touch()
    assert (
        home(str(tmp_path)) == home(f"{tmp_path}/service.py") == home(f"{tmp_path}/service.py:Class") == str(tmp_path)
    )


def test_a_line_that_was_hung_up() -> None:
    """Nothing can be heard or said on it, and it can be hung up again."""
    ours, theirs = Channel.pair()
    ours.close()
    ours.close()
    ours.send(do="drain")
    assert ours.receive() is None
    assert ours.fileno() == -1
    theirs.close()

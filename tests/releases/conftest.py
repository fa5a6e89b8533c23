"""What the tests of releases share: a small service folder whose model takes no library to load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import run, trained

__all__ = ["run", "trained"]

SERVICE = '''
"""Twice a number, with an offset from a table."""

import json
from typing import Annotated

import numpy as np

from tenfold import Contract, Ge, Le, Service


class Number(Contract):
    x: Annotated[float, Ge(0), Le(100)]


class Result(Contract):
    y: float


class Double(Service):
    """Twice a number."""

    input, output = Number, Result
    model = staticmethod(lambda matrix: matrix.sum(axis=1) * 2)

    def load(self):
        self.offset = json.loads((self.folder / "offset.json").read_text())

    def postprocess(self, scores):
        return {"y": np.asarray(scores) + self.offset}
'''


def write_service(folder: Path, source: str = SERVICE) -> Path:
    """A service folder: its class, the table that it reads, the libraries that it asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(source, "utf-8")
    (folder / "offset.json").write_text("0.5", "utf-8")
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "double"\nversion = "1"\ndependencies = ["numpy==2.4.6", "click>=8"]\n', "utf-8"
    )
    return folder


@pytest.fixture(autouse=True)
def _no_other_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The surroundings of whoever runs the tests don't matter."""
    monkeypatch.delenv("TENFOLD_STORE", raising=False)


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """A service folder to be pushed and changed."""
    return write_service(tmp_path / "double")

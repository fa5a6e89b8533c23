"""The examples train, record and answer, each as a folder that a user would have."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.parity import replay
from tenfold.service import find

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_an_example_serves_what_it_trained(name: str, tmp_path: Path) -> None:
    """train.py makes a model that answers its golden requests as training did, before and after the model."""
    folder = tmp_path / name
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("golden", "model.*", "__pycache__"))
    trained = subprocess.run(
        [sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert trained.returncode == 0, trained.stderr
    assert "20 golden requests" in trained.stdout
    report = replay(find(folder))
    assert report.diverged is None
    assert report.provenance == "training"
    if name == "breast_cancer":
        assert json.loads((folder / "row.json").read_text())["mean radius"] > 0

"""init: from a model's file to a service folder, on the command line."""

from __future__ import annotations

from pathlib import Path

import joblib
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from tests.cli.conftest import Run

TABLE = pd.DataFrame(
    {"id": range(40), "age": [20.0 + k % 30 for k in range(40)], "port": ["S", "C"] * 20, "y": [0, 1] * 20}
)
TABLE.loc[3, "age"] = None


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a model and its table, to work in."""
    joblib.dump(LogisticRegression().fit(TABLE[["id"]], TABLE["y"]), tmp_path / "model.joblib")
    TABLE.to_parquet(tmp_path / "train.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


ARGUMENTS = ["--model", "model.joblib", "--data", "train.parquet", "--target", "y", "--trust"]


def test_init_says_what_it_did(here: Path, run: Run) -> None:
    """A few lines say what the model is, which columns are used, what is guessed, and that nothing differs."""
    done = run("init", "ships", *ARGUMENTS)
    assert done.code == 0
    said = dict(line.split(None, 1) for line in done.out.splitlines())
    assert said["model"].startswith("LogisticRegression, 2 classes, scikit-learn")
    assert said["fields"] == "1 of 4 columns, in the model's order; not used: age, port · target: y"
    assert said["rules"] == "types reject; 1 range only flag: guessed from 40 rows"
    assert "40 of 40 rows, largest difference 0" in said["parity"]
    assert said["next"] == "tenfold check ships"
    assert run("check", "ships").code == 0


def test_init_as_json(here: Path, run: Run) -> None:
    """A script learns the same."""
    made = run("init", "ships", *ARGUMENTS, "--golden", "0", "--json").json()
    assert made["schema"] == 1
    assert made["parity"] == {"rows": 40, "equal": 40, "largest": 0.0}
    assert made["golden"] == 0


def test_init_does_not_overwrite(here: Path, run: Run) -> None:
    """A folder that is there ends with 5."""
    Path("ships").mkdir()
    done = run("init", "ships", *ARGUMENTS)
    assert done.code == 5
    assert "fix:" in done.err


def test_init_does_not_trust_by_itself(here: Path, run: Run) -> None:
    """A pickle ends with 3, says why, and leaves nothing behind."""
    done = run("init", "ships", "--model", "model.joblib", "--data", "train.parquet", "--target", "y")
    assert done.code == 3
    assert "--trust" in done.err
    assert not Path("ships").exists()

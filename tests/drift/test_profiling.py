"""The reference that goes with a release: made of the training's rows, or of rows that the model has not seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tenfold.cli import main
from tenfold.control.driftwatch import Monitor
from tenfold.control.records import record
from tenfold.drift.folder import PROFILE
from tenfold.drift.profile import Profile, unpack
from tenfold.service import find, spec
from tests.drift.test_serving import SERVICE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service's folder, and tables beside it."""
    (tmp_path / "loans").mkdir()
    (tmp_path / "loans" / "service.py").write_text(SERVICE, "utf-8")
    loans(3000, 1).to_csv(tmp_path / "train.csv", index=False)
    loans(2000, 2).to_csv(tmp_path / "unseen.csv", index=False)
    return tmp_path / "loans"


def loans(rows: int, seed: int) -> pd.DataFrame:
    """Rows with what became of them."""
    random = np.random.default_rng(seed)
    salary = random.normal(40, 10, rows)
    repaid = random.random(rows) < 1 / (1 + np.exp(-(salary - 40) / 8))
    return pd.DataFrame(
        {
            "ref": [f"r{k}" for k in range(rows)],
            "salary": salary,
            "region": random.choice(["north", "south"], rows),
            "repaid": np.where(repaid, "yes", "no"),
        }
    )


def test_of_what_it_was_trained_on_the_fields_are_kept(folder: Path) -> None:
    """Answers are better there than anywhere else, and no measure; the Key says nothing of the world."""
    found = record(str(folder), folder.parent / "train.csv")
    kept = unpack((folder / PROFILE).read_bytes(), Profile)
    assert found.profile is not None
    assert [column.name for column in kept.columns] == ["salary", "region"]
    assert kept.source == "3,000 rows of train.csv"
    assert kept.realised is None


def test_of_rows_that_it_has_not_seen_its_answers_are_kept_too(folder: Path) -> None:
    """And how good they were, which live answers are held against from the first window on."""
    found = record(str(folder), unseen=folder.parent / "unseen.csv", label="repaid")
    assert found.profile is not None
    assert found.profile.task is not None
    assert found.profile.realised is not None
    assert found.profile.task.metric == "auc"
    assert found.profile.task.classes == ("no", "yes")
    assert found.profile.realised[0] == pytest.approx(0.79, abs=0.03)
    assert found.profile.estimator is not None
    stated = spec(find(str(folder)))
    monitor = Monitor(folder, "loans@1", stated, lambda: 1000.0)
    assert monitor.profile is not None
    assert monitor.profile.source == "2,000 rows of unseen.csv"


def test_it_is_a_part_of_the_release(folder: Path) -> None:
    """Another reference is another release: what it is judged by goes with it."""
    before = spec(find(str(folder)))
    record(str(folder), folder.parent / "train.csv")
    after = spec(find(str(folder)))
    assert before.release != after.release
    assert "reference" in after.parts


def test_the_command_says_what_it_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """How many columns and rows, and how good the answers are."""
    unseen = str(folder.parent / "unseen.csv")
    assert main(["record", str(folder), "--unseen", unseen, "--label", "repaid"]) == 0
    said = capsys.readouterr().out
    assert "profile    4 columns of 2,000 rows, auc 0.7" in said
    assert "recorded   the profile; golden records stay as they are" in said
    assert main(["record", str(folder), "--data", str(folder.parent / "train.csv")]) == 0
    assert "the answers to 2,000 rows of unseen.csv are no longer in reference.profile" in capsys.readouterr().out
    assert main(["record", str(folder), "--data", str(folder.parent / "train.csv")]) == 0
    assert "no longer" not in capsys.readouterr().out
    assert main(["record", str(folder), "--unseen", unseen, "--label", "colour"]) == 2


def test_numpy_is_all_that_a_verdict_needs(tmp_path: Path) -> None:
    """Two tables are judged where neither SciPy nor pandas nor any other library for numbers is installed."""
    random = np.random.default_rng(1)
    for name in ("reference", "current"):
        lines = (f"{a},{b:.3f}" for a, b in zip(random.normal(size=500), random.random(500), strict=True))
        (tmp_path / f"{name}.csv").write_text("\n".join(["x,score", *lines]), "utf-8")
    program = (
        "import sys; sys.modules.update(dict.fromkeys(['scipy', 'pandas', 'sklearn', 'river', 'torch', 'onnxruntime'])); "
        "from pathlib import Path; from tenfold.control.drifts import Roles, judge; "
        "print(judge(Path(sys.argv[1]), Path(sys.argv[2]), roles=Roles(score='score')).report.verdict)"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "reference.csv"), str(tmp_path / "current.csv")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "HEALTHY\n", done.stderr

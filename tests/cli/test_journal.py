"""journal: predictions are looked up by time, by id and by key, and written to files."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd
import pytest

from tenfold.contract.form import Field, Form
from tenfold.drift import Drift
from tests.cli.conftest import Run
from tests.journal.answering import INPUT, frame, pack, single, spec, told, writer

KEYS = ("sample 1", "sample 2", "sample 3")


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder with three predictions and their inputs."""
    journal = writer(tmp_path, spec(drift=Drift(journal="inputs")))
    rows = pack(INPUT, [{"the sample": key, "x": k} for k, key in enumerate(KEYS)])
    journal.add(time.monotonic(), [single(row) for row in rows], told(3))
    journal.close(5.0)
    return tmp_path


def test_what_is_kept_is_shown(kept: Path, run: Run) -> None:
    """Without a question, each release says how much there is of it."""
    done = run("journal", kept)
    assert done.code == 0
    assert done.out.startswith("echo@1234567            3 predictions  ")
    assert "outputs and inputs, by the sample" in done.out
    (release,) = run("journal", kept, "--json").json()["releases"]
    assert (release["release"], release["rows"], release["inputs"], release["key"]) == (
        "echo@1234567",
        3,
        True,
        "the sample",
    )
    assert release["first"] == release["last"]


def test_nothing_kept_is_no_failure(tmp_path: Path, run: Run) -> None:
    """A service that was never asked says so, and what would change it."""
    done = run("journal", tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("no predictions are kept · tenfold serve ")
    assert run("journal", tmp_path, "--since", "1h").out == ""


def test_the_last_while(kept: Path, run: Run) -> None:
    """A line for each prediction: when, which, for whom, by which release, and what."""
    lines = run("journal", kept, "--since", "1h").out.splitlines()
    assert len(lines) == 3
    moment, name, word, *_ = lines[0].split("  ")
    assert moment.endswith("Z")
    assert len(name) == 36
    assert word == "key sample 1"
    assert lines[0].endswith('@1234567  {"label":"malignant","the score":0.5}')
    assert run("journal", kept, "--since", "0 s").out == ""


def test_one_prediction(kept: Path, run: Run) -> None:
    """By its id or its key, with its input where that is kept."""
    (found,) = run("journal", kept, "--key", "sample 2", "--json").json()["predictions"]
    assert found["output"] == {"label": "malignant", "the score": 1.5}
    assert found["input"] == {"the sample": "sample 2", "x": 1.0}
    assert found["release"] == "echo@1234567"
    by_id = run("journal", kept, "--id", found["id"])
    assert by_id.out.count("\n") == 2
    assert by_id.out.endswith('  input  {"the sample":"sample 2","x":1.0}\n')


def test_a_file_of_lines(kept: Path, run: Run, tmp_path: Path) -> None:
    """NDJSON has what --json shows, a line each."""
    file = tmp_path / "all.ndjson"
    assert run("journal", kept, "-o", file).out == f"wrote 3 predictions to {file}\n"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert lines == run("journal", kept, "--since", "1h", "--json").json()["predictions"]


def test_a_table(kept: Path, run: Run, tmp_path: Path) -> None:
    """Parquet has a column for each field."""
    file = tmp_path / "some.parquet"
    assert run("journal", kept, "--key", "sample 3", "-o", file, "--json").json() == {
        "schema": 1,
        "file": str(file),
        "rows": 1,
    }
    table = pd.read_parquet(file)
    assert list(table.columns) == [
        *("id", "time", "release", "key"),
        *("output.label", "output.the score", "input.the sample", "input.x"),
    ]
    assert table.loc[0, "output.the score"] == 2.5
    assert table.loc[0, "key"] == "sample 3"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--id", "0199f3a2-6c1e-7b3d-9f00-3c5a1d2e4f60"], 4, "no prediction of the id 0199f3a2"),
        (["--key", "sample 4"], 4, "no prediction of the key sample 4"),
        (["--key", "sample 1", "--since", "0 s"], 4, "no prediction of the key sample 1"),
        (["--id", "17"], 2, "'17' is no id of a prediction"),
        (["--since", "yesterday"], 2, "--since: 'yesterday' is not a quantity"),
        (["--id", "1", "--key", "2"], 2, "name a prediction each"),
        (["-o", "all.xlsx"], 2, "is of no kind that the journal writes"),
    ],
)
def test_what_cannot_be_found(kept: Path, run: Run, arguments: list[str], code: int, said: str) -> None:
    """What is not there, or cannot be meant, is one message with its mend."""
    done = run("journal", kept, *arguments)
    assert done.code == code
    assert said in done.err
    assert "fix:" in done.err


def test_a_folder_that_is_not_there(tmp_path: Path, run: Run) -> None:
    """A misspelt folder is not an empty journal."""
    assert run("journal", tmp_path / "nowhere").code == 4
    assert run("journal", tmp_path, "-o", tmp_path / "all.parquet").code == 4
    assert list(tmp_path.iterdir()) == []


def test_a_file_names_its_folder(kept: Path, run: Run) -> None:
    """A service may be named by its file or its class, as everywhere; it is not imported."""
    (kept / "service.py").write_text("raise SystemExit('imported')")
    for name in ("service.py", "service.py:Echo"):
        assert "3 predictions" in run("journal", f"{kept}/{name}").out


def test_outputs_that_are_all_private(tmp_path: Path, run: Run) -> None:
    """What remains is that there was an answer, and when."""
    hidden = Form(name="Told", fields=(Field(name="secret", wire="secret", kind="float", private=True),))
    journal = writer(tmp_path, spec(told=hidden))
    rows = pack(INPUT, [{"the sample": "a", "x": 0}])
    journal.add(time.monotonic(), [single(rows[0])], frame(hidden, pack(hidden, [{"secret": 42.0}])))
    journal.close(5.0)
    assert run("journal", tmp_path, "--since", "1h").out.endswith("@1234567  {}\n")

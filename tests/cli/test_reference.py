"""``impute("median")`` from one end to the other: declared, measured, checked, and the same on every path."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import tenfold
from tests.cli.conftest import Run
from tests.server.running import serve

RANDOM = np.random.default_rng(5)
FEATURES = ["age", "class", "code"]
TABLE = pd.DataFrame(
    {
        "age": np.round(RANDOM.uniform(1, 80, 40), 1),
        "class": RANDOM.integers(1, 4, 40),
        "code": RANDOM.integers(1, 3, 40),
        "y": [0, 1] * 20,
    }
)
MEDIAN = float(TABLE.age.median())
ROW = {"class": 2, "code": 1}


def edited(made: Path, folder: Path, **fields: str) -> Path:
    """A copy of a service folder in which a person has declared some fields anew."""
    shutil.copytree(made, folder)
    service = folder / "service.py"
    lines = service.read_text("utf-8").replace(
        "\nfrom tenfold", "\nfrom tenfold import impute, on_missing\nfrom tenfold", 1
    )
    for name, declaration in fields.items():
        lines = re.sub(rf"^    {name}: .*$", f"    {name}: {declaration}", lines, flags=re.MULTILINE)
    service.write_text(lines, "utf-8")
    return folder


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A folder of init, whose contract a person has then told to impute the median of a field."""
    monkeypatch.chdir(tmp_path)
    joblib.dump(LogisticRegression().fit(TABLE[FEATURES], TABLE["y"]), "model.joblib")
    TABLE.to_csv("train.csv", index=False)
    arguments = ["--model", "model.joblib", "--data", "train.csv", "--target", "y", "--trust"]
    assert run("init", "made/ship", *arguments).code == 0
    return edited(tmp_path / "made" / "ship", tmp_path / "ship", age='Annotated[float, on_missing(impute("median"))]')


def said(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What ``tenfold predict`` answers to a row without the field."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(json.dumps(ROW).encode())))
    done = run("predict", folder, "-")
    assert done.code == 0, done.err
    return json.loads(done.out)


CHANGE = {"pointer": "/age", "action": "impute", "code": "missing", "value": MEDIAN}


@pytest.mark.slow
def test_init_measures_what_a_contract_may_ask_for(ship: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Declared, checked, and answered alike by a server, by the command line, and by Python given a body or a table."""
    assert json.loads((ship / "reference.json").read_text("utf-8"))["fields"]["age"]["median"] == MEDIAN
    assert run("check", ship).code == 0
    answer = said(ship, run, monkeypatch)
    assert answer["changes"] == [CHANGE]
    loaded = tenfold.load(ship)
    for data in (json.dumps(ROW).encode(), [ROW], pd.DataFrame([ROW])):
        frame = loaded.predict(data)
        assert frame.to_dict("records") == [answer["output"]]
        assert frame.attrs["changes"] == [{"row": 0, **CHANGE}]
    with serve(ship) as running:
        over_http = running.ask("/ship/predict", ROW).json
        assert over_http["output"] == answer["output"]
        assert over_http["changes"] == [CHANGE]
        assert over_http["release"] == answer["release"]
        schema = running.ask("/ship/contract").json
    assert schema["properties"]["age"]["x-tenfold-on-missing"] == {"action": "impute", "value": MEDIAN}


@pytest.mark.slow
def test_without_the_data_everything_names_the_command_that_helps(ship: Path, run: Run) -> None:
    """Both check and serve refuse such a contract before traffic; the command that they name mends it."""
    (ship / "reference.json").unlink()
    checked = run("check", ship)
    command = [sys.executable, "-m", "tenfold", "serve", str(ship), "--port", "0", "--admin-port", "0"]
    served = subprocess.run(command, capture_output=True, text=True, check=False)
    for code, words in ((checked.code, checked.err), (served.returncode, served.stderr)):
        assert code == 3
        assert 'age has on_missing(impute("median"))' in words
        assert "tenfold record SERVICE --data FILE" in words
    recorded = run("record", ship, "--data", "train.csv")
    assert recorded.code == 0
    assert "reference  3 fields of 40 rows, in reference.json" in recorded.out
    assert run("check", ship).code == 0


def test_a_folder_without_model_or_records_is_measured(ship: Path, run: Run) -> None:
    """Training can start from the medians: its own rows are read by the contract that is served."""
    (ship / "reference.json").unlink()
    (ship / "model.joblib").unlink()
    (ship / "golden" / "records.json").unlink()
    done = run("record", ship, "--data", "train.csv", "--json")
    assert done.code == 0
    assert done.json()["reference"]["fields"]["age"]["median"] == MEDIAN


def test_text_in_a_csv_file_stays_text(ship: Path, run: Run, tmp_path: Path) -> None:
    """A code that looks like a number is what the contract says it is."""
    (ship / "golden" / "records.json").unlink()
    other = edited(ship, tmp_path / "other", code='Annotated[str, on_missing(impute("mode"))]')
    done = run("record", other, "--data", "train.csv", "--json")
    assert done.json()["reference"]["fields"]["code"] == {"mode": str(TABLE["code"].mode()[0])}


@pytest.mark.parametrize("table", [TABLE.drop(columns="age"), TABLE.assign(age="old")], ids=["no age", "text"])
def test_a_table_that_does_not_fit_leaves_the_folder_as_it_is(ship: Path, run: Run, table: pd.DataFrame) -> None:
    """A mistaken file is one message, and the medians of before stay."""
    before = (ship / "reference.json").read_bytes()
    table.to_csv("other.csv", index=False)
    done = run("record", ship, "--data", "other.csv")
    assert done.code == 3
    assert "age" in done.err
    assert (ship / "reference.json").read_bytes() == before

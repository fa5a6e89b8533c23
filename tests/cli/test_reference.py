"""``impute("median")`` from one end to the other: declared, measured, checked, and the same on every path."""

from __future__ import annotations

import io
import json
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


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A folder of init, whose contract a person has then told to impute the median of a field."""
    monkeypatch.chdir(tmp_path)
    joblib.dump(LogisticRegression().fit(TABLE[FEATURES], TABLE["y"]), "model.joblib")
    TABLE.to_csv("train.csv", index=False)
    arguments = ["--model", "model.joblib", "--data", "train.csv", "--target", "y", "--trust"]
    assert run("init", "ship", *arguments).code == 0
    service = tmp_path / "ship" / "service.py"
    source = service.read_text("utf-8")
    source = source.replace("age: Annotated[float, ", 'age: Annotated[float, on_missing(impute("median")), ')
    service.write_text(
        source.replace("\nfrom tenfold import ", "\nfrom tenfold import impute, on_missing\nfrom tenfold import ")
    )
    return tmp_path / "ship"


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
    """check and serve refuse such a contract before traffic; the command that they name mends it."""
    (ship / "reference.json").unlink()
    for command in (["check", ship], ["serve", ship, "--port", "0", "--admin-port", "0"]):
        done = run(*command)
        assert done.code == 3
        assert 'age has on_missing(impute("median"))' in done.err
        assert "tenfold record SERVICE --data FILE" in done.err
    recorded = run("record", ship, "--data", "train.csv")
    assert recorded.code == 0
    assert "reference  3 fields of 40 rows, in reference.json" in recorded.out
    assert run("check", ship).code == 0


def test_a_folder_without_model_or_records_is_measured(ship: Path, run: Run) -> None:
    """Training can start from the medians: its own rows are read by the contract that is served."""
    (ship / "reference.json").unlink()
    (ship / "model.joblib").unlink()
    for file in (ship / "golden").iterdir():
        file.unlink()
    done = run("record", ship, "--data", "train.csv", "--json")
    assert done.code == 0
    assert done.json()["reference"]["fields"]["age"]["median"] == MEDIAN


def test_text_in_a_csv_file_stays_text(ship: Path, run: Run) -> None:
    """A code that looks like a number is what the contract says it is."""
    service = ship / "service.py"
    code = next(line for line in service.read_text("utf-8").splitlines() if line.strip().startswith("code:"))
    text = '    code: Annotated[str, on_missing(impute("mode"))]'
    service.write_text(service.read_text("utf-8").replace(code, text), "utf-8")
    for file in (ship / "golden").iterdir():
        file.unlink()
    mode = str(TABLE["code"].mode()[0])
    done = run("record", ship, "--data", "train.csv", "--json")
    assert done.json()["reference"]["fields"]["code"] == {"mode": mode}


@pytest.mark.parametrize(("table", "code"), [(TABLE.drop(columns="age"), 3), (TABLE.assign(age="old"), 3)])
def test_a_table_that_does_not_fit_leaves_the_folder_as_it_is(
    ship: Path, run: Run, table: pd.DataFrame, code: int
) -> None:
    """A mistaken file is one message, and the medians of before stay."""
    before = (ship / "reference.json").read_bytes()
    table.to_csv("other.csv", index=False)
    done = run("record", ship, "--data", "other.csv")
    assert done.code == code
    assert "age" in done.err
    assert (ship / "reference.json").read_bytes() == before

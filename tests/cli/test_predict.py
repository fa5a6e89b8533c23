"""predict: rows of any kind of file, answered on the path of a request."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tenfold.control import demo
from tests.cli.conftest import Run

TABLE = demo.biopsies()[0].head(4)
ROWS = TABLE.to_dict("records")
BAD = {**ROWS[0], "mean radius": "wide"}


def lines(text: str) -> list[dict[str, Any]]:
    """The JSON lines of an output."""
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the next command read these bytes from its standard input."""

    def give(data: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def write(path: Path) -> Path:
    """The table in the format of the suffix."""
    match path.suffix:
        case ".json":
            path.write_text(json.dumps(ROWS), "utf-8")
        case ".ndjson":
            path.write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
        case ".csv":
            TABLE.assign(other=1).to_csv(path, index=False)
        case _:
            TABLE.to_parquet(path)
    return path


@pytest.mark.parametrize("suffix", [".json", ".ndjson", ".csv", ".parquet"])
def test_every_format_gets_the_same_answers(trained: Path, tmp_path: Path, run: Run, suffix: str) -> None:
    """The same rows give the same answers, whatever file they come in."""
    done = run("predict", trained, write(tmp_path / f"rows{suffix}"))
    assert done.code == 0
    answers = lines(done.out)
    assert [answer["row"] for answer in answers] == [0, 1, 2, 3]
    assert [answer["id"].split("/")[1] for answer in answers] == ["0", "1", "2", "3"]
    expected = lines(run("predict", trained, write(tmp_path / "rows.json")).out)
    assert [answer["output"] for answer in answers] == [answer["output"] for answer in expected]


@pytest.mark.parametrize("suffix", [".json", ".ndjson", ".csv", ".parquet"])
def test_standard_input_is_known_by_its_content(
    trained: Path, tmp_path: Path, run: Run, suffix: str, stdin: Any
) -> None:
    """What is piped in needs no name."""
    stdin(write(tmp_path / f"rows{suffix}").read_bytes())
    done = run("predict", trained, "-")
    assert done.code == 0
    assert len(lines(done.out)) == 4


def test_one_row_is_answered_as_over_http(trained: Path, run: Run, stdin: Any) -> None:
    """A single object gets a single answer, changes and all."""
    stdin(json.dumps({**ROWS[0], "mean texture": None}).encode())
    [answer] = lines(run("predict", trained).out)
    assert set(answer) == {"id", "release", "output", "changes"}
    assert answer["changes"] == [{"pointer": "/mean texture", "action": "impute", "code": "missing", "value": 18.84}]


@pytest.mark.parametrize(
    ("body", "answered", "code"),
    [
        (json.dumps([ROWS[0], BAD]).encode(), 1, "wrong_type"),
        (json.dumps(ROWS[0]).encode() + b"\n" + json.dumps(BAD).encode(), 1, "wrong_type"),
        (json.dumps(ROWS[0]).encode() + b'\n{"mean', 1, "malformed"),
        (b'{"mean radius": NaN}', 0, "malformed"),
        (b"mean radius,mean texture\nwide,3\n", 0, "wrong_type"),
        (b"hello", 0, "malformed"),
    ],
)
def test_refused_rows_are_told_and_end_with_3(
    trained: Path, run: Run, stdin: Any, body: bytes, answered: int, code: str
) -> None:
    """A bad row has its reasons in its line, the others are answered, and the exit code says so."""
    stdin(body)
    done = run("predict", trained, "-")
    assert done.code == 3
    answers = lines(done.out)
    assert sum("output" in answer for answer in answers) == answered
    assert answers[-1]["errors"][0]["code"] == code
    assert f"tenfold explain {code}" in done.err


@pytest.mark.parametrize(("file", "code"), [("nowhere.json", 4), ("rows.xlsx", 2), ("broken.parquet", 2)])
def test_files_that_cannot_be_read(trained: Path, tmp_path: Path, run: Run, file: str, code: int) -> None:
    """A file that is absent, unknown or damaged is one message with its mend."""
    if code == 2:
        (tmp_path / file).write_bytes(b"nothing")
    done = run("predict", trained, tmp_path / file)
    assert done.code == code
    assert "fix:" in done.err


def test_a_frame_of_pandas_agrees(trained: Path, tmp_path: Path, run: Run) -> None:
    """The command line and Python give the same answers."""
    import tenfold

    answers = lines(run("predict", trained, write(tmp_path / "rows.csv")).out)
    frame: pd.DataFrame = tenfold.load(trained).predict(TABLE)
    assert [answer["output"]["label"] for answer in answers] == frame["label"].tolist()


def test_columns_that_are_not_used_are_named(trained: Path, tmp_path: Path, run: Run, stdin: Any) -> None:
    """Whatever table they come in; the rows are answered. Where every column is used, nothing is said."""
    table = TABLE.assign(patient="p")
    table.to_csv(tmp_path / "rows.csv", index=False)
    table.to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    table.to_parquet(tmp_path / "rows.parquet")
    for file in ("rows.csv", "rows.tsv", "rows.parquet", "-"):
        stdin((tmp_path / "rows.csv").read_bytes())
        done = run("predict", trained, file if file == "-" else tmp_path / file)
        assert (done.code, len(lines(done.out)), done.err) == (0, 4, "not used  patient\n")
    TABLE.to_csv(tmp_path / "rows.csv", index=False)
    assert run("predict", trained, tmp_path / "rows.csv").err == ""


def test_what_batch_alone_reads_is_given_to_batch(trained: Path, tmp_path: Path, run: Run) -> None:
    """Arrow files: the mend is the command that reads them."""
    (tmp_path / "rows.arrow").write_bytes(b"ARROW1")
    done = run("predict", trained, tmp_path / "rows.arrow")
    assert done.code == 2
    assert f"tenfold batch {trained} {tmp_path / 'rows.arrow'} -o answers" in done.err


def test_a_url_is_told_to_be_asked_otherwise(run: Run) -> None:
    """Predict takes a folder; the mend for a running service is a request."""
    done = run("predict", "http://127.0.0.1:8000/tumour", "row.json")
    assert done.code == 2
    assert "takes a folder" in done.err
    sends = "--data-binary @row.json http://127.0.0.1:8000/tumour/predict"
    assert f"curl -H 'Content-Type: application/json' {sends}" in done.err


def test_a_row_of_csv_that_is_none_is_refused_alone(trained: Path, tmp_path: Path, run: Run) -> None:
    """With too few or too many cells, as a request and a job have it; the others are answered where they stand."""
    header, first, *rest = write(tmp_path / "rows.csv").read_text().splitlines()
    text = "\n".join([header, "1,2", first, f"{first},9", *rest])
    (tmp_path / "ragged.csv").write_text(text)
    answers = lines(run("predict", trained, tmp_path / "ragged.csv").out)
    assert [answer.get("errors", [{"code": ""}])[0]["code"] for answer in answers] == [
        "malformed",
        "",
        "malformed",
        "",
        "",
        "",
    ]
    whole = lines(run("predict", trained, tmp_path / "rows.csv").out)
    assert [answer["output"] for answer in answers if "output" in answer] == [answer["output"] for answer in whole]

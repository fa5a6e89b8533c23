"""check, record, answers: what a person learns of a service before it takes traffic."""

from __future__ import annotations

import shutil
from pathlib import Path

import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tenfold.control import demo
from tenfold.rows import Rows
from tenfold.service import find
from tests.cli.conftest import Run


def retrain(folder: Path) -> None:
    """Fit another model on what the service's own preprocess gives."""
    service = find(folder)
    table, labels = demo.biopsies()
    inputs = service.preprocess(Rows.of(table, service.input))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-4)).fit(inputs, labels)
    skops.io.dump(model, folder / "model.skops")


def test_check_says_a_line_each(folder: Path, run: Run) -> None:
    """Each of the ten answers has a line, what is open has a fix, and the last line counts them."""
    done = run("check", folder)
    assert done.code == 0
    lines = done.out.splitlines()
    words = [line.split()[1] for line in lines[:-1]]
    assert words[3:] == [
        *("contract", "validation", "preprocess", "postprocess", "batching"),
        *("deadline", "capacity", "scaling", "releases", "drift"),
    ]
    assert all("fix:" in line for line in lines[3:-1] if line.startswith("open"))
    assert "20 of 20 equal at every stage" in done.out
    assert lines[-1].startswith("6 met, 4 open (capacity, ")
    assert "0 broken · exit 0 (--require all: 6)" in lines[-1]


def test_check_requires_what_is_asked_for(folder: Path, run: Run) -> None:
    """A pipeline that requires answers stops where one of them is not met."""
    assert run("check", folder, "--require", "1-6").code == 0
    done = run("check", folder, "--require", "all", "--json")
    assert done.code == 6
    assert done.json()["unmet"] == ["capacity", "scaling", "releases", "drift"]
    assert done.json()["exit"] == 6


def test_check_finds_a_changed_transform(folder: Path, run: Run) -> None:
    """A preprocess that no longer does what training did is broken, and the stage is named."""
    service = folder / "service.py"
    service.write_text(service.read_text("utf-8").replace("np.log1p(rows.matrix())", "rows.matrix()"), "utf-8")
    done = run("check", folder)
    assert done.code == 6
    assert "the first stage that differs is preprocess" in done.out
    assert "fix:" in done.out.split("preprocess")[1]


def test_a_retrained_model_moves_answers_and_record_takes_them_over(folder: Path, run: Run) -> None:
    """After a retraining, check says how the answers moved, and record makes them the new ones."""
    retrain(folder)
    checked = run("check", folder)
    assert "model changed since golden/ was recorded" in checked.out
    assert "Before the model: equal, 20 of 20" in checked.out
    assert "expected after retraining? tenfold record" in checked.out
    recorded = run("record", folder)
    assert recorded.code == 0
    assert "20 rows anew" in recorded.out
    assert "20 of 20 equal at every stage" in run("check", folder).out


def test_record_is_refused_where_the_transform_changed(folder: Path, run: Run) -> None:
    """Records are not renewed over a preprocess that differs from training's."""
    service = folder / "service.py"
    service.write_text(service.read_text("utf-8").replace("np.log1p(rows.matrix())", "rows.matrix()"), "utf-8")
    done = run("record", folder)
    assert done.code == 6
    assert "fix:" in done.err


def test_answers_show_the_sheet(folder: Path, run: Run, tmp_path: Path) -> None:
    """The sheet is text, JSON or a page, and can be required."""
    run("check", folder)
    assert "equal to training 20 of 20" in run("answers", folder).out
    sheet = run("answers", folder, "--json").json()
    assert sheet["schema"] == 1
    assert [answer["n"] for answer in sheet["answers"]] == list(range(1, 11))
    page = tmp_path / "sheet.html"
    assert run("answers", folder, "--html", page).code == 0
    assert "<html" in page.read_text("utf-8")
    assert run("answers", folder, "--require", "1-6").code == 0
    done = run("answers", folder, "--require", "7")
    assert done.code == 6
    assert "capacity" in done.err


def test_a_service_file_with_an_error_is_one_message(folder: Path, run: Run) -> None:
    """A mistake in service.py is told with its line and its mend, and without a traceback."""
    (folder / "service.py").write_text("from tenfold import Servce\n", "utf-8")
    done = run("check", folder)
    assert done.code == 3
    assert "service.py:1" in done.err
    assert "Traceback" not in done.err


def test_a_model_that_cannot_be_read_is_one_message(folder: Path, run: Run) -> None:
    """A damaged model file is named, with the mend."""
    (folder / "model.skops").write_bytes(b"not a model")
    done = run("check", folder)
    assert done.code == 3
    assert "model.skops" in done.err
    assert "fix:" in done.err


def test_check_and_answers_judge_alike(folder: Path, run: Run) -> None:
    """What check found stays found: the sheet of the folder is judged by the same evidence, with no table at all."""
    (folder / ".tenfold" / "evidence.json").unlink()
    for command in ("check", "answers"):
        assert run(command, folder, "--require", "1-6").code == 0, command


def test_a_tightened_rule_is_told_and_recorded(folder: Path, run: Run) -> None:
    """Records that the contract refuses are refused, not invalid answers; record drops them and goes on."""
    service = folder / "service.py"
    service.write_text(service.read_text("utf-8").replace("Gt(0), Le(60)", "Gt(0), Le(15)"), "utf-8")
    checked = run("check", folder)
    assert checked.code == 6
    assert "rows are refused: mean radius must be at most 15" in checked.out
    assert "output contract" not in checked.out
    assert "fix: tenfold check" not in checked.out
    recorded = run("record", folder)
    assert recorded.code == 0
    assert "requests that the contract refuses now: mean radius must be at most 15" in recorded.out
    assert run("check", folder).code == 0


def test_a_field_that_became_private_is_told_and_recorded(folder: Path, run: Run) -> None:
    """Values that are private by now are named, and record replaces them."""
    service = folder / "service.py"
    text = service.read_text("utf-8").replace("Alias, ", "Alias, Private, ", 1).replace("Gt(0), Le(60)", "Private()")
    service.write_text(text if "Private, " in text else f"from tenfold import Private\n{text}", "utf-8")
    done = run("check", folder)
    assert done.code == 6
    assert f"Private now · fix: tenfold record {folder}" in done.out
    assert run("record", folder).code == 0
    assert run("check", folder).code == 0


def test_code_that_fails_is_broken_and_prints_no_traceback(folder: Path, run: Run) -> None:
    """A service whose own code raises is broken before traffic, in one line that says why."""
    shutil.rmtree(folder / "golden")
    service = folder / "service.py"
    text = service.read_text("utf-8").replace(
        "return np.log1p(rows.matrix())", "return np.log1p(rows.matrix('colour'))"
    )
    service.write_text(text, "utf-8")
    done = run("check", folder)
    assert done.code == 6
    assert "broken pipeline     preprocess raised" in done.out
    assert "colour" in done.out
    assert "Traceback" not in done.out + done.err

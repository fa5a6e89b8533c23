"""A service in this process, asked as people ask in a notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest

from tenfold import (
    Alias,
    Contract,
    Deadline,
    Ge,
    InvalidInput,
    Key,
    Le,
    Service,
    ServiceError,
    UsageError,
    clamp,
    fallback,
    flag,
    load,
    on_invalid,
    on_missing,
)


class Row(Contract):
    id: Annotated[str, Key()]
    x: Annotated[float, Alias("the x"), Ge(0), Le(100)]
    y: Annotated[float, Ge(0), on_invalid(clamp), on_missing(1.5)]
    z: Annotated[float, Le(10), on_invalid(flag)]
    w: Annotated[float, Ge(0), on_invalid(fallback)]


class Out(Contract):
    label: Literal["low", "high", "unknown"]
    score: Annotated[float, Ge(0), Le(1)]


class Share:
    classes_ = ("low", "high")

    def predict_proba(self, inputs: Any) -> Any:
        if (inputs[:, 0] == 13).any():
            raise ValueError("thirteen is not served")
        share = inputs[:, 0] / 100
        return np.column_stack([1 - share, share])


class Shares(Service):
    input, output, model = Row, Out, Share()
    deadline = Deadline("1 s", otherwise={"label": "unknown", "score": 0.5})


def _row(**values: Any) -> dict[str, Any]:
    return {"id": "a", "the x": 20.0, "y": 1.0, "z": 1.0, "w": 1.0} | values


def _frame(*rows: dict[str, Any], index: list[Any] | None = None) -> pd.DataFrame:
    return pd.DataFrame(list(rows), index=index)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_frame(_row(), _row(**{"the x": 90.0})), id="frame"),
        pytest.param([_row(), _row(**{"the x": 90.0})], id="rows"),
        pytest.param({name: [value, value] for name, value in _row().items()} | {"the x": [20, 90]}, id="columns"),
        pytest.param(b'[{"id":"a","the x":20,"y":1,"z":1,"w":1},{"id":"b","the x":90,"y":1,"z":1,"w":1}]', id="json"),
    ],
)
def test_the_same_rows_in_any_form_get_the_same_answer(data: Any) -> None:
    """A DataFrame, rows, columns or JSON: one path, one answer."""
    answers = load(Shares).predict(data)
    assert answers.to_dict("list") == {"label": ["low", "high"], "score": [0.8, 0.9]}
    assert answers.attrs == {"errors": [], "changes": [], "flags": []}


def test_one_row_is_one_answer() -> None:
    """A mapping of names to values is a row."""
    assert load(Shares).predict(_row()).to_dict("records") == [{"label": "low", "score": 0.8}]


def test_the_index_of_a_frame_is_kept() -> None:
    """Answers can be joined to the rows that they answer; columns that the contract does not know are left alone."""
    frame = _frame(_row(target=1), _row(target=0), index=["p", "q"])
    assert load(Shares).predict(frame).index.tolist() == ["p", "q"]


def test_invalid_rows_raise_with_every_violation() -> None:
    """Nothing is answered by half unless that is asked for."""
    with pytest.raises(InvalidInput) as caught:
        load(Shares).predict([_row(**{"the x": -1}), _row(), _row(**{"the x": "wide"})])
    assert [(v.row, v.pointer, v.code) for v in caught.value.violations] == [
        (0, "/the x", "out_of_range"),
        (2, "/the x", "wrong_type"),
    ]
    assert caught.value.message.startswith("row 0: the x must be at least 0")
    assert caught.value.message.endswith("2 of 3 rows are refused")
    assert 'on_invalid="mark"' in caught.value.hint


def test_a_loaded_service_says_what_it_is() -> None:
    """In a notebook, a loaded service shows its name, release and model."""
    loaded = load(Shares)
    assert repr(loaded).startswith(f"<tenfold service {loaded.spec.name}@{loaded.spec.release[:7]}: ")


def test_invalid_rows_may_be_marked() -> None:
    """The good rows beside a bad one are answered, and the bad one is missing, with the reason."""
    frame = _frame(_row(**{"the x": -1}), _row(), index=[7, 9])
    answers = load(Shares).predict(frame, on_invalid="mark")
    assert answers.index.tolist() == [7, 9]
    assert answers.loc[7].isna().all()
    assert answers.loc[9, "label"] == "low"
    assert [(error["row"], error["code"]) for error in answers.attrs["errors"]] == [(0, "out_of_range")]
    assert load(Shares).predict([_row(id=5)], on_invalid="mark").isna().all(axis=None)
    with pytest.raises(UsageError, match="on_invalid is 'ignore'"):
        load(Shares).predict(frame, on_invalid="ignore")  # type: ignore[arg-type]


def test_what_was_changed_or_flagged_is_told() -> None:
    """Nothing is altered silently, in a notebook as little as over HTTP."""
    answers = load(Shares).predict([_row(y=-5), _row(y=None, z=11)])
    assert [(c["row"], c["action"], c["value"]) for c in answers.attrs["changes"]] == [
        (0, "clamp", 0),
        (1, "impute", 1.5),
    ]
    assert [(f["row"], f["pointer"]) for f in answers.attrs["flags"]] == [(1, "/z")]


def test_the_fallback_answer_takes_its_place() -> None:
    """A row whose rule says fallback is answered with the service's own words."""
    answers = load(Shares).predict([_row(), _row(w=-1), _row(**{"the x": 90})])
    assert answers["label"].tolist() == ["low", "unknown", "high"]


def test_an_exception_of_the_service_is_the_cause() -> None:
    """The traceback leads to the line of the model or of preprocess that raised."""
    with pytest.raises(ServiceError, match="row 1: model raised ValueError: thirteen is not served") as caught:
        load(Shares).predict([_row(), _row(**{"the x": 13})])
    assert isinstance(caught.value.__cause__, ValueError)


def test_no_rows_are_an_empty_frame() -> None:
    """An empty table has an empty answer, with its columns."""
    assert load(Shares).predict([]).columns.tolist() == ["label", "score"]


def test_malformed_json_is_invalid_input() -> None:
    """What cannot be read is said as over HTTP, with the same code."""
    with pytest.raises(InvalidInput) as caught:
        load(Shares).predict(b"{")
    assert caught.value.violations[0].code == "malformed"


@pytest.mark.parametrize("many", [False, True])
def test_a_body_gets_the_verdict_that_it_gets_over_http(many: bool) -> None:
    """What a table may have and a request may not, further names or one name twice, is refused in a body."""
    row = json.dumps(_row())
    bodies = [row.replace("}", ', "colour": 1}'), row.replace("}", ', "z": 2.0}')]
    for body, code in zip(bodies, ["unknown_field", "duplicate_key"], strict=True):
        with pytest.raises(InvalidInput) as caught:
            load(Shares).predict(f" [{row}, {body}]" if many else body)
        assert [(v.row, v.code) for v in caught.value.violations] == [(int(many), code)]
    assert load(Shares).predict([_row(colour=1)])["label"].tolist() == ["low"]


def test_a_folder_is_loaded_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of tenfold.toml apply here as they do in production."""
    (tmp_path / "shares.py").write_text(
        "from tenfold import Contract, Service\n\nclass Row(Contract):\n    x: float\n\n"
        "class Same(Service):\n    input, output, model = Row, Row, lambda inputs: inputs\n"
    )
    (tmp_path / "tenfold.toml").write_text('[production.deadline]\nbudget = "20 ms"\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("TENFOLD_ENV", "production")
    with load(tmp_path / "shares.py") as same:
        assert same.predict([{"x": 2.0}])["x"].tolist() == [2.0]
        assert same.spec.deadline.budget_s == 0.02
    assert same.service.predictor is None

"""Labels that come late, twice, in parts, corrected, and of nobody we know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field, Form
from tenfold.control import labelfiles
from tenfold.control.feedback import _fault, _moment_us, _read, _spans, _typed
from tenfold.control.labelfiles import Label
from tenfold.drift.columns import Column, named_column
from tenfold.drift.live import watched
from tenfold.drift.making import Known, profile_of
from tenfold.drift.truth import code_of, label_field, outcomes_of, task_of, value_of

HOUR = 1_790_002_800.0  # a whole hour


def label(name: str, time: float = HOUR, release: str = "f@1", **true: Any) -> Label:
    """A label of one prediction."""
    return Label(name, time, release, {"label": "yes"}, true)


# -- kept -----------------------------------------------------------------------------------------------------


def test_the_last_label_of_a_prediction_counts(tmp_path: Path) -> None:
    """One that comes twice changes nothing, a correction holds, a part leaves the other fields as they were."""
    labelfiles.append(tmp_path, [label("a", label="no"), label("b", label="no"), label("a", label="no")])
    labelfiles.append(tmp_path, [label("a", label="yes"), label("b", sure=True)])
    found = labelfiles.between(tmp_path, HOUR, HOUR + 1, "f@1")
    assert {name: one.true for name, one in found.items()} == {
        "a": {"label": "yes"},
        "b": {"label": "no", "sure": True},
    }


def test_labels_belong_to_the_hour_and_the_release_of_the_prediction(tmp_path: Path) -> None:
    """Whenever they come, they count for the window in which the answer was given, and for the release that gave it."""
    some = [
        label("a", HOUR - 1),
        label("b", HOUR),
        label("c", HOUR + 3599),
        label("d", HOUR + 3600),
        label("e", release="f@2"),
    ]
    labelfiles.append(tmp_path, some)
    assert sorted(labelfiles.between(tmp_path, HOUR, HOUR + 3600, "f@1")) == ["b", "c"]
    assert sorted(labelfiles.between(tmp_path, HOUR - 7200, HOUR + 7200, "f@1")) == ["a", "b", "c", "d"]


def test_old_labels_are_forgotten(tmp_path: Path) -> None:
    """They are kept as long as the predictions that they belong to."""
    labelfiles.append(tmp_path, [label("a", HOUR - 7200), label("b", HOUR), label("c", HOUR + 3600)])
    labelfiles.forget(tmp_path, HOUR + 1800)
    assert sorted(labelfiles.between(tmp_path, HOUR - 9000, HOUR + 9000, "f@1")) == ["b", "c"]


def test_half_a_line_is_no_label(tmp_path: Path) -> None:
    """A process that was killed while it wrote takes no other label with it."""
    labelfiles.append(tmp_path, [label("a", label="no")])
    (file,) = (tmp_path / labelfiles.FOLDER).iterdir()
    with file.open("ab") as written:
        written.write(b'{"id": "b", "ti')
    labelfiles.append(tmp_path, [label("c", label="no")])
    assert sorted(labelfiles.between(tmp_path, HOUR, HOUR + 1, "f@1")) == ["a", "c"]


# -- read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (b'{"id": "a", "label": {"x": 1}}', 1),
        (b'[{"id": "a", "label": {"x": 1}}, {"key": 7, "label": "yes"}]', 2),
        (b'{"id": "a", "label": 1}\n\n{"id": "b", "label": 2}\n', 2),
        (b'{\n "id": "a",\n "label": 1\n}', 1),
        (b"[]", 0),
    ],
)
def test_labels_are_read_in_any_form(body: bytes, count: int) -> None:
    """An object, an array, or one in each line."""
    found = _read(body)
    assert found is not None
    assert len(found) == count


@pytest.mark.parametrize(
    ("value", "code"), [(0, ""), (0.5, ""), (1, "out_of_range"), (-1, "out_of_range"), (1e999, "out_of_range")]
)
def test_what_no_answer_could_be_is_no_label(value: float, code: str) -> None:
    """A label keeps to the bounds of the output contract, which the answers keep to."""
    fault = _fault(Field(name="p", wire="p", kind="float", ge=0.0, lt=1.0), value)
    assert (fault[0] if fault else "") == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"3",
        b'"a"',
        b'{"id": "a"}',
        b'[{"id": "a"}]',
        b'{"id": "a", "label": 1, "x": 2}',
        b"\xff",
        b"[" * 2000,
        b'{"id": "x", "label": ' + b"[" * 200_000,
    ],
)
def test_what_is_no_label_is_none(body: bytes) -> None:
    """Nothing of it is guessed."""
    assert _read(body) is None


@given(st.lists(st.integers(0, 2**44), max_size=30))
def test_the_time_in_an_id_is_looked_up(moments: list[int]) -> None:
    """Whenever a request came, the time at which it may have been answered is within one of the spans."""
    ids = [f"{ms:012x}7000800000000000000a" for ms in moments]
    spans = _spans(ids)
    assert spans == sorted(spans)
    for ms, name in zip(moments, ids, strict=True):
        assert _moment_us(name) == ms * 1000
        assert any(since <= ms * 1000 < until for since, until in spans)
    assert _spans(["nonsense", "", "x" * 36]) == []


@pytest.mark.parametrize(
    ("field", "value", "typed"),
    [
        (Field(name="x", wire="x", kind="category", categories=("benign", "malignant")), "Malignant", "malignant"),
        (Field(name="x", wire="x", kind="category", categories=(0, 1, 2)), "2", 2),
        (Field(name="x", wire="x", kind="category", categories=(0, 1)), 1.0, 1),
        (Field(name="x", wire="x", kind="bool"), "1", True),
        (Field(name="x", wire="x", kind="float"), "2.5", 2.5),
        (Field(name="x", wire="x", kind="float"), "much", "much"),
        (Field(name="x", wire="x", kind="text"), "free", "free"),
    ],
)
def test_a_value_of_a_table_takes_the_type_of_its_field(field: Field, value: Any, typed: Any) -> None:
    """A CSV file knows text alone; what is of no such type is left as it is, to be refused."""
    found = _typed(field, value)
    assert found == typed
    assert type(found) is type(typed)


# -- what they say --------------------------------------------------------------------------------------------

CLASSES = Field(name="kind", wire="kind", kind="category", categories=("a", "b", "c"))
SCORE = Field(name="sure", wire="sure", kind="float", ge=0, le=1)
AMOUNT = Field(name="amount", wire="amount", kind="float")


def columns_of(*fields: Field) -> list[Column]:
    """The columns of an output contract."""
    return watched(Form(name="", fields=()), Form(name="O", fields=fields))


@pytest.mark.parametrize(
    ("fields", "metric", "labelled"),
    [
        ((CLASSES, SCORE), "accuracy", "kind"),
        ((AMOUNT,), "mae", "amount"),
        ((SCORE,), "auc", "sure"),
        ((Field(name="kind", wire="kind", kind="category", categories=("no", "sure")), SCORE), "auc", "kind"),
    ],
)
def test_the_contract_says_what_answers_are_judged_by(fields: tuple[Field, ...], metric: str, labelled: str) -> None:
    """Classes by how many are right, numbers by how far they are off, a probability of one class by how it ranks."""
    columns = columns_of(*fields)
    task = task_of(columns, np.array([10.0]))
    assert task is not None
    assert (task.metric, label_field(columns)) == (metric, labelled)


def test_labels_become_outcomes() -> None:
    """An unknown class, and a row without a usable answer, count for nothing."""
    columns = columns_of(CLASSES, SCORE)
    task = task_of(columns, np.array([np.nan]))
    assert task is not None
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"kind": "a", "sure": 0.9}, {"kind": "a"}),
        ({"kind": "a", "sure": 0.8}, {"kind": "b"}),
        ({"kind": "a", "sure": 0.8}, {"kind": "z"}),
        ({"kind": None}, {"kind": "a"}),
        ({"kind": "b", "sure": 0.5}, {}),
    ]
    outcomes = outcomes_of(task, columns, pairs)
    assert (outcomes.rows, outcomes.sums.tolist()) == (2, [1, 1])


def test_codes_and_values_agree() -> None:
    """What was answered has the same class whether it is read from the journal or counted by a replica."""
    column = named_column("x", ("false", "true"), (), "prediction")
    assert [value_of(column, value) for value in (False, True, None, "other")][:2] == [0.0, 1.0]
    task = task_of([column], np.array([np.nan]))
    assert task is not None
    assert [code_of(task, value) for value in (False, True, 1.0)][:2] == [0.0, 1.0]
    assert np.isnan(code_of(task, None))


# -- a reference of hardly anything ---------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 49])
def test_a_reference_of_few_rows_says_so(rows: int) -> None:
    """One row is compared with, and said to be too few."""
    values = np.column_stack([np.arange(float(rows)), np.full(rows, 3.0), np.full(rows, np.nan), np.full(rows, np.inf)])
    columns = [Column(name=f"x{k}", kind="number", edges=(0.0,)) for k in range(4)]
    profile, remarks = profile_of(Known(columns, values), "it")
    assert profile is not None
    assert f"the reference has {rows} rows: too few for drift to be told from chance" in remarks


def test_a_reference_of_nothing_is_none() -> None:
    """No rows, or no columns: there is nothing to compare, and that is said."""
    column = Column(name="x", kind="number", edges=(0.0,))
    for known in (Known([column], np.zeros((0, 1))), Known([], np.zeros((5, 0)))):
        profile, remarks = profile_of(known, "it")
        assert profile is None
        assert remarks

"""What postprocess produced is held against the output contract: bad rows fail, good ones are answered."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import (
    Alias,
    Contract,
    ContractError,
    Ge,
    Image,
    Le,
    MaxLen,
    MultipleOf,
    Pattern,
    Tensor,
    clamp,
    on_invalid,
)
from tenfold.transforms import OutputCheck


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Alias("p of label"), Ge(0), Le(1)]


class Everything(Contract):
    """One field of each kind."""

    count: Annotated[int, Ge(0)]
    sure: bool | None
    grade: Literal[1, 2]
    note: Annotated[str | None, MaxLen(5), Pattern("[a-z]*")]
    when: dt.datetime
    day: Annotated[dt.date | None, Ge(dt.date(2020, 1, 1))]
    tags: list[str]
    grid: Annotated[np.ndarray, Tensor((2,), "float32")]
    step: Annotated[float, MultipleOf(0.5)]


class Inner(Contract):
    x: float


class Outer(Contract):
    inner: Inner
    y: float


CHECK = OutputCheck(Diagnosis.form)
GOOD: dict[str, Any] = {"label": ["benign", "malignant"], "probability": [0.5, 1.0]}


def _faults(check: OutputCheck, produced: Any, n: int = 2) -> list[tuple[int, str, str]]:
    rows, violations = check(produced, n)
    assert len(rows) == n
    assert {violation.code for violation in violations} <= {"output_invalid"}
    return [(violation.row, violation.pointer, violation.detail) for violation in violations]


@pytest.mark.parametrize(
    "produced",
    [
        GOOD,
        {"label": np.array(["benign", "malignant"]), "p of label": np.array([0.5, 1], dtype=np.float32)},
        {"label": np.array(["benign", "malignant"], dtype=object), "probability": np.array([[0.5, 9], [1, 9]])[:, 0]},
        pd.DataFrame(GOOD),
        pd.DataFrame({**GOOD, "label": pd.Categorical(GOOD["label"])}),
        [{"label": "benign", "p of label": 0.5}, {"label": "malignant", "p of label": 1}],
        CHECK(GOOD, 2)[0],
    ],
    ids=["lists", "arrays", "objects", "frame", "categorical", "mappings", "rows"],
)
def test_columns_come_in_many_shapes(produced: Any) -> None:
    """A mapping, a DataFrame, a list of mappings: postprocess returns what is at hand."""
    rows, violations = CHECK(produced, 2)
    assert not violations
    assert rows.label.tolist() == ["benign", "malignant"]
    assert rows.probability.tolist() == [0.5, 1.0]


def test_a_single_field_needs_no_name() -> None:
    """What a regressor gives is the value of the only field there is."""

    class Value(Contract):
        value: float

    rows, violations = OutputCheck(Value.form)(np.array([1.5, 2]), 2)
    assert (rows.value.tolist(), violations) == ([1.5, 2.0], [])


@pytest.mark.parametrize(
    ("value", "detail"),
    [
        (np.nan, "p of label must be a finite number"),
        (np.inf, "p of label must be a finite number"),
        (1.0000001, "p of label must be at most 1, found more"),
        (-0.1, "p of label must be at least 0, found less"),
        ("0.5", "p of label must be a number, found text"),
        (None, "p of label must be a number, found nothing"),
        (True, "p of label must be a number, found a boolean"),
    ],
)
def test_a_value_that_breaks_the_contract_fails_its_row_alone(value: Any, detail: str) -> None:
    """A probability of NaN is an error and not an answer, for that row."""
    rows, violations = CHECK({"label": GOOD["label"], "probability": np.array([0.5, value], dtype=object)}, 2)
    assert [(v.row, v.pointer, v.detail) for v in violations] == [(1, "/p of label", detail)]
    assert rows.take([0]).probability.tolist() == [0.5]


def test_an_unlisted_label_fails_its_row() -> None:
    """And what was found is not repeated."""
    assert _faults(CHECK, {"label": ["benign", "unclear"], "probability": [1, 1]}) == [
        (1, "/label", "label must be one of benign, malignant, found another value")
    ]
    assert _faults(CHECK, {"label": [["benign"], "benign"], "probability": [1, 1]})[0][0] == 0


def test_all_faults_of_all_rows_are_named_in_order() -> None:
    """Row by row, and within a row in the order of the fields."""
    faults = _faults(CHECK, {"label": ["x", "y"], "probability": [np.nan, 2]})
    assert [(row, pointer) for row, pointer, _ in faults] == [
        (0, "/label"),
        (0, "/p of label"),
        (1, "/label"),
        (1, "/p of label"),
    ]


@pytest.mark.parametrize(
    ("produced", "detail"),
    [
        ({"label": ["benign"] * 2}, "postprocess gave no p of label; it gave label"),
        ({}, "postprocess gave no label; it gave nothing"),
        (
            {**GOOD, "probabilty": [1, 1]},
            "gave a column 'probabilty', which Diagnosis does not have; is it probability?",
        ),
        ({**GOOD, "probability": [1]}, "postprocess gave p of label in the shape 1 for 2 rows"),
        ({**GOOD, "probability": np.ones((2, 1))}, "postprocess gave p of label in the shape 2 x 1 for 2 rows"),
        ({**GOOD, "probability": 1.0}, "postprocess gave p of label in the shape 1 for 2 rows"),
        (np.ones((2, 2)), "postprocess gave a ndarray; Diagnosis needs a mapping of field to values, since it has 2"),
        (None, "postprocess gave a NoneType"),
    ],
)
def test_what_has_not_the_shape_of_the_contract_fails_all_rows(produced: Any, detail: str) -> None:
    """There is no telling which row would be right."""
    faults = _faults(CHECK, produced)
    assert [row for row, _, _ in faults] == [0, 1]
    assert detail in faults[0][2]


def test_every_kind_of_field() -> None:
    """Numbers, words, dates, lists and tensors, as Python and NumPy have them."""
    rows, violations = OutputCheck(Everything.form)(
        {
            "count": np.array([3, 4], dtype=np.uint8),
            "sure": [None, True],
            "grade": np.array([2, 1]),
            "note": ["ab", np.nan],
            "when": np.array(["2024-05-01T10:00", "1969-01-01"], dtype="datetime64[ns]"),
            "day": [dt.date(2024, 5, 1), None],
            "tags": [["a", "b"], ["c", "d"]],
            "grid": np.array([[1, 2], [3, 4]]),
            "step": [0.5, -2],
        },
        2,
    )
    assert not violations
    assert rows["count"].tolist() == [3, 4]
    assert (rows.sure[1], rows.missing("sure").tolist()) == (True, [True, False])
    assert rows.note.tolist() == ["ab", None]
    assert rows.when.tolist() == [dt.datetime(2024, 5, 1, 10), dt.datetime(1969, 1, 1)]
    assert rows.day.tolist() == [dt.date(2024, 5, 1), None]
    assert [list(tags) for tags in rows.tags] == [["a", "b"], ["c", "d"]]
    assert rows.grid.dtype == np.float32
    assert rows.grid.tolist() == [[1, 2], [3, 4]]


def test_the_faults_of_every_kind() -> None:
    """Coercion is lossless or it is an error, for answers too."""
    faults = _faults(
        OutputCheck(Everything.form),
        {
            "count": [3.5, -1],
            "sure": [1, "yes"],
            "grade": [3, "1"],
            "note": ["abcdef", "A"],
            "when": ["2024-05-01T10:00:00", "soon"],
            "day": ["2019-12-31", 5],
            "tags": [[1], "a"],
            "grid": [[1, 2, 3], [4, 5]],
            "step": [0.3, np.nan],
        },
    )
    pointers = {row: [pointer for at, pointer, _ in faults if at == row] for row in (0, 1)}
    assert pointers[0] == ["/count", "/sure", "/grade", "/note", "/day", "/tags", "/grid", "/step"]
    assert pointers[1] == ["/count", "/sure", "/grade", "/note", "/when", "/day", "/tags", "/step"]


class Embedding(Contract):
    vector: Annotated[np.ndarray, Tensor((3,), "float32")]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8"])
def test_tensors_are_taken_as_arrays(dtype: str) -> None:
    """A block of embeddings is checked as a block, whatever its own precision."""
    rows, violations = OutputCheck(Embedding.form)({"vector": np.ones((2, 3), dtype=dtype)}, 2)
    assert not violations
    assert rows.vector.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_tensor_with_a_bad_element_fails_its_row(value: float) -> None:
    """One element that is no finite float32 is enough."""
    vectors = np.ones((2, 3))
    vectors[1, 2] = value
    assert [row for row, _, _ in _faults(OutputCheck(Embedding.form), {"vector": vectors})] == [1]
    assert [row for row, _, _ in _faults(OutputCheck(Embedding.form), {"vector": np.ones((2, 1, 3))})] == [0, 1]


def test_nested_contracts_are_nested_mappings_or_dotted_names() -> None:
    """Either way of writing it gives the same rows."""
    check = OutputCheck(Outer.form)
    for produced in ({"inner": {"x": [1.0]}, "y": [2.0]}, {"inner.x": [1.0], "y": [2.0]}):
        rows, violations = check(produced, 1)
        assert not violations
        assert (rows.inner.x.tolist(), rows.y.tolist()) == ([1.0], [2.0])
    assert _faults(check, {"inner": {"z": [1.0]}, "y": [2.0]}, 1)[0][2].startswith(
        "postprocess gave a column 'inner.z'"
    )


def test_an_output_contract_only_accepts_or_refuses() -> None:
    """An action there would change answers behind the service's back."""

    class Clamped(Contract):
        p: Annotated[float, Le(1), on_invalid(clamp)]

    class Pictured(Contract):
        photo: Annotated[np.ndarray, Image()]

    with pytest.raises(ContractError, match=r"Clamped\.p has an action"):
        OutputCheck(Clamped.form)
    with pytest.raises(ContractError, match="is a picture"):
        OutputCheck(Pictured.form)


def test_no_rows_are_no_rows() -> None:
    """An empty batch has no faults."""
    assert _faults(CHECK, {"label": [], "probability": np.array([])}, 0) == []


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1), max_size=8))
def test_at_once_and_one_by_one_say_the_same(values: list[float]) -> None:
    """A whole column is accepted exactly if each of its values is."""
    at_once = _faults(CHECK, {"label": ["benign"] * len(values), "probability": np.array(values)}, len(values))
    singly = [
        (row, *rest)
        for row, value in enumerate(values)
        for _, *rest in _faults(CHECK, [{"label": "benign", "probability": value}], 1)
    ]
    assert at_once == singly

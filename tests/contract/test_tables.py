"""Rows of a table: whatever library wrote it, nothing is lost, and nothing is made up."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tenfold.contract.declare import Contract
from tenfold.contract.form import Field, Form
from tenfold.contract.vocabulary import Alias, Tensor, flag, impute, on_missing, on_unseen
from tenfold.errors import InvalidInput
from tenfold.rows import Rows
from tenfold.validation import block

LONG_ID = 1344800117571260417


class Address(Contract):
    city: str
    floor: int | None


class Everything(Contract):
    radius: Annotated[float, Alias("mean radius")]
    count: int | None
    id: int
    good: bool | None
    name: str | None
    scanner: Literal["A", "B"]
    grade: Literal[1, 2, 3]
    day: date | None
    at: datetime | None
    tags: list[str]
    pixels: Annotated[Any, Tensor((2, 2), "uint8")]
    address: Address | None


RECORDS: list[dict[str, Any]] = [
    {
        "mean radius": 1.5,
        "count": 3,
        "id": LONG_ID,
        "good": True,
        "name": "Zoë",
        "scanner": "A",
        "grade": 1,
        "day": "2024-02-29",
        "at": "2024-02-29T12:00:00",
        "tags": ["x", "y"],
        "pixels": [[1, 2], [3, 4]],
        "address": {"city": "Basel", "floor": None},
    },
    {
        "mean radius": 2,
        "count": None,
        "id": -1,
        "good": None,
        "name": None,
        "scanner": "B",
        "grade": 3,
        "day": None,
        "at": None,
        "tags": [],
        "pixels": [[0, 0], [255, 0]],
        "address": None,
    },
]
COLUMNS: dict[str, Any] = {
    "mean radius": [1.5, 2],
    "count": [3, None],
    "id": [LONG_ID, -1],
    "good": [True, None],
    "name": ["Zoë", None],
    "scanner": ["A", "B"],
    "grade": [1, 3],
    "day": [date(2024, 2, 29), None],
    "at": [datetime(2024, 2, 29, 12), None],
    "tags": [["x", "y"], []],
    "pixels": [[[1, 2], [3, 4]], [[0, 0], [255, 0]]],
    "address.city": ["Basel", None],
    "address.floor": [None, None],
}


def assert_expected(rows: Rows) -> None:
    """The rows are those of ``RECORDS``."""
    assert rows.radius.tolist() == [1.5, 2.0]
    assert rows.id.tolist() == [LONG_ID, -1]
    assert rows.count[0] == 3
    for name in ("count", "good", "name", "day", "at", "address.city"):
        assert rows.missing(name).tolist() == [False, True]
    assert rows.good[0] is np.True_
    assert rows.name.tolist() == ["Zoë", None]
    assert rows.scanner.tolist() == ["A", "B"]
    assert rows.grade.tolist() == [1, 3]
    assert rows.day[0] == np.datetime64("2024-02-29")
    assert rows.at[0] == np.datetime64("2024-02-29T12:00")
    assert np.isnat(rows.at[1])
    assert [tags.tolist() for tags in rows.tags] == [["x", "y"], []]
    assert rows.pixels.dtype == np.uint8
    assert rows.pixels.tolist() == [[[1, 2], [3, 4]], [[0, 0], [255, 0]]]
    assert rows.address.city.tolist() == ["Basel", None]
    assert rows.missing("address.floor").all()


def arrow() -> pa.Table:
    """The same rows, with a dictionary and a struct."""
    nested = [{"city": "Basel", "floor": None}, None]
    columns = {name: values for name, values in COLUMNS.items() if "." not in name}
    return pa.table({**columns, "scanner": pa.array(["A", "B"]).dictionary_encode(), "address": nested})


def frame() -> pd.DataFrame:
    """The same rows, with pandas' own dtypes."""
    return pd.DataFrame(
        {
            **COLUMNS,
            "count": pd.array([3, None], dtype="Int64"),
            "good": pd.array([True, None], dtype="boolean"),
            "scanner": pd.Categorical(["A", "B"]),
            "day": pd.Series(["2024-02-29", None], dtype="datetime64[ns]"),
            "at": pd.Series(["2024-02-29T12:00", None], dtype="datetime64[us]"),
            "target": [0, 1],
        }
    )


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(RECORDS, id="records"),
        pytest.param(COLUMNS, id="columns"),
        pytest.param(frame(), id="frame"),
        pytest.param(frame().convert_dtypes(dtype_backend="pyarrow"), id="frame of Arrow columns"),
        pytest.param(pd.DataFrame(COLUMNS, dtype=object), id="frame of objects"),
        pytest.param(arrow(), id="Arrow table"),
        pytest.param(arrow().to_batches()[0], id="Arrow batch"),
    ],
)
def test_every_kind_of_table_gives_the_same_rows(table: Any) -> None:
    """It does not matter which library wrote the table."""
    assert_expected(Rows.of(table, Everything))
    checked = block.check(Everything.form, table)
    assert not checked.violations
    assert_expected(checked.rows)


def test_a_frame_survives_the_way_there_and_back() -> None:
    """What Rows gives as a DataFrame is a table that the contract reads."""
    rows = Rows.of(RECORDS, Everything)
    assert_expected(Rows.of(rows.frame(), Everything))


# -- what is lossless, and what is not -----------------------------------------------------------------------------


def refusals(kind: str, values: Any, **said: Any) -> list[tuple[int, str]]:
    """Row and code of what a table's one column is refused for."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind=kind, **said),))  # type: ignore[arg-type]
    checked = block.check(form, pd.DataFrame({"x": values}))
    return [(violation.row, violation.code) for violation in checked.violations]


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("int", [1.0, 2.0, 3.9], [(2, "wrong_type")]),
        ("int", [2.0**53 + 2, 1.0], [(0, "wrong_type")]),
        ("int", [1.0, np.nan], [(1, "missing")]),
        ("int", [1.0, np.inf], [(1, "non_finite")]),
        ("int", np.array([2**63, 1], dtype=np.uint64), [(0, "out_of_range")]),
        ("int", [True, False], [(0, "wrong_type"), (1, "wrong_type")]),
        ("int", ["1", 2], [(0, "wrong_type")]),
        ("float", [1.0, np.nan, -np.inf], [(1, "non_finite"), (2, "non_finite")]),
        ("float", pd.array([1.0, None], dtype="Float64"), [(1, "missing")]),
        ("float", [Decimal("1.5"), 10**400], [(1, "non_finite")]),
        ("bool", [1, 0], [(0, "wrong_type"), (1, "wrong_type")]),
        ("text", [b"x", "x"], [(0, "wrong_type")]),
        ("date", pd.to_datetime(["2024-01-01T00:00", "2024-01-01T01:00"]), [(1, "wrong_type")]),
        ("date", [datetime(2024, 1, 1, tzinfo=UTC), "2024-01-01"], [(0, "wrong_type")]),
        ("datetime", [date(2024, 1, 1), "yesterday"], [(0, "wrong_type"), (1, "wrong_type")]),
    ],
)
def test_what_cannot_be_kept_exactly_is_refused(kind: str, values: Any, expected: list[tuple[int, str]]) -> None:
    """A table's value is converted where that loses nothing, and refused where it would."""
    assert refusals(kind, values) == expected


@pytest.mark.parametrize("kind", ["text", "date", "datetime", "float", "int"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**31 - 1, 3], pa.int32()).view(pa.date32()),
        pa.array([2**62, 86_400_000], pa.int64()).view(pa.date64()),
        pa.array([2**62, 5], pa.duration("s")),
    ],
    ids=["days", "milliseconds", "durations"],
)
def test_what_python_has_no_word_for_is_refused_in_its_row(kind: str, values: pa.Array) -> None:
    """A day in the year 5,000,000 is no fault of the service, and of no other row."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind=kind),))  # type: ignore[arg-type]
    checked = block.check(form, pa.table({"x": values}))
    codes = {violation.row: violation.code for violation in checked.violations}
    assert codes[0] == "wrong_type"
    assert (1 not in codes) == (kind == "date" and not pa.types.is_duration(values.type))


@pytest.mark.parametrize(
    ("kind", "value"), [("text", "a"), ("int", 1), ("bool", True), ("date", date(2024, 1, 1)), ("category", "A")]
)
def test_nan_is_a_gap_wherever_it_is_no_number(kind: str, value: Any) -> None:
    """A column of objects may write its gaps as NaN, as pandas does."""
    said: dict[str, Any] = {"categories": ("A",)} if kind == "category" else {}
    column = pd.Series([value, np.nan, None, pd.NA, pd.NaT], dtype=object)
    assert refusals(kind, column, nullable=True, **said) == []
    assert refusals(kind, column, **said) == [(row, "missing") for row in (1, 2, 3, 4)]


def test_moments_keep_their_instant() -> None:
    """A moment in Tokyo is the same moment in UTC; nanoseconds are rounded to microseconds."""
    form = Form(name="Row", fields=(Field(name="at", wire="at", kind="datetime", timezone="aware"),))
    tokyo = pd.Series(pd.to_datetime(["2024-01-01T09:00:00.000000500"])).dt.tz_localize("Asia/Tokyo")
    for column in (tokyo, tokyo.astype(object), pa.array(tokyo)):
        rows = block.check(form, {"at": column}).rows
        assert rows.at[0] - np.datetime64("2024-01-01T00:00:00") <= np.timedelta64(1, "us")
    naive = block.check(form, {"at": pd.to_datetime(["2024-01-01"])})
    assert [violation.code for violation in naive.violations] == ["wrong_type"]


def test_numbers_in_a_column_of_text_are_their_digits() -> None:
    """A mixed column, which is text to the contract, is read as text; in a request a number is no text."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind="text"),))
    assert block.check(form, pd.DataFrame({"x": [1, "one"]})).rows.x.tolist() == ["1", "one"]
    assert [violation.row for violation in block.check(form, [{"x": 1}, {"x": "one"}]).violations] == [0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[1, 2], [3, 4]]), []),
        (np.array([[1.0, 2.0], [300.0, 4.0]]), [1]),
        (np.array([[[1], [2]], [[3], [4]]]), [0, 1]),
        (np.array([[1, 2, 3], [3, 4, 5]]), [0, 1]),
        (np.array([[1, -1], [3, 4]]), [0]),
    ],
)
def test_arrays_are_not_reshaped_and_not_cut(values: Any, expected: list[int]) -> None:
    """A tensor has the shape and the range that the contract says, or it is refused."""
    form = Form(name="Row", fields=(Field(name="x", wire="x", kind="tensor", shape=(2,), dtype="uint8"),))
    checked = block.check(form, {"x": values})
    assert [violation.row for violation in checked.violations] == expected


# -- names, gaps and what is not there -------------------------------------------------------------------------------


def test_columns_are_named_as_on_the_wire_whatever_the_type_of_the_name() -> None:
    """A column called 0 is the field "0"."""
    form = Form(name="Row", fields=(Field(name="column_0", wire="0", kind="float"),))
    assert block.check(form, pd.DataFrame({0: [1.5]})).rows["0"].tolist() == [1.5]


def test_a_column_that_is_not_there_is_missing_in_every_row() -> None:
    """A table without a required column is refused, and the column is named."""
    with pytest.raises(InvalidInput, match="mean radius is missing"):
        Rows.of(frame().drop(columns=["mean radius"]), Everything)


def test_two_columns_of_one_name_are_refused() -> None:
    """Which of two equal columns counts is nobody's guess."""
    with pytest.raises(InvalidInput, match="two columns named id"):
        Rows.of(pd.DataFrame([[1, 2]], columns=["id", "id"]), Everything)


@pytest.mark.parametrize("data", ["text", 5, None, {"mean radius": [1.0], "id": [1, 2]}])
def test_what_is_no_table_is_told(data: Any) -> None:
    """The message says what can be read."""
    with pytest.raises((TypeError, InvalidInput), match="columns"):
        Rows.of(data, Everything)


class Lenient(Contract):
    x: Annotated[float, on_missing(1.5)]
    seen: Annotated[Literal["A", "B"], on_unseen(flag)]
    put: Annotated[Literal["A", "B"], on_unseen(impute("A"))]


def test_training_rows_may_break_what_only_flags() -> None:
    """Rows of the training table are read by type; a gap gets the value that serving would give it."""
    rows = Rows.of(pd.DataFrame({"x": [np.nan, 2], "seen": ["C", "A"], "put": ["C", None]}).iloc[:1], Lenient)
    assert (rows.x.tolist(), rows.seen.tolist(), rows.put.tolist()) == ([1.5], [None], ["A"])


def test_an_empty_table_gives_no_rows() -> None:
    """No rows are rows, too."""
    empty: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    tables: list[Any] = [[], pd.DataFrame(empty), empty]
    for table in tables:
        assert len(Rows.of(table, Everything)) == 0
        assert len(block.check(Everything.form, table).rows) == 0

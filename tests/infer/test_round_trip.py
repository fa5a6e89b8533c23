"""Enforcing the inferred contract on the very table that it was inferred from never refuses a row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Form
from tenfold.contract.infer import infer
from tenfold.rows import Rows
from tenfold.scaffold.served import requests_of
from tenfold.validation import block
from tenfold.validation.scalar import Decoder


def enforce(table: pd.DataFrame) -> tuple[Form, Rows]:
    """The inferred contract, and the rows that it makes of the table: all of them, none altered, none flagged."""
    form = infer(table).form("Features")
    checked = block.check(form, table)
    assert [*checked.violations, *checked.changes, *checked.flags] == []
    assert len(checked.rows) == len(table)
    return form, checked.rows


def decode(form: Form, rows: Rows) -> None:
    """The front accepts every row as JSON, too."""
    body = b"[" + b",".join(requests_of(form, rows)) + b"]"
    outcomes = Decoder(form).many(body)
    assert [*outcomes.violations, *outcomes.changes, *outcomes.flags] == []
    assert len(outcomes.parts) == len(rows)


Make = Callable[[list[Any]], Any]
FLOATS = st.floats(allow_infinity=False)
INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(max_size=5)
MOMENTS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))
GAP = st.none()


def objects(values: list[Any]) -> Any:
    """A column of Python objects, whatever they are."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def arrow(kind: Any) -> Make:
    """Columns that Arrow holds for pandas."""
    dtype: Any = pd.ArrowDtype(kind)
    return lambda values: pd.Series(values, dtype=dtype)


KINDS: list[tuple[st.SearchStrategy[Any], Make]] = [
    (FLOATS, np.array),
    (st.floats(width=32, allow_infinity=False), lambda values: np.array(values, dtype=np.float32)),
    (FLOATS | GAP, objects),
    (FLOATS | GAP, lambda values: pd.array(values, dtype="Float64")),
    (INTS, lambda values: np.array(values, dtype=np.int64)),
    (st.integers(0, 2**64 - 1), lambda values: np.array(values, dtype=np.uint64)),
    (st.integers(-5, 5), lambda values: np.array(values, dtype=np.int8)),
    (INTS | GAP, lambda values: pd.array(values, dtype="Int64")),
    (INTS | GAP, objects),
    (st.booleans(), np.array),
    (st.booleans() | GAP, lambda values: pd.array(values, dtype="boolean")),
    (st.booleans() | GAP, objects),
    (TEXTS | GAP, objects),
    (TEXTS | GAP, lambda values: pd.array(values, dtype="string")),
    (st.sampled_from(["S", "C", "Q", None]), pd.Categorical),
    (st.sampled_from([3, 1, 2]), pd.Categorical),
    (INTS | TEXTS | FLOATS | st.booleans() | GAP, objects),
    (MOMENTS | GAP, lambda values: pd.to_datetime(pd.Series(values, dtype="datetime64[ns]"))),
    (MOMENTS | GAP, lambda values: pd.to_datetime(pd.Series(values, dtype="datetime64[us]"), utc=True)),
    (MOMENTS, objects),
    (MOMENTS | GAP, arrow(pa.timestamp("us", "UTC"))),
    (st.sampled_from(["S", "C", None]), arrow(pa.string())),
    (st.dates(date(1700, 1, 1), date(2200, 1, 1)) | GAP, objects),
    (st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=3), objects),
    (st.lists(st.integers(-9, 9), min_size=1, max_size=3).map(np.array), objects),
]


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """A table of any columns, some of which are called 0, 1, 2."""
    rows = draw(st.integers(1, 12))
    columns = {}
    for number in range(draw(st.integers(1, 4))):
        values, make = draw(st.sampled_from(KINDS))
        name = draw(st.sampled_from([number, f"a column {number}", f"class{number}"]))
        columns[name] = make(draw(st.lists(values, min_size=rows, max_size=rows)))
    return pd.DataFrame(columns)


@given(tables())
def test_the_table_fits_its_own_contract(table: pd.DataFrame) -> None:
    """Whatever a table holds, the contract that is inferred from it accepts it, as a table and as requests."""
    form, rows = enforce(table)
    decode(form, rows)


def test_the_table_that_breaks_others() -> None:
    """Nullable integers, dates, long ids, mixed columns and integer names survive, to the last digit."""
    table = pd.DataFrame(
        {
            0: pd.array([1, None, 3], dtype="Int64"),
            "id": [1344800117571260417, 1344800117571260418, 1344800117571260419],
            "day": objects([date(2024, 2, 29), None, date(1969, 12, 31)]),
            "at": objects([datetime(2024, 2, 29, 12, tzinfo=UTC)] * 3),
            "mixed": objects([1, "one", None]),
            "zip": ["02134", "95120", "00501"],
        }
    )
    form, rows = enforce(table)
    decode(form, rows)
    bodies = [msgspec.json.decode(body) for body in requests_of(form, rows)]
    assert bodies[1] == {
        "id": 1344800117571260418,
        "at": "2024-02-29T12:00:00Z",
        "mixed": "one",
        "zip": "95120",
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_fit_their_own_contract(tmp_path: Any, suffix: str) -> None:
    """A table that has been through a file fits the contract that is inferred from the file."""
    from tenfold.scaffold.tables import read_table

    table = pd.DataFrame({"a b": [1.5, None, 3.25], "n": pd.array([1, None, 3], dtype="Int64"), "s": ["x", None, "z"]})
    path = tmp_path / f"table.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    form, rows = enforce(read_table(path))
    decode(form, rows)

"""CSV as records: what a front makes of a body is what a job makes of a file."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import Contract, Ge, Key, Le, clamp, fallback, flag, impute, on_invalid, on_missing, on_unseen, quarantine
from tenfold.contract.vocabulary import Tensor
from tenfold.errors import UsageError
from tenfold.formats.batches import CsvText, Reading
from tenfold.formats.dialect import Dialect
from tenfold.formats.records import Records
from tenfold.formats.shards import Layout
from tenfold.validation import block
from tenfold.validation.parsing import Malformed
from tenfold.validation.scalar import Decoder, Outcomes


class Where(Contract):
    city: str
    zone: Annotated[int, on_missing(3)]


class Things(Contract):
    code: Annotated[str, Key()]
    price: Annotated[float, Ge(0), on_missing(1.5)]
    weight: Annotated[float, Le(100), on_invalid(clamp)]
    count: Annotated[int, on_invalid(fallback)]
    sold: Annotated[bool, on_invalid(quarantine)] | None
    colour: Annotated[Literal["red", "blue"], on_unseen(impute("red"))]
    sides: Annotated[Literal[2, 4], on_unseen(flag)] | None
    day: date | None
    moment: datetime | None
    tags: list[str] | None
    grid: Annotated[Any, Tensor((2,), "float64")] | None
    home: Where
    other: Where | None


NAMES = [field.wire for field in Things.form.fields if not field.fields]
NAMES += ["home.city", "home.zone", "other.city", "other.zone"]
GOOD = {
    "code": "c", "price": "1.5", "weight": "2", "count": "3", "sold": "true", "colour": "red", "home.city": "Ulm",
    "home.zone": "1",
}  # fmt: skip
CELLS = [
    "", "1", "2.5", "-1", "1e400", "nan", "inf", " 7 ", "+3", "3.0", "3.9", "0x1F", "1_0", "9" * 30, "true", "FALSE", "x",
    "red", "green", "4", "2026-01-15", "2026-01-15T10:00:00", "2026-01-15T10:00:00Z", '["a","b"]', "[1,2]", "[1.5,null]", "{",
    'a"b', "a,b", "a\nb", "ü", "null",
]  # fmt: skip
CHANGED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(CELLS), max_size=4)
DIRT = st.sampled_from(["", "1,2", '"', '1,"a', "\r", ","])
DECODER = Decoder(Things.form)


def judged(text: str, form: Any = Things.form, decoder: Decoder = DECODER) -> Outcomes:
    """What a front makes of a body."""
    steps = decoder.records_in_steps(Records(text.encode(), form, Dialect()))
    while True:
        try:
            next(steps)
        except StopIteration as end:
            outcomes: Outcomes = end.value
            return outcomes


def text_of(rows: list[dict[str, str]], quoting: Literal[0, 1]) -> str:
    """Rows as CSV, each cell quoted or only where it has to be."""
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, NAMES, restval="", lineterminator="\n", quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@given(
    st.lists(CHANGED.map(lambda changed: GOOD | changed), max_size=4),
    st.sampled_from([0, 1]),
    st.lists(DIRT, max_size=2),
)
def test_a_body_is_read_as_a_file_is(rows: list[dict[str, str]], quoting: Literal[0, 1], dirt: list[str]) -> None:
    """Whatever stands in the cells: the same rows are accepted, with the same values, and the others for the same reasons."""
    text = text_of(rows, quoting) + "\n".join(dirt)
    found = judged(text)
    _, _, rest = text.partition("\n")
    content = CsvText(rest.encode(), Layout("csv", tuple(NAMES)), Reading(Things.form, (), Dialect()))
    batch = content.batch(range(content.rows))
    expected = block.check(Things.form, batch.data)
    places = batch.index.tolist()
    assert found.total == content.rows
    assert list(found.index) == [places[k] for k in expected.index.tolist()]
    refused = [violation._replace(row=places[violation.row]) for violation in expected.violations]
    assert sorted(found.violations) == sorted([*refused, *batch.refused])
    assert sorted(map(repr, found.changes)) == sorted(
        repr(one._replace(row=places[one.row])) for one in expected.changes
    )
    assert sorted(map(repr, found.flags)) == sorted(repr(one._replace(row=places[one.row])) for one in expected.flags)
    assert found.fallbacks == {places[row]: code for row, code in expected.fallbacks.items()}
    assert {*found.put_aside} == {places[row] for row in expected.put_aside}


@given(st.lists(CHANGED.map(lambda changed: GOOD | changed), min_size=1, max_size=3), st.sampled_from([0, 1]))
def test_a_row_has_a_text(rows: list[dict[str, str]], quoting: Literal[0, 1]) -> None:
    """Its JSON is what is kept of a row that is put aside; where it is exact, it says the very value."""
    for record in Records(text_of(rows, quoting).encode(), Things.form, Dialect()):
        assert isinstance(record.value, dict)
        assert isinstance(json.loads(record.line), dict)
        if record.is_exact:
            assert json.loads(record.line) == record.value


def test_a_column_that_the_contract_does_not_know_refuses_each_row() -> None:
    """As an unknown key of an object does; and so does a column that stands twice."""
    row = dict(GOOD)
    text = ",".join([*row, "colour", "colours"]) + "\n" + 2 * (",".join([*row.values(), "red", "red"]) + "\n")
    found = judged(text)
    assert not found.parts
    assert [(one.row, one.pointer, one.code) for one in found.violations] == [
        (row, pointer, code)
        for row in (0, 1)
        for pointer, code in (("/colour", "duplicate_key"), ("/colours", "unknown_field"))
    ]


def test_a_column_that_is_missing_is_missing_in_each_row() -> None:
    """By its pointer; the mark of UTF-8 and lines that end with CR alone are no matter."""
    row = {name: cell for name, cell in GOOD.items() if name != "count"}
    found = judged("\ufeff" + ",".join(row) + "\r" + ",".join(row.values()) + "\r")
    assert [(one.row, one.pointer, one.code) for one in found.violations] == [(0, "/count", "missing")]


def test_a_text_of_no_row_at_all() -> None:
    """A header alone has no rows; nothing at all has no header, and that is said."""
    assert judged(",".join(GOOD) + "\n").total == 0
    with pytest.raises(UsageError, match="the body has no header"):
        Records(b"", Things.form, Dialect())


def test_too_many_rows_are_not_read() -> None:
    """Counting stops with the first one too many."""
    text = ",".join(GOOD) + "\n" + 10 * (",".join(GOOD.values()) + "\n")
    outcomes = [*_results(DECODER.records_in_steps(Records(text.encode(), Things.form, Dialect()), 3))]
    assert [(one.total, len(one.parts)) for one in outcomes] == [(4, 0)]


def test_bytes_of_another_encoding_are_a_bad_row() -> None:
    """By itself: the others are read."""
    text = f"{','.join(GOOD)}\n{','.join(GOOD.values())}\n".encode()
    records = [*Records(text + text.split(b"\n")[1].replace(b"Ulm", b"K\xf6ln") + b"\n", Things.form, Dialect())]
    assert [isinstance(record.value, Malformed) for record in records] == [False, True]


def _results(steps: Any) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            yield end.value
            return

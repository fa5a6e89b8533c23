"""CSV: where rows begin and end, and what becomes of those that are not well formed."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import UsageError
from tenfold.formats.dialect import MAX_ROW_BYTES, Cutter, Dialect

PLAIN = Dialect()
CELLS = st.text(st.sampled_from('ab,;"\n\r \\é'), max_size=6)
DIRT = st.text(st.sampled_from('a,"\n\r\\'), max_size=60).map(str.encode)
DIALECTS = st.sampled_from([PLAIN, Dialect(delimiter=";", quote="'"), Dialect(quote=""), Dialect(escape="\\")])


def cut(text: bytes, dialect: Dialect = PLAIN, width: int = 2) -> list[tuple[bytes, str]]:
    """The rows of a text, each with its fault."""
    texts, _, faults = Cutter(dialect, width).rows(text.split(b"\n"))
    return [(row, faults.get(k, "")) for k, row in enumerate(texts)]


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8))
def test_whatever_is_written_by_the_rules_is_read_as_it_was(rows: list[list[str]]) -> None:
    """Quotes, newlines and delimiters within quoted cells part nothing."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    found = cut(text.getvalue().encode(), width=3)
    assert [fault for _, fault in found] == [""] * len(rows)
    read = [next(csv.reader(io.StringIO(row.decode(), newline=""), strict=True)) for row, _ in found]
    assert read == rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1,2\n3,4", [(b"1,2", ""), (b"3,4", "")]),
        (b"1,2\r\n3,4\r\n", [(b"1,2\r", ""), (b"3,4\r", "")]),
        (b"1,2\n\n\r\n3,4", [(b"1,2", ""), (b"3,4", "")]),
        (b"1\n2,3,4", [(b"1", "the row has 1 cells, the header 2"), (b"2,3,4", "the row has 3 cells, the header 2")]),
        (b'"a\nb",2\n3,4', [(b'"a\nb",2', ""), (b"3,4", "")]),
        (b'"a""b","c,d"', [(b'"a""b","c,d"', "")]),
        (b'1,"a\n3,4\n5,6', [(b'1,"a', "out of place"), (b"3,4", ""), (b"5,6", "")]),
        (b'5" pipe,2\n3,4', [(b'5" pipe,2', "out of place"), (b"3,4", "")]),
        (b'"a"b,2\n3,4', [(b'"a"b,2', "out of place"), (b"3,4", "")]),
        (b'5" pipe,2\n6" pipe,3\n7,8', [(b'5" pipe,2', "out of place"), (b'6" pipe,3', "out of place"), (b"7,8", "")]),
        (b'1,"a\n"b",2\n3,4', [(b'1,"a', "out of place"), (b'"b",2', ""), (b"3,4", "")]),
        (b"1,a\rb\n3,4", [(b"1,a\rb", "out of place"), (b"3,4", "")]),
    ],
)
def test_a_bad_row_never_takes_its_neighbours_with_it(text: bytes, expected: list[tuple[bytes, str]]) -> None:
    """A ragged row, or one with a stray quote, is bad by itself; the next line begins the next row."""
    found = cut(text)
    assert [row for row, _ in found] == [row for row, _ in expected]
    for (_, fault), (_, said) in zip(found, expected, strict=True):
        assert (said in fault) if said else (fault == "")


def test_a_quote_that_is_never_closed_ends_with_its_line() -> None:
    """A file of any length may begin with a stray quote, and nobody looks for its end beyond a megabyte."""
    lines = [b'"a,1'] + [b"x" * 1000 + b",2"] * (MAX_ROW_BYTES // 1000 + 5) + [b'b",3']
    texts, _, faults = Cutter(PLAIN, 2).rows(lines)
    assert len(texts) == len(lines)
    assert sorted(faults) == [0, len(lines) - 1]


@given(DIRT, DIALECTS)
def test_every_line_is_part_of_one_row(text: bytes, dialect: Dialect) -> None:
    """Nothing is lost and nothing read twice, whatever the text is."""
    texts, lines, _ = Cutter(dialect, 2).rows(text.split(b"\n"))
    assert list(lines) == sorted(set(lines))
    kept = b"\n".join(texts).replace(b"\r", b"").replace(b"\n", b"")
    assert kept == text.replace(b"\r", b"").replace(b"\n", b"")


@given(st.text("ab,;\n", max_size=40).map(str.encode), DIALECTS, st.integers(1, 4), st.booleans())
def test_plain_text_is_read_as_any_other(text: bytes, dialect: Dialect, most: int, at_end: bool) -> None:
    """Where neither quotes nor carriage returns stand in a text, its rows are found in a quicker way, and are the same."""
    cutter, lines = Cutter(dialect, 2), text.split(b"\n")
    plain = cutter.is_plain(text)
    slowly, quickly = cutter.rows(lines), cutter.rows(lines, plain=plain)
    assert (slowly.texts, list(slowly.lines), slowly.faults) == (quickly.texts, list(quickly.lines), quickly.faults)
    assert cutter.count(lines, most, at_end) == cutter.count(lines, most, at_end, plain=plain)


@given(DIRT, DIALECTS, st.integers(1, 4))
def test_rows_counted_ahead_are_the_rows_that_are_read(text: bytes, dialect: Dialect, most: int) -> None:
    """Whoever cuts a file into shards and whoever reads a shard agree on its rows."""
    cutter = Cutter(dialect, 2)
    whole = cutter.rows(text.split(b"\n")).texts
    lines, found = text.split(b"\n"), []
    while lines:
        count, taken = cutter.count(lines, most, at_end=True)
        rows = cutter.rows(lines[:taken]).texts
        assert len(rows) == count
        found += rows
        lines = lines[taken:]
    assert found == whole


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": ""},
        {"delimiter": ";;"},
        {"delimiter": "é"},
        {"delimiter": '"'},
        {"decimal": ","},
        {"encoding": "klingon"},
        {"quote": "\n"},
    ],
)
def test_a_dialect_that_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    """Options that contradict each other are told before anything is read."""
    with pytest.raises(UsageError):
        Dialect(**options)


def test_text_with_quotes_of_its_own_can_be_read() -> None:
    """Where quotes are inches, they can be told to be text."""
    assert cut(b'5" pipe,2\n6" pipe,3', Dialect(quote="")) == [(b'5" pipe,2', ""), (b'6" pipe,3', "")]

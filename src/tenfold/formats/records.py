"""CSV as records, row by row and without pyarrow: what a front makes of a body before validation reads it as JSON.

The rows, their cells and what these mean are those that a job finds in the same text (``batches.CsvText``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from tenfold.contract.form import Field, Form, leaves
from tenfold.errors import UsageError
from tenfold.formats.dialect import Cutter, Dialect, header
from tenfold.formats.values import is_long, kind_of, value_of
from tenfold.validation.parsing import Malformed, Repeated

MOST_COLUMNS = 10_000
BOM = b"\xef\xbb\xbf"
BLANK = {b"\n": re.compile(rb"\n(?:\r?\n)++"), b"\r": re.compile(rb"\r{2,}+")}
UNQUOTED = {"text", "json"}  # kinds in which no cell is a number
_encode = msgspec.json.Encoder().encode


class Record(NamedTuple):
    """A row: its value as JSON has it, or why it is none; and its text, which ``is_exact`` where it says the very same: JSON
    has no NaN and no integers of any length."""

    value: dict[str, Any] | Malformed
    line: bytes
    is_exact: bool


class Place(NamedTuple):
    """Where the cells of a column go: their name, their kind, and whether NaN stands for none."""

    name: str
    kind: str
    gap_is_nan: bool


class Records:
    """The rows of a CSV text whose first row names the columns. Columns that the contract does not know are read as text."""

    def __init__(self, text: bytes, form: Form, dialect: Dialect) -> None:
        """Raises ``UsageError`` where there is no header, or one in another encoding or of too many columns."""
        text = text.removeprefix(BOM)
        newline = b"\r" if b"\r" in text and b"\n" not in text else b"\n"
        if dialect.quote.encode() not in text:  # empty lines are no rows, and there may be millions of them
            text = BLANK[newline].sub(newline, text)
        lines = text.split(newline)
        columns, taken = header("the body", lines, dialect)
        self.columns = tuple(columns)
        if len(columns) > MOST_COLUMNS:
            raise UsageError(f"the header of the body names {len(columns):,} columns", f"{MOST_COLUMNS:,} are the most")
        self._lines = lines[taken:]
        self._cutter = Cutter(dialect, len(columns))
        self._form = form
        self._nests = any(field.fields for field in form.fields)
        self._make: Any = dict if len(set(columns)) == len(columns) else Repeated
        known = {wire: Place(wire, kind_of(field), _gap_is_nan(field)) for _, wire, _, field in leaves(form.fields)}
        self._places = [known.get(name, Place(name, "text", False)) for name in columns]

    def __iter__(self) -> Iterator[Record]:
        for text, fault in self._cutter.each(self._lines):
            yield self._broken(fault) if fault else self._record(text)

    def _broken(self, why: str) -> Record:
        return Record(Malformed(why), b"null", False)

    def _record(self, text: bytes) -> Record:
        try:
            cells = [None if cell is None else cell.decode() for cell in self._cutter.cells(text)]
        except UnicodeDecodeError:
            return self._broken("text that is not UTF-8")
        is_exact = True
        pairs = []
        for (name, kind, gap_is_nan), cell in zip(self._places, cells, strict=True):
            value = value_of(cell, kind)
            if kind not in UNQUOTED and _is_beyond_json(value):
                if gap_is_nan and value != value:
                    value = None
                else:
                    is_exact = False
            pairs.append((name, value))
        record = self._make(pairs)
        if self._nests:
            record = self._nested(record)
        return Record(record, _line(record), is_exact)

    def _nested(self, flat: dict[str, Any]) -> dict[str, Any]:
        """The record with nested contracts as objects; an optional one of which nothing is there is none."""
        known = {wire for _, wire, _, _ in leaves(self._form.fields)}
        record = _within(self._form.fields, "", flat) | {k: value for k, value in flat.items() if k not in known}
        if isinstance(flat, Repeated):
            names, record = flat.names, Repeated(list(record.items()))
            record.names = names
        return record


def _within(fields: Sequence[Field], prefix: str, flat: dict[str, Any]) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for field in fields:
        wire = f"{prefix}{field.wire}"
        if field.fields:
            inner = _within(field.fields, f"{wire}.", flat)
            record[field.wire] = None if field.nullable and not _has_any(inner) else inner
        elif wire in flat:
            record[field.wire] = flat[wire]
    return record


def _has_any(record: dict[str, Any]) -> bool:
    return any(_has_any(value) if isinstance(value, dict) else value is not None for value in record.values())


def _gap_is_nan(field: Field) -> bool:
    """Whether NaN in a column of numbers is a gap, as tables have it (``contract.conversion``)."""
    return field.kind != "float" or field.nullable or field.on_missing is not None


def _is_beyond_json(value: Any) -> bool:
    return not math.isfinite(value) if isinstance(value, float) else is_long(value)


def _line(record: dict[str, Any]) -> bytes:
    """A record as JSON, numbers that it has no words for left out."""
    try:
        return _encode(record)
    except OverflowError:
        return _encode(_without_long(record))


def _without_long(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_long(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_long(inner) for inner in value]
    return None if is_long(value) else value

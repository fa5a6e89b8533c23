"""A shard's bytes as batches of rows that validation reads; and every row that could not even be read, by name.

Positions are those of the shard, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from tenfold.contract.form import Field, Form, escape
from tenfold.errors import Violation
from tenfold.formats.cells import CellReader, arrow_type, as_data, as_numbers
from tenfold.formats.dialect import Cutter, Dialect
from tenfold.formats.shards import Layout, arrow
from tenfold.formats.values import kinds_of
from tenfold.rows import Array
from tenfold.validation.parsing import Malformed, Repeated, has_repeated_key, parse

TWICE = "this key stands twice in its object"
JSON = {b"tenfold": b"json"}  # marks a kept column whose cells are JSON texts


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that were read together: ``data`` as ``validation.block`` takes it, ``index`` where each stood in the shard,
    ``kept`` the columns that go into the output as they are; and why other rows could not be read."""

    data: Any
    index: Array
    kept: Any
    refused: Sequence[Violation]


class Content(Protocol):
    """The rows of a shard."""

    rows: int

    def batch(self, rows: Sequence[int]) -> Batch:
        """Some rows, in order; a ``range`` of them costs the least."""
        ...

    def raw(self, rows: Sequence[int]) -> list[dict[str, Any] | str]:
        """Rows as they came: their columns, or the text of what has none."""
        ...

    def line(self, row: int) -> int | None:
        """The line within the shard on which a row begins, from 0; None where there are no lines."""
        ...


class Reading(NamedTuple):
    """How shards are to be read: the contract, the columns to keep, and how CSV is written."""

    form: Form
    keep: Sequence[str]
    dialect: Dialect


def unpack(data: Any, layout: Layout, reading: Reading) -> Content:
    """The rows of a shard whose bytes ``shards.pack`` wrote."""
    match layout.kind:
        case "table" | "pictures":
            with arrow().ipc.open_stream(data) as stream:
                return Table(stream.read_all(), layout, reading)
        case "csv":
            return CsvText(bytes(data), layout, reading)
        case _:
            return JsonText(bytes(data), reading)


class Table:
    """Rows of a table that has types of its own."""

    def __init__(self, table: Any, layout: Layout, reading: Reading) -> None:
        self.rows = table.num_rows
        self._table = table
        files = layout.kind == "pictures"  # which can be found by their names
        self._told = table.drop_columns(table.column_names[:1]) if files else table
        self._keep = list(reading.keep)

    def batch(self, rows: Sequence[int]) -> Batch:
        together = isinstance(rows, range)
        part = self._table.slice(rows[0] if rows else 0, len(rows)) if together else self._table.take(rows)
        return Batch(_columns(part), np.asarray(rows, dtype=np.intp), part.select(self._keep), ())

    def raw(self, rows: Sequence[int]) -> list[dict[str, Any] | str]:
        found: list[dict[str, Any] | str] = self._told.take(rows).to_pylist()
        return found

    def line(self, row: int) -> int | None:  # noqa: ARG002
        return None


def _columns(table: Any) -> Any:
    """The columns of a table as arrays; the table itself, where some of them nest."""
    pa = arrow()
    if any(pa.types.is_struct(field.type) for field in table.schema):
        return table
    columns = {
        name: as_numbers(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return columns or [{}] * table.num_rows


class CsvText:
    """Rows of CSV."""

    def __init__(self, text: bytes, layout: Layout, reading: Reading) -> None:
        known = kinds_of(reading.form)
        self._kinds = {name: kind for name, kind in known.items() if name in layout.header}
        self._keep = {name: known.get(name, "text") for name in reading.keep}
        self._dialect, self._encoding = reading.dialect, reading.dialect.read_as
        self._header = layout.header
        self._read = CellReader(layout.header, self._kinds | self._keep, reading.dialect)
        lines = text.split(layout.newline.encode())
        cutter = Cutter(reading.dialect, len(layout.header))
        self._cut = cutter.rows(lines, plain=cutter.is_plain(text))
        self.rows = len(self._cut.texts)

    def batch(self, rows: Sequence[int]) -> Batch:
        texts, _, faults = self._cut
        bad = {row: faults[row] for row in rows if row in faults} if faults else {}
        good = [row for row in rows if row not in bad] if bad else list(rows)
        try:
            text = self._utf8([texts[row] for row in good])
        except UnicodeDecodeError:
            bad |= {row: f"text that is not {self._encoding}" for row in good if not self._is_text(texts[row])}
            good = [row for row in good if row not in bad]
            text = self._utf8([texts[row] for row in good])
        columns = self._read(text)
        pa = arrow()
        return Batch(
            data={name: as_data(columns[name], kind) for name, kind in self._kinds.items()} or [{}] * len(good),
            index=np.asarray(good, dtype=np.intp),
            kept=pa.table({name: columns[name].values for name in self._keep}),
            refused=[Violation(row, "", "malformed", detail) for row, detail in sorted(bad.items())],
        )

    def raw(self, rows: Sequence[int]) -> list[dict[str, Any] | str]:
        return [self._raw_one(row) for row in rows]

    def line(self, row: int) -> int | None:
        return self._cut.lines[row]

    def _raw_one(self, row: int) -> dict[str, Any] | str:
        text = self._cut.texts[row]
        if row in self._cut.faults or not self._is_text(text):
            return text.decode(self._encoding, "backslashreplace").removesuffix("\r")
        every = CellReader(self._header, dict.fromkeys(self._header, "text"), self._dialect)
        return {name: column.values[0].as_py() for name, column in every(self._utf8([text])).items()}

    def _is_text(self, text: bytes) -> bool:
        try:
            text.decode(self._encoding)
        except UnicodeDecodeError:
            return False
        return True

    def _utf8(self, texts: Sequence[bytes]) -> bytes:
        """Rows as one text in UTF-8, each ended by a newline."""
        if not texts:
            return b""
        text = b"\n".join(texts) + b"\n"
        return text if text.isascii() and _is_ascii(self._encoding) else text.decode(self._encoding).encode()


def _is_ascii(encoding: str) -> bool:
    """Whether ASCII means the same in an encoding."""
    return "a,\n".encode(encoding) == b"a,\n"


class JsonText:
    """Rows of NDJSON: each line an object, read as the body of a request is. Keys that the contract does not know are
    left alone, as columns of a table are."""

    def __init__(self, text: bytes, reading: Reading) -> None:
        lines = text.split(b"\n")
        self._lines = [at for at, line in enumerate(lines) if line and not line.isspace()]
        self._texts = [lines[at] for at in self._lines]
        self.rows = len(self._texts)
        self._form = reading.form
        known = {field.wire for field in reading.form.fields}
        kinds = kinds_of(reading.form)
        self._keep = {name: kinds.get(name, "json") if name in known else "json" for name in reading.keep}

    def batch(self, rows: Sequence[int]) -> Batch:
        records: list[Any] = []
        index: list[int] = []
        refused: list[Violation] = []
        for row in rows:
            try:
                record, is_suspect = _record(self._texts[row])
            except Malformed as malformed:
                refused.append(Violation(row, "", "malformed", str(malformed)))
                continue
            if is_suspect and (twice := list(_repeated(record, self._form.fields))):
                refused += [Violation(row, pointer, "duplicate_key", TWICE) for pointer in twice]
                continue
            records.append(record)
            index.append(row)
        return Batch(records, np.array(index, dtype=np.intp), self._kept(records), refused)

    def raw(self, rows: Sequence[int]) -> list[dict[str, Any] | str]:
        return [_raw_json(self._texts[row]) for row in rows]

    def line(self, row: int) -> int | None:
        return self._lines[row]

    def _kept(self, records: Sequence[Any]) -> Any:
        pa = arrow()
        objects = [record if isinstance(record, dict) else {} for record in records]
        fields = [
            pa.field(name, arrow_type(kind), metadata=JSON if kind == "json" else None)
            for name, kind in self._keep.items()
        ]
        columns = [
            pa.array([_as_kind(one.get(name), kind) for one in objects], arrow_type(kind))
            for name, kind in self._keep.items()
        ]
        return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def _record(line: bytes) -> tuple[Any, bool]:
    """A line as ``parsing.parse`` has it, by the quicker way where that comes to the same; and whether it may have a key
    that stands twice."""
    try:
        record = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return parse(line), True
    is_flat = isinstance(record, dict) and line.count(b":") == len(record)
    return (parse(line), True) if not is_flat and has_repeated_key(line) else (record, False)


def _as_kind(value: Any, kind: str) -> Any:
    """A value of a record for a kept column of this kind; None where it is nothing of the sort."""
    match kind:
        case "json":
            return None if value is None else msgspec.json.encode(value).decode()
        case "float":
            return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "int":
            whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
            return value if whole else None
        case _:
            return value if type(value) is {"bool": bool, "text": str}[kind] else None


def _raw_json(line: bytes) -> dict[str, Any] | str:
    try:
        found: Mapping[str, Any] = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return line.decode("utf-8", "backslashreplace")
    return dict(found)


def _repeated(record: Any, fields: Sequence[Field], pointer: str = "") -> Iterator[str]:
    """The keys that stand twice, in an object or in one that the contract nests in it."""
    if isinstance(record, Repeated):
        yield from (f"{pointer}/{escape(name)}" for name in record.names)
    for field in fields:
        if field.fields and isinstance(record, dict):
            yield from _repeated(record.get(field.wire), field.fields, f"{pointer}/{escape(field.wire)}")

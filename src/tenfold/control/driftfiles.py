"""Tables that are too large for memory: Parquet and CSV files, block by block and column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.drift.tables import Raw, parsed
from tenfold.errors import NotFound, TenfoldError, UsageError

READ_BYTES = 1 << 16  # read at once of a column of a Parquet file
CSV_BYTES = 1 << 22
MOSTLY = 0.9  # of the texts of a column have to be numbers, for it to be one of numbers


class Block(NamedTuple):
    """Rows of a file: the number of the first, how many there are, and a way to read one of their columns.

    A block of a Parquet file is a row group, often a million rows: no more than one column of it should be held.
    """

    first: int
    rows: int
    column: Callable[[str], Raw]


class TableFile:
    """A Parquet or CSV file that is read in blocks, as often as wanted. ``kinds`` says of each column what it holds."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound(f"there is no file {path}", "check the path")
        self.path = path
        self._parquet = path.suffix in (".parquet", ".pq")
        if not self._parquet and ".csv" not in path.suffixes[-2:]:
            raise UsageError(f"{path.name} is neither .parquet nor .csv", "write the table with DataFrame.to_parquet")
        self._parse: frozenset[str] = frozenset()
        self._as_text = False
        types = self._parquet_types() if self._parquet else self._csv_types()
        self.kinds = {
            name: "number" if name in self._parse else _kind(type_) for name, type_ in types.items() if _kind(type_)
        }
        self.columns = list(self.kinds)
        self.unusable = [f"{name} ({type_})" for name, type_ in types.items() if not _kind(type_)]
        """Columns of types that cannot be compared, such as lists."""

    def require(self, *names: str | None) -> None:
        """``UsageError`` where the file lacks one of these columns."""
        for name in filter(None, names):
            if name not in self.kinds:
                raise UsageError(
                    f"{self.path.name} has no column {name!r}", f"its columns are {', '.join(self.columns)}"
                )

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """The rows in their order; of a CSV file, only columns of these names can be read."""
        return self._row_groups() if self._parquet else self._parts([name for name in names if name in self.kinds])

    def _row_groups(self) -> Iterator[Block]:
        file = _pyarrow("parquet").ParquetFile(self.path, buffer_size=READ_BYTES, pre_buffer=False)
        first = 0
        for number in range(file.num_row_groups):
            rows = file.metadata.row_group(number).num_rows
            if rows:
                yield Block(first, rows, partial(self._read, file, number))
            first += rows

    def _read(self, file: Any, number: int, name: str) -> Raw:
        """A column of a row group."""
        try:
            table = file.read_row_group(number, columns=[name], use_threads=False)
        except _pyarrow("").ArrowException as error:
            raise self._unreadable(error) from None
        return _raw(table.column(name).combine_chunks())

    def _parts(self, names: Sequence[str]) -> Iterator[Block]:
        first = 0
        try:
            for batch in self._open_csv(names):
                if batch.num_rows:
                    yield Block(first, batch.num_rows, partial(self._cells, batch))
                first += batch.num_rows
        except _pyarrow("").ArrowException as error:
            raise self._unreadable(error) from None

    def _cells(self, batch: Any, name: str) -> Raw:
        raw = _raw(batch.column(name))
        return Raw.of_numbers(parsed(raw), raw.missing) if name in self._parse else raw

    def _unreadable(self, error: Exception) -> TenfoldError:
        return TenfoldError(f"{self.path} cannot be read: {error}", "is it what its name says, and whole?")

    def _parquet_types(self) -> dict[str, Any]:
        try:
            schema = _pyarrow("parquet").ParquetFile(self.path).schema_arrow
        except _pyarrow("").ArrowException as error:
            raise self._unreadable(error) from None
        return {field.name: field.type for field in schema}

    def _csv_types(self) -> dict[str, Any]:
        """The types of a CSV's columns, by its first block; text for all where a later block is not what the first was."""
        arrow = _pyarrow("")
        try:
            reader = self._open_csv(())
            for _ in reader:
                pass
        except arrow.ArrowInvalid:
            self._as_text = True
            reader = self._open_csv(self._header())
            self._parse = frozenset(_numbers(reader))
        return {field.name: field.type for field in reader.schema}

    def _header(self) -> list[str]:
        try:
            names: list[str] = self._open_csv(()).schema.names
        except _pyarrow("").ArrowException as error:
            raise self._unreadable(error) from None
        return names

    def _open_csv(self, names: Sequence[str]) -> Any:
        csv = _pyarrow("csv")
        types = dict.fromkeys(names, _pyarrow("").string()) if self._as_text else None
        return csv.open_csv(
            self.path,
            read_options=csv.ReadOptions(block_size=CSV_BYTES, use_threads=False),
            convert_options=csv.ConvertOptions(
                include_columns=list(names) or None, strings_can_be_null=True, column_types=types
            ),
        )


def _numbers(batches: Any) -> Iterator[str]:
    """The columns of text of which nearly all values are numbers."""
    readable: dict[str, int] = {}
    present: dict[str, int] = {}
    for batch in batches:
        for name in batch.schema.names:
            raw = _raw(batch.column(name))
            there = ~raw.missing
            present[name] = present.get(name, 0) + int(there.sum())
            readable[name] = readable.get(name, 0) + int(np.isfinite(parsed(raw)[there]).sum())
    yield from (name for name, count in present.items() if count and readable[name] >= MOSTLY * count)


def _kind(type_: Any) -> str:
    """What a column of an Arrow type holds: "number", "time" or "text"; "" where it cannot be compared."""
    types = _pyarrow("types")
    if types.is_dictionary(type_):
        return _kind(type_.value_type)
    if types.is_integer(type_) or types.is_floating(type_) or types.is_decimal(type_):
        return "number"
    if types.is_timestamp(type_) or types.is_date(type_):
        return "time"
    named = (types.is_boolean, types.is_string, types.is_large_string, types.is_string_view, types.is_null)
    return "text" if any(is_(type_) for is_ in named) else ""


def _raw(column: Any) -> Raw:
    """A column of a batch."""
    arrow = _pyarrow("")
    kind = _kind(column.type)
    if arrow.types.is_dictionary(column.type) and kind != "text":
        column = column.dictionary_decode()
    missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    if kind == "text":
        return _names(column, missing)
    if kind == "time":
        micros = column.cast(arrow.timestamp("us")).cast(arrow.int64()).to_numpy(zero_copy_only=False)
        return Raw.of_numbers(np.asarray(micros, dtype=np.float64) / 1e6, missing, "time")
    numbers = column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    return Raw.of_numbers(np.asarray(numbers, dtype=np.float64), missing)


def _names(column: Any, missing: Any) -> Raw:
    arrow = _pyarrow("")
    if not arrow.types.is_dictionary(column.type):
        column = column.cast(arrow.string()).dictionary_encode()
    codes = np.full(len(column), -1, dtype=np.int64)
    codes[~missing] = column.indices.drop_null().to_numpy(zero_copy_only=False)
    names = [str(name) for name in column.dictionary.to_pylist()]
    truths = {"True", "False"}.issuperset(names)  # as pandas writes what is true and false elsewhere
    return Raw.of_names(codes, [name.lower() for name in names] if truths else names)


def _pyarrow(module: str) -> Any:
    """The library pyarrow, or a module of it: it is the ``batch`` extra."""
    try:
        return import_module(f"pyarrow.{module}".rstrip("."))
    except ImportError:
        raise UsageError("reading tables needs pyarrow", "pip install 'tenfold[batch]'") from None

"""Columns of CSV: each cell means what ``values`` says, and all of a column are read at once.

Columns are read at once by pyarrow. Where one of their cells is no value of its field, that column is read cell by
cell, and the cell stays the text that it is, for validation to name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import arrow
from tenfold.formats.values import FALSE, TRUE, is_long, value_of
from tenfold.rows import Array

HEXADECIMAL = (b"0x", b"0X")  # pyarrow reads these as integers, and nobody else does


class Column(NamedTuple):
    """A column of cells: of its Arrow type, null where a cell is none; and what such cells hold instead."""

    values: Any
    odd: Mapping[int, Any]


def arrow_type(kind: str) -> Any:
    """The Arrow type of a column of this kind."""
    pa = arrow()
    types = {"float": pa.float64, "int": pa.int64, "bool": pa.bool_}
    return types.get(kind, pa.string)()


class CellReader:
    """Reads the cells of some columns of a CSV file. ``kinds`` names those, in the order of ``header``."""

    def __init__(self, header: Sequence[str], kinds: Mapping[str, str], dialect: Dialect) -> None:
        self._places = {name: header.index(name) for name in kinds}
        self._kinds = kinds
        self._dialect = dialect
        self._width = len(header)
        self._has_whole = "int" in kinds.values()

    def __call__(self, text: bytes) -> dict[str, Column]:
        """The columns of rows that are whole, in UTF-8, each ended by a newline."""
        pa = arrow()
        if not text:
            return {name: Column(pa.array([], arrow_type(kind)), {}) for name, kind in self._kinds.items()}
        if not (self._has_whole and any(mark in text for mark in HEXADECIMAL)):
            try:
                table = self._table(text, {name: arrow_type(kind) for name, kind in self._kinds.items()})
                return {name: Column(values, {}) for name, values in table.items()}
            except pa.ArrowInvalid:
                pass
        table = self._table(text, dict.fromkeys(self._kinds, pa.string()))
        return {name: self._typed(values, self._kinds[name]) for name, values in table.items()}

    def _table(self, text: bytes, types: Mapping[str, Any]) -> dict[str, Any]:
        from pyarrow import csv

        dialect, numbers = self._dialect, [str(k) for k in range(self._width)]
        table = csv.read_csv(
            arrow().BufferReader(text),
            read_options=csv.ReadOptions(column_names=numbers, use_threads=False, block_size=len(text) + 1),
            parse_options=csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote or False,
                escape_char=dialect.escape or False,
                newlines_in_values=bool(dialect.quote),
            ),
            convert_options=csv.ConvertOptions(
                column_types={str(self._places[name]): kind for name, kind in types.items()},
                include_columns=[str(self._places[name]) for name in types],
                null_values=["", *dialect.nulls],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,  # "" is an empty text, and nothing is missing
                true_values=TRUE,
                false_values=FALSE,
                decimal_point=dialect.decimal,
            ),
        )
        return {name: table.column(k).combine_chunks() for k, name in enumerate(types)}

    def _typed(self, texts: Any, kind: str) -> Column:
        if kind in ("text", "json"):
            return Column(texts, {})
        values: list[Any] = []
        odd: dict[int, Any] = {}
        for k, cell in enumerate(texts.to_pylist()):
            value = value_of(cell, kind, self._dialect)
            if type(value).__name__ not in (kind, "NoneType") or is_long(value):
                odd[k], value = value, None
            values.append(value)
        return Column(arrow().array(values, arrow_type(kind)), odd)


def as_data(column: Column, kind: str) -> Any:
    """A column as validation reads it: an array, of objects where a cell is not of its type."""
    values, odd = column
    if kind == "json":
        cells = np.empty(len(values), dtype=object)
        cells[:] = [value_of(text, kind) for text in values.to_pylist()]
        return cells
    if kind == "text":
        return values.to_numpy(zero_copy_only=False)
    if odd:
        mixed: Array = np.empty(len(values), dtype=object)
        mixed[:] = values.to_pylist()
        for row, value in odd.items():
            mixed[row] = value
        return mixed
    return as_numbers(values)


def as_numbers(values: Any) -> Any:
    """An Arrow array as NumPy's where that costs nothing: one of numbers without a gap."""
    pa = arrow()
    plain = pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)
    return values.to_numpy(zero_copy_only=False) if plain and not values.null_count else values

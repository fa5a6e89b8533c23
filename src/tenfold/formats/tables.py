"""Columns of answers as a file: Parquet, CSV or NDJSON. The same table gives the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.form import Field, Form, leaves
from tenfold.formats.batches import JSON
from tenfold.formats.cells import arrow_type
from tenfold.formats.shards import arrow
from tenfold.formats.values import kind_of
from tenfold.layout import Column
from tenfold.rows import Array, Rows

SUFFIXES = {"parquet": ".parquet", "csv": ".csv", "ndjson": ".ndjson"}

_encode = msgspec.json.Encoder().encode


def write(table: Any, kind: str) -> bytes:
    """The bytes of a table as "parquet", "csv" or "ndjson"."""
    return _WRITERS[kind](table)


class Columns:
    """The columns of rows of one contract as Arrow arrays, by their names on the wire; missing values are null. Their
    types depend on the contract alone."""

    def __init__(self, form: Form) -> None:
        self._fields = {wire: field for _, wire, _, field in leaves(form.fields)}

    def __call__(self, rows: Rows) -> dict[str, Any]:
        return {column.wire: self._array(rows, column) for column in rows.layout.columns}

    def _array(self, rows: Rows, column: Column) -> Any:
        pa = arrow()
        field = self._fields[column.wire]
        values = rows[column.name]
        missing = rows.missing(column.name) if column.bit >= 0 else None
        match column.kind:
            case "category":
                labels = pa.array(column.categories, arrow_type(kind_of(field)))
                codes = rows.codes(column.name)
                return labels.take(pa.array(codes.copy(), mask=codes < 0))
            case "datetime":
                return _plain(values.astype(np.int64), missing).cast(_item_type(field))
            case "date":
                return _plain(values.astype(np.int64).astype(np.int32), missing).cast(_item_type(field))
            case "tensor":
                return _tensors(values, missing)
            case "list" | "ragged":
                nested = [None if value is None else value.tolist() for value in values]
                if field.item is not None:
                    return _list(nested, _item_type(field.item))
                kind = pa.from_numpy_dtype(np.dtype(column.dtype))
                for _ in column.shape:
                    kind = pa.list_(kind)
                return pa.array(nested, kind)
            case "text" | "image":
                return pa.array(values, pa.string() if column.kind == "text" else pa.binary(), mask=missing)
            case _:
                return _plain(values, missing)


def _item_type(field: Field) -> Any:
    """The Arrow type of a value of this field, or of an item of a list."""
    pa = arrow()
    match field.kind:
        case "datetime":
            return pa.timestamp("us", None if field.timezone == "naive" else "UTC")
        case "date":
            return pa.date32()
        case _:
            return arrow_type(kind_of(field))


def _list(values: list[Any], item: Any) -> Any:
    """Lists of items; dates and times are integers in a batch."""
    pa = arrow()
    stored = {"date32[day]": pa.int32(), "timestamp[us, tz=UTC]": pa.int64(), "timestamp[us]": pa.int64()}
    return pa.array(values, pa.list_(stored.get(str(item), item))).cast(pa.list_(item))


def _tensors(values: Array, missing: Array | None) -> Any:
    pa = arrow()
    made = pa.array(values.reshape(-1))
    for k, size in enumerate(reversed(values.shape[1:])):
        is_row = k == values.ndim - 2
        made = pa.FixedSizeListArray.from_arrays(
            made, size, mask=pa.array(missing) if is_row and missing is not None else None
        )
    return made


def _plain(values: Array, missing: Array | None) -> Any:
    return arrow().array(values.copy(), mask=None if missing is None or not missing.any() else missing.copy())


def _parquet(table: Any) -> bytes:
    from pyarrow import parquet

    sink = arrow().BufferOutputStream()
    plain = _text_of_json(table)
    repeating = [name for name, field in zip(plain.column_names, plain.schema, strict=True) if _repeats(name, field)]
    parquet.write_table(plain, sink, use_dictionary=repeating, compression="zstd", compression_level=1)
    return bytes(sink.getvalue())


def _csv(table: Any) -> bytes:
    from pyarrow import csv

    pa = arrow()
    plain = _text_of_json(table)
    for k, field in enumerate(plain.schema):
        if pa.types.is_nested(field.type):
            texts = [None if value is None else _encode(value).decode() for value in plain.column(k).to_pylist()]
            plain = plain.set_column(k, field.name, pa.array(texts, pa.string()))
    sink = pa.BufferOutputStream()
    csv.write_csv(plain, sink, csv.WriteOptions(quoting_style="needed"))
    return bytes(sink.getvalue())


def _ndjson(table: Any) -> bytes:
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        values = column.to_pylist()
        if field.metadata == JSON:
            values = [None if value is None else msgspec.Raw(value.encode()) for value in values]
        columns.append(values)
    names = table.column_names
    return b"".join(_encode(dict(zip(names, row, strict=True))) + b"\n" for row in zip(*columns, strict=True))


_WRITERS: dict[str, Callable[[Any], bytes]] = {"parquet": _parquet, "csv": _csv, "ndjson": _ndjson}


def _repeats(name: str, field: Any) -> bool:
    """Whether a dictionary is worth its while: for texts other than the ids."""
    types = arrow().types
    return name not in ("id", "prediction_id") and (types.is_string(field.type) or types.is_dictionary(field.type))


def _text_of_json(table: Any) -> Any:
    """The table with JSON texts as plain ones where they are strings: a cell says abc, not "abc"."""
    for k, field in enumerate(table.schema):
        if field.metadata == JSON:
            texts = [_plain_text(value) for value in table.column(k).to_pylist()]
            table = table.set_column(k, field.name, arrow().array(texts, arrow().string()))
    return table


def _plain_text(value: str | None) -> str | None:
    return str(msgspec.json.decode(value)) if value is not None and value.startswith('"') else value

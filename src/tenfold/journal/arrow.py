"""Predictions as an Arrow table: a column for each field, for Parquet files and for whoever computes on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tenfold.contract.form import Field, leaves
from tenfold.errors import UsageError
from tenfold.journal.reader import Predictions
from tenfold.journal.segment import Header, Table
from tenfold.layout import Column
from tenfold.rows import Rows

ALIASES = {"float": "double", "int": "int64", "bool": "bool", "text": "string", "date": "date32", "image": "binary"}


def schema(headers: Iterable[Header]) -> Any:
    """The ``pyarrow.Schema`` of all these predictions: ``id``, ``time``, ``release`` and ``key``, then ``output.NAME`` and
    ``input.NAME`` by wire names. A field that only some releases have is null for the others.

    Raises ``UsageError`` where releases give a field different types, or where pyarrow is not installed.
    """
    pa = _pyarrow()
    schemas = [pa.schema(list(_fields(pa, header))) for header in headers]
    try:
        return pa.unify_schemas(schemas)
    except pa.ArrowException as error:
        said = str(error).partition("\n")[0]
        raise UsageError(f"these releases give a field different types ({said})", "write .ndjson instead") from None


def table(found: Predictions, wanted: Any) -> Any:
    """These predictions as a ``pyarrow.Table`` of the schema ``wanted``."""
    pa = _pyarrow()
    columns: dict[str, Any] = {"id": found.ids, "time": found.times, "release": [found.header.release] * found.size}
    if found.keys is not None:
        columns["key"] = found.keys.tolist()
    for prefix, rows in (("output", found.outputs), ("input", found.inputs)):
        if rows is not None:
            for column in rows.layout.columns:
                name = f"{prefix}.{column.wire}"
                columns[name] = _values(pa, rows, column, wanted.field(name).type)
    absent = [None] * found.size
    return pa.table([pa.array(columns.get(field.name, absent), field.type) for field in wanted], schema=wanted)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise UsageError("writing Parquet needs pyarrow", "pip install 'tenfold[batch]'") from None
    return pyarrow


def _fields(pa: Any, header: Header) -> Iterator[Any]:
    yield pa.field("id", pa.string())
    yield pa.field("time", pa.timestamp("us", "UTC"))
    yield pa.field("release", pa.string())
    if header.key and header.input:
        column = header.input.layout.by_name[header.key]
        yield pa.field("key", pa.string() if column.kind == "text" else pa.int64())
    yield from _fields_of(pa, "output", header.output)
    if header.input and header.inputs:
        yield from _fields_of(pa, "input", header.input)


def _fields_of(pa: Any, prefix: str, kept: Table) -> Iterator[Any]:
    for column, (_, _, _, field) in zip(kept.columns, leaves(kept.form.fields), strict=True):
        yield pa.field(f"{prefix}.{column.wire}", _type(pa, field, column.shape, column.dtype))


def _type(pa: Any, field: Field, shape: tuple[int, ...] = (), dtype: str = "") -> Any:
    """The Arrow type of a field's values; ``shape`` and ``dtype`` are those of a tensor."""
    match field.kind:
        case "category":
            return pa.string() if isinstance(field.categories[0], str) else pa.int64()
        case "datetime":
            return pa.timestamp("us", None if field.timezone == "naive" else "UTC")
        case "list":
            assert field.item is not None  # the declaration gives every list its items
            return pa.list_(_type(pa, field.item))
        case "tensor":
            nested = pa.from_numpy_dtype(np.dtype(dtype))
            for _ in shape:
                nested = pa.list_(nested)
            return nested
        case kind:
            return pa.type_for_alias(ALIASES[kind])


def _values(pa: Any, rows: Rows, column: Column, wanted: Any) -> Any:
    """A column as an Arrow array, null where a value is missing."""
    values, missing = rows[column.name], rows.missing(column.name)
    if values.ndim == 1 and values.dtype != object:
        return pa.array(values, wanted, mask=missing)
    pairs = zip(values, missing.tolist(), strict=True)
    cells = [None if gap else value.tolist() if isinstance(value, np.ndarray) else value for value, gap in pairs]
    return pa.array(cells, wanted)

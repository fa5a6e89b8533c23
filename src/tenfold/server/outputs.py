"""The front's end of an answer: the output contract's parts as one JSON text per row, without NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form, layout_of, leaves
from tenfold.layout import Column, Layout

Part = memoryview
Values = Sequence[Any]

_FORMATS: dict[str, Any] = {"f8": "d", "i8": "q", "i4": "i", "u1": "B"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = date(1970, 1, 1).toordinal()


class Outputs:
    """Compiled from an output contract: ``encode(n, parts)`` gives the n JSON objects of a batch."""

    def __init__(self, form: Form) -> None:
        layout = layout_of(form)
        naive = {name for name, _, _, field in leaves(form.fields) if field.timezone == "naive"}
        names: dict[str, Any] = {"encode": msgspec.json.Encoder().encode}
        columns = [_expression(column, layout, column.name in naive, names) for column in layout.columns]
        rows = _rows(form.name, form.fields, iter(columns), names)
        self._encode = eval(f"lambda size, parts: list(map(encode, {rows}))", names)

    def encode(self, size: int, parts: Sequence[Part]) -> list[bytes]:
        """One JSON object per row, keys in the contract's order and by their wire names."""
        texts: list[bytes] = self._encode(size, parts)
        return texts


def _expression(column: Column, layout: Layout, naive: bool, names: dict[str, Any]) -> str:
    """The expression for the values of a column in ``parts``; what it refers to is put into ``names``."""
    if not column.block or column.bit >= 0:
        names[f"read{len(names)}"] = _reader(column, layout, naive)
        return f"read{len(names) - 1}(size, parts)"
    width = layout.widths[column.block]
    every = f"[{column.index}::{width}]" if width > 1 else ""
    values = f"parts[{layout.blocks.index(column.block)}].cast({_FORMATS[column.block]!r}){every}.tolist()"
    convert = _converter(column, naive)
    if convert is None:
        return values
    names[f"convert{len(names)}"] = convert
    return f"map(convert{len(names) - 1}, {values})"


def _reader(column: Column, layout: Layout, naive: bool) -> Callable[[int, Sequence[Part]], Values]:
    """How one column is read from the parts of a batch. ``naive`` moments are written without their offset."""
    fixed = list(layout.blocks)
    bits_at = len(fixed)
    convert = _converter(column, naive)
    if column.block:
        read = _block_reader(column, fixed.index(column.block), layout.widths[column.block])
    else:
        read = _own_reader(column, _own_at(column, layout))
    if column.bit < 0:
        return read if convert is None else lambda size, parts: list(map(convert, read(size, parts)))
    byte, mask, stride = column.bit // 8, 1 << (column.bit % 8), layout.bit_bytes
    written = convert or _as_it_is

    def read_optional(size: int, parts: Sequence[Part]) -> Values:
        bits = bytes(parts[bits_at])[byte::stride]
        return [None if bit & mask else written(value) for bit, value in zip(bits, read(size, parts), strict=True)]

    return read_optional


def _as_it_is(value: Any) -> Any:
    return value


def _block_reader(column: Column, part: int, width: int) -> Callable[[int, Sequence[Part]], Values]:
    code, index = _FORMATS[column.block], column.index

    def read(_size: int, parts: Sequence[Part]) -> Values:
        return parts[part].cast(code)[index::width].tolist()

    return read


def _converter(column: Column, naive: bool) -> Callable[[Any], Any] | None:
    match column.kind:
        case "category":
            return (*column.categories, None).__getitem__
        case "bool":
            return bool
        case "datetime":
            epoch = _EPOCH.replace(tzinfo=None) if naive else _EPOCH
            return lambda microseconds: epoch + timedelta(microseconds=microseconds)
        case "date":
            return lambda days: date.fromordinal(_FIRST_DAY + days)
        case _:
            return None


def _own_at(column: Column, layout: Layout) -> int:
    """The first part of a column that is a part of its own."""
    at = len(layout.blocks) + bool(layout.optional)
    for other in layout.own[: column.index]:
        at += 1 if other.kind == "tensor" else 2
    return at


def _own_reader(column: Column, at: int) -> Callable[[int, Sequence[Part]], Values]:
    if column.kind == "tensor":
        item = math.prod(column.shape)

        def read_tensor(size: int, parts: Sequence[Part]) -> Values:
            flat = _numbers(parts[at], column.dtype)
            return [_nested(flat[k * item : (k + 1) * item], column.shape) for k in range(size)]

        return read_tensor

    def read_varying(size: int, parts: Sequence[Part]) -> Values:
        ends = parts[at].cast("I")
        data = parts[at + 1]
        return [_read_piece(column, data[ends[k] : ends[k + 1]]) for k in range(size)]

    return read_varying


def _read_piece(column: Column, piece: memoryview) -> Any:
    match column.kind:
        case "text":
            return str(piece, "utf-8")
        case "ragged":
            if not piece:
                return None
            shape, data = msgspec.msgpack.decode(piece, type=tuple[list[int], bytes])
            return _nested(_numbers(data, column.dtype), shape)
        case "image":
            return bytes(piece)
        case _ if column.dtype == "text":
            return msgspec.msgpack.decode(piece) if piece else None
        case _:
            return _numbers(piece, column.dtype)


_CODES: dict[str, Any] = {
    "float64": "d", "f8": "d", "float32": "f", "f4": "f", "int64": "q", "i8": "q", "int32": "i", "i4": "i", "int16": "h",
    "int8": "b", "uint8": "B", "uint16": "H", "uint32": "I", "uint64": "Q", "bool": "?", "u1": "?", "float16": "e",
}  # fmt: skip


def _numbers(data: Part | bytes, dtype: str) -> list[Any]:
    return list(memoryview(data).cast("B").cast(_CODES[dtype]))


def _nested(flat: list[Any], shape: Sequence[int]) -> Any:
    """Row-major values as nested lists."""
    if len(shape) <= 1:
        return flat
    step = len(flat) // shape[0] if shape[0] else 0
    return [_nested(flat[k * step : (k + 1) * step], shape[1:]) for k in range(shape[0])]


def _rows(name: str, fields: Sequence[Field], columns: Iterator[str], names: dict[str, Any]) -> str:
    """The expression for rows that msgspec encodes: one Struct type per contract, nested ones within."""
    place = f"row{len(names)}"
    members = [(f"f{k}", Any, msgspec.field(name=field.wire)) for k, field in enumerate(fields)]
    names[place] = msgspec.defstruct(name, members, gc=False)
    values = [
        _rows(field.name, field.fields, columns, names) if field.kind == "object" else next(columns) for field in fields
    ]
    return f"map({place}, {', '.join(values)})"

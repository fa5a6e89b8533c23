"""The replica's end of the wire: parts of a frame as ``Rows`` without copying, and ``Rows`` as parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tenfold.layout import BLOCKS, Column, Layout
from tenfold.rows import NO_BITS, Rows
from tenfold.server.frames import Buffer, offsets

Array = NDArray[Any]

_DTYPES = {block: np.dtype(f"<{block}") for block in BLOCKS}


def read_rows(layout: Layout, size: int, parts: Sequence[Buffer]) -> Rows:
    """The batch that ``Joiner.join`` or ``write_rows`` packed; blocks are read-only views of the frame."""
    following = iter(parts)
    blocks = {}
    for block in layout.blocks:
        blocks[block] = np.frombuffer(next(following), _DTYPES[block]).reshape(size, layout.widths[block])
    bits = NO_BITS
    if layout.optional:
        packed = np.frombuffer(next(following), dtype=np.uint8).reshape(size, layout.bit_bytes)
        bits = np.unpackbits(packed, axis=1, count=layout.optional, bitorder="little").view(bool)
    own = []
    for column in layout.own:
        if column.kind == "tensor":
            own.append(np.frombuffer(next(following), dtype=column.dtype).reshape(size, *column.shape))
        else:
            ends = np.frombuffer(next(following), dtype="<u4").tolist()
            own.append(_read_varying(column, ends, next(following), bits))
    return Rows(layout, size, blocks, bits, own)


def _read_varying(column: Column, ends: list[int], data: Buffer, bits: Array) -> Array:
    missing = bits[:, column.bit] if column.bit >= 0 else np.zeros(len(ends) - 1, dtype=bool)
    view = memoryview(data)
    values = np.empty(len(ends) - 1, dtype=object)
    for k in range(len(values)):
        if not missing[k]:
            values[k] = _read_one(column, view[ends[k] : ends[k + 1]])
    return values


def _read_one(column: Column, piece: memoryview) -> Any:
    match column.kind:
        case "text":
            return str(piece, "utf-8")
        case "image":
            return bytes(piece)
        case "ragged":
            shape, data = msgspec.msgpack.decode(piece, type=tuple[list[int], bytes])
            return np.frombuffer(data, dtype=column.dtype).reshape(shape)
        case _ if column.dtype == "text":
            return np.array(msgspec.msgpack.decode(piece), dtype=object)
        case _:
            items = np.frombuffer(piece, dtype=f"<{column.dtype}")
            return items.view(bool) if column.dtype == "u1" else items


def write_rows(rows: Rows) -> list[bytes]:
    """The parts of these rows, in the order of their layout."""
    blocks, bits, own = rows.parts()
    layout = rows.layout
    parts = [blocks[block].tobytes() for block in layout.blocks]
    if not own and not layout.optional:
        return parts
    if layout.optional:
        parts.append(np.packbits(bits, axis=1, bitorder="little").tobytes())
    for column, values in zip(layout.own, own, strict=True):
        if column.kind == "tensor":
            parts.append(np.ascontiguousarray(values, dtype=column.dtype).tobytes())
        else:
            pieces = [_write_one(column, value) for value in values]
            parts += [offsets(pieces), b"".join(pieces)]
    return parts


def rows_apart(rows: Rows) -> list[tuple[bytes, ...]]:
    """The parts of each row by itself, as ``validation.packing`` makes them of one that was decoded."""
    blocks, bits, own = rows.parts()
    columns = [_sliced(np.asarray(blocks[block], _DTYPES[block])) for block in rows.layout.blocks]
    if rows.layout.optional:
        columns.append(_sliced(np.packbits(bits, axis=1, bitorder="little")))
    for column, values in zip(rows.layout.own, own, strict=True):
        if column.kind == "tensor":
            columns.append(_sliced(np.asarray(values, dtype=column.dtype)))
        else:
            columns.append([_write_one(column, value) for value in values])
    return list(zip(*columns, strict=True))


def _sliced(block: Array) -> list[bytes]:
    """The bytes of each row of an array."""
    return [row.tobytes() for row in block]


def _write_one(column: Column, value: Any) -> bytes:
    if value is None:
        return b""
    match column.kind:
        case "text":
            return str(value).encode()
        case "image":
            return bytes(value)
        case "ragged":
            array = np.ascontiguousarray(value, dtype=column.dtype)
            return msgspec.msgpack.encode((array.shape, array.tobytes()))
        case _ if column.dtype == "text":
            return msgspec.msgpack.encode([str(item) for item in value])
        case _:
            return np.ascontiguousarray(value, dtype=f"<{column.dtype}").tobytes()

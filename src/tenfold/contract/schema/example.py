"""A row that the contract accepts, made up from the contract alone: for the page, the documentation and the first warm-up."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tenfold.contract.form import Field, Form
from tenfold.contract.leaf import divides, lower_bound, upper_bound
from tenfold.contract.reading import DTYPES, written
from tenfold.contract.schema.specimen import specimen

# Grey squares of 8 x 8 pixels, in each format that has to be at hand without a library for pictures.
PICTURES = {
    "PNG": "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mOsZ4AAJgaKGAAlwQCP3Y1YdgAAAABJRU5ErkJggg==",
    "JPEG": "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8ybqm"
    "x5moq6T/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAIAQEAAD8AP//Z",
    "WEBP": "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoIAAgAB0CWJaQAA3AA5EAA",
    "GIF": "R0lGODdhCAAIAIEAAH9/fwAAAAAAAAAAACwAAAAACAAIAAAIDwABCBxIsKDBgwgTKkwYEAA7",
    "TIFF": "SUkqAAgAAAAJAAABBAABAAAACAAAAAEBBAABAAAACAAAAAIBAwABAAAACAAAAAMBAwABAAAAAQAAAAYBAwABAAAAAQAAABEBBAABAAAAegAAABYB"
    "BAABAAAACAAAABcBBAABAAAAQAAAABwBAwABAAAAAQAAAAAAAAB/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/f39/"
    "f39/f39/",
}
A_DAY = 20_468  # 2026-01-15, in days since 1970
MICROSECONDS = 86_400_000_000


def example(form: Form) -> dict[str, Any]:
    """One row as JSON has it, with every field."""
    return {field.wire: _value(field) for field in form.fields}


def _value(field: Field) -> Any:
    if field.on_missing is not None and field.on_missing.value is not None:
        return field.on_missing.value  # somebody thought about what is typical
    return MAKERS[field.kind](field)


def _list(field: Field) -> list[Any]:
    assert field.item is not None  # the declaration gives every list its items
    most = 2 if field.max_len is None else field.max_len
    return [_value(field.item)] * max(field.min_len or 0, min(2, most))


def _object(field: Field) -> dict[str, Any]:
    return {inner.wire: _value(inner) for inner in field.fields}


def _picture(field: Field) -> str:
    formats = field.image.formats if field.image else ()
    return PICTURES[next((known for known in formats if known in PICTURES), "PNG")]


def _text(field: Field) -> str:
    return specimen(field.pattern, field.min_len or 0, field.max_len)


def _float(field: Field) -> float:
    """The middle of the bounds, as short as it can be written; near the one bound that there is; else 1."""
    low, high = lower_bound(field), upper_bound(field)
    bottom: float = low.limit if low else -math.inf
    top: float = high.limit if high else math.inf
    middle = bottom / 2 + top / 2 if low and high else min(max(1.0, bottom), top)
    if field.multiple_of is not None:
        middle = math.floor(middle / field.multiple_of) * field.multiple_of
        if middle < bottom:
            middle += field.multiple_of
    for digits in range(1, 18):
        short = float(f"{middle:.{digits}g}")
        if bottom <= short <= top and _fits(field, short):
            return short
    return middle


def _fits(field: Field, value: float) -> bool:
    return field.multiple_of is None or divides(field.multiple_of, value)


def _int(field: Field, usual: int) -> int:
    """The usual value if the bounds allow it, else the middle of the bounds or the one that there is."""
    low, high = lower_bound(field), upper_bound(field)
    bottom, top = (math.ceil(low.limit) if low else None), (math.floor(high.limit) if high else None)
    value = usual
    if bottom is not None and top is not None and (field.kind == "int" or not bottom <= usual <= top):
        value = (bottom + top) // 2
    elif bottom is not None:
        value = max(usual, bottom)
    elif top is not None:
        value = min(usual, top)
    if field.multiple_of is not None:
        step = int(field.multiple_of)
        value = value // step * step
        if bottom is not None and value < bottom:
            value += step
    return value


def _tensor(field: Field) -> Any:
    _, least, greatest = DTYPES[field.dtype]
    low, high = lower_bound(field), upper_bound(field)
    element: Any = min(max(0, low.limit if low else least), high.limit if high else greatest)
    if field.dtype == "bool":
        element = False
    elif field.dtype.startswith("float"):
        element = float(element)
    for size in reversed(field.shape):
        element = [element] * (1 if size < 0 else size)
    return element


MAKERS: dict[str, Callable[[Field], Any]] = {
    "float": _float,
    "int": lambda field: _int(field, 1),
    "bool": lambda _: True,
    "text": _text,
    "category": lambda field: field.categories[0],
    "date": lambda field: written(field, _int(field, A_DAY)),
    "datetime": lambda field: written(field, _int(field, A_DAY * MICROSECONDS)),
    "list": _list,
    "object": _object,
    "tensor": _tensor,
    "image": _picture,
}

"""The contract as msgspec types, so that valid rows are decoded and checked in one pass of C.

A type may be stricter than the contract, never laxer: what it refuses takes the second pass, which decides. Only what
msgspec cannot hold (bounds of dates, multiples of floats) is left to ``Leaf.accepts``; ``holds_all`` tells where.
"""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tenfold.contract.form import Field
from tenfold.contract.leaf import Group, Leaf
from tenfold.contract.reading import DTYPES, INT64


def struct_of(group: Group) -> type[msgspec.Struct]:
    """A Struct with the group's members as f0, f1, …, renamed to their names on the wire."""
    fields: list[Any] = []
    for k, member in enumerate(group.members):
        kind = struct_of(member) if isinstance(member, Group) else type_of(member)
        if absent_is_fine(member.field):
            fields.append((f"f{k}", kind | None | UnsetType, UNSET))
        else:
            fields.append((f"f{k}", kind))
    wires = {f"f{k}": member.field.wire for k, member in enumerate(group.members)}
    return msgspec.defstruct(
        "Row", fields, rename=wires, forbid_unknown_fields=True, kw_only=True, gc=not _is_flat(group)
    )


def absent_is_fine(field: Field) -> bool:
    """True where an absent value needs no action and no mention."""
    return field.nullable and field.on_missing is None


def type_of(leaf: Leaf) -> Any:
    """The msgspec type of a leaf that is present."""
    field = leaf.field
    low = leaf.low.limit if leaf.low else None
    high = leaf.high.limit if leaf.high else None
    match field.kind:
        case "float":
            return Annotated[float, Meta(ge=low, le=high)]
        case "int":
            return _int(field, low, high)
        case "bool":
            return bool
        case "text":
            pattern = rf"\A(?:{field.pattern})\Z" if field.pattern else None
            return Annotated[str, Meta(min_length=field.min_len, max_length=field.max_len, pattern=pattern)]
        case "category":
            return Literal[field.categories]
        case "datetime":
            return Annotated[datetime, Meta(tz={"aware": True, "naive": False}.get(field.timezone))]
        case "date":
            return date
        case "image":
            return Annotated[bytes, Meta(max_length=field.image.max_bytes if field.image else None)]
        case "list":
            assert leaf.item is not None  # the declaration gives every list its items
            return Annotated[list[type_of(leaf.item)], Meta(min_length=field.min_len, max_length=field.max_len)]  # type: ignore[misc]
        case "tensor":
            return _tensor(field, low, high)
        case "object":
            raise AssertionError("a group is not a leaf")


def holds_all(leaf: Leaf) -> bool:
    """True if the type of the leaf holds every check, so that ``Leaf.accepts`` need not be asked."""
    field = leaf.field
    if field.kind in ("date", "datetime"):
        return not leaf.checks
    if field.multiple_of is not None and field.kind != "int":
        return False
    return leaf.item is None or holds_all(leaf.item)


def _tensor(field: Field, low: float | None, high: float | None) -> Any:
    """Nested lists of exactly the declared lengths."""
    _, least, greatest = DTYPES[field.dtype]
    least, greatest = (least if low is None else max(least, low)), (greatest if high is None else min(greatest, high))
    result: Any
    if field.dtype == "bool":
        result = bool
    elif field.dtype.startswith("float"):
        result = Annotated[float, Meta(ge=least, le=greatest)]
    else:
        result = Annotated[int, Meta(ge=max(int(least), INT64[0]), le=min(int(greatest), INT64[1]))]
    for size in reversed(field.shape):
        exactly = size if size >= 0 else None
        result = Annotated[list[result], Meta(min_length=exactly, max_length=exactly)]
    return result


def _int(field: Field, low: float | None, high: float | None) -> Any:
    least = INT64[0] if low is None else max(INT64[0], math.ceil(low))
    greatest = INT64[1] if high is None else min(INT64[1], math.floor(high))
    step = field.multiple_of
    return Annotated[int, Meta(ge=least, le=greatest, multiple_of=None if step is None else int(step))]


def _is_flat(group: Group) -> bool:
    """True if no value in a row can refer to another, so that the garbage collector need not look at rows."""
    return all(isinstance(member, Leaf) and member.field.kind not in ("list", "tensor") for member in group.members)

"""The contract as msgspec types, so that valid rows are decoded and checked in one pass of C.

A type may be stricter than the contract, never laxer: what it refuses takes the second pass, which decides. Only what
msgspec cannot hold (bounds of dates, multiples of floats) is left to ``Leaf.accepts``; ``holds_all`` tells where.
"""

from __future__ import annotations

from collections.abc import Callable
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
    return MAKERS[leaf.field.kind](leaf)


def holds_all(leaf: Leaf) -> bool:
    """True if the type of the leaf holds every check, so that ``Leaf.accepts`` need not be asked."""
    field = leaf.field
    if field.kind in ("date", "datetime"):
        return not leaf.checks
    if field.multiple_of is not None and field.kind != "int":
        return False
    return leaf.item is None or holds_all(leaf.item)


def _limits(leaf: Leaf, least: float, greatest: float) -> tuple[float, float]:
    """The bounds of a leaf within the limits of what stores it."""
    low = least if leaf.low is None else max(least, leaf.low.limit)
    high = greatest if leaf.high is None else min(greatest, leaf.high.limit)
    return low, high


def _float(leaf: Leaf) -> Any:
    low = leaf.low.limit if leaf.low else None
    high = leaf.high.limit if leaf.high else None
    return Annotated[float, Meta(ge=low, le=high)]


def _int(leaf: Leaf) -> Any:
    low, high = _limits(leaf, *INT64)
    step = leaf.field.multiple_of
    return Annotated[int, Meta(ge=int(low), le=int(high), multiple_of=None if step is None else int(step))]


def _text(leaf: Leaf) -> Any:
    field = leaf.field
    pattern = rf"\A(?:{field.pattern})\Z" if field.pattern else None
    return Annotated[str, Meta(min_length=field.min_len, max_length=field.max_len, pattern=pattern)]


def _datetime(leaf: Leaf) -> Any:
    return Annotated[datetime, Meta(tz={"aware": True, "naive": False}.get(leaf.field.timezone))]


def _image(leaf: Leaf) -> Any:
    assert leaf.field.image is not None  # the declaration gives every picture its choices
    return Annotated[bytes, Meta(max_length=leaf.field.image.max_bytes)]


def _list(leaf: Leaf) -> Any:
    assert leaf.item is not None  # the declaration gives every list its items
    items: Any = list[type_of(leaf.item)]  # type: ignore[misc]
    return Annotated[items, Meta(min_length=leaf.field.min_len, max_length=leaf.field.max_len)]


def _tensor(leaf: Leaf) -> Any:
    """Nested lists of exactly the declared lengths."""
    field = leaf.field
    _, *range_of_dtype = DTYPES[field.dtype]
    low, high = _limits(leaf, *range_of_dtype)
    result: Any
    if field.dtype == "bool":
        result = bool
    elif field.dtype.startswith("float"):
        result = Annotated[float, Meta(ge=low, le=high)]
    else:
        result = Annotated[int, Meta(ge=int(low), le=min(int(high), INT64[1]))]
    for size in reversed(field.shape):
        exactly = size if size >= 0 else None
        result = Annotated[list[result], Meta(min_length=exactly, max_length=exactly)]
    return result


MAKERS: dict[str, Callable[[Leaf], Any]] = {
    "float": _float,
    "int": _int,
    "bool": lambda _: bool,
    "text": _text,
    "category": lambda leaf: Literal[leaf.field.categories],
    "datetime": _datetime,
    "date": lambda _: date,
    "image": _image,
    "list": _list,
    "tensor": _tensor,
}


def _is_flat(group: Group) -> bool:
    """True if no value in a row can refer to another, so that the garbage collector need not look at rows."""
    return all(isinstance(member, Leaf) and member.field.kind not in ("list", "tensor") for member in group.members)

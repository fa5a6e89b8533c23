"""Generated functions that turn a decoded row into the parts of its batch, in the order of ``tenfold.layout``.

The source is generated because one call of ``struct`` with thirty attribute accesses written out takes a third of the time of
any loop over the fields, and this runs once for every row that the service answers. All names in the source are ours (``f0``,
``c0``): nothing of a contract is ever pasted into it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from tenfold.contract.leaf import Group, Leaf
from tenfold.contract.reading import BLANKS, DTYPES, Elements, days, elements, microseconds
from tenfold.layout import BLOCKS, Column, Layout
from tenfold.validation.typed import absent_is_fine, holds_all

Parts = tuple[bytes, ...]
Function = Callable[[Any], Any]
FORMATS = {"f8": "d", "i8": "q", "i4": "i", "u1": "B"}
TEXTUAL = ("text", "datetime", "date", "image")


def packer(root: Group, layout: Layout) -> Callable[..., Parts]:
    """A function of the stored values of all leaves (None where missing) that returns the parts of their row."""
    source = _Source(layout)
    parameters = [f"v{k}" for k in range(len(root.leaves))]
    for leaf, name in zip(root.leaves, parameters, strict=True):
        source.add(leaf, name, _packing(leaf))
    return source.function(", ".join(parameters))


def row_packer(root: Group, layout: Layout) -> Callable[[Any], Parts]:
    """A function of a decoded row (of ``typed.struct_of(root)``) that returns its parts."""
    source = _Source(layout)
    for leaf, access in _accesses(root, "row"):
        source.add(leaf, access, [*_storing(leaf), *_packing(leaf)])
    return source.function("row")


class Place(NamedTuple):
    """Where a value of a decoded row goes: the attribute that holds it, and the block and the byte that it begins at there.
    ``code`` is that of ``struct``; of a value that has ``labels``, its code among them is what is stored."""

    code: str
    name: str
    block: int
    at: int
    labels: dict[Any, int] | None


def places(root: Group, layout: Layout) -> list[Place] | None:
    """What ``row_packer`` does, as data: for flat rows of numbers, booleans and labels; None for any other."""
    found = []
    for name, leaf in ((f"f{k}", member) for k, member in enumerate(root.members)):
        column = leaf.column if isinstance(leaf, Leaf) else None
        if column is None or column.kind not in ("float", "int", "bool", "category"):
            return None
        labels = {label: code for code, label in enumerate(column.categories)} if column.kind == "category" else None
        at = column.index * struct.calcsize(FORMATS[column.block])
        found.append(Place(FORMATS[column.block], name, layout.blocks.index(column.block), at, labels))
    return found


def row_checker(root: Group) -> Function | None:
    """A function of a decoded row that tells whether it holds what its type could not hold; None if that is nothing."""
    names: dict[str, Any] = {"UNSET": UNSET}
    tests = []
    for k, (leaf, access) in enumerate(_accesses(root, "row")):
        if not holds_all(leaf):
            names[f"c{k}"] = partial(_accepts, leaf, _storing(leaf))
            tests.append(f"c{k}({access})")
    return _lambda(" and ".join(tests), names) if tests else None


def quote_counter(root: Group) -> Function:
    """A function of a decoded row that tells how many quotation marks a body without escapes needs for it.

    A body with more of them has escaped ones, or a key twice, which the decoder does not notice.
    """
    return _lambda(_quotes(root, "row"), {"UNSET": UNSET})


def fixed_sign(root: Group) -> tuple[bytes, int]:
    """A character that is quickly counted, and how often every row needs it, as ``quote_counter`` tells of quotation marks;
    0 where that depends on the row. Where no value is a text there is one colon for each key."""
    count = _quotes(root, "row")
    if not count.isdigit():
        return b'"', 0
    if any(_quotes_of_value(leaf, "") != "0" or ":" in leaf.pointer for leaf in root.leaves):
        return b'"', int(count)
    return b":", int(count) // 2


def _lambda(expression: str, names: dict[str, Any]) -> Function:
    function: Function = eval(f"lambda row: {expression}", names)
    return function


class _Source:
    """The source of one packing function, column by column."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lines: list[str] = []
        self._blocks: dict[str, list[str]] = {block: [] for block in BLOCKS}
        self._own: list[str] = []
        self._names: dict[str, Any] = {"UNSET": UNSET}

    def add(self, leaf: Leaf, value: str, functions: list[Function]) -> None:
        """Pack the value of an expression by applying functions, one after the other."""
        column = leaf.column
        assert column is not None  # only the items of a list have no column
        if column.bit < 0 and column.kind != "category":
            packed = self._applied(value, functions)
        else:
            packed = f"x{len(self._lines)}"
            missing = f"; bits |= {1 << column.bit}" if column.bit >= 0 else ""
            self._lines += [
                f"{packed} = {value}",
                f"if {packed} is None or {packed} is UNSET: {packed} = {self._constant(_blank(column))}{missing}",
                f"else: {packed} = {self._applied(packed, functions)}",
            ]
        (self._blocks[column.block] if column.block else self._own).append(packed)

    def function(self, parameters: str) -> Callable[..., Parts]:
        """Compile what was added."""
        parts = []
        for block in self._layout.blocks:
            row = struct.Struct(f"<{self._layout.widths[block]}{FORMATS[block]}")
            parts.append(f"{self._constant(row.pack)}({', '.join(self._blocks[block])})")
        if self._layout.optional:
            self._lines.insert(0, "bits = 0")
            parts.append(f"bits.to_bytes({self._layout.bit_bytes}, 'little')")
        lines = [*self._lines, f"return ({', '.join([*parts, *self._own])},)"]
        source = "\n ".join([f"def pack({parameters}):", *lines])
        exec(source, self._names)
        pack: Callable[..., Parts] = self._names["pack"]
        return pack

    def _constant(self, value: Any) -> str:
        name = f"c{len(self._names)}"
        self._names[name] = value
        return name

    def _applied(self, value: str, functions: list[Function]) -> str:
        for function in functions:
            value = f"{self._constant(function)}({value})"
        return value


def _accesses(group: Group, owner: str) -> Iterator[tuple[Leaf, str]]:
    """Each leaf and the expression of its decoded value, in the order of the columns."""
    for k, member in enumerate(group.members):
        access = f"{owner}.f{k}"
        if isinstance(member, Leaf):
            yield member, access
            continue
        absent = f"None if {access} is None or {access} is UNSET else " if absent_is_fine(member.field) else ""
        for leaf, inner in _accesses(member, access):
            yield leaf, f"({absent}{inner})" if absent else inner


def _storing(leaf: Leaf) -> list[Function]:
    """What turns a decoded value into a stored one."""
    field = leaf.field
    if leaf.item is not None:
        steps = _storing(leaf.item)
        return [partial(_each, steps[0])] if steps else []
    match field.kind:
        case "datetime":
            return [microseconds]
        case "date":
            return [days]
        case "tensor":
            return [partial(elements, field=field, name=leaf.name)]
        case _:
            return []


def _packing(leaf: Leaf) -> list[Function]:
    """What turns a stored value into what its block or its part holds."""
    column = leaf.column
    assert column is not None  # only the items of a list have no column
    match column.kind:
        case "category":
            return [{label: code for code, label in enumerate(column.categories)}.__getitem__]
        case "text":
            return [str.encode]
        case "list" if column.dtype == "text":
            return [msgspec.msgpack.encode]
        case "list":
            return [partial(_pack_items, FORMATS[column.dtype])]
        case "tensor":
            return [partial(_pack_elements, DTYPES[column.dtype][0])]
        case "ragged":
            return [partial(_pack_ragged, DTYPES[column.dtype][0])]
        case _:
            return []


def _each(function: Function, values: list[Any]) -> list[Any]:
    return [function(value) for value in values]


def _pack_items(code: str, items: list[Any]) -> bytes:
    return struct.pack(f"<{len(items)}{code}", *items)


def _pack_elements(code: str, tensor: Elements) -> bytes:
    return struct.pack(f"<{len(tensor.flat)}{code}", *tensor.flat)


def _pack_ragged(code: str, tensor: Elements) -> bytes:
    return msgspec.msgpack.encode((tensor.shape, _pack_elements(code, tensor)))


def _blank(column: Column) -> Any:
    """What stands where a value is missing."""
    if column.kind == "tensor":
        return bytes(struct.calcsize(DTYPES[column.dtype][0]) * math.prod(column.shape))
    return BLANKS[column.kind] if column.block else b""


def _accepts(leaf: Leaf, storing: list[Function], value: Any) -> bool:
    if value is None or value is UNSET:
        return True
    for function in storing:
        value = function(value)
    return leaf.accepts(value)


def _quotes(group: Group, owner: str) -> str:
    """The expression that counts the quotation marks of a group's keys and texts."""
    always, sometimes = 0, []
    for k, member in enumerate(group.members):
        access = f"{owner}.f{k}"
        value = _quotes(member, access) if isinstance(member, Group) else _quotes_of_value(member, access)
        if absent_is_fine(member.field):
            sometimes.append(f"(0 if {access} is UNSET else 2 if {access} is None else 2 + {value})")
        elif value.isdigit():
            always += 2 + int(value)
        else:
            always += 2
            sometimes.append(value)
    return " + ".join([str(always), *sometimes])


def _quotes_of_value(leaf: Leaf, access: str) -> str:
    if leaf.item is not None:
        each = _quotes_of_value(leaf.item, "")
        return f"{each} * len({access})" if each != "0" else "0"
    is_text = leaf.field.kind in TEXTUAL or isinstance(next(iter(leaf.field.categories), None), str)
    return "2" if is_text else "0"

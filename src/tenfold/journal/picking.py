"""Which columns the journal keeps, and how they are taken out of the parts of a batch, without NumPy.

What is Private is not blanked but left out: neither the values nor the names of such fields are in a segment.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from msgspec.structs import replace

from tenfold.contract.form import Field, Form
from tenfold.layout import Layout

Buffer = bytes | memoryview
Pick = Callable[[Buffer], Buffer]

_CODES = {"f8": "q", "i8": "q", "i4": "i", "u1": "B"}  # by size: columns are moved, never read


def public(form: Form) -> Form:
    """The contract without its Private fields, and without rules, which may speak of them."""
    return replace(form, fields=_public(form.fields), rules=())


def _public(fields: Iterable[Field]) -> tuple[Field, ...]:
    inner = (replace(field, fields=_public(field.fields)) for field in fields if not field.private)
    return tuple(field for field in inner if field.fields or field.kind != "object")


def key_alone(form: Form) -> Form | None:
    """The contract's key and nothing else; None where it has none, or one that is Private."""
    key = form.key
    return None if key is None or key.private else replace(form, fields=(key,), rules=())


def part_count(layout: Layout) -> int:
    """How many parts a batch of this layout has."""
    varying = sum(column.kind != "tensor" for column in layout.own)
    return len(layout.blocks) + bool(layout.optional) + len(layout.own) + varying


class Step(NamedTuple):
    """How one column or block is taken: where it stands among the parts of a batch and among those of a single row (where
    each column has one part), whether offsets come before it, and how what is chosen is picked out
    of it, where it is not chosen as a whole."""

    part: int
    cell: int
    varying: bool
    pick: Pick | None


class Picker:
    """Takes the columns of ``chosen``, by name, out of a batch of ``layout``. ``whole`` is whether that is all of them."""

    def __init__(self, layout: Layout, chosen: Layout) -> None:
        self.whole = chosen.columns == layout.columns
        self._steps = list(_steps(layout, chosen))
        self.cells = [step.cell for step in self._steps]

    def of_parts(self, parts: Sequence[Buffer]) -> list[Buffer]:
        """The chosen parts of a batch."""
        taken: list[Buffer] = []
        for part, _, varying, pick in self._steps:
            taken.append(parts[part] if pick is None else pick(parts[part]))
            if varying:
                taken.append(parts[part + 1])
        return taken

    def of_rows(self, cells: Sequence[Sequence[bytes]]) -> list[Buffer]:
        """The chosen parts of rows that were packed one by one; ``cells`` are those that ``self.cells`` names."""
        taken: list[Buffer] = []
        for (_, _, varying, pick), pieces in zip(self._steps, cells, strict=True):
            joined = b"".join(pieces)
            if varying:
                taken.append(_offsets(pieces))
            taken.append(joined if pick is None else pick(joined))
        return taken


def _steps(layout: Layout, chosen: Layout) -> Iterator[Step]:
    for at, block in enumerate(layout.blocks):
        places = [layout.by_name[column.name].index for column in chosen.columns if column.block == block]
        if places:
            width = layout.widths[block]
            whole = places == list(range(width))
            yield Step(at, at, False, None if whole else partial(_pick_columns, _CODES[block], width, places))
    part = cell = len(layout.blocks)
    if chosen.optional:
        places = [layout.by_name[column.name].bit for column in chosen.columns if column.bit >= 0]
        whole = places == list(range(layout.optional))
        yield Step(part, cell, False, None if whole else partial(_pick_bits, layout.bit_bytes, places))
    part = cell = part + bool(layout.optional)
    for column in layout.own:
        varying = column.kind != "tensor"
        if column.name in chosen.by_name:
            yield Step(part, cell, varying, None)
        cell, part = cell + 1, part + 1 + varying


def _pick_columns(code: str, width: int, places: Sequence[int], part: Buffer) -> Buffer:
    """Some columns of a row-major block of ``width`` columns."""
    source = memoryview(part).cast("B").cast(code)  # type: ignore[call-overload]
    taken = bytearray(len(part) // width * len(places))
    target = memoryview(taken).cast(code)  # type: ignore[call-overload]
    for k, place in enumerate(places):
        target[k :: len(places)] = source[place::width]
    return bytes(taken)


def _pick_bits(stride: int, places: Sequence[int], part: Buffer) -> Buffer:
    """Some of the missing-value bits of rows that have ``stride`` bytes of them, packed anew."""
    bits, size = bytes(part), len(part) // stride
    taken = bytearray(size * ((len(places) + 7) // 8))
    for byte in range((len(places) + 7) // 8):
        merged = 0
        for k, place in enumerate(places[8 * byte : 8 * byte + 8]):
            merged |= int.from_bytes(bits[place // 8 :: stride].translate(_move(place % 8, k)), "little")
        taken[byte :: (len(places) + 7) // 8] = merged.to_bytes(size, "little")
    return bytes(taken)


def _move(source: int, target: int) -> bytes:
    """A table that maps each byte to its bit ``source``, put at ``target``."""
    return bytes((byte >> source & 1) << target for byte in range(256))


def _offsets(pieces: Sequence[bytes]) -> bytes:
    """Where each piece begins, and where the last one ends, as u32."""
    return struct.pack(f"<{len(pieces) + 1}I", *accumulate(map(len, pieces), initial=0))

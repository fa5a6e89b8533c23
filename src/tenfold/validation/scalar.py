"""From the bytes of a JSON body to packed rows, without NumPy: what the front does with a request.

A valid row is decoded and checked in one pass of C and packed by one generated function. A row that this refuses, for
whatever reason, takes the second pass, which finds every violation and applies the actions. Whatever the first pass lets
through, the second would let through unchanged.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from tenfold.contract import words
from tenfold.contract.form import Form, escape, layout_of
from tenfold.contract.leaf import Group, Leaf, compile_form
from tenfold.contract.reading import Unfit
from tenfold.errors import Change, Flag, Violation
from tenfold.validation.actions import Ledger, require_usable
from tenfold.validation.packing import (
    FORMATS,
    Parts,
    Place,
    fixed_sign,
    packer,
    places,
    quote_counter,
    row_checker,
    row_packer,
)
from tenfold.validation.parsing import DEEP, Malformed, Repeated, has_repeated_key, parse
from tenfold.validation.typed import struct_of

STEP_ROWS = 64
MAX_NAMED = 16  # unknown or repeated keys that are named in one object: a body can hold any number of them


@dataclass(slots=True)
class Outcomes:
    """What validation made of ``total`` rows: the parts of those it accepts, and every reason for those it doesn't.

    ``parts[k]`` is row ``index[k]`` of the request. ``malformed`` holds the one reason why nothing could be read at all, in
    which case ``total`` is 0 for many rows. ``key`` is that of the first row, where the contract has a Key.
    """

    parts: Sequence[Parts]
    index: Sequence[int]
    total: int
    violations: Sequence[Violation] = ()
    changes: Sequence[Change] = ()
    flags: Sequence[Flag] = ()
    put_aside: dict[int, list[Violation]] = field(default_factory=dict)
    fallbacks: dict[int, str] = field(default_factory=dict)
    key: Any = None
    malformed: Sequence[Violation] = ()


class Plain(NamedTuple):
    """How a row of numbers, booleans and labels is read: decoded to a ``row``, whose values go to their ``places`` in blocks
    of so many bytes, if ``sign`` stands in its text so many ``times``. Bits of what is missing are all 0."""

    decode: Callable[[bytes], Any]
    row: type[msgspec.Struct]
    places: list[Place]
    sizes: list[int]
    bit_bytes: int
    sign: bytes
    times: int


class Slow(Exception):
    """A row that only the second pass can judge."""


class Decoder:
    """A contract, compiled for JSON."""

    def __init__(self, form: Form) -> None:
        """Raises ContractError where an action cannot be carried out, as an ``impute("median")`` of nothing."""
        self._root = root = compile_form(form)
        for leaf in root.leaves:
            require_usable(leaf, form.name)
        self._layout = layout_of(form)
        self._row = row = struct_of(root)
        self._decode = msgspec.json.Decoder(row).decode
        self._decode_many = msgspec.json.Decoder(list[row]).decode  # type: ignore[valid-type]
        self._pack_row = row_packer(root, self._layout)
        self._pack = packer(root, self._layout)
        self._quotes = quote_counter(root)
        self._holds = row_checker(root)
        self.one = self._made_one()
        self._key = next((k for k, leaf in enumerate(root.leaves) if leaf.field.key), None)

    def _made_one(self) -> Callable[[bytes], Parts]:
        decode, pack, holds, quotes = self._decode, self._pack_row, self._holds, self._quotes
        sign, times = fixed_sign(self._root)

        def one(body: bytes) -> Parts:
            """The parts of one row; raises msgspec.MsgspecError or Slow where the second pass has to judge."""
            try:
                row = decode(body)
                parts = pack(row)
            except (UnicodeDecodeError, Unfit):
                raise Slow from None
            if holds is not None and not holds(row):
                raise Slow
            if body.count(sign) != (times or quotes(row)) and has_repeated_key(body):
                raise Slow
            return parts

        return one

    @property
    def plain(self) -> Plain | None:
        """How ``one`` reads a row, for somebody who does it faster; None where there is more to a row than can be told."""
        found, (sign, times) = places(self._root, self._layout), fixed_sign(self._root)
        if found is None or self._holds is not None or not times:
            return None
        layout = self._layout
        sizes = [layout.widths[block] * struct.calcsize(FORMATS[block]) for block in layout.blocks]
        return Plain(self._decode, self._row, found, sizes, layout.bit_bytes, sign, times)

    def one_slow(self, body: bytes) -> Outcomes:
        """One row that ``one`` refused, judged by the second pass."""
        try:
            return self._judge(parse(body))
        except Malformed as malformed:
            return _malformed(malformed, 1)

    def picture(self, body: bytes) -> Outcomes:
        """A row that consists of one picture, given as its encoded bytes."""
        picture = next(leaf for leaf in self._root.leaves if leaf.field.kind == "image")
        return self._judge({picture.field.wire: body})

    def many(self, body: bytes, max_rows: int | None = None) -> Outcomes:
        """The rows of a JSON array. Where there are more than ``max_rows``, ``total`` says so and none is read."""
        steps = self.many_in_steps(body, max_rows)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                outcomes: Outcomes = end.value
                return outcomes

    def many_in_steps(self, body: bytes, max_rows: int | None = None) -> Generator[None, None, Outcomes]:
        """``many`` for somebody who has other things to do: yields after every few rows of the second pass, which costs
        some 50 µs for a row that is refused."""
        try:
            rows = self._decode_many(body)
            if max_rows is not None and len(rows) > max_rows:
                return Outcomes((), (), len(rows))
            parts = self._packed(rows, body)
        except (msgspec.MsgspecError, UnicodeDecodeError, Unfit):
            parts = None
        if parts is None:
            return (yield from self._many_slow(body, max_rows))
        return Outcomes(parts, range(len(parts)), len(parts))

    def lines_in_steps(self, body: bytes, max_rows: int | None = None) -> Generator[None, None, Outcomes]:
        """``many_in_steps`` for NDJSON: each line that is not blank is a row, and one that is no JSON a bad row."""
        lines = [line for line in body.split(b"\n") if line and not line.isspace()]
        if max_rows is not None and len(lines) > max_rows:
            return Outcomes((), (), len(lines))
        try:
            parts = self._packed([self._decode(line) for line in lines], b"[%b]" % b",".join(lines))
        except (msgspec.MsgspecError, UnicodeDecodeError, Unfit):
            parts = None
        if parts is None:
            return (yield from self._each(lines))
        return Outcomes(parts, range(len(parts)), len(parts))

    def records_in_steps(
        self, records: Iterable[tuple[Any, bytes, bool]], max_rows: int | None = None
    ) -> Generator[None, None, Outcomes]:
        """``many_in_steps`` for rows that were read from another text than JSON: each is its value, or ``Malformed`` where it
        is none; and the JSON text of it, where that is said to be the very same."""
        ledger = Ledger()
        accepted: dict[int, Parts] = {}
        number = -1
        for number, (value, line, is_exact) in enumerate(records):
            if number == max_rows:
                return Outcomes((), (), number + 1)
            if number % STEP_ROWS == STEP_ROWS - 1:
                yield
            if isinstance(value, Malformed):
                ledger.refuse(number, "", "malformed", str(value))
                continue
            try:
                if not is_exact:
                    raise Slow
                accepted[number] = self.one(line)
            except (msgspec.MsgspecError, Slow):
                stored = self._read(value, number, ledger)
                if not ledger.refuses(number):
                    accepted[number] = self._pack(*stored)
        return _outcomes(accepted, number + 1, ledger)

    def _packed(self, rows: Sequence[Any], array: bytes) -> list[Parts] | None:
        """The parts of the rows of a JSON array; None where the second pass has to judge them."""
        parts = [self._pack_row(row) for row in rows]
        if self._holds is not None and not all(map(self._holds, rows)):
            return None
        is_suspect = array.count(b'"') != sum(map(self._quotes, rows))
        return None if is_suspect and has_repeated_key(array) else parts

    def key_of(self, parts: Parts) -> Any:
        """The key of a packed row: text or an integer; None where the contract has no Key."""
        if self._key is None:
            return None
        column = self._layout.columns[self._key]
        if column.block:
            part = parts[self._layout.blocks.index(column.block)]
            return int.from_bytes(part[8 * column.index : 8 * column.index + 8], "little", signed=True)
        return parts[len(self._layout.blocks) + bool(self._layout.optional) + column.index].decode()

    def _many_slow(self, body: bytes, max_rows: int | None) -> Generator[None, None, Outcomes]:
        """Row by row, so that the good ones are answered beside the bad."""
        try:
            pieces = msgspec.json.decode(body, type=list[msgspec.Raw])
        except msgspec.ValidationError:
            return self.one_slow(body)
        except msgspec.DecodeError as error:
            return _malformed(error, 0)
        except RecursionError:
            return _malformed(Malformed(DEEP), 0)
        if max_rows is not None and len(pieces) > max_rows:
            return Outcomes((), (), len(pieces))
        try:
            return (yield from self._each([bytes(piece) for piece in pieces], alone=False))
        except Malformed as malformed:
            return _malformed(malformed, 0)

    def _each(self, pieces: Sequence[bytes], *, alone: bool = True) -> Generator[None, None, Outcomes]:
        """Texts of rows, judged one by one. One that is no JSON is a bad row where texts stand ``alone``; as a part of a
        larger one it makes all of that malformed, which is raised."""
        ledger = Ledger()
        accepted: dict[int, Parts] = {}
        for number, piece in enumerate(pieces):
            if number % STEP_ROWS == STEP_ROWS - 1:
                yield
            try:
                accepted[number] = self.one(piece)
            except (msgspec.MsgspecError, Slow):
                try:
                    stored = self._read(parse(piece), number, ledger)
                except Malformed as malformed:
                    if not alone:
                        raise
                    ledger.refuse(number, "", "malformed", str(malformed))
                if not ledger.refuses(number):
                    accepted[number] = self._pack(*stored)
        return _outcomes(accepted, len(pieces), ledger)

    def _judge(self, value: Any) -> Outcomes:
        """The second pass over one row."""
        ledger = Ledger()
        stored = self._read(value, 0, ledger)
        accepted = {} if ledger.refuses(0) else {0: self._pack(*stored)}
        outcomes = _outcomes(accepted, 1, ledger)
        outcomes.key = stored[self._key] if self._key is not None else None
        return outcomes

    def _read(self, value: Any, row: int, ledger: Ledger) -> list[Any]:
        """The stored values of all leaves, None where there is none, with everything noted in the ledger."""
        stored: list[Any] = []
        _read_group(self._root, value, row, ledger, stored)
        return stored


def _read_group(group: Group, value: Any, row: int, ledger: Ledger, stored: list[Any]) -> None:
    if not isinstance(value, dict):
        name = group.name or "a row"
        ledger.refuse(row, group.pointer, "wrong_type", f"{name} must be an object, found {words.found(value)}")
        stored.extend([None] * len(group.leaves))
        return
    for member in group.members:
        inner = value.get(member.field.wire)
        if isinstance(member, Leaf):
            stored.append(_read_leaf(member, inner, row, ledger))
        elif inner is None:
            if not member.field.nullable:
                ledger.refuse(row, member.pointer, "missing", f"{member.name} is missing")
            stored.extend([None] * len(member.leaves))
        else:
            _read_group(member, inner, row, ledger, stored)
    if isinstance(value, Repeated):
        for name in value.names[:MAX_NAMED]:
            ledger.refuse(
                row, f"{group.pointer}/{escape(name)}", "duplicate_key", "this key stands twice in its object"
            )
    known = {member.field.wire for member in group.members}
    for name in islice((name for name in value if name not in known), MAX_NAMED):
        ledger.refuse(row, f"{group.pointer}/{escape(name)}", "unknown_field", "the contract has no field of this name")


def _read_leaf(leaf: Leaf, value: Any, row: int, ledger: Ledger) -> Any:
    if value is None:
        return ledger.missing(leaf, row)
    try:
        return leaf.read(value)
    except Unfit as unfit:
        return ledger.unfit(leaf, row, unfit)


def _outcomes(accepted: dict[int, Parts], total: int, ledger: Ledger) -> Outcomes:
    ledger.close()
    return Outcomes(
        list(accepted.values()),
        list(accepted),
        total,
        ledger.violations,
        ledger.changes,
        ledger.flags,
        ledger.put_aside,
        ledger.fallbacks,
    )


def _malformed(error: Exception, total: int) -> Outcomes:
    """Nothing could be read: the whole body is refused."""
    reasons = [Violation(0, "", "malformed", str(error))]
    return Outcomes((), (), total, reasons, malformed=reasons)

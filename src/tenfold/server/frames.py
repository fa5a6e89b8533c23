"""The wire between front and replica: versioned frames of blocks, never pickle.

Every frame is ``length u32 | kind u8 | pad u8 | parts u16 | number u32 | rows u32 | due i64`` (little-endian; ``length``
counts what follows it), the length of each part as u32, and the parts, each padded to 8 bytes. ``number`` pairs an answer
with its batch; ``due`` is when the last of its requests has to be answered, in nanoseconds of the machine's monotonic
clock: a replica does not begin what nobody waits for any more. In what a replica sends, ``due`` is its clock at that moment,
by which a front on another machine tells it when something is due.

The parts of a batch are those of ``tenfold.layout``, in its order; a text or picture column has two (u32 offsets, bytes), a
list or ragged column likewise. An answer has first the stage times (``TIMES``, in ns), then what is to be said of single
rows (JSON, mostly empty), then which rows were answered (u32 positions, empty for all), then the output contract's parts;
its ``rows`` is how many were answered.
This module is all that the two sides share; it needs no NumPy.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import accumulate
from operator import itemgetter

import msgspec

from tenfold.errors import Change, Flag, Violation
from tenfold.layout import Layout
from tenfold.server.compiled import hot

WIRE = 1
ACCEPTED = (1,)

HELLO, BATCH, ANSWER = 1, 2, 3

_LENGTH = struct.Struct("<I")
_COUNT = struct.Struct("<H")
TIMES = struct.Struct("<5Q")  # of an answer: validate, preprocess, model, postprocess, and how much of it was waiting
NOW = struct.Struct(
    "<II"
)  # which front's which batch a replica is working on, or (0) was last, in a file beside its socket
_FIRST = itemgetter(0)
_PAD = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")
MAX_FRAME_BYTES = 2**31

Buffer = bytes | memoryview


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One frame as it was read; the parts are views of its bytes."""

    kind: int
    number: int
    rows: int
    due_ns: int
    parts: Sequence[memoryview]


class Hello(msgspec.Struct, frozen=True):
    """The first frame of a replica: what it speaks and what it holds. ``startup_s`` is how long loading
    took, ``service`` the encoded ``Spec``, and ``sample`` the body of a request that the service answers, if one is
    known. ``costs`` are the seconds that batches of so many rows took while it warmed up.
    ``peer`` is the front's number in the replica's eyes."""

    wire: int
    tenfold: str
    release: str
    contract: str
    pid: int
    startup_s: float
    service: msgspec.Raw
    sample: bytes = b""
    max_body_bytes: int = 8 * 2**20
    costs: list[tuple[int, float]] = []
    peer: int = 0


class Notes(msgspec.Struct, omit_defaults=True):
    """What an answer says of single rows; positions are those of the batch."""

    violations: list[Violation] = []
    changes: list[Change] = []
    flags: list[Flag] = []
    put_aside: dict[int, list[Violation]] = {}
    fallbacks: dict[int, str] = {}


def write_hello(hello: Hello) -> bytes:
    """The first frame of a replica."""
    return pack(HELLO, 0, 0, time.monotonic_ns(), [msgspec.json.encode(hello)])


def read_hello(frame: Frame) -> Hello:
    """What the first frame says."""
    return msgspec.json.decode(frame.parts[0], type=Hello)


encode_notes = msgspec.json.Encoder().encode
decode_notes = msgspec.json.Decoder(Notes).decode


def pack_each(kind: int, number: int, rows: int, due_ns: int, parts: Sequence[Buffer]) -> bytes:
    """The bytes of one frame."""
    head = _heads(len(parts))
    lengths = []
    pieces: list[Buffer] = [b""]
    size = head.size - _LENGTH.size
    for part in parts:
        length = len(part)
        lengths.append(length)
        pieces.append(part)
        if length & 7:
            pieces.append(_PAD[length & 7])
            length += -length & 7
        size += length
    pieces[0] = head.pack(size, kind, len(parts), number, rows, due_ns, *lengths)
    return b"".join(pieces)


def unpack_each(data: Buffer) -> Frame:
    """The frame that ``data`` holds, its length included."""
    view = memoryview(data)
    head = _heads(_COUNT.unpack_from(view, _LENGTH.size + 2)[0])
    _, kind, _, number, rows, due_ns, *lengths = head.unpack_from(view)
    at = head.size
    parts = []
    for length in lengths:
        parts.append(view[at : at + length])
        at += length + (-length & 7)
    return Frame(kind, number, rows, due_ns, parts)


@cache
def _heads(parts: int) -> struct.Struct:
    """What stands before the parts of a frame, padded to 8 bytes."""
    return struct.Struct(f"<IBxHIIq{parts}I{'' if parts % 2 == 0 else '4x'}")


pack, unpack = (pack_each, unpack_each) if hot is None else hot.framer(Frame, pack_each, unpack_each)


class Reader:
    """Cuts a stream of bytes into frames."""

    __slots__ = ("_have", "_pieces", "_want")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._have = 0
        self._want = _LENGTH.size

    def feed(self, data: bytes) -> Iterable[Frame]:
        """Every frame that ``data`` completes. The common case, one whole frame at a time, copies nothing."""
        if not self._have and len(data) >= _LENGTH.size and _LENGTH.unpack_from(data)[0] == len(data) - _LENGTH.size:
            return (unpack(data),)
        return self._cut(data)

    def _cut(self, data: bytes) -> Iterator[Frame]:
        if self._have:
            self._pieces.append(data)
            self._have += len(data)
            if self._have < self._want:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._have = 0
        at, end = 0, len(data)
        while end - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {length} bytes")
            if end - at - _LENGTH.size < length:
                self._want = length + _LENGTH.size
                break
            yield unpack(data if at == 0 else memoryview(data)[at:])
            at += _LENGTH.size + length
        else:
            self._want = _LENGTH.size
        if at < end:
            self._pieces.append(data[at:])
            self._have = end - at


class Joiner:
    """Joins the parts of single rows, as ``validation.scalar`` packs them, into the parts of a batch."""

    def __init__(self, layout: Layout) -> None:
        """``layout`` is that of the input contract."""
        fixed = len(layout.blocks) + bool(layout.optional)
        self._kinds = [True] * fixed + [column.kind == "tensor" for column in layout.own]
        self._only = self._kinds == [True]

    def join(self, rows: Sequence[tuple[bytes, ...]]) -> list[bytes]:
        """The parts of a batch of these rows."""
        if self._only:
            return [b"".join(map(_FIRST, rows))]
        parts: list[bytes] = []
        for is_fixed, column in zip(self._kinds, zip(*rows, strict=True), strict=True):
            if not is_fixed:
                parts.append(offsets(column))
            parts.append(b"".join(column))
        return parts


def offsets(pieces: Iterable[Buffer]) -> bytes:
    """Where each piece begins, and where the last one ends, as u32."""
    ends = list(accumulate(map(len, pieces), initial=0))
    return struct.pack(f"<{len(ends)}I", *ends)

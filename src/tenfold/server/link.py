"""A front's connection to one replica: batches out, answers in, in order."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Protocol

import msgspec

from tenfold.server import frames
from tenfold.server.compiled import hot
from tenfold.server.frames import Frame, Hello, Reader
from tenfold.server.items import Item


class Batch(msgspec.Struct, eq=False, gc=False):
    """Rows on their way through a replica. ``items`` are the waiting requests, or parts of them, that they came from, in
    the order of their deadlines; ``due`` is the first of these, and after ``latest`` there is no point in beginning."""

    items: Sequence[Item]
    rows: int
    sent: float
    due: float
    latest: float
    number: int = 0
    row_bytes: float = 0.0  # of a row on average, where rows may be heavy

    def waited_ns(self) -> tuple[int, int]:
        """How long its requests took to decode, and how long they waited, summed, in nanoseconds."""
        summed = None if hot is None else hot.moments(self.items)
        decoded_s, started_s = summed or (sum(map(_DECODED, self.items)), sum(map(_STARTED, self.items)))
        decode_s = decoded_s - started_s
        return int(decode_s * 1e9), int((self.sent * len(self.items) - decoded_s) * 1e9)


_DECODED, _STARTED = attrgetter("decoded"), attrgetter("started")


class Owner(Protocol):
    """Who is told what happens on a link."""

    def greeted(self, link: Link, hello: Hello) -> None:
        """The replica is loaded, warmed, and says what it holds."""

    def answered(self, link: Link, batch: Batch, frame: Frame) -> None:
        """The oldest batch came back."""

    def lost(self, link: Link, unanswered: Sequence[Batch], suspect: Batch | None) -> None:
        """The replica is gone. ``suspect`` is that of the unanswered batches that it was working on."""


class Link(asyncio.Protocol):
    """One replica as the front sees it. ``running`` are the batches it holds, oldest first."""

    def __init__(self, owner: Owner, address: str, home: Path) -> None:
        """``home`` is the service's folder, where its dead letters are kept."""
        self.owner = owner
        self._reader = Reader()
        self._number = 0
        self._peer = 0
        self._transport: asyncio.Transport | None = None
        self.address = address
        self.home = home
        self.ahead_ns = 0  # how far the replica's clock is, where it has one of its own
        self.running: deque[Batch] = deque()
        self.began = 0.0  # when the oldest of them did, as far as one can tell from here

    async def connect(self) -> None:
        """Begin to talk to it. Raises ``OSError``."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, self.address)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def send(self, batch: Batch, parts: Sequence[bytes]) -> None:
        """Hand a batch over."""
        assert self._transport is not None
        self._number = batch.number = (self._number + 1) & 0xFFFFFFFF
        frame = frames.pack(frames.BATCH, batch.number, batch.rows, int(batch.latest * 1e9) + self.ahead_ns, parts)
        if not self.running:
            self.began = batch.sent
        self.running.append(batch)
        self._transport.write(frame)

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if frame.kind == frames.HELLO:
                self._greet(frames.read_hello(frame))
            elif self.running and frame.number == self.running[0].number:
                self.owner.answered(self, self.running.popleft(), frame)
            else:
                raise ValueError(f"an answer to batch {frame.number}, which was not asked")

    def _greet(self, hello: Hello) -> None:
        self._peer = hello.peer
        if hello.wire in frames.ACCEPTED:
            self.owner.greeted(self, hello)
        else:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        unanswered, self.running = list(self.running), deque()
        self.owner.lost(self, unanswered, self._suspect(unanswered))

    def _suspect(self, unanswered: Sequence[Batch]) -> Batch | None:
        """The batch that the replica was working on when it went away."""
        return unanswered[0] if unanswered and self._in_hand() == (self._peer, unanswered[0].number) else None

    def _in_hand(self) -> tuple[int, int]:
        """Which front's which batch the replica was working on when it went away; (0, 0) for none."""
        try:
            peer, number = frames.NOW.unpack(Path(f"{self.address}.now").read_bytes())
        except (OSError, struct.error):
            return 0, 0
        return peer, number

    def close(self) -> None:
        """Let go of the replica, once what it holds is answered."""
        if self._transport is not None:
            self._transport.close()

"""A front and a replica on two machines, whose clocks have nothing to do with each other."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tenfold.server import frames
from tenfold.server.far import FarLink
from tenfold.server.frames import Frame, Hello, Reader
from tenfold.server.handshake import admit
from tenfold.server.link import Batch, Link

SECRET = bytes(range(32))
AHEAD_NS = 10**18  # of the replica's clock: its machine runs for decades
HELLO = Hello(frames.WIRE, "0", "echoes@1", "", 1, 0.1, msgspec.Raw(b"{}"))


class Owner:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[str, Batch | None]] = asyncio.Queue()

    def greeted(self, link: Link, hello: Hello) -> None:
        self.heard.put_nowait(("greeted", None))

    def answered(self, link: Link, batch: Batch, frame: Frame) -> None:
        self.heard.put_nowait(("answered", batch))

    def lost(self, link: Link, unanswered: Sequence[Batch], suspect: Batch | None) -> None:
        self.heard.put_nowait((f"lost {len(unanswered)}", suspect))


async def let_in(door: socket.socket) -> socket.socket:
    """The replica's side of a new connection, after the handshake."""
    line, _ = await asyncio.get_running_loop().sock_accept(door)
    line.setblocking(False)
    await admit(line, SECRET)
    return line


async def say(line: socket.socket, kind: int, number: int, parts: Sequence[bytes]) -> None:
    """Send a frame as that replica does, with its clock."""
    clock = time.monotonic_ns() + AHEAD_NS
    await asyncio.get_running_loop().sock_sendall(line, frames.pack(kind, number, 1, clock, parts))


def test_deadlines_are_told_in_the_clock_of_whoever_has_to_keep_them() -> None:
    """A batch that is due in a second is due in about a second there, too; and of what is in its hands when the connection
    ends, the oldest batch is suspect."""

    async def meet() -> None:
        loop, owner = asyncio.get_running_loop(), Owner()
        with socket.create_server(("127.0.0.1", 0)) as door:
            door.setblocking(False)
            link = FarLink(owner, f"127.0.0.1:{door.getsockname()[1]}", Path(), SECRET.hex())
            line, _ = await asyncio.gather(let_in(door), link.connect())
            with line:
                await say(line, frames.HELLO, 0, [msgspec.json.encode(HELLO)])
                assert await owner.heard.get() == ("greeted", None)
                batches = [Batch([], 1, 0.0, 0.0, time.monotonic() + 1) for _ in range(3)]
                link.send(batches[0], [b"row"])
                [frame] = Reader().feed(await loop.sock_recv(line, 4096))
                told_s = (frame.due_ns - AHEAD_NS) / 1e9
                assert told_s == pytest.approx(batches[0].latest, abs=30)
                await say(line, frames.ANSWER, frame.number, [b""])
                assert await owner.heard.get() == ("answered", batches[0])
                for batch in batches[1:]:
                    link.send(batch, [b"row"])
            assert await owner.heard.get() == ("lost 2", batches[1])

    asyncio.run(meet())


def test_a_replica_that_tells_no_clock_is_taken_to_have_this_one() -> None:
    """As one of a former version, which says 0."""
    link = FarLink(Owner(), "127.0.0.1:1", Path(), SECRET.hex())
    link.data_received(frames.pack(frames.HELLO, 0, 0, 0, [msgspec.json.encode(HELLO)]))
    assert link.ahead_ns == 0


def test_nobody_listens() -> None:
    """It is an error like any other of a connection."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    with pytest.raises(OSError, match=r"refused|Connect"):
        asyncio.run(FarLink(Owner(), f"127.0.0.1:{port}", Path(), SECRET.hex()).connect())

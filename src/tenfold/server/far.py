"""A front's connection to a replica on another machine: over TCP, once both have proven that they know its secret.

The other machine has a clock of its own. Each frame of such a replica says what that is when it is sent, and deadlines are
told in it: early by the time that a frame takes on its way.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tenfold.server.frames import Frame, Reader
from tenfold.server.handshake import LIMIT_S, enter, keep_alive
from tenfold.server.link import Batch, Link, Owner


class FarLink(Link):
    """One replica elsewhere as the front sees it."""

    def __init__(self, owner: Owner, address: str, home: Path, secret: str) -> None:
        """``address`` is host:port, ``secret`` in hexadecimal."""
        super().__init__(owner, address, home)
        self._secret = bytes.fromhex(secret)
        self._reader = Clocked(self)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        host, _, port = self.address.rpartition(":")
        async with asyncio.timeout(LIMIT_S):
            family, kind, protocol, _, address = (await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM))[0]
            line = socket.socket(family, kind, protocol)
            try:
                line.setblocking(False)
                await loop.sock_connect(line, address)
                await enter(line, self._secret)
                keep_alive(line)
                await loop.create_connection(lambda: self, sock=line)
            except BaseException:
                line.close()
                raise

    def _suspect(self, unanswered: Sequence[Batch]) -> Batch | None:
        """Nobody can look there any more; but batches are answered in order, and the oldest is as far as it had come."""
        return unanswered[0] if unanswered else None


class Clocked(Reader):
    """Cuts what a replica sends into frames, and tells its link how far the clock there is ahead."""

    __slots__ = ("_link",)

    def __init__(self, link: FarLink) -> None:
        super().__init__()
        self._link = link

    def feed(self, data: bytes) -> Iterable[Frame]:
        """Every frame that ``data`` completes."""
        for frame in super().feed(data):
            if frame.due_ns:
                self._link.ahead_ns = frame.due_ns - time.monotonic_ns()
            yield frame

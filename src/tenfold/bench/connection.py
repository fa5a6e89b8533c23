"""One keep-alive connection to what is measured: HTTP/1.1, a request at a time."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools


class Owner(Protocol):
    """Who is told what becomes of a connection."""

    def opened(self, connection: Connection) -> None:
        """It is connected and free."""

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        """The answer to its request is complete; it is free, unless it is ``closing``."""

    def lost(self, connection: Connection) -> None:
        """It is gone."""


class Connection(asyncio.Protocol):
    """``request`` is what it waits for, None while it is free, and ``due`` when that was to be sent. ``used`` counts the
    answers that it gave, ``heard`` says whether a part of the next has come."""

    __slots__ = ("_chunks", "_owner", "_parser", "_transport", "closing", "due", "heard", "request", "used")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self.request: bytes | None = None
        self.due = 0.0
        self.used = 0
        self.heard = self.closing = False

    def send(self, request: bytes, due: float) -> None:
        """Send a whole request."""
        self.request, self.due = request, due
        self.heard = False
        self._transport.write(request)

    def close(self) -> None:
        """Hang up at once."""
        self.closing = True
        self._transport.abort()

    # What the loop says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._owner.opened(self)

    def data_received(self, data: bytes) -> None:
        self.heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:  # whatever this is, it is no answer
            self.close()

    def connection_lost(self, _: Exception | None) -> None:
        self.closing = True
        self._owner.lost(self)

    # What the parser says

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer, such as 103
            return
        if self.request is None:  # nobody asked: some servers say 408 to an idle connection before they close it
            self.close()
            return
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self.request = None
        self.used += 1
        if not self._parser.should_keep_alive():
            self.closing = True
            self._transport.close()
        self._owner.answered(self, status, body)

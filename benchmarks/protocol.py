"""The HTTP stack of the yardsticks: httptools on an asyncio.Protocol and uvloop, keep-alive, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"


class Connection(asyncio.Protocol):
    """One keep-alive connection: hands each whole body to `handle`, which answers with `reply`."""

    __slots__ = ("body", "handle", "parser", "transport")

    def __init__(self, handle: Callable[[bytes, Connection], None]) -> None:
        self.handle, self.body = handle, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        body, self.body = self.body, b""
        self.handle(body, self)

    def reply(self, body: bytes) -> None:
        if not self.transport.is_closing():  # wrk ends a run without waiting for its last answers
            self.transport.write(ANSWER % (len(body), body))


async def serve(handle: Callable[[bytes, Connection], None], port: int) -> None:
    """Serve on loopback until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(handle), "127.0.0.1", port)
    await server.serve_forever()

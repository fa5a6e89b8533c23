"""Servers of known behaviour, one for each path, to hold a benchmark against. ``python -m tests.bench.servers`` is one.

/at-once                answers
/queue?ms=2             one at a time, each for exactly so long: a capacity of 1,000 / ms rows a second
/stall?ms=200&every=2   does nothing at all for so long, every so many seconds
/each?n=4&status=503    answers every n-th with that status, the others with 200
/drop?n=5               closes the connection instead of every n-th answer
/leave?n=3              closes the connection after every n-th answer, without saying so
/bye                    says "connection: close" with each answer
/chunked                answers in chunks, after an interim answer
/fallback?n=1           gives an answer that is not the model's, every n-th time
/hang?after=20          answers so many, and then nobody any more
/goodbye                answers, and says 408 to whoever is idle 20 ms later
/nonsense               answers, but not in HTTP
/noted                  how many requests "crossed" with such a close, and how many "fresh" connections were dropped

Whoever leaves closes one half and goes on reading, so that what crosses is seen.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import httptools

ROOT = Path(__file__).parents[2]
GOOD = b'{"output": {"label": "benign"}}'
FALLBACK = b'{"output": {"label": "benign"}, "fallback": {"because": "overloaded", "by": "Deadline"}}'


class Server(asyncio.Protocol):
    """One connection; what all connections share is in the class."""

    came = 0
    busy_until = 0.0
    stalling = False
    crossed = 0
    fresh = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.parser = httptools.HttpRequestParser(self)
        self.answered, self.has_left = 0, False

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        parts = urlsplit(url.decode())
        self.path = parts.path[1:].replace("-", "_")
        self.query = {name: float(value) for name, value in parse_qsl(parts.query)}

    def on_message_complete(self) -> None:
        if self.has_left:
            Server.crossed += 1
            return
        Server.came += 1
        behaviour: Callable[..., None] = getattr(self, self.path)
        behaviour(**self.query)

    def reply(self, status: int = 200, body: bytes = GOOD, more: bytes = b"") -> None:
        head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
        self.transport.write(head % (status, more, len(body)) + body)
        self.answered += 1

    def go(self) -> None:
        if not self.has_left and not self.transport.is_closing():
            self.has_left = True
            self.transport.write_eof()

    # Behaviours

    def noted(self) -> None:
        self.reply(body=json.dumps({"crossed": Server.crossed, "fresh": Server.fresh}).encode())

    def at_once(self) -> None:
        self.reply()

    def queue(self, ms: float) -> None:
        now = time.monotonic()
        Server.busy_until = max(now, Server.busy_until) + ms / 1000
        asyncio.get_running_loop().call_later(Server.busy_until - now, self.reply)

    def stall(self, ms: float, every: float) -> None:
        if not Server.stalling:
            Server.stalling = True
            asyncio.get_running_loop().call_later(every, self.nap, ms / 1000, every)
        self.reply()

    def nap(self, seconds: float, every: float) -> None:
        asyncio.get_running_loop().call_later(every, self.nap, seconds, every)
        time.sleep(seconds)

    def each(self, n: float, status: float) -> None:
        self.reply(200 if Server.came % n else int(status))

    def drop(self, n: float) -> None:
        if Server.came % n:
            self.reply()
        else:
            Server.fresh += not self.answered
            self.transport.close()

    def leave(self, n: float) -> None:
        self.reply()
        if not Server.came % n:
            asyncio.get_running_loop().call_later(0.005, self.go)

    def bye(self) -> None:
        self.reply(more=b"connection: close\r\n")
        self.transport.close()

    def chunked(self) -> None:
        head = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        self.transport.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD))

    def fallback(self, n: float) -> None:
        self.reply(body=GOOD if Server.came % n else FALLBACK)

    def hang(self, after: float) -> None:
        if Server.came <= after:
            self.reply()

    def goodbye(self) -> None:
        self.reply()
        asyncio.get_running_loop().call_later(0.02, self.hang_up)

    def hang_up(self) -> None:
        if not self.has_left and not self.transport.is_closing():
            self.reply(408, b"{}", b"connection: close\r\n")
            self.go()

    def nonsense(self) -> None:
        self.transport.write(b"220 smtp.example ESMTP\r\n")


@contextmanager
def served() -> Iterator[str]:
    """Such a server as a process of its own; its URL."""
    command = [sys.executable, "-m", "tests.bench.servers"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


async def main() -> None:
    """Serve until killed; the port is printed."""
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())

"""HTTP/1.1 as clients send it, well and badly, against the real protocol on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tenfold.server.wire import MAX_HEAD_BYTES, Connection, Handler, Head, Heads, Live, response


class Echo:
    """Answers every request with its method, path and body."""

    max_body_bytes = 1000
    draining = False

    def __init__(self) -> None:
        self.parsed = 0

    def resolve(self, head: Head) -> Handler:
        self.parsed += 1
        return self.answer

    def answer(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(response(200, b"%b %b %b" % (head.method.encode(), head.path.encode(), body)), head.keep_alive)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(conversation: Talk, app: Echo | None = None) -> Echo:
    """Hold a conversation with a server that echoes."""
    served = app or Echo()

    async def run() -> None:
        live = Live()
        heads = Heads(served)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(served, heads, live), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(5):
                await conversation(reader, writer)
        finally:
            writer.close()
            server.close()
            for connection in list(live):
                if connection.transport is not None:
                    connection.transport.close()
            await asyncio.sleep(0)

    asyncio.run(run())
    return served


async def read_one(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """One response: status, headers, body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
    return int(lines[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


HEAD = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"


def test_keep_alive() -> None:
    """A client sends one request after the other on one connection, and its head is parsed once."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for k in range(3):
            writer.write(HEAD + b"body%d" % k)
            assert (await read_one(reader))[2] == b"POST /x body%d" % k

    assert talk(conversation).parsed == 1


def test_byte_by_byte() -> None:
    """A request may arrive in pieces of any size."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in HEAD + b"hello" + HEAD + b"again":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert (await read_one(reader))[2] == b"POST /x hello"
        assert (await read_one(reader))[2] == b"POST /x again"

    talk(conversation)


def test_pipelining() -> None:
    """Requests sent ahead are answered in order."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"first" + HEAD + b"secon" + HEAD + b"third")
        for body in (b"first", b"secon", b"third"):
            assert (await read_one(reader))[2] == b"POST /x " + body

    talk(conversation)


def test_chunked() -> None:
    """A body may come in chunks, and the connection goes on afterwards."""
    head = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(head + b"3\r\nabc\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(b"2\r\nde\r\n0\r\n\r\n")
            assert (await read_one(reader))[2] == b"POST /x abcde"

    talk(conversation)


def test_chunked_in_single_bytes() -> None:
    """A million chunks of one byte end at the limit of the body, not in the memory."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 5000)
        assert (await read_one(reader))[0] == 413

    talk(conversation)


def test_expect_continue() -> None:
    """A client that asks before it sends a body is told to go on."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await read_one(reader))[2] == b"POST /x hello"

    talk(conversation)


def test_http_1_0_closes() -> None:
    """A client of HTTP/1.0 gets its answer and the end of the connection."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await read_one(reader))[0] == 200
        assert await reader.read() == b""

    talk(conversation)


def test_connection_close() -> None:
    """A client that asks for the end of the connection gets it after its answer."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await read_one(reader))[0] == 200
        assert await reader.read() == b""

    talk(conversation)


def test_upgrade_is_ignored() -> None:
    """An offer of HTTP/2 is answered in HTTP/1.1."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
        assert (await read_one(reader))[0] == 200

    talk(conversation)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\nHost: h\n\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413, "too_large"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "uri_too_long"),
        (b"GET /" + b"a" * 20000, 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: h\r\na: " + b"b" * MAX_HEAD_BYTES, 431, "headers_too_large"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "bad_request"),
    ],
)
def test_refused(sent: bytes, status: int, code: str) -> None:
    """What breaks HTTP or its limits is answered with a problem document, and the connection ends."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        got, headers, body = await read_one(reader)
        assert (got, headers["content-type"]) == (status, "application/problem+json")
        assert msgspec.json.decode(body)["code"] == code
        assert await reader.read() == b""

    talk(conversation)

"""HTTP/1.1 as clients send it, well and badly, against the real protocol on a real socket."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tenfold.server.compiled import hot
from tenfold.server.llhttp import MAX_HEAD_BYTES
from tenfold.server.responses import response
from tenfold.server.wire import Connection, Handler, Head, Heads, Live


@pytest.fixture(autouse=True, params=["compiled", "python"])
def read(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each conversation is held with either of the two that read."""
    if request.param == "python":
        monkeypatch.setattr(Connection, "data_received", Connection._receive)
    elif hot is None:
        pytest.skip("nothing is compiled here: there was no C compiler, or no Python.h")


class Echo:
    """Answers every request with its method, path and body, except where the path says something else."""

    max_body_bytes = 1000

    def __init__(self) -> None:
        self.parsed = 0
        self.draining = False
        self.live = Live()
        self.heads = Heads(self)

    @property
    def connection(self) -> Connection:
        """The one connection."""
        (only,) = self.live
        return only

    def resolve(self, head: Head) -> Handler:
        self.parsed += 1
        return self.answer

    def answer(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        if head.path == "/fails":
            raise ValueError(head.path)
        size = int(head.headers.get("size", "0"))
        echo = b"%b %b %b" % (head.method.encode(), head.path.encode(), body)
        connection.send(response(200, echo.ljust(size)), head.keep_alive)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(conversation: Talk, app: Echo | None = None) -> Echo:
    """Hold a conversation with a server that echoes."""
    served = app or Echo()

    async def run() -> None:
        live = served.live
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(served, served.heads, live), "127.0.0.1", 0)
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


async def until(holds: Callable[[], object]) -> None:
    """Let the server go on until something holds."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


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


CHUNKED = b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"


UPGRADE = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
CONNECT = b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n"


@pytest.mark.parametrize("ahead", [HEAD + b"hello", b"nonsense", b"\0", UPGRADE, CONNECT])
def test_sent_ahead_of_a_chunked_answer(ahead: bytes) -> None:
    """What follows a chunked body in the same packet is no part of it; the connection says that it ends there."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n\r\n" + ahead)
        status, headers, body = await read_one(reader)
        assert (status, headers.get("connection"), body) == (200, "close", b"POST /x {}")
        assert await reader.read() == b""

    talk(conversation)


def test_chunked_with_upgrade() -> None:
    """An offer of HTTP/2 beside a chunked body is ignored, and the body read."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            writer.write(CHUNKED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n2\r\n{}\r\n0\r\nsum: 1\r\n\r\n")
            assert (await read_one(reader))[2] == b"POST /x {}"

    talk(conversation)


@pytest.mark.parametrize("trailers", [b"a: b\r\n" * 101, b"a: " + b"b" * 20_000, b"a" * 20_000])
def test_endless_trailers(trailers: bytes) -> None:
    """Trailers are held to the limits of a head."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"\r\n2\r\n{}\r\n0\r\n")
        await writer.drain()
        for at in range(0, len(trailers), 1000):
            writer.write(trailers[at : at + 1000])
            await asyncio.sleep(0)
        assert (await read_one(reader))[0] == 431

    talk(conversation)


def test_a_failing_handler(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours is answered and logged, also of a request that was sent ahead; and the connection ends."""
    fails = HEAD.replace(b"/x", b"/fails")

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"fine." + fails + b"ahead")
        assert (await read_one(reader))[2] == b"POST /x fine."
        status, _, body = await read_one(reader)
        assert (status, msgspec.json.decode(body)["code"]) == (500, "internal")
        assert await reader.read() == b""

    with caplog.at_level(logging.ERROR, "tenfold"):
        talk(conversation)
    assert [record.getMessage() for record in caplog.records] == ["POST /fails failed"]
    assert "ValueError: /fails" in caplog.text


def test_a_client_that_does_not_read() -> None:
    """A client that sends on and never reads costs one answer and what the socket holds; once it reads, it gets them all."""
    app, count, size = Echo(), 2000, 100_000

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nSize: %d\r\n\r\n" % size * count)
        transport = app.connection.transport
        assert transport is not None
        unsent = most = 0
        while not unsent or unsent != transport.get_write_buffer_size():
            unsent = transport.get_write_buffer_size()
            most = max(most, unsent)
            await asyncio.sleep(0.01)
        assert 0 < most < 5 * size
        for _ in range(count):
            assert len((await read_one(reader))[2]) == size

    talk(conversation, app)


def test_a_client_that_never_reads_is_let_go() -> None:
    """A client may read slowly, but not stop for 30 s."""
    app = Echo()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        now = time.monotonic()
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nSize: 20000000\r\n\r\n")
        connection = app.connection
        transport = connection.transport
        assert transport is not None
        await until(transport.get_write_buffer_size)
        connection.check_patience(now + 100)
        before = transport.get_write_buffer_size()
        await reader.readexactly(10_000_000)
        assert transport.get_write_buffer_size() < before
        connection.check_patience(now + 200)
        connection.check_patience(now + 229)
        assert app.live
        connection.check_patience(now + 300)
        await until(lambda: not app.live)

    talk(conversation, app)


def test_draining() -> None:
    """A request that has begun when the process is told to go is answered, with word that the connection ends."""
    app = Echo()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"hello")
        _, headers, _ = await read_one(reader)
        assert "connection" not in headers
        assert app.connection.idle
        writer.write(HEAD[:10])
        await until(lambda: not app.connection.idle)
        app.draining = True
        app.connection.check_patience(time.monotonic() + 1)
        writer.write(HEAD[10:] + b"he")
        await asyncio.sleep(0.01)
        assert not app.connection.idle
        app.connection.check_patience(time.monotonic())
        writer.write(b"llo")
        status, headers, body = await read_one(reader)
        assert (status, headers["connection"], body) == (200, "close", b"POST /x hello")
        assert await reader.read() == b""

    talk(conversation, app)


def test_draining_closes_what_has_not_begun() -> None:
    """A connection on which nothing was sent does not delay the end of a process."""
    app = Echo()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + b"hello")
        await read_one(reader)
        app.draining = True
        app.connection.check_patience(time.monotonic() + 1)
        assert await reader.read() == b""

    talk(conversation, app)


def test_head() -> None:
    """HEAD is answered like GET, length and all, without the body; the next answer follows at once."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /y HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"content-length: 8\r\n" in await reader.readuntil(b"\r\n\r\n")
        assert (await read_one(reader))[2] == b"GET /y "

    talk(conversation)


def test_expect_continue() -> None:
    """A client that asks before it sends a body is told to go on."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await read_one(reader))[2] == b"POST /x hello"

    talk(conversation)


def test_http_1_0_is_not_told_to_continue() -> None:
    """It does not know that answer, and would take it for the one to its request."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /x HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        await asyncio.sleep(0.05)  # whatever comes of the head alone has been written by then
        writer.write(b"hello")
        status, _, body = await read_one(reader)
        assert (status, body) == (200, b"POST /x hello")

    talk(conversation)


def test_http_1_0_closes() -> None:
    """A client of HTTP/1.0 gets its answer and the end of the connection."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert (await read_one(reader))[1]["connection"] == "close"
        assert await reader.read() == b""

    talk(conversation)


def test_a_half_closed_client() -> None:
    """A client that says it will close, and shuts its sending side down after a request, still gets the answer."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"hello")
        writer.write_eof()
        assert (await read_one(reader))[2] == b"POST /x hello"
        assert await reader.read() == b""

    talk(conversation)


def test_connection_close() -> None:
    """A client that asks for the end of the connection gets it after its answer."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await read_one(reader))[1]["connection"] == "close"
        assert await reader.read() == b""

    talk(conversation)


def test_nothing_follows_the_last_answer() -> None:
    """What was sent behind a request that ends the connection is not answered, however slowly the client reads."""
    app = Echo()

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last = b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nSize: 10000000\r\n\r\n"
        writer.write(last + b"GET /y HTTP/1.1\r\nHost: h\r\n\r\n")
        connection = app.connection
        await until(lambda: connection.transport is not None and connection.transport.get_write_buffer_size())
        connection.resume_writing()
        assert len((await read_one(reader))[2]) == 10_000_000
        assert await reader.read() == b""

    talk(conversation, app)


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
        (b"\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"),
        (b"GET / HTTP/1.1\nHost: h\n\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -5\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"0" * 5000 + b"5\r\n\r\nhello", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, "bad_request"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n", 413, "too_large"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "uri_too_long"),
        (b"GET /" + b"a" * 20000, 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: h\r\na: " + b"b" * MAX_HEAD_BYTES, 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\nHost: h\r\na: " + b"b" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET /" + b"a" * MAX_HEAD_BYTES + b" HTTP/1.1\r\nHost: h\r\n\r\n", 414, "uri_too_long"),
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


def test_too_large_twice() -> None:
    """A body over the limit is refused every time, also when its head was seen before."""

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        oversize = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1001\r\n\r\n"
        writer.write(oversize)
        assert (await read_one(reader))[0] == 413
        reader, writer = await asyncio.open_connection(*writer.get_extra_info("peername"))
        writer.write(oversize)
        assert (await read_one(reader))[0] == 413
        writer.close()

    talk(conversation)

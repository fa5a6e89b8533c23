"""Large bodies on their way from a client over a front to a file, each over real sockets."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tenfold.server import relay, uploads
from tenfold.server.relay import Relay
from tenfold.server.responses import problem, response
from tenfold.server.spool import HIDDEN, LEFT_S, Refused, Spool
from tenfold.server.uploads import AGAIN, Uploads
from tenfold.server.wire import Connection, Handler, Head, Heads, Live
from tests.server.test_wire import read_one, until

LIMIT = 1 << 20
BODY = os.urandom(1 << 19)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Near:
    """A front: hands on whatever is sent."""

    max_body_bytes = LIMIT
    draining = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.live = Live()
        self.heads = Heads(self)

    def resolve(self, head: Head) -> Handler:
        head.max_body = LIMIT
        head.sink = lambda connection, head: Relay(connection, head, "POST /rows HTTP/1.1\r\nhost: x\r\n", self.path)
        return self.whole

    def whole(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(response(200, b"%d bytes with their head" % len(body)), head.keep_alive)


class Far(Near):
    """An admin process: writes it to a file, and says how much that is."""

    def __init__(self, path: Path, place: Path | None) -> None:
        super().__init__(path)
        self.place = place
        self.received = b""
        self.uploads = Uploads()

    def resolve(self, head: Head) -> Handler:
        head.max_body = LIMIT
        head.sink = self.spool
        return self.whole

    def spool(self, connection: Connection, head: Head) -> Spool | Refused:
        assert self.place is not None
        if why := self.uploads.refusal(self.place, head):
            connection.reject("overloaded", why, AGAIN)
            return Refused()
        spool = Spool(self.place, self.then, self.uploads.end)
        self.uploads.begin(spool, head)
        return spool

    def then(self, connection: Connection, head: Head, rows: Spool) -> None:
        if rows.file is None:
            connection.send(problem("not_ready", rows.trouble), keep_alive=False)
        else:
            self.received = rows.file.read_bytes()
            rows.abandon()
            connection.send(response(200, b"%d bytes" % len(rows)), keep_alive=False)


def talk(conversation: Talk, folder: Path, *, listens: bool = True, place: Path | None = None) -> Far:
    """Hold a conversation with the front; what the admin process has of it."""
    near, far = Near(folder / "sock"), Far(folder / "sock", place or folder / "jobs")

    async def run() -> None:
        loop = asyncio.get_running_loop()
        inner = await loop.create_unix_server(lambda: Connection(far, far.heads, far.live), folder / "sock")
        if not listens:
            inner.close()
            (folder / "sock").unlink(missing_ok=True)
        outer = await loop.create_server(lambda: Connection(near, near.heads, near.live), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*outer.sockets[0].getsockname())
        try:
            async with asyncio.timeout(60):
                await conversation(reader, writer)
        finally:
            writer.close()
            await until(lambda: not near.live and not far.live)
            outer.close()
            inner.close()

    asyncio.run(run())
    return far


def left(folder: Path) -> list[Path]:
    """What stays of uploads that were not taken."""
    return [*(folder / "jobs").glob(f"{HIDDEN}*")]


@pytest.mark.parametrize("size", [1 << 10, 60_000, len(BODY)])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_arrives_as_it_was_sent(tmp_path: Path, size: int, chunked: bool) -> None:
    """Whatever its length, whether or not that is said, in whatever pieces it comes."""
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(BODY)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)
        for k in range(0, len(BODY), size):
            piece = BODY[k : k + size]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await writer.drain()
        writer.write(b"0\r\n\r\n" if chunked else b"")
        status, _, body = await read_one(reader)
        assert (status, body) == (200, b"524288 bytes")

    assert talk(send, tmp_path).received == BODY
    assert not left(tmp_path)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused(tmp_path: Path, chunked: bool) -> None:
    """413, before anything of it is read where its length is said; nothing of it stays."""
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (LIMIT + 1)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % framing)
        for _ in range(3 if chunked else 0):
            writer.write(b"%x\r\n%b\r\n" % (len(BODY), BODY))
        status, _, body = await read_one(reader)
        assert (status, b"1,048,576 bytes" in body) == (413, True)

    assert talk(send, tmp_path).received == b""
    assert not left(tmp_path)


def test_a_client_that_goes_leaves_nothing(tmp_path: Path) -> None:
    """Half of a body is no body, and its file goes."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        writer.write(BODY[:200_000])
        await until(lambda: left(tmp_path))

    assert talk(send, tmp_path).received == b""
    assert not left(tmp_path)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("limit", "said"), [("MOST_AT_ONCE", b"others are sending"), ("MOST_KEPT_BYTES", b"wait to be")]
)
def test_no_more_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, said: bytes, chunked: bool
) -> None:
    """Too many at once, or more than the disk may hold, are refused before they have been sent; nothing of them stays."""
    monkeypatch.setattr(uploads, limit, 0)
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % len(BODY)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n%b\r\n\r\n" % framing)
        writer.write(b"1000\r\n%b\r\n" % BODY[:4096] if chunked else BODY[:4096])
        status, headers, body = await read_one(reader)
        assert (status, headers["retry-after"], said in body) == (503, "60", True)

    assert talk(send, tmp_path).received == b""
    assert not left(tmp_path)


@pytest.mark.parametrize("code", ["overloaded", "not_ready"])
def test_who_is_to_come_again_is_told_when(code: str) -> None:
    """Every 503 says it, once: in a second, where nobody knows better."""
    assert problem(code).count(b"\r\nretry-after: 1\r\n") == 1
    assert b"retry-after: 7\r\n" in (known := problem(code, headers=[("retry-after", "7")]))
    assert known.count(b"retry-after") == 1
    assert b"retry-after" not in problem("not_found")


def test_rows_of_jobs_that_wait_take_up_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as they have, until their job has ended; and so does what is being sent."""
    monkeypatch.setattr(uploads, "MOST_KEPT_BYTES", 2 * len(BODY))
    head = Head("POST", b"/rows", {"content-length": str(len(BODY))}, True)
    (tmp_path / "job").mkdir()
    (tmp_path / "job" / "rows.csv").write_bytes(BODY)
    under_way, spool = Uploads(), Spool(tmp_path, lambda *_: None)
    assert not under_way.refusal(tmp_path, head)
    under_way.begin(spool, head)
    assert under_way.refusal(tmp_path, head)
    under_way.end(spool)
    assert not under_way.refusal(tmp_path, head)
    spool.abandon()


def test_rows_that_take_too_long_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a few more bytes come: 408, and what was kept of them goes."""
    monkeypatch.setattr(relay, "LONGEST_S", 0.2)

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        answer = asyncio.ensure_future(read_one(reader))
        while not answer.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)
        assert answer.result()[0] == 408

    assert talk(send, tmp_path).received == b""
    assert not left(tmp_path)


def test_an_admin_process_that_is_gone_is_told(tmp_path: Path) -> None:
    """503 once the body is here, and the connection ends."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        writer.write(BODY)
        assert (await read_one(reader))[0] == 503

    talk(send, tmp_path, listens=False)


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is not kept: the rest is read and thrown away, and the answer says why."""

    def full(handle: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        monkeypatch.setattr(os, "write", full)
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY))
        writer.write(BODY)
        status, _, body = await read_one(reader)
        assert (status, b"No space left" in body) == (503, True)

    talk(send, tmp_path)
    assert not left(tmp_path)


def test_a_small_body_comes_with_its_head(tmp_path: Path) -> None:
    """No file is made of it."""

    async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"POST /rows HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc")
        assert (await read_one(reader))[2] == b"3 bytes with their head"

    talk(send, tmp_path)


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    """By the next upload, once nobody can be writing it any more."""
    old, new = tmp_path / f"{HIDDEN}old", tmp_path / f"{HIDDEN}new"
    for file in (old, new):
        file.touch()
    os.utime(old, (0, time.time() - 2 * LEFT_S))
    Spool(tmp_path, lambda *_: None).abandon()
    assert [*tmp_path.iterdir()] == [new]

"""Bodies that are too large to be held: a front hands them on as they arrive, and the admin process writes them to a file.

A front neither keeps nor writes any of it, so that no answer waits for a disk. Whoever sends faster than the disk writes is
not read from for a while. Whoever is silent for 30 s, or not done within an hour, is not waited for; only so many send at
once; and what was sent, and is not answered yet, takes up only so much of the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tenfold.server.responses import JSON, problem
from tenfold.server.wire import Connection, Head

MOST_BYTES = 1 << 30  # of rows that are sent to be answered as a job
MOST_AT_ONCE = 8  # uploads
MOST_KEPT_BYTES = 16 << 30  # of rows of jobs that have not ended, and of those that are being sent
LONGEST_S = 3600.0  # for rows to be sent
ROWS = "rows*"  # what was sent, in the folder of its job
ANSWER_S = 60.0  # for the admin process to keep what it has, and to answer
AGAIN = (("retry-after", "60"),)  # when others may have sent theirs
HIDDEN = ".upload-"
LEFT_S = 2 * LONGEST_S  # a file that nobody wrote to for so long was left by a process that was killed


def is_upload(head: Head) -> bool:
    """Whether rows are sent, and not a document that says where they are."""
    media_type = head.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    return head.method == "POST" and media_type != JSON


class Relay(asyncio.Protocol):
    """A body on its way from a client to the admin process, whose answer then goes to the client."""

    def __init__(self, connection: Connection, head: Head, request: str, path: Path) -> None:
        """``request`` is the head of what is asked, but for the lines of its framing; ``path`` where is listened."""
        self._client = connection
        self._length = head.length
        self._size = 0
        self._waiting = bytearray(f"{request}{self._framing()}\r\n\r\n".encode())
        self._transport: asyncio.Transport | None = None
        self._answer = b""
        self._is_complete = self._is_answered = False
        loop = asyncio.get_running_loop()
        self._opening = loop.create_task(self._open(loop, path))
        self._limit = loop.call_later(LONGEST_S, self._take_too_long)
        self._pause()

    def _framing(self) -> str:
        return "transfer-encoding: chunked" if self._length < 0 else f"content-length: {self._length}"

    async def _open(self, loop: asyncio.AbstractEventLoop, path: Path) -> None:
        try:
            await loop.create_unix_connection(lambda: self, str(path))
        except OSError:
            self.connection_lost(None)

    # What the client sends

    def __len__(self) -> int:
        return self._size

    def extend(self, data: bytes, /) -> None:
        """More of it is here."""
        self._size += len(data)
        if data and not self._is_answered:
            self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._length < 0 else data)

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """All of it is here."""
        self._is_complete = True
        self._limit.cancel()
        if self._is_answered:
            self._deliver()
        else:
            self._write(b"0\r\n\r\n" if self._length < 0 else b"")
            asyncio.get_running_loop().call_later(ANSWER_S, self.abandon)

    def abandon(self) -> None:
        """The client is gone, or has waited for long enough."""
        self._limit.cancel()
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()
        elif not self._is_answered:
            self.connection_lost(None)

    def _take_too_long(self) -> None:
        self._client.reject("request_timeout", f"rows have {LONGEST_S / 60:.0f} minutes to arrive")
        self.abandon()

    def _write(self, data: bytes) -> None:
        if self._transport is None:
            self._waiting += data
        else:
            self._transport.write(data)

    def _pause(self) -> None:
        if self._client.transport is not None:
            self._client.transport.pause_reading()

    # What the admin process says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        assert self._transport is not None
        self._transport.write(bytes(self._waiting))
        self._waiting.clear()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._pause()

    def resume_writing(self) -> None:
        if self._client.transport is not None:
            self._client.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        """That is all that it says. Who is still sending was refused, and need not send the rest."""
        self._is_answered, self._transport = True, None
        self.resume_writing()
        if self._is_complete:
            self._deliver()
        elif self._answer:
            self._limit.cancel()
            self._client.reject(*_refusal(self._answer))

    def _deliver(self) -> None:
        unheard = problem("not_ready", "the admin process does not answer", headers=[("retry-after", "1")])
        self._client.send(self._answer or unheard, keep_alive=False)


class Uploads:
    """Those of one server: how many are under way, and how many bytes they will have, as far as they say."""

    def __init__(self) -> None:
        self._under_way: dict[Spool, int] = {}

    def refusal(self, place: Path, head: Head) -> str:
        """Why no more is taken in below ``place`` now; "" where it is."""
        if len(self._under_way) >= MOST_AT_ONCE:
            return f"{MOST_AT_ONCE} others are sending rows; come again in a minute"
        expected = sum(self._under_way.values()) + _expected(head)
        return why_full(place, expected)

    def begin(self, spool: Spool, head: Head) -> None:
        """One more is under way."""
        self._under_way[spool] = _expected(head)

    def end(self, spool: Spool) -> None:
        """It is whole, or given up."""
        self._under_way.pop(spool, None)


def why_full(place: Path, more: int) -> str:
    """Why there is no room for so many bytes beside what waits in the folders of jobs; "" where there is."""
    kept = 0
    for file in place.glob(f"*/{ROWS}"):
        with contextlib.suppress(OSError):
            kept += file.stat().st_size
    if kept + more <= MOST_KEPT_BYTES:
        return ""
    return f"rows that wait to be answered take up {MOST_KEPT_BYTES >> 30} GiB; come again when jobs have ended"


def _expected(head: Head) -> int:
    return MOST_BYTES if head.length < 0 else head.length


def _refusal(answer: bytes) -> tuple[str, str, Sequence[tuple[str, str]]]:
    """The code and the words of an answer that came before its question was complete; and when to come again, if it says."""
    head, _, body = answer.partition(b"\r\n\r\n")
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        return document["code"], document["detail"], _again(head)
    except (msgspec.MsgspecError, KeyError):
        return "not_ready", "the admin process took no more", ()


def _again(head: bytes) -> Sequence[tuple[str, str]]:
    lines = (line.partition(b": ") for line in head.split(b"\r\n"))
    return [(name.decode(), value.decode("latin-1")) for name, _, value in lines if name == b"retry-after"]


class Refused:
    """A body of which nothing is read: that was told at once."""

    def __len__(self) -> int:
        return 0

    def extend(self, data: bytes, /) -> None:
        """More of it."""

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """The rest of it."""

    def abandon(self) -> None:
        """No rest of it."""


class Spool:
    """A body in a file of its own, below ``place``; nowhere, where that is None. What cannot be written is not kept, and
    ``trouble`` says why. ``then`` is called with it once it is whole, ``over`` once no more of it will come."""

    def __init__(
        self,
        place: Path | None,
        then: Callable[[Connection, Head, Spool], None],
        over: Callable[[Spool], None] = lambda _: None,
    ) -> None:
        self.file: Path | None = None
        self.trouble = ""
        self._then = then
        self._over = over
        self._size = 0
        self._handle = -1
        if place is not None:
            with self._troubled():
                place.mkdir(parents=True, exist_ok=True)
                sweep(place)
                self.file = place / f"{HIDDEN}{os.urandom(8).hex()}"
                self._handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def __len__(self) -> int:
        return self._size

    def extend(self, data: bytes, /) -> None:
        """More of it is here."""
        self._size += len(data)
        if self._handle >= 0:
            with self._troubled():
                view = memoryview(data)
                while view:
                    view = view[os.write(self._handle, view) :]

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """All of it is here."""
        self._close()
        self._then(connection, head, self)

    def abandon(self) -> None:
        """Whoever sent it is gone."""
        self._close()
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _close(self) -> None:
        self._over(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    @contextlib.contextmanager
    def _troubled(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.abandon()
            self.file = None


def sweep(place: Path) -> None:
    """Remove what processes that were killed left behind."""
    for left in place.glob(f"{HIDDEN}*"):
        with contextlib.suppress(OSError):
            if is_left(left):
                left.unlink()


def is_left(file: Path) -> bool:
    """Whether nobody has written to a file for so long that nobody will."""
    return time.time() - file.stat().st_mtime > LEFT_S

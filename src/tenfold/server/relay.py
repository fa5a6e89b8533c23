"""What a front hands on to the admin process, whose answer then goes to the client.

A body that is too large to be held is handed on as it arrives. A front neither keeps nor writes any of it, so that no answer
waits for a disk. Whoever sends faster than the disk writes is not read from for a while; whoever is silent for 30 s, or not
done within an hour, is not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tenfold.server.responses import problem
from tenfold.server.spool import LONGEST_S
from tenfold.server.wire import Connection, Head

ANSWER_S = 60.0  # for the admin process to keep what it has, and to answer

_tasks: set[asyncio.Task[None]] = set()


def ask(connection: Connection, path: Path, request: bytes, limit_s: float) -> None:
    """Let the admin process, which listens at ``path``, answer a whole request."""
    task = asyncio.get_running_loop().create_task(_ask(connection, path, request, limit_s))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _ask(connection: Connection, path: Path, request: bytes, limit_s: float) -> None:
    answer = b""
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(limit_s):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(request)
            answer = await reader.read(-1)
            writer.close()
    connection.send(answer or _unheard(), keep_alive=False)


def _unheard() -> bytes:
    return problem("not_ready", "the admin process does not answer", headers=[("retry-after", "1")])


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
        self._client.send(self._answer or _unheard(), keep_alive=False)


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

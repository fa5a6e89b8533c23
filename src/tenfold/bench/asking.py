"""Requests one at a time: what a service takes for one alone, and whether it answers at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from tenfold.bench.connection import Connection
from tenfold.bench.outcome import outcome

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]

REPETITIONS = 2  # of a request that was answered, and not well: a few may be, of many
_now = time.monotonic


class Reply(NamedTuple):
    """What became of one request. A status of 0 is no answer: ``body`` then says why."""

    status: int
    body: bytes
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the model answered."""
        return bool(self.status) and outcome(self.status, self.body) == "good"


class Asker:
    """The owner of one connection at a time; a closed one is replaced."""

    def __init__(self, connect: Connect, patience_s: float) -> None:
        """``patience_s`` is how long an answer may take before there is none."""
        self._connect = connect
        self._patience_s = patience_s
        self._connection: Connection | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()

    async def ask(self, request: bytes) -> Reply:
        """Send a request and wait for its answer."""
        began = _now()
        try:
            async with asyncio.timeout(self._patience_s):
                if self._connection is None or self._connection.closing:
                    await self._connect(lambda: Connection(self))
                assert self._connection is not None  # it was opened
                self._answer = asyncio.get_running_loop().create_future()
                self._connection.send(request, began)
                status, body = await self._answer
        except TimeoutError:
            self.close()
            return Reply(0, f"no answer within {self._patience_s:g} s".encode(), _now() - began)
        except OSError as error:
            return Reply(0, (error.strerror or str(error)).encode(), _now() - began)
        return Reply(status, body, _now() - began)

    async def ask_all(self, requests: Sequence[bytes], seconds: float) -> list[Reply]:
        """Send each once, and go on in rotation for so many seconds; end with the first that is not answered well, even
        if it is repeated."""
        until = _now() + seconds
        replies: list[Reply] = []
        while len(replies) < len(requests) or _now() < until:
            replies.append(await self._ask_again(requests[len(replies) % len(requests)]))
            if not replies[-1].is_good:
                break
        return replies

    async def _ask_again(self, request: bytes) -> Reply:
        reply = await self.ask(request)
        for _ in range(REPETITIONS):
            if reply.is_good or not reply.status:
                break
            reply = await self.ask(request)
        return reply

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What the connection says

    def opened(self, connection: Connection) -> None:
        self._connection = connection

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        if connection is self._connection and not self._answer.done():
            self._answer.set_result((status, body))

    def lost(self, connection: Connection) -> None:
        if connection is self._connection and connection.request is not None and not self._answer.done():
            self._answer.set_exception(ConnectionResetError(0, "it closed the connection without an answer"))

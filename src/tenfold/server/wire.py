"""Bytes in and out: HTTP/1.1 on one asyncio.Protocol, with limits on everything a client controls.

llhttp judges every head of a request, once: keep-alive clients send the same head again and again, so a parsed ``Head`` is
remembered by its exact bytes, together with the handler that its route resolved to. A body with a length is cut from what
arrived; a chunked body goes through llhttp. One request is in progress per connection; what a client sends ahead waits in the
socket, also while it does not read its answers. Limits, besides those of ``llhttp``: the body is as long as the handler says;
10 s for a head, 30 s of silence within a body, 30 s in which nothing of an answer is read, 60 s between requests.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from typing import Protocol

from tenfold.server.compiled import hot
from tenfold.server.llhttp import MAX_HEAD_BYTES, MAX_TARGET_BYTES, Body, Chunks, Rejected, parse_head
from tenfold.server.responses import fitted, problem
from tenfold.server.tracing import parse

HEAD_TIMEOUT_S = 10.0
BODY_TIMEOUT_S = 30.0
IDLE_TIMEOUT_S = 60.0
LINGER_S = 2.0
MAX_HEADS = 1024

log = logging.getLogger("tenfold")


class Head:
    """A request's method, path, query and headers (lower-case names), and the handler that its route resolved to.

    ``length`` is the body's, or -1 for a chunked body.
    """

    __slots__ = (
        "background", "budget_s", "expects", "handler", "headers", "is_head", "keep_alive", "length",
        "max_body", "method", "path", "query", "sink", "trace", "trace_id",
    )  # fmt: skip

    def __init__(self, method: str, target: bytes, headers: dict[str, str], keep_alive: bool) -> None:
        path, _, query = target.partition(b"?")
        self.method = method
        self.is_head = method == "HEAD"
        self.path = path.decode("ascii", "replace")
        self.query = query.decode("ascii", "replace")
        self.headers = headers
        self.keep_alive = keep_alive
        self.expects = headers.get("expect", "").lower() == "100-continue"
        self.length = -1 if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
        self.trace_id = headers.get("x-request-id", "").encode("ascii", "ignore")
        if not (len(self.trace_id) <= 128 and self.trace_id.isascii() and self.trace_id.decode().isprintable()):
            self.trace_id = b""
        self.trace = parse(headers["traceparent"]) if "traceparent" in headers else None
        self.max_body = 0
        self.budget_s = 0.0
        self.background = False
        self.sink: Callable[[Connection, Head], Sink] | None = None
        self.handler: Handler


Handler = Callable[["Connection", Head, bytes, float], None]
"""Called once with the whole body and the monotonic time at which the head was complete; answers by ``Connection.send``."""


class Sink(Body, Protocol):
    """What takes in a body as it arrives, where that is too large to be held. A body that comes with its head goes to the
    handler nevertheless."""

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """All of it is here: answer, as a handler does. ``body`` is empty."""
        ...

    def abandon(self) -> None:
        """The rest will not come."""
        ...


class App(Protocol):
    """What a connection needs of the process that it belongs to."""

    max_body_bytes: int
    draining: bool

    def resolve(self, head: Head) -> Handler:
        """The handler for this head; also for unknown routes and methods, which answer themselves."""
        ...


class Heads:
    """Parsed heads by their bytes. Forgotten all at once when full, or when routes change (``clear``)."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.known: dict[bytes, Head] = {}
        self.clear = self.known.clear

    def parse(self, raw: bytes) -> Head:
        """Judge and remember a head that was not seen before."""
        head = Head(*parse_head(raw))
        head.max_body = self._app.max_body_bytes
        head.handler = self._app.resolve(head)
        if head.length > head.max_body:
            raise Rejected("too_large", f"the body may have {head.max_body:,} bytes")
        if not head.headers.keys() & PER_REQUEST:
            if len(self.known) >= MAX_HEADS:
                self.known.clear()
            self.known[raw] = head
        return head


PER_REQUEST = frozenset({"x-request-id", "traceparent", "idempotency-key"})


class Connection(asyncio.Protocol):
    """One client. Reads a request, hands it to its handler, and reads the next once that is answered."""

    __slots__ = (
        "_app",
        "_body",
        "_buffer",
        "_chunks",
        "_full",
        "_head",
        "_heads",
        "_known",
        "_last",
        "_live",
        "_only_head",
        "_rejected",
        "_stays",
        "_unsent",
        "busy",
        "since",
        "started",
        "transport",
    )

    def __init__(self, app: App, heads: Heads, live: Live) -> None:
        self._app = app
        self._heads = heads
        self._known = heads.known
        self._live = live
        self._buffer = b""
        self._head: Head | None = None
        self._body: bytearray | Sink = bytearray()
        self._chunks: Chunks | None = None
        self._only_head = False
        self._stays = True
        self._last = False
        self._rejected = False
        self._full = False
        self._unsent = 0
        self.busy = False
        self.started = 0.0
        self.since = 0.0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.since = time.monotonic()
        self._live.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._live.discard(self)
        if not isinstance(self._body, bytearray):
            self._body.abandon()

    def eof_received(self) -> bool:
        """Who closes looks just like who has said all it will say. Of those that wait for an answer, only the latter announce
        it, by ``Connection: close``; any other is gone, and what it asked need not be answered."""
        self._last = True
        return self.busy and not self._stays

    @property
    def idle(self) -> bool:
        """Whether no request has begun: none is read or answered, and nothing of the next one is here."""
        return not self.busy and self._head is None and not self._buffer

    def pause_writing(self) -> None:
        """The client does not read its answers; until it does, no further request of it is read."""
        self._full = True
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has read most of what waited."""
        self._full = False
        if self.transport is not None:
            self.transport.resume_reading()
            asyncio.get_running_loop().call_soon(self._next)

    def data_received(self, data: bytes) -> None:
        self._receive(data)

    def _receive(self, data: bytes) -> None:
        if self._rejected:
            return
        if self.busy:
            self._wait_with(data)
        elif self._head is not None:
            self._more_body(data)
        else:
            self._read(self._buffer + data if self._buffer else data)

    def _wait_with(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > MAX_HEAD_BYTES and self.transport is not None:
            self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """A new request begins at the first byte of ``data``."""
        end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES) + 4
        if end < 4:
            self._unfinished_head(data)
            return
        raw = data[:end]
        self.started = self.since = time.monotonic()
        head = self._known.get(raw)
        if head is None:
            try:
                head = self._heads.parse(raw.lstrip(b"\r\n"))
            except Rejected as rejected:
                self.reject(rejected.code, rejected.detail)
                return
        if len(data) - end == head.length:
            self._buffer = b""
            self._handle(head, data[end:])
        else:
            self._begin_body(head, data[end:])

    def _unfinished_head(self, data: bytes) -> None:
        if len(data) >= MAX_HEAD_BYTES:
            line = data.find(b"\r\n")
            self.reject("uri_too_long" if line < 0 or line > MAX_TARGET_BYTES else "headers_too_large")
            return
        if not self._buffer:
            self.since = time.monotonic()
        self._buffer = data

    def _begin_body(self, head: Head, data: bytes) -> None:
        """Part of a body came with the head, or more than the body."""
        self._head, self._buffer = head, b""
        if head.sink is not None:
            self._body = head.sink(self, head)
            if self._rejected:
                return
        self._chunks = Chunks(self._body) if head.length < 0 else None
        if head.expects and not data and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._more_body(data)

    def _more_body(self, data: bytes) -> None:
        head = self._head
        assert head is not None
        self.since = time.monotonic()
        if self._chunks is not None:
            self._more_chunks(head, self._chunks, data)
            return
        missing = head.length - len(self._body)
        self._body.extend(data[:missing])
        if len(data) >= missing:
            self._buffer = data[missing:]
            self._complete(head, self._body)

    def _more_chunks(self, head: Head, chunks: Chunks, data: bytes) -> None:
        try:
            chunks.feed(data)
        except Rejected as rejected:
            self.reject(rejected.code, rejected.detail)
            return
        if len(self._body) > head.max_body:
            self.reject("too_large", f"the body may have {head.max_body:,} bytes")
        elif chunks.complete:
            self._last = chunks.overrun
            self._complete(head, self._body)

    def _complete(self, head: Head, body: bytearray | Sink) -> None:
        self._head, self._body, self._chunks = None, bytearray(), None
        if isinstance(body, bytearray):
            self._handle(head, bytes(body))
        else:
            head = copy(head)  # another request may share it
            head.handler = body.complete
            self._handle(head, b"")

    def _handle(self, head: Head, body: bytes) -> None:
        """Give a whole request to its handler. If that fails, the client hears so, and the log why."""
        self.busy = True
        self._only_head = head.is_head
        self._stays = head.keep_alive
        try:
            head.handler(self, head, body, self.started)
        except Exception as error:
            self._failed(head, error)

    def _failed(self, head: Head, error: Exception) -> None:
        log.error("%s %s failed", head.method, head.path, exc_info=error)
        if self.busy:
            self.send(problem("internal"), keep_alive=False)

    def reject(self, code: str, detail: str = "", headers: Sequence[tuple[str, str]] = ()) -> None:
        """Refuse what cannot be read any further, and end the connection.

        What the client still sends is thrown away for a moment: closing at once would reset the connection, and the
        client might never see why.
        """
        transport = self.transport
        if transport is None:
            return
        self._rejected = True
        self._live.rejected[code] += 1
        transport.write(fitted(problem(code, detail, headers=headers), only_head=False, last=True))
        if transport.can_write_eof():
            transport.write_eof()
        asyncio.get_running_loop().call_later(LINGER_S, transport.close)

    def send(self, response: bytes, keep_alive: bool = True) -> None:
        """Answer the request in progress with a whole response, and go on to the next."""
        transport = self.transport
        self.busy = False
        if transport is None:
            return
        last = not keep_alive or self._last or self._app.draining
        if last or self._only_head:
            response = fitted(response, only_head=self._only_head, last=last)
        transport.write(response)
        if last:
            self._buffer = b""
            transport.close()
        elif self._buffer:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Read what the client sent ahead, unless it does not read what it was answered."""
        if self.busy or self._full or self._rejected or self.transport is None or self._head is not None:
            return
        self.transport.resume_reading()
        data, self._buffer = self._buffer, b""
        if data:
            self._read(data)

    def check_patience(self, now: float) -> None:
        """Close a connection that has been silent for too long; called about once a second."""
        transport = self.transport
        if transport is None or self._waits_for_reader(transport, now) or self.busy or self._rejected:
            return
        silent_s = now - self.since
        if self._head is not None and silent_s > BODY_TIMEOUT_S:
            self.reject("request_timeout", "the body paused for 30 s")
        elif self._buffer and silent_s > HEAD_TIMEOUT_S:
            self.reject("request_timeout", "the head did not arrive within 10 s")
        elif silent_s > IDLE_TIMEOUT_S or (silent_s > 0.5 and self.idle and self._app.draining):
            transport.close()

    def _waits_for_reader(self, transport: asyncio.Transport, now: float) -> bool:
        """Whether the client has yet to read what was sent. Where it reads nothing for 30 s, that is thrown away."""
        before, self._unsent = self._unsent, transport.get_write_buffer_size()
        if not self._unsent:
            return False
        if not before or self._unsent < before:
            self.since = now
        elif now - self.since > BODY_TIMEOUT_S:
            transport.abort()
        return True


if hot is not None:
    Connection.data_received = hot.receiver(Connection, Head, MAX_HEAD_BYTES)  # type: ignore[method-assign,assignment]


class Live(set[Connection]):
    """The connections that are open. ``rejected`` counts requests that were refused before any handler saw them."""

    def __init__(self) -> None:
        super().__init__()
        self.rejected: Counter[str] = Counter()
        self._emptied: asyncio.Event | None = None

    def discard(self, connection: object) -> None:
        """A connection was closed."""
        super().discard(connection)
        if not self and self._emptied is not None:
            self._emptied.set()

    async def empty(self) -> None:
        """Wait until none is left."""
        self._emptied = asyncio.Event()
        if self:
            await self._emptied.wait()

"""Bodies that a front cannot read itself: handed to a process of its own, the reader, and taken back as typed rows.

Arrow and Parquet need libraries that no front imports; and what strangers send may take any memory and any time to decode, or
end the process. So each front that is sent such a body starts one reader, which holds no model, has little memory, and is
started anew when it ends. It reads one body at a time; those that wait for it keep their deadlines.

Messages are a length (u32) and msgpack: a ``Task`` there, a ``Read`` back. The first one back is empty: the reader is ready.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

import msgspec

from tenfold.errors import Change, Flag, Violation
from tenfold.server.process import stand_back

START_S = 30.0  # for the reader to start, which the first bodies wait for beyond their deadlines
GRACE_S = 1.0  # after the deadline of a body, until whoever still reads it is ended
MOST_WAITING = 16
LENGTH_BYTES = 4
MOST_ANSWER_BYTES = 64 * 2**20  # of what a body comes to: a few kilobytes can have very much to be said about them
ENDED = "reading the body ended the process that read it, twice"

log = logging.getLogger("tenfold")


class Task(msgspec.Struct, array_like=True):
    """A body to be read: "arrow" or "parquet", the contract (its ``Form`` as JSON), and how many rows there may be."""

    kind: str
    form: bytes
    body: bytes
    most_rows: int


class Read(msgspec.Struct, array_like=True):
    """What was read: the parts of accepted rows, where these stood of how many, what validation had to say, and all rows as
    lines of JSON. Or why nothing was: a code of ``errors.CODES``, and what is wrong."""

    code: str = ""
    detail: str = ""
    total: int = 0
    index: list[int] = []
    parts: list[tuple[bytes, ...]] = []
    violations: list[Violation] = []
    changes: list[Change] = []
    flags: list[Flag] = []
    put_aside: dict[int, list[Violation]] = {}
    fallbacks: dict[int, str] = {}
    lines: bytes = b""


LONG = Read(
    "too_large", f"what there is to say about the rows is more than {MOST_ANSWER_BYTES >> 20} MiB: send fewer at once"
)


def framed(message: bytes) -> bytes:
    """A message with its length."""
    return len(message).to_bytes(LENGTH_BYTES, "little") + message


class Order:
    """A body that somebody waits for until ``due``. ``held_s`` is how long it waited for the reader to start, which does not
    count."""

    def __init__(self, task: Task, due: float, is_patient: bool, is_gone: Callable[[], bool]) -> None:
        """Whoever ``is_patient`` waits for the reader to start; ``is_gone`` tells that nobody does any more."""
        self.message = framed(msgspec.msgpack.encode(task))
        self.due = due
        self.is_patient = is_patient
        self.is_gone = is_gone
        self.came = time.monotonic()
        self.held_s = 0.0
        self.deaths = 0
        self.done: asyncio.Future[Read] = asyncio.get_running_loop().create_future()

    def settle(self, read: Read) -> None:
        """Say what came of it, once."""
        if not self.done.done():
            self.done.set_result(read)


class Reader(asyncio.Protocol):
    """The front's end of the line to its reader."""

    def __init__(self) -> None:
        self._waiting: deque[Order] = deque()
        self._at_work: Order | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[object] | None = None
        self._is_ready = False
        self._held = bytearray()

    async def read(self, order: Order) -> Read:
        """What a body holds, or why it is not known."""
        if len(self._waiting) >= MOST_WAITING:
            return Read("overloaded", f"{MOST_WAITING} bodies wait to be read")
        self._waiting.append(order)
        if self._process is None:
            self._start()
        self._next()
        return await self._in_time(order)

    async def _in_time(self, order: Order) -> Read:
        """Wait for it until it is due; while the reader starts, who is patient waits for that first."""
        while not order.done.done():
            is_held = not self._is_ready and order.is_patient
            limit = order.came + START_S if is_held else order.due
            left_s = limit - time.monotonic()
            if left_s <= 0:
                order.done.cancel()
                self._waiting = deque(other for other in self._waiting if other is not order)
                if self._at_work is order:
                    asyncio.get_running_loop().call_later(GRACE_S, self._give_up, order)
                return Read("deadline" if self._is_ready else "not_ready", "the body was not read in time")
            await asyncio.wait([order.done], timeout=min(left_s, 0.05) if is_held else left_s)
        return order.done.result()

    def _give_up(self, order: Order) -> None:
        """It takes too long, and others wait."""
        if self._at_work is order and self._process is not None:
            self._process.kill()

    # The process

    def _start(self) -> None:
        try:
            ours, process = _started()
        except OSError as error:
            log.error("no process can be started that reads bodies: %s", error)
            self._fail(Read("not_ready", "the process that reads such bodies cannot be started now"))
            return
        self._process = process
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(loop.create_connection(lambda: self, sock=ours))
        loop.call_later(START_S, self._end_unless_ready, process)

    def _end_unless_ready(self, process: subprocess.Popen[bytes]) -> None:
        """Who neither gets ready nor ends is in the way of the next one."""
        if self._process is process and not self._is_ready:
            process.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= LENGTH_BYTES:
            end = LENGTH_BYTES + int.from_bytes(self._held[:LENGTH_BYTES], "little")
            if end > LENGTH_BYTES + MOST_ANSWER_BYTES:
                self._refuse_long()
                return
            if len(self._held) < end:
                return
            message = bytes(memoryview(self._held)[LENGTH_BYTES:end])
            del self._held[:end]
            if message:
                self._answered(msgspec.msgpack.decode(message, type=Read))
            else:
                self._ready()

    def _refuse_long(self) -> None:
        """No reader says so much, but for one that its body took over."""
        if self._at_work is not None:
            self._at_work.settle(LONG)
        if self._transport is not None:
            self._transport.abort()  # which ends it
        self._held.clear()

    def _ready(self) -> None:
        self._is_ready = True
        now = time.monotonic()
        for order in self._waiting:
            if order.is_patient:
                order.held_s = now - order.came
                order.due += order.held_s
        self._next()

    def _answered(self, read: Read) -> None:
        order, self._at_work = self._at_work, None
        if order is not None:
            order.settle(read)
        self._next()

    def _next(self) -> None:
        while self._is_ready and self._at_work is None and self._waiting and self._transport is not None:
            order = self._waiting.popleft()
            if order.is_gone():
                order.settle(Read("deadline"))
            else:
                self._at_work = order
                self._transport.write(order.message)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process ended, by what it read or while it started. What waits is read by the next one; and so is what this one
        was reading, once more."""
        process, self._process = self._process, None
        was_ready, self._is_ready = self._is_ready, False
        order, self._at_work = self._at_work, None
        self._transport = None
        self._held.clear()
        if process is not None:
            process.kill()
            process.wait()  # which takes no time: what closed the line was its end
        if order is not None and not order.done.done():
            order.deaths += 1
            if order.deaths > 1:
                order.settle(Read("malformed", ENDED))
            else:
                self._waiting.appendleft(order)
        if not was_ready:
            log.error("the process that reads bodies ended while it started")
            self._fail(
                Read("not_ready", "the process that reads such bodies does not start; the server's log says why")
            )
        elif self._waiting:
            self._start()

    def _fail(self, read: Read) -> None:
        waiting, self._waiting = self._waiting, deque()
        for order in waiting:
            order.settle(read)


def _started() -> tuple[socket.socket, subprocess.Popen[bytes]]:
    """A process that reads bodies, and this end of the line to it. Raises ``OSError``."""
    ours, theirs = socket.socketpair()
    try:
        command = [sys.executable, "-m", "tenfold.server.reader", str(theirs.fileno())]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    stand_back(process.pid)  # before its imports, which beside one that answers take long enough to be felt
    return ours, process


@cache
def reader() -> Reader:
    """The one of this process."""
    return Reader()


@cache
def why_unreadable() -> str:
    """Why no reader could read anything here; "" where it could."""
    if find_spec("pyarrow") is not None:
        return ""
    return "Arrow and Parquet are read with pyarrow, which is not installed here: pip install 'tenfold[batch]'"

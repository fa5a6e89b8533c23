"""One rate, driven: each request leaves when its time has come, whatever became of those before it.

That is an open loop. In a closed one, where each connection waits for its answer before it sends again, a server that
stalls is asked less just while it stalls, and nobody learns what everybody else would have waited (coordinated omission).
Here a latency is counted from the moment at which the request was to be sent, also where it then had to wait for a
connection, or for this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence

from tenfold.bench.alarm import Alarm
from tenfold.bench.asking import Connect
from tenfold.bench.connection import Connection
from tenfold.bench.outcome import outcome
from tenfold.capacity.histogram import Histogram

MOST_CONNECTIONS = 900  # below the 1,024 files that many a server may have open
READY_CONNECTIONS = 64
GRACE_S = 0.5  # for answers on their way when the deadline of the last request passes
TOLERATED_S = 1e-3
TOLERATED = 0.1  # of the deadline
AT_ONCE = 256  # requests, some 3 ms
NEVER = float("inf")

_now = time.monotonic


def tolerated_s(deadline_s: float) -> float:
    """How late a request may leave before that counts as our fault."""
    return max(TOLERATED_S, TOLERATED * deadline_s)


class Drive:
    """Sends ``requests`` in rotation at the moments that ``arrivals`` gives in seconds from the start, for so many seconds.

    A request that finds no connection free opens one; where too many are open, it waits.
    """

    def __init__(
        self,
        connect: Connect,
        requests: Sequence[bytes],
        arrivals: Iterator[float],
        seconds: float,
        deadline_s: float,
    ) -> None:
        self._connect = connect
        self._requests = itertools.cycle(requests)
        self._arrivals = arrivals
        self._seconds = seconds
        self._deadline_s = deadline_s
        self._tolerated_s = tolerated_s(deadline_s)
        self._open: set[Connection] = set()
        self._free: deque[Connection] = deque()  # used in turn, as by many clients
        self._opening: set[asyncio.Task[None]] = set()
        self._waiting: deque[tuple[bytes, float]] = deque()  # requests without a connection
        self._began = self._due = NEVER
        self._over = asyncio.Event()
        self._all_back = asyncio.Event()
        self._hung_up = False
        self._half = 0
        self.counts: Counter[str] = Counter()  # "requests" that left, "behind" ones of these, and one for each outcome
        self.latency = Histogram()
        self.piled = 0
        self.seconds = 0.0

    @property
    def missed(self) -> int:
        """The requests that are known to have missed."""
        return self._concluded - self.counts["good"]

    @property
    def _concluded(self) -> int:
        """Those of which it is known what became of them."""
        return self.counts.total() - self.counts["requests"] - self.counts["behind"]

    @property
    def _in_progress(self) -> int:
        return self.counts["requests"] - self._concluded

    async def run(self, ready: int) -> None:
        """Open so many connections, send everything, and wait for the answers until the last deadline has passed."""
        for _ in range(min(ready, READY_CONNECTIONS)):
            self._open_one()
        if self._opening:
            await asyncio.wait(self._opening, timeout=self._deadline_s)
        loop = asyncio.get_running_loop()
        self._alarm = Alarm(self._ring)
        self._began = _now()
        loop.call_later(self._seconds / 2, self._look)
        loop.call_later(self._seconds, self._over.set)
        self._next()
        self._ring()
        await self._over.wait()
        self._end()
        try:
            async with asyncio.timeout(self._deadline_s + GRACE_S):
                await self._all_back.wait()
        except TimeoutError:
            self._give_up()
        self._hang_up()

    def stop(self) -> None:
        """Send no more."""
        self._over.set()

    def _look(self) -> None:
        """Half of the time is over."""
        self._half = self._in_progress

    def _end(self) -> None:
        """Nothing is sent any more. What should have been is counted: it is our fault, and none of them was answered."""
        self._alarm.clear()
        should_have_left = _now() - self._tolerated_s
        while self._due <= should_have_left:
            self.counts.update(("requests", "behind", "silent"))
            self._next()
        self._due = NEVER
        self.seconds = min(_now() - self._began, self._seconds)
        self.piled = self._in_progress - self._half
        if not self._in_progress:
            self._all_back.set()

    def _give_up(self) -> None:
        """Who has not answered by now is silent."""
        now = _now()
        dues = [due for _, due in self._waiting]
        dues += [connection.due for connection in self._open if connection.request is not None]
        for due in dues:
            self.latency.add(now - due)
        self.counts["silent"] += self._in_progress

    def _hang_up(self) -> None:
        self._hung_up = True
        self._waiting.clear()
        for task in self._opening:
            task.cancel()
        for connection in list(self._open):
            connection.close()

    # Sending

    def _next(self) -> None:
        self._due = self._began + next(self._arrivals, NEVER)

    def _ring(self) -> None:
        self._send_due(_now())
        if self._due != NEVER:
            self._alarm.set(self._due)

    def _send_due(self, now: float) -> None:
        """Send what is due; of very much, as much as leaves time to read answers in between."""
        for _ in range(AT_ONCE):
            if self._due > now:
                break
            self.counts["requests"] += 1
            if now - self._due > self._tolerated_s:
                self.counts["behind"] += 1
            self._send(next(self._requests), self._due)
            self._next()

    def _send(self, request: bytes, due: float) -> None:
        if self._free:
            self._free.popleft().send(request, due)
            return
        self._waiting.append((request, due))
        if len(self._opening) < len(self._waiting):
            self._open_one()

    def _open_one(self) -> None:
        if len(self._open) + len(self._opening) < MOST_CONNECTIONS:
            task = asyncio.get_running_loop().create_task(self._try_to_open())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _try_to_open(self) -> None:
        try:
            await self._connect(lambda: Connection(self))
        except OSError:
            if self._waiting:
                self._waiting.popleft()
                self._conclude("broken")

    # What connections say

    def opened(self, connection: Connection) -> None:
        self._open.add(connection)
        if self._hung_up:
            connection.close()
        else:
            self._employ(connection)

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        now = _now()
        elapsed_s = now - connection.due
        what: str = outcome(status, body)
        if what == "good":
            self.latency.add(elapsed_s)
            if elapsed_s > self._deadline_s:
                what = "late"
        if not connection.closing:
            self._employ(connection)
        self._conclude(what)
        if self._due <= now:  # cheaper than to wait for the alarm
            self._send_due(now)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if self._hung_up:
            return
        if connection.request is None:
            with contextlib.suppress(ValueError):
                self._free.remove(connection)
        elif connection.used and not connection.heard:
            # It was being closed as idle when we sent; RFC 9112, 9.3.1, has a client try again.
            self._send(connection.request, connection.due)
        else:
            self._conclude("broken")

    def _employ(self, connection: Connection) -> None:
        if self._waiting:
            connection.send(*self._waiting.popleft())
        else:
            self._free.append(connection)

    def _conclude(self, what: str) -> None:
        self.counts[what] += 1
        if self._over.is_set() and not self._in_progress:
            self._all_back.set()

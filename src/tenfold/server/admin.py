"""The admin process: HTTP on a port of its own, for whoever looks after services; none of it can delay an answer.

It reads what the supervisor tells it of the fleet and the counters that the fronts leave in the run folder. What it shows is
handed to it as ``Views``, since pages and answer sheets are made on higher floors.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.server.channel import Channel
from tenfold.server.metrics import live, read
from tenfold.server.responses import JSON, Date, problem, response
from tenfold.server.wire import Connection, Handler, Head, Heads, Live, refuse_method

WINDOW_S = 3600.0  # what "live" is about
SNAPSHOT_S = 10.0
RATE_S = 60.0  # what a rate is taken over

Past = deque[tuple[float, Counter[str]]]


def rate(past: Sequence[tuple[float, Counter[str]]], now: float, counters: Counter[str]) -> float:
    """Rows per second over the last minute, or as much of it as there is."""
    then, before = next((moment for moment in reversed(past) if now - moment[0] >= RATE_S), past[0])
    return (counters["came"] - before["came"]) / max(now - then, 1.0)


class Served(NamedTuple):
    """A service as the admin process knows it. ``about`` is what its replica said of itself, ``live`` what it has done
    within the last hour."""

    about: Mapping[str, Any]
    live: Mapping[str, Any]


class Page(NamedTuple):
    """What a view answers."""

    body: bytes
    media_type: str = JSON
    status: int = 200


View = Callable[["Admin", Head], Page]


class Admin:
    """The fleet, and the routes that show it."""

    max_body_bytes = 1 << 16

    def __init__(self, channel: Channel, run: Path, views: Mapping[str, View]) -> None:
        self.draining = False
        self.heads = Heads(self)
        self.fleet: list[Mapping[str, Any]] = []
        self.public: tuple[str, int] = ("", 0)
        self._channel = channel
        self._run = run
        self._views = views
        self._live = Live()
        self._past: dict[str, Past] = {}
        self._stopped = asyncio.Event()

    def served(self) -> list[Served]:
        """Every service, with its counters summed over all fronts."""
        now = time.monotonic()
        found = []
        for about in self.fleet:
            counters = self.counters(about["release"])
            past = self._past.get(about["release"]) or [(now, counters)]
            began, before = past[0]
            done = live(counters - before)
            done["since"] = time.time() - (now - began)
            done["rows_per_s"] = rate(past, now, counters)
            found.append(Served(about, done | {"replicas": about["replicas"]}))
        return found

    def _remember(self) -> None:
        """Keep the counters of now; those of more than an hour ago are forgotten."""
        now = time.monotonic()
        for about in self.fleet:
            release = about["release"]
            past = self._past.setdefault(release, deque(maxlen=int(WINDOW_S / SNAPSHOT_S) + 1))
            if not past or now - past[-1][0] >= SNAPSHOT_S:
                past.append((now, self.counters(release)))
        self._past = {about["release"]: self._past[about["release"]] for about in self.fleet}

    def counters(self, release: str) -> Counter[str]:
        """The raw counters of a release."""
        return read(self._run.glob(f"front-*.{release}.counters"))

    def connection(self) -> Connection:
        """A new client's protocol."""
        return Connection(self, self.heads, self._live)

    def resolve(self, head: Head) -> Handler:
        """The view of the longest matching route."""
        path = head.path.rstrip("/") or "/"
        name = max(
            (route for route in self._views if path == route or path.startswith(f"{route}/")), key=len, default=""
        )
        if not name:
            return _not_found
        if head.method not in ("GET", "HEAD"):
            return refuse_method("GET", "HEAD")
        return self._show(self._views[name])

    def _show(self, view: View) -> Handler:
        def show(connection: Connection, head: Head, body: bytes, started: float) -> None:
            page = view(self, head)
            connection.send(response(page.status, page.body, page.media_type), head.keep_alive)

        return show

    def _hear(self) -> None:
        messages = self._channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._stopped.set()
            return
        for message in messages:
            self.fleet = message["services"]
            self._remember()
            self.public = tuple(message["address"])

    async def serve(self, *listening: socket.socket) -> None:
        """Answer until the supervisor hangs up."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        for one in listening:
            if one.family == socket.AF_UNIX:
                await loop.create_unix_server(self.connection, sock=one)
            else:
                await loop.create_server(self.connection, sock=one)
        self._tick()
        await self._stopped.wait()

    def _tick(self) -> None:
        Date.refresh()
        self._remember()
        now = time.monotonic()
        for connection in list(self._live):
            connection.check_patience(now)
        asyncio.get_running_loop().call_later(1.0, self._tick)


def _not_found(connection: Connection, head: Head, body: bytes, started: float) -> None:
    connection.send(problem("not_found", "the routes are /, /metrics and /api/status"), head.keep_alive)


def main(channel: int, listen: int, local: int, run: str, views: Mapping[str, View]) -> None:
    """Run the admin process on inherited descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def serve() -> None:
        admin = Admin(Channel.inherited(channel), Path(run), views)
        await admin.serve(socket.socket(fileno=listen), socket.socket(fileno=local))

    asyncio.run(serve())

"""The admin process: HTTP on a port of its own, for whoever looks after services; none of it can delay an answer.

What it shows is handed to it as views of its ``Survey``, since pages and answer sheets are made on higher floors.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tenfold.auth import Access, of_person
from tenfold.errors import TenfoldError
from tenfold.server.aside import Aside
from tenfold.server.channel import Channel, Message
from tenfold.server.deeds import MOST_TOLD_BYTES, Deeds
from tenfold.server.origins import ASTRAY, is_astray, is_loopback
from tenfold.server.refusals import refuse, refuse_key, refuse_method
from tenfold.server.responses import Date, Page, response
from tenfold.server.survey import Survey
from tenfold.server.wire import Connection, Handler, Head, Heads, Live
from tenfold.store.opening import checkpoint

CHECKPOINT_S = 60.0
SCHEMES = ("Bearer", "Basic")  # of keys: a browser asks a person for one
ROUTES = "the routes are /, /metrics, /api/status, and /api/answers/NAME, drift and history"

View = Callable[[Survey, Head], Page]


class Admin:
    """The routes that show the fleet. Whatever is no reading needs a key that may ``operate``, and so does reading
    where others could."""

    max_body_bytes = 1 << 16

    def __init__(self, channel: Channel, run: Path, views: Mapping[str, View], aside: Aside, store: str = "") -> None:
        """``store`` is the place of the store that this server looks after; "" for none."""
        self.draining = False
        self.heads = Heads(self)
        self.survey = Survey(run, aside)
        self.live = Live()
        self._channel = channel
        self._views = views
        self._deeds = Deeds(self.survey)
        self._store = store
        aside.store = store
        self._gate = Access(required=("operate",)).gate()  # until the supervisor says who may do what
        self._reading_needs_key = False
        self._is_near = False  # on loopback alone
        self._stopped = asyncio.Event()

    def _told(self, message: Message) -> None:
        if message["do"] == "access":
            access = Access.of(message["access"].encode())
            self._gate = access.gate()
            self._reading_needs_key = "predict" in access.required  # as where others reach it
        else:
            self.survey.take(message)

    def connection(self) -> Connection:
        """A new client's protocol."""
        return Connection(self, self.heads, self.live)

    def resolve(self, head: Head) -> Handler:
        """The handler of a request. Its key is looked at whenever it comes: keys run out and are revoked."""
        if self._is_near and is_astray(head):
            return refuse("forbidden", ASTRAY)
        handler = self.route(head)
        head.max_body, head.sink = min(head.max_body, MOST_TOLD_BYTES), None  # strangers write no files here

        def guarded(connection: Connection, head: Head, body: bytes, started: float) -> None:
            if code := self._refusal(head):
                refuse_key(code, head, SCHEMES)(connection, head, body, started)
            else:
                handler(connection, head, body, started)

        return guarded

    def _refusal(self, head: Head) -> str:
        key = head.headers.get("authorization", "")
        if head.method in ("GET", "HEAD"):
            if not self._reading_needs_key:
                return ""
            key = of_person(key)
        return self._gate.refusal(key, "operate", time.time())

    def route(self, head: Head) -> Handler:
        """What is done there, or the view of the longest matching route."""
        path = head.path.rstrip("/") or "/"
        if deed := self._deeds.handler(head, path):
            return deed
        name = max(
            (route for route in self._views if path == route or path.startswith(f"{route}/")), key=len, default=""
        )
        if not name:
            return refuse("not_found", ROUTES)
        if head.method not in ("GET", "HEAD"):
            return refuse_method("GET", "HEAD")
        return self._show(self._views[name])

    def _show(self, view: View) -> Handler:
        def show(connection: Connection, head: Head, body: bytes, started: float) -> None:
            page = view(self.survey, head)
            connection.send(response(page.status, page.body, page.media_type), head.keep_alive)

        return show

    def _hear(self) -> None:
        messages = self._channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._stopped.set()
            return
        for message in messages:
            self._told(message)

    async def serve(self, listening: socket.socket, local: socket.socket, metrics: socket.socket | None) -> None:
        """Answer until the supervisor hangs up; on ``metrics`` nothing but /metrics."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        self._is_near = is_loopback(str(listening.getsockname()[0]))
        await loop.create_server(self.connection, sock=listening)
        await loop.create_unix_server(Keyless(self).connection, sock=local)
        if metrics is not None:
            await loop.create_server(Keyless(self, "/metrics").connection, sock=metrics)
        self._tick()
        if self._store:
            self._checkpoint()
        await self._stopped.wait()

    def _tick(self) -> None:
        Date.refresh()
        self.survey.tick()
        now = time.monotonic()
        for connection in list(self.live):
            connection.check_patience(now)
        asyncio.get_running_loop().call_later(1.0, self._tick)

    def _checkpoint(self) -> None:
        """Once a minute, aside: the log of the store's database is moved into it. Only this process does so."""
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, _checkpoint, self._store)
        loop.call_later(CHECKPOINT_S, self._checkpoint)


def _checkpoint(place: str) -> None:
    try:
        checkpoint(place)
    except TenfoldError as error:
        logging.getLogger("tenfold").warning("%s", error.message)


class Keyless:
    """The routes as they are without a key: one of them alone, for a port that more may reach than should see the rest; or
    all, for the fronts of this server."""

    max_body_bytes = 0
    draining = False

    def __init__(self, admin: Admin, path: str = "") -> None:
        self._admin = admin
        self._path = path
        self._heads = Heads(self)

    def connection(self) -> Connection:
        """A new client's protocol."""
        return Connection(self, self._heads, self._admin.live)

    def resolve(self, head: Head) -> Handler:
        """The handler of the one route, or of each."""
        if self._path in ("", head.path):
            return self._admin.route(head)
        return refuse("not_found", f"this port has {self._path} alone")


def main(
    channel: int,
    listen: int,
    local: int,
    run: str,
    views: Mapping[str, View],
    aside: Aside,
    metrics: int = -1,
    store: str = "",
) -> None:
    """Run the admin process on inherited descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def serve() -> None:
        admin = Admin(Channel.inherited(channel), Path(run), views, aside, store)
        alone = socket.socket(fileno=metrics) if metrics >= 0 else None
        await admin.serve(socket.socket(fileno=listen), socket.socket(fileno=local), alone)

    asyncio.run(serve())

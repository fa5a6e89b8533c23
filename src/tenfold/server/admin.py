"""The admin process: HTTP on a port of its own, for whoever looks after services; none of it can delay an answer.

It reads what the supervisor tells it of the fleet and the counters that the fronts leave in the run folder. What it shows is
handed to it as ``Views``, since pages and answer sheets are made on higher floors.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tenfold.auth import Access, of_person
from tenfold.errors import TenfoldError
from tenfold.server.channel import Channel, Message
from tenfold.server.history import Recorder
from tenfold.server.origins import ASTRAY, is_astray, is_loopback
from tenfold.server.refusals import refuse, refuse_key, refuse_method
from tenfold.server.responses import JSON, Date, problem, response
from tenfold.server.spool import Refused, Spool
from tenfold.server.totals import Totals, live
from tenfold.server.uploads import AGAIN, MOST_BYTES, Uploads, is_upload
from tenfold.server.usage import Usage, Used, Whose
from tenfold.server.wire import Connection, Handler, Head, Heads, Live
from tenfold.store.opening import checkpoint

WINDOW_S = 3600.0  # what "live" is about
SNAPSHOT_S = 10.0
PASTS = int(WINDOW_S / SNAPSHOT_S) + 1
RATE_S = 60.0  # what a rate is taken over
CHECKPOINT_S = 60.0
SCHEMES = ("Bearer", "Basic")  # of keys: a browser asks a person for one
MOST_TOLD_BYTES = 64 << 20  # at once, by a front
JOBS = "/api/jobs"
ROUTES = "the routes are /, /metrics, /api/status, and /api/answers/NAME, drift and history"
LAST_LOOK_S = 600.0  # a release that was replaced is shown for so long, so that its last counts are seen

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


class Asked(NamedTuple):
    """A request about jobs: its method, the path behind the service's jobs, the query and the media type."""

    method: str
    path: str
    query: str
    media_type: str


View = Callable[["Admin", Head], Page]
Deed = Callable[[Mapping[str, Any], bytes], Page]  # given the service, as the supervisor tells of it, and a body


class Aside(Protocol):
    """What is done besides showing. It hears of the fleet once a second; ``deeds`` are what fronts may ask for, by route,
    each done in a thread, since it may take long."""

    deeds: Mapping[str, Deed]
    store: str  # the place of the store that the server looks after

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """A second has passed."""
        ...

    def known(self, release: str) -> Mapping[str, Any]:
        """What is to be said of a release besides what it did."""
        ...

    def rows_in(self, about: Mapping[str, Any]) -> Path:
        """The folder in which rows that were sent wait for the jobs of a service."""
        ...

    def jobs(self, about: Mapping[str, Any], asked: Asked, body: bytes | Spool) -> Page:
        """What a request about the jobs of a service is answered; in a thread, as deeds are. A file that is not taken has to
        be abandoned."""
        ...


class Admin:
    """The fleet, and the routes that show it. Whatever is no reading needs a key that may ``operate``, and so does reading
    where others could."""

    max_body_bytes = 1 << 16

    def __init__(
        self, channel: Channel, run: Path, views: Mapping[str, View], store: str = "", aside: Aside | None = None
    ) -> None:
        """``store`` is the place of the store that this server looks after; "" for none."""
        self.draining = False
        self.heads = Heads(self)
        self.fleet: list[Mapping[str, Any]] = []
        self.toll: list[Mapping[str, Any]] = []
        self.public: tuple[str, int] = ("", 0)
        self.live = Live()
        self._channel = channel
        self._views = views
        self._processes: dict[int, Whose] = {}
        self._totals = Totals(run)
        self._usage = Usage(run / "usage.json")
        self._recorder = Recorder(run, self._totals.of, time.time())
        self._past: dict[str, Past] = {}
        self._former: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._store = store
        self.aside = aside
        if aside is not None:
            aside.store = store
        self._gate = Access(required=("operate",)).gate()  # until the supervisor says who may do what
        self._reading_needs_key = False
        self._is_near = False  # on loopback alone
        self._uploads = Uploads()
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
            done |= self.aside.known(about["release"]) if self.aside is not None else {}
            found.append(Served(about, done | {"replicas": about["replicas"]}))
        return found

    def counters(self, release: str) -> Counter[str]:
        """The raw counters of a release."""
        return self._totals.of(release)

    def unattributed(self) -> Counter[str]:
        """The raw counters of requests that were for no service in particular."""
        return self._totals.of("")

    def shown(self) -> list[Mapping[str, Any]]:
        """What the supervisor told of each release that answers, and of those that lately did."""
        return [*self.fleet, *({**about, "replicas": 0} for _, about in self._former.values())]

    def usage(self) -> dict[Whose, Used]:
        """What the processes of each role use, and have used."""
        self._look()
        self._usage.keep()
        return self._usage.by_role()

    def _look(self) -> None:
        if self._processes:  # the supervisor has said which they are
            self._usage.look(self._processes)

    def history(self, name: str, minutes: int) -> list[dict[str, Any]]:
        """So many minutes of a service until now, oldest first."""
        last = int(time.time() // 60)
        return list(self._recorder.of(name).between(last - minutes + 1, last))

    def _remember(self, now: float) -> None:
        """Keep the counters of now; those of more than an hour ago are forgotten."""
        for about in self.fleet:
            release = about["release"]
            past = self._past.setdefault(release, deque(maxlen=PASTS))
            if not past or now - past[-1][0] >= SNAPSHOT_S:
                past.append((now, self.counters(release)))
        self._past = {about["release"]: self._past[about["release"]] for about in self.fleet}
        for release in [release for release, (since, _) in self._former.items() if now - since > LAST_LOOK_S]:
            del self._former[release]

    def _told(self, message: Message) -> None:
        if message["do"] == "access":
            access = Access.of(message["access"].encode())
            self._gate, self._reading_needs_key = (
                access.gate(),
                "predict" in access.required,
            )  # as where others reach it
        else:
            self._take(message)

    def _take(self, message: Message) -> None:
        """The supervisor says how its fleet is now."""
        now = time.monotonic()
        current = {about["release"] for about in message["services"]}
        self._former |= {about["release"]: (now, about) for about in self.fleet}
        self._former = {release: known for release, known in self._former.items() if release not in current}
        self.fleet = message["services"]
        self.toll = message.get("toll", [])
        self.public = tuple(message["address"])
        self._processes = {os.getppid(): ("supervisor", "")}
        self._processes |= {one["pid"]: (one["role"], one["service"]) for one in message.get("processes", [])}
        if not self._past and now - message["began"] < WINDOW_S:  # whatever came before this process did counts, too
            self._past = {release: deque([(message["began"], Counter())], PASTS) for release in current}
        self._remember(now)

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
        """The view of the longest matching route."""
        path = head.path.rstrip("/") or "/"
        name = max(
            (route for route in self._views if path == route or path.startswith(f"{route}/")), key=len, default=""
        )
        if head.method == "POST" and self.aside is not None and (deed := self._deed(path)):
            head.max_body = MOST_TOLD_BYTES
            return deed
        if self.aside is not None and path.startswith(f"{JOBS}/"):
            return self._ask(self.aside, head, path)
        if not name:
            return refuse("not_found", ROUTES)
        if head.method not in ("GET", "HEAD"):
            return refuse_method("GET", "HEAD")
        return self._show(self._views[name])

    def _deed(self, path: str) -> Handler | None:
        """What is to be done for a service at ``route/NAME``; None where there is no such route."""
        route, _, name = path.rpartition("/")
        deed = self.aside.deeds.get(route) if self.aside is not None else None
        return None if deed is None else self._do(deed, name)

    def _ask(self, aside: Aside, head: Head, path: str) -> Handler:
        """What a request about the jobs of a service says, whatever its method."""
        name, _, rest = path.removeprefix(f"{JOBS}/").partition("/")
        media_type = head.headers.get("content-type", "").partition(";")[0].strip().lower()
        asked = Asked(head.method, rest, head.query, media_type)
        head.max_body = MOST_TOLD_BYTES
        if is_upload(head):
            head.max_body = MOST_BYTES
            head.sink = lambda connection, head: self._spool(connection, head, aside, asked, name)
        return self._do(lambda about, body: aside.jobs(about, asked, body), name)

    def _spool(self, connection: Connection, head: Head, aside: Aside, asked: Asked, name: str) -> Spool | Refused:
        """Rows that are written to a file while they arrive, beside those of jobs; or refused before they do."""
        about = self._about(name)
        place = aside.rows_in(about) if about else None
        if place is not None and (why := self._uploads.refusal(place, head)):
            connection.reject("overloaded", why, AGAIN)
            return Refused()

        def whole(connection: Connection, head: Head, rows: Spool) -> None:
            self._do(lambda about, _: aside.jobs(about, asked, rows), name)(connection, head, b"", connection.started)

        spool = Spool(place, whole, self._uploads.end)
        self._uploads.begin(spool, head)
        return spool

    def _about(self, name: str) -> Mapping[str, Any] | None:
        return next((about for about in self.fleet if about["service"]["name"] == name), None)

    def _do(self, deed: Deed, name: str) -> Handler:
        def do(connection: Connection, head: Head, body: bytes, started: float) -> None:
            about = self._about(name)
            if about is None:
                connection.send(problem("not_found", f"no service {name} is running"), head.keep_alive)
                return
            page = asyncio.get_running_loop().run_in_executor(None, deed, about, body)
            page.add_done_callback(lambda done: _answer(connection, head, done))

        return do

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
        now = time.monotonic()
        self._totals.fold()
        self._look()
        self._remember(now)
        self._recorder.tick(time.time(), self.fleet)
        if self.aside is not None:
            self.aside.tick([{**about, "counters": self.counters(about["release"])} for about in self.fleet])
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
        return (
            self._admin.route(head)
            if self._path in ("", head.path)
            else refuse("not_found", "this port has /metrics alone")
        )


def _answer(connection: Connection, head: Head, done: asyncio.Future[Page]) -> None:
    if error := done.exception():
        logging.getLogger("tenfold").error("%s failed", head.path, exc_info=error)
        connection.send(problem("internal"), head.keep_alive)
    else:
        page = done.result()
        connection.send(response(page.status, page.body, page.media_type), head.keep_alive)


def main(
    channel: int,
    listen: int,
    local: int,
    run: str,
    views: Mapping[str, View],
    aside: Aside | None = None,
    metrics: int = -1,
    store: str = "",
) -> None:
    """Run the admin process on inherited descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def serve() -> None:
        admin = Admin(Channel.inherited(channel), Path(run), views, store, aside)
        alone = socket.socket(fileno=metrics) if metrics >= 0 else None
        await admin.serve(socket.socket(fileno=listen), socket.socket(fileno=local), alone)

    asyncio.run(serve())

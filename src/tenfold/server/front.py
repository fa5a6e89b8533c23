"""The front: speaks HTTP, decodes, checks bounds, queues and batches. It never imports user code.

Started by the supervisor with a listening socket and a channel. It learns of replicas through the channel and of their
service through the hello of each. A new release of a service takes its place as soon as a replica of it is ready; the old
one lives until its last request is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tenfold.server.channel import Channel, settle_memory
from tenfold.server.frames import Frame, Hello
from tenfold.server.lane import Lane
from tenfold.server.link import Batch, Link
from tenfold.server.metrics import Counters, names_for
from tenfold.server.pages import index_page
from tenfold.server.routes import Site
from tenfold.server.wire import (
    HTML,
    Connection,
    Date,
    Handler,
    Head,
    Heads,
    Live,
    encode_json,
    problem,
    refuse_method,
    response,
)
from tenfold.spec import Spec

DRAIN_LIMIT_S = 30.0


class Front:
    """One process that answers HTTP."""

    max_body_bytes = 1 << 16  # where no service says otherwise

    def __init__(self, channel: Channel, run: Path, number: int) -> None:
        self.draining = False
        self.heads = Heads(self)
        self.sites: dict[str, Site] = {}
        self._channel = channel
        self._run = run
        self._number = number
        self._ready = True
        self._live = Live()
        self._lanes: dict[str, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = asyncio.Event()

    def connection(self) -> Connection:
        """A new client's protocol."""
        return Connection(self, self.heads, self._live)

    # Routes

    def resolve(self, head: Head) -> Handler:
        """The handler of a request, by its path and method."""
        match head.path.strip("/").split("/"):
            case [""]:
                return self._only(head, self._index, "GET", "HEAD")
            case ["healthz"]:
                return self._only(head, self._alive, "GET", "HEAD")
            case ["readyz"]:
                return self._only(head, self._readiness, "GET", "HEAD")
            case ["predict"] if len(self.sites) == 1:
                return next(iter(self.sites.values())).resolve(head, "predict")
            case [name] if name in self.sites:
                return self.sites[name].resolve(head, "")
            case [name, what] if name in self.sites:
                return self.sites[name].resolve(head, what)
        return self._unknown

    def _only(self, head: Head, handler: Handler, *methods: str) -> Handler:
        return handler if head.method in methods else refuse_method(*methods)

    def _index(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        if "text/html" in head.headers.get("accept", ""):
            page = index_page([site.spec for site in self.sites.values()])
            connection.send(response(200, page, HTML), head.keep_alive)
        else:
            services = [{"name": site.spec.name, "release": site.lane.release} for site in self.sites.values()]
            connection.send(response(200, encode_json({"services": services})), head.keep_alive)

    def _alive(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(response(200, b'{"alive":true}'), head.keep_alive)

    def _readiness(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        services = {name: site.lane.ready for name, site in self.sites.items()}
        ready = self._ready and bool(services) and all(services.values())
        document = encode_json({"ready": ready, "draining": not self._ready, "services": services})
        connection.send(response(200 if ready else 503, document), head.keep_alive)

    def _unknown(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        if self.sites:
            names = ", ".join(f"/{name}/predict" for name in self.sites)
            connection.send(problem("not_found", f"predictions are at {names}"), head.keep_alive)
        else:
            connection.send(problem("not_ready", headers=[("retry-after", "1")]), head.keep_alive)

    # Replicas

    def greeted(self, link: Link, hello: Hello) -> None:
        """A replica is ready; its release takes its service's place if it is new."""
        lane = self._lanes.get(hello.release)
        if lane is None:
            lane = self._open(hello, link.home)
        lane.greeted(link, hello)
        self._channel.send(event="attached", address=link.address, release=hello.release)

    def _open(self, hello: Hello, home: Path) -> Lane:
        spec, release = msgspec.json.decode(hello.service, type=Spec), hello.release
        path = self._run / f"front-{self._number}.{release}.counters"
        lane = Lane(spec, release, Counters(path, names_for(spec.input)), home, self._tell)
        self._lanes[release] = lane
        self.sites[spec.name] = Site(self._run, lane, hello)
        self.heads.clear()
        return lane

    def answered(self, link: Link, batch: Batch, frame: Frame) -> None:
        """A link answers to its lane once it has greeted."""
        raise AssertionError("an answer before the hello")

    def _tell(self, event: str, **facts: object) -> None:
        self._channel.send(event=event, **facts)

    def lost(self, link: Link, unanswered: Sequence[Batch], suspect: Batch | None) -> None:
        """A replica went away before it was ready."""

    async def _attach(self, address: str, home: Path) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_unix_connection(lambda: Link(self, address, home), address)
        except OSError as error:
            self._channel.send(event="unreachable", address=address, reason=str(error))

    def _detach(self, release: str) -> None:
        """Let go of a release that another one has replaced, once nothing of it waits."""
        lane = self._lanes.get(release)
        if lane is None or any(site.lane is lane for site in self.sites.values()):
            return
        if not lane.idle:
            asyncio.get_running_loop().call_later(0.05, self._detach, release)
            return
        del self._lanes[release]
        for link in list(lane.links):
            link.close()
        self._channel.send(event="detached", release=release)

    # Life

    def hear(self) -> None:
        """The supervisor said something, or is gone."""
        messages = self._channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._stop()
            return
        for message in messages:
            match message["do"]:
                case "attach":
                    task = asyncio.get_running_loop().create_task(
                        self._attach(message["address"], Path(message["home"]))
                    )
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                case "detach":
                    self._detach(message["release"])
                case "unready":
                    self._ready = False
                case "drain":
                    self._stop()

    def _stop(self) -> None:
        self._ready = False
        self.draining = True
        self._stopped.set()

    async def serve(self, listening: socket.socket) -> None:
        """Answer until told to drain; then finish what is in progress."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self.connection, sock=listening)
        loop.add_reader(self._channel.fileno(), self.hear)
        self._tick()
        self._channel.send(event="listening")
        await self._stopped.wait()
        server.close()
        for connection in list(self._live):
            if connection.idle and connection.transport is not None:
                connection.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await self._live.empty()

    def _tick(self) -> None:
        """Once a second: the date, and patience with silent clients."""
        Date.refresh()
        now = time.monotonic()
        for connection in list(self._live):
            connection.check_patience(now)
        asyncio.get_running_loop().call_later(1.0, self._tick)


def main(channel: int, listen: int, run: str, number: int) -> None:
    """Run a front on inherited descriptors."""
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def serve() -> None:
        front = Front(Channel.inherited(channel), Path(run), number)
        settle_memory()
        await front.serve(socket.socket(fileno=listen))

    uvloop.run(serve())

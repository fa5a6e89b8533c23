"""The front: speaks HTTP, decodes, checks bounds, queues and batches. It never imports user code.

Started by the supervisor with a listening socket and a channel. It learns of replicas through the channel and of their
service through the hello of each.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tenfold.auth import Access, Scope
from tenfold.contract.form import Form
from tenfold.server.channel import Channel, Message, settle_memory
from tenfold.server.far import FarLink
from tenfold.server.frames import Frame, Hello
from tenfold.server.lane import Lane
from tenfold.server.link import Batch, Link
from tenfold.server.metrics import Counters, names_for
from tenfold.server.origins import FOREIGN, is_foreign
from tenfold.server.pages import index_page
from tenfold.server.refusals import refuse, refuse_key, refuse_method
from tenfold.server.responses import HTML, Date, encode_json, problem, response
from tenfold.server.traffic import Traffic
from tenfold.server.wire import Connection, Handler, Head, Heads, Live

DRAIN_LIMIT_S = 30.0
GRACE_S = 0.5
ATTACH_S = 2.0  # to hear of the replicas that answer, before clients are heard
READING = ("GET", "HEAD", "OPTIONS")
POLL_S = 0.01
REFUSED_BYTES = 8 * 2**20  # of a body without a key are read, so that the answer to it is heard
NO_SERVICE = Form(name="", fields=())  # what requests for no service in particular are counted by


class Front:
    """One process that answers HTTP."""

    max_body_bytes = 1 << 16  # where no service says otherwise

    def __init__(
        self, channel: Channel, run: Path, number: int, services: int, deployed: bool = False, fronts: int = 1
    ) -> None:
        """``run`` is the folder of sockets and counters; ``services`` is how many there will be. Where they are ``deployed``,
        the supervisor says which release answers; else it is the one that is there first. ``fronts`` ask the same
        replicas, this one included."""
        self.draining = False
        self.heads = Heads(self)
        self._channel = channel
        self._ready = True
        self._live = Live()
        self._links: dict[str, Link] = {}  # by the address of the replica
        self._troubles: dict[str, str] = {}  # why no replica of a service is started any more
        self._traffic = Traffic(channel, run, number, deployed, fronts == 1, self._tell, self.heads.clear)
        self._traffic.expect(services)
        self._others = Counters(run / f"front-{number}..counters", names_for(NO_SERVICE))
        self._tasks: set[asyncio.Task[None]] = set()
        self._introduced = asyncio.Event()
        self._stopped = asyncio.Event()
        self._gate = Access().gate()  # the supervisor says first thing who may do what
        self._lapses_s = math.inf

    def connection(self) -> Connection:
        """A new client's protocol."""
        return Connection(self, self.heads, self._live)

    # Routes

    def resolve(self, head: Head) -> Handler:
        """The handler of a request, by its path and method; a refusal where its key does not allow that."""
        scope = _scope(head)
        code = self._gate.refusal(head.headers.get("authorization", ""), scope, time.time()) if scope else ""
        if code:
            return self._refuse(head, code, refuse_key(code, head))
        if scope and head.method not in READING and is_foreign(head) and not self._gate.refusal("", scope, time.time()):
            return self._refuse(head, "forbidden", refuse("forbidden", FOREIGN))
        return self._route(head)

    def _refuse(self, head: Head, code: str, handler: Handler) -> Handler:
        head.max_body = REFUSED_BYTES

        def counted(connection: Connection, head: Head, body: bytes, started: float) -> None:
            self._others.refused(code)
            handler(connection, head, body, started)

        return counted

    def _route(self, head: Head) -> Handler:
        match head.path.strip("/").split("/"):
            case [""]:
                return self._only(head, self._index, "GET", "HEAD")
            case ["healthz"]:
                return self._only(head, self._alive, "GET", "HEAD")
            case ["readyz"]:
                return self._only(head, self._readiness, "GET", "HEAD")
            case ["predict"] if site := self._traffic.meant():
                return site.resolve(head, "predict")
            case [name] if site := self._traffic.sites.get(name):
                return site.resolve(head, "")
            case [name, "jobs", *_] if site := self._traffic.sites.get(name):
                return site.jobs(head)
            case [name, what] if site := self._traffic.sites.get(name):
                return site.resolve(head, what)
        return self._unknown

    def _only(self, head: Head, handler: Handler, *methods: str) -> Handler:
        return handler if head.method in methods else refuse_method(*methods)

    def _index(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        if "text/html" in head.headers.get("accept", ""):
            page = index_page([site.spec for site in self._traffic.sites.values()])
            connection.send(response(200, page, HTML), head.keep_alive)
        else:
            services = [{"name": site.spec.name, "release": site.lane.release} for site in self._traffic.sites.values()]
            connection.send(response(200, encode_json({"services": services})), head.keep_alive)

    def _alive(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(response(200, b'{"alive":true}'), head.keep_alive)

    def _readiness(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        services = {name: site.lane.ready for name, site in self._traffic.sites.items()}
        ready = self._ready and self._traffic.is_whole and bool(services) and all(services.values())
        document = {"ready": ready, "draining": not self._ready, "services": services}
        if because := {name: why for name, why in self._troubles.items() if not services.get(name)}:
            document["because"] = because
        connection.send(response(200 if ready else 503, encode_json(document)), head.keep_alive)

    def _unknown(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        if self._traffic.is_whole:
            self._others.refused("not_found")
            names = ", ".join(f"/{name}/predict" for name in self._traffic.sites)
            where = f"predictions are at {names}" if names else "nothing is deployed yet"
            connection.send(problem("not_found", where), head.keep_alive)
        else:
            self._others.refused("not_ready")
            connection.send(problem("not_ready", headers=[("retry-after", "1")]), head.keep_alive)

    # Replicas

    def greeted(self, link: Link, hello: Hello) -> None:
        """A replica is ready to answer."""
        self._traffic.take(link, hello)

    def answered(self, link: Link, batch: Batch, frame: Frame) -> None:
        """A link answers to its lane once it has greeted."""
        raise AssertionError("an answer before the hello")

    def lost(self, link: Link, unanswered: Sequence[Batch], suspect: Batch | None) -> None:
        """A replica went away before it was ready."""
        self._links.pop(link.address, None)

    def _tell(self, event: str, address: str) -> None:
        """A lane says something of a replica, which the supervisor has to know too."""
        if event in ("lost", "detached"):
            self._links.pop(address, None)
            asyncio.get_running_loop().call_soon(self._traffic.forget_lanes)
        self._channel.send(event=event, address=address)

    async def _attach(self, address: str, home: Path, secret: str) -> None:
        link = FarLink(self, address, home, secret) if secret else Link(self, address, home)
        self._links[address] = link
        try:
            await link.connect()
        except OSError as error:
            self._links.pop(address, None)
            self._channel.send(event="unreachable", address=address, reason=str(error))
        else:
            if address not in self._links:  # detached meanwhile
                link.close()

    def _detach(self, address: str) -> None:
        """Let go of a replica; of a release's last one when nothing waits for it any more."""
        link = self._links.get(address)
        if link is not None and isinstance(lane := link.owner, Lane):
            if lane.links == [link] and not lane.idle:
                asyncio.get_running_loop().call_later(POLL_S, self._detach, address)
            else:
                lane.retire(link)
            return
        if link is not None:  # it has not greeted yet
            del self._links[address]
            link.close()
        self._channel.send(event="detached", address=address)

    # Life

    def hear(self) -> None:
        """The supervisor said something, or is gone."""
        messages = self._channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._stop()
            return
        for message in messages:
            self._told(message)

    def _told(self, message: Message) -> None:
        match message["do"]:
            case "attach":
                whom = message["address"], Path(message["home"]), message["secret"]
                task = asyncio.get_running_loop().create_task(self._attach(*whom))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case "detach":
                self._detach(message["address"])
            case "serve":
                self._traffic.serve(message["name"], message)
            case "expect":
                self._traffic.expect(message["services"], message["plain"])
            case "end":
                self._traffic.end(message["name"])
            case "trouble":
                self._troubles[message["name"]] = message["because"]
                self._traffic.give_up(message["name"], message["retry_s"])
            case "access":
                self._gate = Access.of(message["access"].encode()).gate()
                self._lapses_s = self._gate.lapses_s(time.time())
                self.heads.clear()
            case "accept":
                self._ready = message["ready"]
                self._introduced.set()
            case "drain":
                self._stop()

    def _stop(self) -> None:
        self._ready = False
        self.draining = True
        self._stopped.set()

    async def serve(self, listening: socket.socket) -> None:
        """Answer until told to drain; then finish what is in progress."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self.hear)
        await self._attached()
        server = await loop.create_server(self.connection, sock=listening)
        self._tick()
        self._channel.send(event="listening")
        await self._stopped.wait()
        server.close()
        # A client may be sending on a connection that looks idle here: each is told to close with its next answer first.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                await self._live.empty()
        for connection in list(self._live):
            if connection.idle and connection.transport is not None:
                connection.transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_LIMIT_S):
                await self._live.empty()

    async def _attached(self) -> None:
        """Until the replicas that the supervisor knew have greeted: clients of a front that died wait, and get no refusal."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ATTACH_S):
                await self._introduced.wait()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                while not all(isinstance(link.owner, Lane) for link in self._links.values()):  # noqa: ASYNC110
                    await asyncio.sleep(POLL_S)

    def _tick(self) -> None:
        """Once a second: the date, what was refused on the wire, and patience with silent clients."""
        Date.refresh()
        if time.time() >= self._lapses_s:  # what was decided about heads may not hold any more
            self._lapses_s = self._gate.lapses_s(time.time())
            self.heads.clear()
        for code, count in self._live.rejected.items():
            self._others.add(f"refusal:{code}", count)
        self._live.rejected.clear()
        now = time.monotonic()
        for connection in list(self._live):
            connection.check_patience(now)
        asyncio.get_running_loop().call_later(1.0, self._tick)


def _scope(head: Head) -> Scope | Literal[""]:
    """What a request wants to do: to read pages, health and contracts is nobody's secret."""
    if head.path.strip("/").split("/")[1:2] == ["jobs"]:
        return "predict"
    if head.method in READING:
        return ""
    return "feedback" if head.path.rstrip("/").endswith("/feedback") else "predict"


def main(
    channel: int, listen: int, run: str, number: int, services: int, deployed: bool = False, fronts: int = 1
) -> None:
    """Run a front on inherited descriptors."""
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    async def serve() -> None:
        front = Front(Channel.inherited(channel), Path(run), number, services, deployed, fronts)
        settle_memory()
        await front.serve(socket.socket(fileno=listen))

    uvloop.run(serve())

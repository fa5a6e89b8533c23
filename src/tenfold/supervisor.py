"""The parent: starts, watches and swaps the others. It answers no request and runs no user code.

It owns the listening sockets and hands them down, so that a front can be replaced without refusing a connection: one that
dies, or all of them on SIGHUP. A child is told what to do over its channel, and learns from the channel's end that its
supervisor is gone: then fronts drain and everything else exits. On the first SIGTERM or SIGINT the service says "not ready"
at once, keeps serving for the drain delay, finishes what is in progress and exits 0; a second signal ends everything at once.

Whatever dies is replaced, with growing patience where it dies again and again; a process that was stopped, or hangs, is
killed first. A replica that outgrew its memory stays until another has taken its place.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter

from tenfold.config import require_environment, single_threaded
from tenfold.engines import runs
from tenfold.engines.children import Children
from tenfold.engines.crew import STOP_LIMIT_S, Crew, Say
from tenfold.engines.deployments import Deployments
from tenfold.engines.fronts import Fronts
from tenfold.engines.health import LOOK_S, SAMPLE_S, Deaths
from tenfold.engines.keyring import LOOK_S as KEYS_S
from tenfold.engines.keyring import Keyring, is_loopback
from tenfold.engines.local import Child, address_of, ended, listen, listen_unix, remove
from tenfold.engines.overrides import Overrides
from tenfold.engines.plan import Plan
from tenfold.engines.ray.replicas import Cluster
from tenfold.engines.rounds import Rounds
from tenfold.engines.scaling import Measured, Scaler
from tenfold.errors import Conflict, ServiceError, TenfoldError
from tenfold.scaling.sharing import Machine
from tenfold.server.channel import Message

__all__ = ["Message", "Plan", "Supervisor", "ended", "is_loopback"]

WATCH_S = 0.5
CLUSTER_S = 10.0  # a cluster that is gone is looked for at least so often
ADMIN_S = 5.0  # after which the admin process is started at the latest


class Supervisor:
    """Runs a plan until it is told to stop. ``say`` is told what happens, in order to print it; ``measured`` knows what one
    replica of a release was measured to carry."""

    def __init__(self, plan: Plan, say: Say, measured: Measured = lambda *_: None) -> None:
        self._plan = plan
        self._say = say
        self._measured = measured
        self._run, self._lock = runs.begin()
        self._deaths = {"front": Deaths(), "admin": Deaths(), "deployer": Deaths(), "placer": Deaths()}
        self._toll: dict[tuple[str, str], Counter[str]] = {}  # deaths and restarts, by role and service
        self._announced = self._admin_begun = False
        self._stopping = False
        self._draining = False
        self._failure: TenfoldError | None = None
        self._finished = asyncio.Event()

    async def run(self) -> int:
        """Start everything, keep it going, and return the exit code."""
        plan = self._plan
        if plan.folders:
            require_environment(plan.env, *plan.folders)
        loop = asyncio.get_running_loop()
        self._public = listen(plan.host, plan.port, "--port")
        self._address = address_of(self._public)
        self._admin = listen(plan.admin_host, plan.admin_port, "--admin-port")
        self._admin_local = listen_unix(self._run / "admin.sock")
        self._metrics = listen(*plan.metrics_address, "--metrics") if plan.metrics_address else None
        self._cluster = Cluster() if plan.on else None
        self._children = Children(self._run, single_threaded(), self._heard, self._died, self._cluster)
        self._crews = {folder: Crew(folder, plan, self._children, self._say) for folder in plan.folders}
        self._keys = Keyring(plan.store, plan.anonymous)
        self._deployments = Deployments(plan, self._crews, self._children, self._say, self._tell_admin)
        self._fronts = Fronts(self._children, self._crews, self._deployments, self._start_front)
        overrides = Overrides(plan.store)
        self._scaler = Scaler(self._run, plan, self._crews, overrides, self._measured, self._tell_scaled)
        self._began = time.monotonic()
        self._rounds = Rounds(self._began, self._children.end_hanging, self._outgrown)
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self._signalled)
        loop.add_signal_handler(signal.SIGHUP, self._fronts.renew)
        try:
            if plan.on:
                self._start_placer()
            for crew in self._crews.values():
                crew.begin()
            for _ in range(plan.fronts):
                self._start_front()
            loop.call_later(ADMIN_S, self._begin_admin)
            if plan.deployed:
                self._start_deployer()
            for regular in (self._watch_files, self._watch_keys, self._look, self._tell_admin_again):
                regular()
            await self._finished.wait()
        finally:
            self._children.kill_all()
            remove(self._run)
        if self._failure is not None:
            raise self._failure
        return 0

    @property
    def address(self) -> tuple[str, int]:
        """Where predictions are answered."""
        return self._address

    @property
    def admin_address(self) -> tuple[str, int]:
        """Where the console and the metrics are."""
        return address_of(self._admin)

    @property
    def addresses(self) -> Message:
        """What a person or a program has to know of a server that runs."""
        known: Message = {"address": self.address, "admin": self.admin_address}
        return known if self._metrics is None else known | {"metrics": address_of(self._metrics)}

    # Front and admin

    def _start_front(self) -> None:
        arguments = [
            *("--listen", str(self._public.fileno()), "--run", str(self._run), "--number", str(self._children.next())),
            *("--services", str(self._deployments.services if self._plan.deployed else len(self._crews))),
            *("--fronts", str(self._plan.fronts)),
            *("--log", self._plan.log, *(["--deployed"] if self._plan.deployed else [])),
        ]
        front = self._children.start("front", arguments, [self._public])
        front.channel.send(do="access", access=self._keys.access(self._plan.host))
        for crew in self._crews.values():
            crew.introduce(front)
        self._deployments.introduce(front)
        front.channel.send(do="accept", ready=not self._stopping)
        self._tell_admin()

    def _begin_admin(self) -> None:
        """Once everything is served, which nobody then has to wait longer for; those who ask it something before wait."""
        if not self._admin_begun and not self._draining:
            self._admin_begun = True
            self._start_admin()

    def _start_admin(self) -> None:
        arguments = [
            *("--listen", str(self._admin.fileno()), "--local", str(self._admin_local.fileno())),
            *("--run", str(self._run), "--log", self._plan.log, "--store", self._plan.store),
        ]
        sockets = [self._admin, self._admin_local]
        if self._metrics is not None:
            arguments += ["--metrics", str(self._metrics.fileno())]
            sockets.append(self._metrics)
        admin = self._children.start("admin", arguments, sockets)
        admin.channel.send(do="access", access=self._keys.access(self._plan.admin_host))
        self._tell_admin()

    def _start_deployer(self) -> None:
        """What brings releases from the store to where they answer."""
        plan = self._plan
        options = ["--run", str(self._run), "--store", plan.store, "--replicas", str(plan.replicas), "--log", plan.log]
        self._children.start("deployer", [*plan.names, *options], [])
        self._deployments.tell()

    def _start_placer(self) -> None:
        """What has replicas started on other machines."""
        self._children.start("placer", ["--address", self._plan.cluster], [])

    def _tell_admin(self) -> None:
        shown = [crew for crew in self._crews.values() if crew.about and not crew.ended]
        services = [crew.known() | self._deployments.about(crew) for crew in shown]
        known = [child for child in self._children if child.pid and (not child.folder or self._service_of(child))]
        processes = [{"pid": one.pid, "role": one.role, "service": self._service_of(one)} for one in known]
        none = {(one.role, self._service_of(one)): Counter(deaths=0, restarts=0) for one in known}
        toll = [{"role": role, "service": service, **ended} for (role, service), ended in (none | self._toll).items()]
        message = {"services": services, "processes": processes, "toll": toll, "address": self.address}
        self._children.tell("admin", do="fleet", began=self._began, **message)

    def _service_of(self, child: Child) -> str:
        """The name of the service that a child works for; "" before it is known, and where it works for all."""
        return self._crews[child.folder].name if child.folder else ""

    def _tell_admin_again(self) -> None:
        """Memory grows while nothing happens."""
        self._tell_admin()
        asyncio.get_running_loop().call_later(SAMPLE_S, self._tell_admin_again)

    # What children say

    def _heard(self, child: Child, message: Message) -> None:
        match child.role:
            case "deployer":
                self._deployments.heard(message)
                self._see_whether_all_is_served()
            case "placer":
                self._heard_of_cluster(child, message)
            case "front":
                self._heard_front(child, message)
            case "replica" | "template" if not child.retired:
                self._heard_replica(child, message)

    def _heard_replica(self, child: Child, message: Message) -> None:
        match message["event"]:
            case "template":
                self._crews[child.folder].became_template(child, message)
            case "ready":
                self._loaded(child, message)
            case "failed":
                self._cannot_load(child, error_of(message))
            case "crowded":
                self._crews[child.folder].move(child)
            case "no_room":
                self._say("no_room", message | {"name": self._crews[child.folder].name or child.folder})

    def _heard_front(self, front: Child, message: Message) -> None:
        match message["event"]:
            case "listening":
                front.ready = True
                self._deployments.tell()
                self._see_whether_all_is_served()
            case "routed":
                self._deployments.routed(front, message)
                self._see_whether_all_is_served()
            case "compared":
                self._deployments.compared(front, message)
            case event if "address" in message:
                about = next((one for one in self._children.of("replica") if one.address == message["address"]), None)
                if about is not None:
                    self._heard_of(about, front, event, message.get("reason", ""))

    def _heard_of_cluster(self, placer: Child, message: Message) -> None:
        """The process that knows the other machines says something of them."""
        assert self._cluster is not None
        match message["event"]:
            case "connected":
                placer.ready = True
                self._cluster.connected(placer)
            case "room":
                self._scaler.has(Machine(message["cores"], message["memory_bytes"], "cluster"))
            case "failed":
                if self._announced:
                    self._say("failed", {key: message[key] for key in ("message", "hint", "code")})
                else:
                    self._fail(error_of(message))

    def _heard_of(self, replica: Child, front: Child, event: str, reason: str) -> None:
        """A front says something of a replica."""
        crew = self._crews[replica.folder]
        if event == "attached":
            replica.attached.add(front.pid)
            self._settle(crew)
        elif event == "detached" or (replica.retired and not self._draining):
            crew.let_go(replica, front)
        elif event == "stuck" and not self._draining:
            self._children.end_hanging(replica, "it has had a batch for far too long")
        elif not self._draining:
            # "lost" or "unreachable": whatever ails it, another one takes its place
            replica.kill(f"a front could not reach it: {reason}" if reason and replica.elsewhere else "")

    def _loaded(self, replica: Child, message: Message) -> None:
        crew = self._crews[replica.folder]
        name = message["service"]["name"]
        for other in self._crews.values():
            if other is not crew and other.name == name and not (other.deployed and crew.deployed):
                reason = f"{other.folder} and {crew.folder} are both named {name}"
                self._cannot_load(replica, Conflict(reason, "give one of the two classes another name"))
                replica.kill()
                return
        crew.became_ready(replica, message)
        self._tell_admin()

    def _cannot_load(self, replica: Child, error: TenfoldError) -> None:
        if not (self._announced or self._plan.deployed or self._plan.reload):
            self._fail(error)
            return
        said = {"message": error.message, "hint": error.hint, "code": error.exit_code}
        self._say("failed", said | {"folder": replica.folder})
        self._crews[replica.folder].failure = error.message
        if self._plan.deployed:
            self._deployments.tell()

    def _settle(self, crew: Crew) -> None:
        before = crew.current
        crew.settle()
        if crew.current != before:
            self._tell_admin()
            self._deployments.tell()
        self._see_whether_all_is_served()

    def _see_whether_all_is_served(self) -> None:
        """Say so once. New fronts may be able to take over from others, too."""
        if self._fronts.settle():
            self._say("renewed", {"fronts": self._plan.fronts})
        if self._plan.deployed:
            serves = self._deployments.settled and any(front.ready for front in self._children.of("front"))
        else:
            serves = all(one.current for one in self._crews.values())
        if serves and not self._announced:
            self._announced = True
            self._begin_admin()
            self._say("serving", self.addresses)

    # Deaths

    def _died(self, child: Child, code: int) -> None:
        if self._draining:
            self._after_fronts()
            return
        if child.role == "placer" and self._cluster is not None:
            self._cluster.lost()
        for replica in self._children.of("replica"):
            self._crews[replica.folder].let_go(replica, child)
        for crew in self._crews.values():
            self._settle(crew)
        self._deployments.tell()
        if child.retired or (child.role == "front" and child.leaving):
            self._deployments.sweep()
            self._tell_admin()
            return
        crew_of = self._crews.get(child.folder)
        delay_s = self._restart(child) if crew_of is None else crew_of.lost(child)
        ended_before = self._toll.setdefault((child.role, self._service_of(child)), Counter(deaths=0, restarts=0))
        ended_before.update(deaths=1, restarts=int(delay_s is not None))
        said = {"role": child.role, "name": child.folder or child.role, "pid": child.pid, "code": code}
        self._say("died", said | {"because": child.because, "delay_s": delay_s})
        if not self._announced:
            self._see_whether_to_go_on(child, code)
        self._tell_admin()

    def _restart(self, child: Child) -> float:
        """Start what runs no model in the place of another; after how many seconds."""
        starts = {
            "front": self._start_front,
            "admin": self._start_admin,
            "deployer": self._start_deployer,
            "placer": self._start_placer,
        }
        start, many = starts[child.role], self._plan.fronts if child.role == "front" else 1
        then = self._deaths[child.role].another(child.was_of_use, many, time.monotonic())
        delay_s = then.delay_s
        if child.role == "placer":
            delay_s = min(delay_s, CLUSTER_S)
        asyncio.get_running_loop().call_later(delay_s, lambda: self._draining or start())
        return delay_s

    def _see_whether_to_go_on(self, child: Child, code: int) -> None:
        """Before anything has answered, what cannot be started ends the command."""
        may_go_on = child.ready or child.forked or child.is_innocent
        if child.role == "replica" and not (may_go_on or self._plan.reload or self._plan.deployed):
            reason = f"{child.folder}: the model's process ended with {ended(code)} while it was loading"
            self._fail(ServiceError(reason))
        elif self._deaths["front"].useless > 2:
            self._fail(TenfoldError(f"the front ends with {ended(code)} whenever it is started", "tenfold doctor"))

    def _fail(self, error: TenfoldError) -> None:
        """End the command, which says the error itself."""
        self._failure = self._failure or error
        self._stopping = self._draining = self._children.closing = True
        self._finished.set()

    # Health

    def _look(self) -> None:
        """Several times a second: does every replica live, and within its memory?"""
        if not self._draining:
            asyncio.get_running_loop().call_later(LOOK_S, self._look)
            self._rounds.look(self._children.replicas(), time.monotonic())
            if self._announced:
                self._scaler.look(time.monotonic())

    def _outgrown(self, replica: Child, what: str) -> None:
        self._crews[replica.folder].outgrown(replica, what)

    def _tell_scaled(self, said: Message | None) -> None:
        if said:
            self._say("scaled", said)
        self._tell_admin()

    def _watch_files(self) -> None:
        """Twice a second: has a file of a folder changed? Without --reload that is of interest after a crash loop alone."""
        for crew in self._crews.values():
            if (self._plan.reload or crew.trouble) and not self._stopping and crew.has_changed():
                self._say("reloading", {"folder": crew.folder})
                crew.begin()
        asyncio.get_running_loop().call_later(WATCH_S, self._watch_files)

    def _watch_keys(self) -> None:
        """Several times a second: was a key created or revoked?"""
        if self._keys.has_changed():
            self._children.tell("front", do="access", access=self._keys.access(self._plan.host))
            self._children.tell("admin", do="access", access=self._keys.access(self._plan.admin_host))
        asyncio.get_running_loop().call_later(KEYS_S, self._watch_keys)

    # Stopping

    def _signalled(self) -> None:
        if self._stopping:
            self._finished.set()
            return
        self._stopping = True
        delays_s = [crew.about["drain_delay_s"] for crew in self._crews.values() if crew.about]
        delay_s = max([self._plan.drain_delay_s, *delays_s])
        self._say("stopping", {"drain_delay_s": delay_s})
        self._children.tell("front", do="accept", ready=False)
        asyncio.get_running_loop().call_later(delay_s, self._drain)

    def _drain(self) -> None:
        self._draining = self._children.closing = True
        self._public.close()
        self._children.tell("front", do="drain")
        self._after_fronts()
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, self._finished.set)

    def _after_fronts(self) -> None:
        """The others go once no front needs them."""
        if self._children.of("front"):
            return
        for child in self._children:
            self._children.hang_up(child)
            if child.role == "placer" and not child.ready:
                child.kill()  # it tries to reach a cluster, and would not hear
        if self._cluster is not None:
            self._cluster.forget()
        if not list(self._children):
            self._finished.set()


def error_of(message: Message) -> TenfoldError:
    """The error that a child could only describe."""
    error = ServiceError(message["message"], message["hint"])
    error.exit_code = message["code"]
    return error

"""The parent: starts, watches and swaps the others. It answers no request and runs no user code.

It owns the listening sockets and hands them down, so that a front can be replaced without refusing a connection. A child is
told what to do over its channel, and learns from the channel's end that its supervisor is gone: then fronts drain and
everything else exits. On the first SIGTERM or SIGINT the service says "not ready" at once, keeps serving for the drain
delay, finishes what is in progress and exits 0; a second signal ends everything at once.

The replicas that are started for one state of a folder are a generation. A generation takes over once all of it is ready and
every front can ask it. The fronts then let go of the older replicas, each as soon as what it holds is answered, and one that
every front let go of is hung up.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tenfold.config import single_threaded
from tenfold.engines.folder import home, state
from tenfold.engines.generations import Served, elect
from tenfold.engines.local import Child, address_of, ended, listen, listen_unix, remove, start
from tenfold.engines.plan import Plan
from tenfold.errors import Conflict, ServiceError, TenfoldError
from tenfold.server.channel import Message

__all__ = ["Message", "Plan", "Supervisor", "ended"]

STOP_LIMIT_S = 35.0
RESTART_DELAYS_S = (0.0, 0.1, 0.5, 2.0, 5.0, 10.0)
STEADY_S = 10.0
WATCH_S = 0.5

Say = Callable[[str, Message], None]


class Supervisor:
    """Runs a plan until it is told to stop. ``say`` is told what happens, in order to print it."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._environment = single_threaded()
        self._children: dict[int, Child] = {}
        self._services = {folder: Served(folder) for folder in plan.folders}
        self._run = Path(tempfile.mkdtemp(prefix="tenfold-"))
        self._counter = 0
        self._deaths: dict[str, int] = {}
        self._announced = False
        self._stopping = False
        self._draining = False
        self._failure: TenfoldError | None = None
        self._finished = asyncio.Event()

    async def run(self) -> int:
        """Start everything, keep it going, and return the exit code."""
        plan = self._plan
        loop = asyncio.get_running_loop()
        self._public = listen(plan.host, plan.port, "--port")
        self._admin = listen(plan.admin_host, plan.admin_port, "--admin-port")
        self._admin_local = listen_unix(self._run / "admin.sock")
        for ending in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(ending, self._signalled)
        loop.add_signal_handler(signal.SIGCHLD, self._reap)
        try:
            for service in self._services.values():
                service.state = state(service.folder) if plan.reload else service.state
                self._begin(service)
            for _ in range(plan.fronts):
                self._start_front()
            self._start_admin()
            if plan.reload:
                loop.call_later(WATCH_S, self._watch_files)
            await self._finished.wait()
        finally:
            self._kill_all()
            remove(self._run)
        if self._failure is not None:
            raise self._failure
        return 0

    @property
    def address(self) -> tuple[str, int]:
        """Where predictions are answered."""
        return address_of(self._public)

    @property
    def admin_address(self) -> tuple[str, int]:
        """Where the console and the metrics are."""
        return address_of(self._admin)

    # Children

    def _start(self, role: str, arguments: Sequence[str], inherited: Sequence[socket.socket], **known: Any) -> Child:
        child = start(role, arguments, inherited, self._environment, **known)
        self._children[child.pid] = child
        asyncio.get_running_loop().add_reader(child.channel.fileno(), self._hear, child)
        return child

    def _start_front(self) -> None:
        arguments = [
            *("--listen", str(self._public.fileno()), "--run", str(self._run), "--number", str(self._next())),
            *("--services", str(len(self._services))),
        ]
        front = self._start("front", arguments, [self._public])
        for service in self._services.values():
            if service.current is not None:
                front.channel.send(do="serve", name=service.about["service"]["name"], release=service.current[1])
        for replica in self._replicas():
            self._introduce(replica, front)
        if self._stopping:
            front.channel.send(do="unready")

    def _start_replica(self, folder: str, generation: int) -> None:
        address = self._run / f"replica-{self._next()}.sock"
        listening = listen_unix(address)
        arguments = [folder, "--listen", str(listening.fileno()), "--env", self._plan.env]
        replica = self._start(
            "replica", arguments, [listening], folder=folder, generation=generation, address=str(address)
        )
        listening.close()
        for front in self._of("front"):
            self._introduce(replica, front)

    def _introduce(self, replica: Child, front: Child) -> None:
        replica.known_to.add(front.pid)
        front.channel.send(do="attach", address=replica.address, home=home(replica.folder))

    def _start_admin(self) -> None:
        arguments = [
            *("--listen", str(self._admin.fileno()), "--local", str(self._admin_local.fileno())),
            *("--run", str(self._run)),
        ]
        self._start("admin", arguments, [self._admin, self._admin_local])
        self._tell_admin()

    def _next(self) -> int:
        self._counter += 1
        return self._counter

    def _of(self, role: str) -> list[Child]:
        return [child for child in self._children.values() if child.role == role]

    def _replicas(self, folder: str = "") -> list[Child]:
        """Those that are not retired; of one folder, or of all."""
        return [child for child in self._of("replica") if not child.retired and folder in ("", child.folder)]

    # What children say

    def _hear(self, child: Child) -> None:
        messages = child.channel.receive()
        if messages is None:
            self._hang_up(child)
            return
        for message in messages:
            self._heard(child, message)

    def _heard(self, child: Child, message: Message) -> None:
        about = next((one for one in self._of("replica") if one.address == message.get("address")), None)
        match message["event"]:
            case "listening":
                child.ready = True
            case "ready" if not child.retired:
                self._loaded(child, message)
            case "failed" if not child.retired:
                self._cannot_load(child, error_of(message))
            case "attached" if about is not None:
                about.attached.add(child.pid)
                self._settle(self._services[about.folder])
            case "detached" if about is not None:
                self._let_go(about, child)
            case "lost" | "stuck" | "unreachable" if about is not None and not self._draining:
                # A front can ask it no more. Whatever ails it, another one takes its place.
                if about.retired:
                    self._let_go(about, child)
                else:
                    about.process.kill()

    def _loaded(self, replica: Child, message: Message) -> None:
        """A replica is ready to answer."""
        service = self._services[replica.folder]
        name = message["service"]["name"]
        for other in self._services.values():
            if other is not service and other.name == name:
                reason = f"{other.folder} and {service.folder} are both named {name}"
                self._cannot_load(replica, Conflict(reason, "give one of the two classes another name"))
                replica.process.kill()
                return
        replica.ready, replica.about, service.name = True, message, name
        self._say("ready", message | {"pid": replica.pid})
        peers = [one for one in self._replicas(replica.folder) if one.ready and one.generation == service.newest]
        if replica in peers and any(one.release != replica.release for one in peers):
            self._begin(service)  # the folder is no longer what this generation was made from
        self._settle(service)
        self._tell_admin()

    def _cannot_load(self, replica: Child, error: TenfoldError) -> None:
        said = {"message": error.message, "hint": error.hint, "code": error.exit_code}
        self._say("failed", said | {"folder": replica.folder})
        if not self._announced and not self._plan.reload:
            self._fail(error)

    def _tell_admin(self) -> None:
        services = [
            {
                **service.about,
                "folder": service.folder,
                "home": home(service.folder),
                "replicas": sum(replica.ready for replica in self._replicas(service.folder)),
            }
            for service in self._services.values()
            if service.about
        ]
        for admin in self._of("admin"):
            admin.channel.send(do="fleet", services=services, address=self.address)

    # Generations

    def _begin(self, service: Served) -> None:
        """Start a generation; those between the one that answers and this one are in vain."""
        service.newest += 1
        for replica in self._replicas(service.folder):
            if service.current is None or replica.generation != service.current[0]:
                self._retire(replica)
        for _ in range(self._plan.replicas):
            self._start_replica(service.folder, service.newest)

    def _settle(self, service: Served) -> None:
        """Let the right version answer, and older ones go."""
        fronts = {front.pid for front in self._of("front")}
        able = [one for one in self._replicas(service.folder) if one.ready and fronts and one.attached >= fronts]
        current = elect(service.current, [(one.generation, one.release) for one in able], self._plan.replicas)
        if current is None or current == service.current:
            return
        former = service.about
        service.current = current
        service.about = next(one.about for one in able if (one.generation, one.release) == current)
        name = service.about["service"]["name"]
        for front in self._of("front"):
            front.channel.send(do="serve", name=name, release=current[1])
            if former and former["service"]["name"] != name:
                front.channel.send(do="end", name=former["service"]["name"])
        for replica in self._replicas(service.folder):
            if replica.generation < current[0]:
                self._retire(replica)
        self._tell_admin()
        if not self._announced and all(one.current for one in self._services.values()):
            self._announced = True
            self._say("serving", {"address": self.address, "admin": self.admin_address})

    def _retire(self, replica: Child) -> None:
        replica.retired = True
        for front in self._of("front"):
            front.channel.send(do="detach", address=replica.address)
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, replica.process.kill)
        self._dismiss(replica)

    def _let_go(self, replica: Child, front: Child) -> None:
        """A front does not know the replica any more."""
        replica.known_to.discard(front.pid)
        replica.attached.discard(front.pid)
        self._dismiss(replica)

    def _dismiss(self, replica: Child) -> None:
        """End a retired replica that no front knows; one that still loads would not hear that it is hung up."""
        if replica.retired and not replica.known_to:
            self._hang_up(replica)
            if not replica.ready:
                replica.process.kill()

    def _hang_up(self, child: Child) -> None:
        if child.channel.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(child.channel.fileno())
            child.channel.close()

    # Deaths

    def _reap(self) -> None:
        for child in list(self._children.values()):
            code = child.process.poll()
            if code is not None:
                del self._children[child.pid]
                self._died(child, code)
        if self._draining:
            self._after_fronts()

    def _died(self, child: Child, code: int) -> None:
        self._hear(child)  # its last words
        self._hang_up(child)
        if self._draining:
            return
        for replica in self._of("replica"):
            self._let_go(replica, child)
        for service in self._services.values():
            self._settle(service)
        if child.retired:
            return
        name = child.folder or child.role
        steady = child.ready or time.monotonic() - child.started > STEADY_S
        self._deaths[name] = deaths = 0 if steady else self._deaths.get(name, 0) + 1
        delay_s = RESTART_DELAYS_S[min(deaths, len(RESTART_DELAYS_S) - 1)] if self._is_missed(child) else None
        self._say("died", {"role": child.role, "name": name, "pid": child.pid, "code": code, "delay_s": delay_s})
        if child.role == "replica" and not self._announced and not child.ready and not self._plan.reload:
            self._fail(
                ServiceError(f"{child.folder}: the model's process ended with {ended(code)} while it was loading")
            )
        elif child.role == "front" and not self._announced and deaths > 2:
            self._fail(TenfoldError(f"the front ends with {ended(code)} whenever it is started", "tenfold doctor"))
        else:
            self._tell_admin()
            if delay_s is not None:
                asyncio.get_running_loop().call_later(delay_s, self._restart, child)

    def _is_missed(self, child: Child) -> bool:
        """Whether another process has to take the place of a dead one. Where edits are watched, a generation that cannot be
        loaded waits for the next edit."""
        if child.role != "replica":
            return True
        service = self._services[child.folder]
        if service.current is not None and child.generation == service.current[0]:
            return True
        return child.generation == service.newest and (child.ready or not self._plan.reload)

    def _restart(self, child: Child) -> None:
        if self._draining or not self._is_missed(child):
            return
        match child.role:
            case "front":
                self._start_front()
            case "replica":
                self._start_replica(child.folder, child.generation)
            case _:
                self._start_admin()

    def _fail(self, error: TenfoldError) -> None:
        self._failure = self._failure or error
        self._stopping = self._draining = True
        self._finished.set()

    # Stopping

    def _signalled(self) -> None:
        if self._stopping:
            self._finished.set()
            return
        self._stopping = True
        delays_s = [service.about["drain_delay_s"] for service in self._services.values() if service.about]
        delay_s = max([self._plan.drain_delay_s, *delays_s])
        self._say("stopping", {"drain_delay_s": delay_s})
        for front in self._of("front"):
            front.channel.send(do="unready")
        asyncio.get_running_loop().call_later(delay_s, self._drain)

    def _drain(self) -> None:
        self._draining = True
        self._public.close()
        for front in self._of("front"):
            front.channel.send(do="drain")
        self._after_fronts()
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, self._finished.set)

    def _after_fronts(self) -> None:
        """The others go once no front needs them."""
        if self._of("front"):
            return
        for child in self._children.values():
            self._hang_up(child)
        if not self._children:
            self._finished.set()

    def _kill_all(self) -> None:
        for child in self._children.values():
            child.process.kill()
        for child in self._children.values():
            child.process.wait()

    # Reloading

    def _watch_files(self) -> None:
        """Twice a second: has a file of a folder changed?"""
        for service in self._services.values():
            now = state(service.folder)
            if now != service.state and not self._stopping:
                service.state = now
                self._say("reloading", {"folder": service.folder})
                self._begin(service)
        asyncio.get_running_loop().call_later(WATCH_S, self._watch_files)


def error_of(message: Message) -> TenfoldError:
    """The error that a child could only describe."""
    error = ServiceError(message["message"], message["hint"])
    error.exit_code = message["code"]
    return error

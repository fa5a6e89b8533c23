"""The parent: starts, watches and swaps the others. It answers no request and runs no user code.

It owns the listening sockets and hands them down, so that a front can be replaced without refusing a connection. A child is
told what to do over its channel, and learns from the channel's end that its supervisor is gone: then fronts drain and
everything else exits. On the first SIGTERM or SIGINT the service says "not ready" at once, keeps serving for the drain
delay, finishes what is in progress and exits 0; a second signal ends everything at once.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.config import single_threaded
from tenfold.errors import Conflict, ServiceError, TenfoldError, UsageError
from tenfold.server.channel import Channel, Message
from tenfold.units import seconds

__all__ = ["Message", "Plan", "Supervisor", "ended"]

BACKLOG = 1024
STOP_LIMIT_S = 35.0
RESTART_DELAYS_S = (0.0, 0.1, 0.5, 2.0, 5.0, 10.0)
STEADY_S = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. ``fronts`` processes answer on one socket; each of ``folders`` gets ``replicas`` processes."""

    folders: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8000
    admin_host: str = "127.0.0.1"
    admin_port: int = 8001
    replicas: int = 1
    fronts: int = 1
    env: str = ""
    drain_delay: str = "0 s"
    reload: bool = False

    def __post_init__(self) -> None:
        self.drain_delay_s  # noqa: B018 -- read once, so that a wrong unit is an error now and not at the end

    @property
    def drain_delay_s(self) -> float:
        """How long to go on serving after SIGTERM, in seconds."""
        try:
            return seconds(self.drain_delay)
        except ValueError as error:
            raise UsageError(f"--drain-delay: {error}", "tenfold serve --help") from None


@dataclass(slots=True)
class Child:
    """One process of ours and the line to it."""

    role: str
    process: subprocess.Popen[bytes]
    channel: Channel
    folder: str = ""
    address: str = ""
    release: str = ""
    number: int = 0
    ready: bool = False
    retired: bool = False
    started: float = field(default_factory=time.monotonic)


Say = Callable[[str, Message], None]


class Supervisor:
    """Runs a plan until it is told to stop. ``say`` is told what happens, in order to print it."""

    def __init__(self, plan: Plan, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._environment = single_threaded()
        self._children: dict[int, Child] = {}
        self._run = Path(tempfile.mkdtemp(prefix="tenfold-"))
        self._counter = 0
        self._deaths: dict[str, int] = {}
        self._services: dict[str, Message] = {}
        self._announced = False
        self._stopping = False
        self._failure: TenfoldError | None = None
        self._finished = asyncio.Event()
        self._digests: dict[str, float] = {}

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
            for folder in plan.folders:
                for _ in range(plan.replicas):
                    self._start_replica(folder)
            for number in range(plan.fronts):
                self._start_front(number)
            self._start_admin()
            if plan.reload:
                self._watch_files()
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
        ours, theirs = Channel.pair()
        command = [sys.executable, "-m", "tenfold", role, *arguments, "--channel", str(theirs.fileno())]
        fds = [theirs.fileno(), *(one.fileno() for one in inherited)]
        process = subprocess.Popen(
            command, pass_fds=fds, stdin=subprocess.DEVNULL, start_new_session=True, env=self._environment
        )
        theirs.close()
        child = Child(role, process, ours, **known)
        self._children[process.pid] = child
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, child)
        return child

    def _start_front(self, number: int) -> None:
        arguments = [
            *("--listen", str(self._public.fileno()), "--run", str(self._run), "--number", str(self._next())),
        ]
        child = self._start("front", arguments, [self._public], number=number)
        for other in self._replicas():
            child.channel.send(do="attach", address=other.address, home=home(other.folder))

    def _start_replica(self, folder: str) -> None:
        address = self._run / f"replica-{self._next()}.sock"
        listening = listen_unix(address)
        arguments = [folder, "--listen", str(listening.fileno()), "--env", self._plan.env]
        child = self._start("replica", arguments, [listening], folder=folder, address=str(address))
        listening.close()
        for front in self._of("front"):
            front.channel.send(do="attach", address=child.address, home=home(folder))

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

    def _replicas(self) -> list[Child]:
        return [child for child in self._of("replica") if not child.retired]

    # What children say

    def _hear(self, child: Child) -> None:
        messages = child.channel.receive()
        if messages is None:
            asyncio.get_running_loop().remove_reader(child.channel.fileno())
            return
        for message in messages:
            self._heard(child, message)

    def _heard(self, child: Child, message: Message) -> None:
        match message["event"]:
            case "ready":
                child.ready, child.release = True, message["release"]
                self._services[child.folder] = message
                self._retire_others(child)
                self._say("ready", message | {"pid": child.process.pid})
                self._tell_admin()
            case "failed":
                self._say("failed", message | {"folder": child.folder})
                if not self._announced and not self._plan.reload:
                    self._fail(error_of(message))
            case "attached":
                self._attached()
            case event:
                self._say(event, message)

    def _attached(self) -> None:
        """A front can answer for a service; once it can for all, say so."""
        if not self._announced and all(folder in self._services for folder in self._plan.folders):
            self._announced = True
            self._say("serving", {"address": self.address, "admin": self.admin_address})

    def _retire_others(self, newest: Child) -> None:
        """A replica of a newer state of the folder is ready: those of older states go once they are idle."""
        for other in self._replicas():
            if other.folder == newest.folder and other.ready and other.release != newest.release:
                other.retired = True
                asyncio.get_running_loop().call_later(0.2, self._let_go, other)

    def _let_go(self, child: Child) -> None:
        for front in self._of("front"):
            front.channel.send(do="detach", release=child.release)
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, child.process.kill)
        self._poll_retired(child)

    def _poll_retired(self, child: Child) -> None:
        """A retired replica exits when its line is hung up, which waits until the fronts have let go of it."""
        asyncio.get_running_loop().call_later(1.0, self._hang_up, child)

    def _hang_up(self, child: Child) -> None:
        if child.process.pid in self._children:
            asyncio.get_running_loop().remove_reader(child.channel.fileno())
            child.channel.close()

    def _tell_admin(self) -> None:
        services = [
            {
                **message,
                "folder": folder,
                "home": home(folder),
                "replicas": sum(c.ready and c.folder == folder for c in self._replicas()),
            }
            for folder, message in self._services.items()
        ]
        for admin in self._of("admin"):
            admin.channel.send(do="fleet", services=services, address=self.address)

    # Deaths

    def _reap(self) -> None:
        for child in list(self._children.values()):
            code = child.process.poll()
            if code is not None:
                del self._children[child.process.pid]
                self._died(child, code)
        if self._stopping and not self._children:
            self._finished.set()

    def _died(self, child: Child, code: int) -> None:
        if self._stopping or child.retired:
            return
        name = child.folder or child.role
        quick = time.monotonic() - child.started < STEADY_S
        self._deaths[name] = self._deaths.get(name, 0) + 1 if quick else 1
        delay_s = RESTART_DELAYS_S[min(self._deaths[name] - 1, len(RESTART_DELAYS_S) - 1)]
        self._say(
            "died", {"role": child.role, "name": name, "pid": child.process.pid, "code": code, "delay_s": delay_s}
        )
        if child.role == "replica" and not self._announced and not child.ready and not self._plan.reload:
            self._fail(
                ServiceError(f"{child.folder}: the model's process ended with {ended(code)} while it was loading")
            )
            return
        if child.role == "front" and not self._announced and self._deaths[name] > 2:
            self._fail(TenfoldError(f"the front ends with {ended(code)} whenever it is started", "tenfold doctor"))
            return
        self._tell_admin()
        asyncio.get_running_loop().call_later(delay_s, self._restart, child)

    def _restart(self, child: Child) -> None:
        if self._stopping:
            return
        match child.role:
            case "front":
                self._start_front(child.number)
            case "replica":
                self._start_replica(child.folder)
            case _:
                self._start_admin()

    def _fail(self, error: TenfoldError) -> None:
        self._failure = self._failure or error
        self._stopping = True
        self._finished.set()

    # Stopping

    def _signalled(self) -> None:
        if self._stopping:
            self._finished.set()
            return
        self._stopping = True
        delay_s = max([self._plan.drain_delay_s, *(said["drain_delay_s"] for said in self._services.values())])
        self._say("stopping", {"drain_delay_s": delay_s})
        for front in self._of("front"):
            front.channel.send(do="unready")
        asyncio.get_running_loop().call_later(delay_s, self._drain)

    def _drain(self) -> None:
        self._public.close()
        for front in self._of("front"):
            front.channel.send(do="drain")
        self._after_fronts()
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, self._finished.set)

    def _after_fronts(self) -> None:
        """The others go once no front needs them."""
        if self._of("front"):
            asyncio.get_running_loop().call_later(0.02, self._after_fronts)
            return
        if not self._children:
            self._finished.set()
        for child in list(self._children.values()):
            self._hang_up(child)

    def _kill_all(self) -> None:
        for child in self._children.values():
            child.process.kill()
        for child in self._children.values():
            child.process.wait()

    # Reloading

    def _watch_files(self) -> None:
        """Twice a second: has a file of a folder changed?"""
        for folder in self._plan.folders:
            changed = newest_change(folder)
            if self._digests.setdefault(folder, changed) != changed:
                self._digests[folder] = changed
                self._say("reloading", {"folder": folder})
                for _ in range(self._plan.replicas):
                    self._start_replica(folder)
        asyncio.get_running_loop().call_later(0.5, self._watch_files)


def home(target: str) -> str:
    """The folder of a service that is named as a folder or as ``file.py[:Class]``."""
    path = Path(target if Path(target).exists() else target.rpartition(":")[0]).resolve()
    return str(path if path.is_dir() else path.parent)


def newest_change(target: str) -> float:
    """When a file of a service's folder was last changed, in seconds since 1970."""
    folder = Path(home(target))
    times = [0.0]
    for file in folder.rglob("*"):
        if not any(part.startswith(".") or part == "__pycache__" for part in file.relative_to(folder).parts):
            try:
                times.append(file.stat().st_mtime)
            except OSError:
                continue
    return max(times)


def listen(host: str, port: int, option: str) -> socket.socket:
    """A listening TCP socket that children inherit; 0 picks a free port."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = infos[0]
        one = socket.socket(family, kind, protocol)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except OSError as error:
        raise Conflict(f"cannot listen on {host}:{port}: {error.strerror}", f"choose another with {option}") from None
    one.set_inheritable(True)
    return one


def address_of(one: socket.socket) -> tuple[str, int]:
    """Host and port of a listening socket."""
    host, port, *_ = one.getsockname()
    return host, port


def listen_unix(path: Path) -> socket.socket:
    """A listening Unix socket that only this user may connect to."""
    one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    one.bind(str(path))
    path.chmod(0o600)
    one.listen(BACKLOG)
    return one


def error_of(message: Message) -> TenfoldError:
    """The error that a child could only describe."""
    error = ServiceError(message["message"], message["hint"])
    error.exit_code = message["code"]
    return error


def ended(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def remove(folder: Path) -> None:
    """Delete a folder of sockets and counters."""
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    folder.rmdir()

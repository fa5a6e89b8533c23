"""Processes on this machine, each with a line to it, and the sockets that they inherit."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from tenfold.engines.health import STEADY_S, Memory, Pulse, Signs
from tenfold.engines.vitals import own_bytes, resident_bytes, signs
from tenfold.errors import Conflict
from tenfold.server.channel import Channel, Message

BACKLOG = 1024


@dataclass(slots=True, eq=False)
class Child:
    """One process of ours and the line to it. A ``forked`` one has no ``process``, and no ``pid`` before it has told it.

    Of a replica: the folder that it serves and which generation of it, the release that it found there, and the fronts, by
    process, that know of it (``known_to``) and that could ask it (``attached``). A ``retired`` one gets no more work, a
    ``leaving`` one until another has taken its place. ``because`` is why we killed it. One that runs ``elsewhere`` has no
    process here, and a ``secret`` that fronts have to know.
    """

    role: str
    channel: Channel
    process: subprocess.Popen[bytes] | None = None
    pid: int = 0
    folder: str = ""
    address: str = ""
    generation: int = 0
    forked: bool = False
    about: Message = field(default_factory=dict)
    ready: bool = False
    retired: bool = False
    leaving: bool = False
    known_to: set[int] = field(default_factory=set)
    attached: set[int] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)
    readied: float = inf
    pulse: Pulse = field(default_factory=Pulse)
    answered: bool = False
    memory: Memory = field(default_factory=Memory)
    stopped: float | None = None
    because: str = ""
    ended: bool = False
    secret: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether another machine runs it."""
        return False

    @property
    def is_innocent(self) -> bool:
        """Whether it ended for a reason that lies not in what it runs."""
        return False

    @property
    def release(self) -> str:
        """What a ready replica serves."""
        return str(self.about.get("release", ""))

    @property
    def was_of_use(self) -> bool:
        """Whether it was worth starting."""
        lived_s = time.monotonic() - (self.readied if self.role == "replica" else self.started)
        return self.answered or lived_s > STEADY_S or (self.ready and self.role == "front")

    def take(self, message: Message) -> None:
        """What it says of its process."""
        if message["event"] == "born":
            self.pid = message["pid"]

    def look(self) -> Signs:
        """What is to be seen of it from outside."""
        return signs(self.pid, self.address, self.pulse.held)

    def size_bytes(self, ceiling: int) -> int:
        """The memory that it takes; looked at closer where that seems to be more than a ceiling."""
        size = resident_bytes(self.pid)
        if 0 < ceiling < size:
            size = own_bytes(self.pid)  # forks share pages, which none of them has to answer for alone
        return size

    def last_words(self) -> tuple[int, str]:
        """How one ended that had no process here: its exit code, and why."""
        return 0, "it could not be forked"

    def kill(self, because: str = "") -> None:
        """End it, and what it started."""
        self.because = self.because or because
        if self.pid and not self.ended:
            kill_group(self.pid)

    def end(self, code: int, because: str) -> None:
        """It has ended."""
        self.ended, self.because = True, self.because or because
        if self.process is not None:
            self.process.returncode = code


def kill_group(pid: int) -> None:
    """Kill a process of ours and whatever it started; once it has ended, what it left behind."""
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def start(
    role: str,
    arguments: Sequence[str],
    inherited: Sequence[socket.socket],
    environment: Mapping[str, str],
    python: str = sys.executable,
    output: int | None = None,
    **known: Any,
) -> Child:
    """Start a process of a server with an interpreter; ``known`` is what there is to know of it. What it prints goes where
    ours goes, or to a descriptor.

    It leads a group of its own, which can be ended with all that it started, but no session: Linux shares its processors out
    among sessions first (autogroup, sched(7)), and priorities hold only within one."""
    ours, theirs = Channel.pair()
    command = [python, "-m", "tenfold", role, *arguments, "--channel", str(theirs.fileno())]
    fds = [theirs.fileno(), *(one.fileno() for one in inherited)]
    process = subprocess.Popen(
        command,
        pass_fds=fds,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        process_group=0,
        env=environment,
    )
    theirs.close()
    return Child(role, ours, process, process.pid, **known)


def fork(template: Child, listening: socket.socket, address: str) -> Child:
    """Have a template fork a replica that answers at ``listening``."""
    ours, theirs = Channel.pair()
    template.channel.hand(theirs.fileno(), listening.fileno())
    theirs.close()
    return Child("replica", ours, folder=template.folder, address=address, generation=template.generation, forked=True)


def changes() -> Iterator[tuple[int, int]]:
    """Which processes ended, were stopped or went on since this was last asked, with what the system says of it."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def ended(code: int) -> str:
    """How a process ended, in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


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


def remove(folder: Path) -> None:
    """Delete a folder of sockets and counters."""
    for file in folder.glob("*"):
        file.unlink(missing_ok=True)
    folder.rmdir()

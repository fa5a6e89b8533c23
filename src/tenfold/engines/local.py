"""Processes on this machine, each with a line to it, and the sockets that they inherit."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.errors import Conflict
from tenfold.server.channel import Channel, Message

BACKLOG = 1024


@dataclass(slots=True, eq=False)
class Child:
    """One process of ours and the line to it.

    Of a replica: the folder that it serves and which generation of it, the release that it found there, and the fronts, by
    process, that know of it (``known_to``) and that could ask it (``attached``). A ``retired`` one gets no more work.
    """

    role: str
    process: subprocess.Popen[bytes]
    channel: Channel
    folder: str = ""
    address: str = ""
    generation: int = 0
    about: Message = field(default_factory=dict)
    ready: bool = False
    retired: bool = False
    known_to: set[int] = field(default_factory=set)
    attached: set[int] = field(default_factory=set)
    started: float = field(default_factory=time.monotonic)

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid

    @property
    def release(self) -> str:
        """What a ready replica serves."""
        return str(self.about.get("release", ""))


def start(
    role: str,
    arguments: Sequence[str],
    inherited: Sequence[socket.socket],
    environment: Mapping[str, str],
    **known: Any,
) -> Child:
    """Start a process of a server; ``known`` is what there is to know of it."""
    ours, theirs = Channel.pair()
    command = [sys.executable, "-m", "tenfold", role, *arguments, "--channel", str(theirs.fileno())]
    fds = [theirs.fileno(), *(one.fileno() for one in inherited)]
    process = subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
    theirs.close()
    return Child(role, process, ours, **known)


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

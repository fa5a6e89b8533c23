"""Every process of a server: how it is started, what it says, and how its end is heard of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from tenfold.engines.health import STOPPED_S
from tenfold.engines.local import Child, changes, fork, kill_group, listen_unix, start
from tenfold.engines.vitals import clear_hand
from tenfold.server.channel import Message
from tenfold.server.process import TELL_WHERE, adopt_orphans, go_idle

LAST_WORDS_S = 0.05  # for a process that hangs to write down where


class Engine(Protocol):
    """Other machines, that run replicas."""

    def place(self, folder: str, generation: int, options: Mapping[str, str], python: str) -> Child:
        """Have a replica of a folder started there; ``options`` are those of its process, by their names."""


class Children:
    """Those that run, of every role. One that is stopped from outside is killed here, since it would never come to an end by
    itself; whatever else becomes of them is for others to decide."""

    def __init__(
        self,
        run: Path,
        environment: Mapping[str, str],
        heard: Callable[[Child, Message], None],
        died: Callable[[Child, int], None],
        engine: Engine | None = None,
    ) -> None:
        """``run`` is the folder of sockets. ``heard`` gets what a child says, ``died`` a child and its exit code. Replicas
        are processes of this machine, unless there is an ``engine``."""
        self.can_fork = adopt_orphans() and engine is None
        self._engine = engine
        self.closing = False  # from now on, nothing that ends is replaced
        self._run = run
        self._environment = environment
        self._heard = heard
        self._died = died
        self._all: list[Child] = []
        self._counter = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._all))

    def of(self, role: str) -> list[Child]:
        """Those of a role."""
        return [child for child in self._all if child.role == role]

    def replicas(self, folder: str = "") -> list[Child]:
        """Those that are not retired; of one folder, or of all."""
        return [child for child in self.of("replica") if not child.retired and folder in ("", child.folder)]

    def tell(self, role: str, **message: Any) -> None:
        """Say something to each of a role."""
        for child in self.of(role):
            child.channel.send(**message)

    # How they begin

    def start(self, role: str, arguments: Sequence[str], inherited: Sequence[socket.socket], **known: Any) -> Child:
        """Start a process; ``known`` is what there is to know of it."""
        return self._adopt(start(role, arguments, inherited, self._environment, **known))

    def start_replica(
        self,
        folder: str,
        generation: int,
        options: Mapping[str, str],
        urgent: bool,
        python: str = sys.executable,
        template: bool = False,
    ) -> None:
        """Start a replica from nothing, with an interpreter, that may become a ``template``. Beside others that answer it
        stands behind, and where it is not ``urgent`` it loads while the processor has nothing else to do."""
        if self._engine is not None:
            self._adopt(self._engine.place(folder, generation, options, python))
            return
        address, listening = self._socket()
        haste = "first" if not any(one.ready for one in self.replicas()) else "behind" if urgent else "idle"
        words = [word for option in options.items() for word in option] + ["--template"] * template
        arguments = [folder, "--listen", str(listening.fileno()), *words, "--haste", haste]
        known = {"folder": folder, "generation": generation, "address": address}
        child = self.start("replica", arguments, [listening], python=python, **known)
        if haste == "idle":
            go_idle(child.pid)  # from its first instruction on: an interpreter that begins is felt already
        listening.close()

    def fork_replica(self, template: Child) -> None:
        """Start a replica as a fork of its template."""
        address, listening = self._socket()
        self._adopt(fork(template, listening, address))
        listening.close()

    def next(self) -> int:
        """A number that nothing else has here."""
        self._counter += 1
        return self._counter

    def _socket(self) -> tuple[str, socket.socket]:
        address = self._run / f"replica-{self.next()}.sock"
        return str(address), listen_unix(address)

    def _adopt(self, child: Child) -> Child:
        self._all.append(child)
        self._loop.add_reader(child.channel.fileno(), self._hear, child)
        return child

    # How they end

    def dismiss(self, child: Child) -> None:
        """It is not needed any more, and what its main thread does to end is in nobody's way."""
        if child.pid and not (child.elsewhere or child.ended):
            go_idle(child.pid)
        self.hang_up(child)

    def hang_up(self, child: Child) -> None:
        """End the line to a child, by which it knows that it is not needed any more. Of one elsewhere, the end is still to be
        heard of."""
        if child.elsewhere:
            child.channel.send(do="hang_up")
        else:
            self._unplug(child)

    def _unplug(self, child: Child) -> None:
        if child.channel.fileno() >= 0:
            self._loop.remove_reader(child.channel.fileno())
            child.channel.close()

    def end_hanging(self, child: Child, because: str) -> None:
        """Have it write down where it hangs, and kill it. Where a fork was never born, that is its template."""
        if child.elsewhere:
            child.kill(because)
        elif not child.pid:
            for template in self.of("template"):
                if (template.folder, template.generation) == (child.folder, child.generation):
                    template.kill(because)
        elif not child.because:
            child.because = because
            with contextlib.suppress(OSError):
                os.kill(child.pid, TELL_WHERE)
            self._loop.call_later(LAST_WORDS_S, child.kill)

    def kill_all(self) -> None:
        """End them, whatever they do."""
        for child in self._all:
            child.kill()
        for child in self._all:
            if child.pid:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(child.pid, 0)

    def _hear(self, child: Child) -> None:
        messages = child.channel.receive()
        for message in messages or ():
            child.take(message)
            self._heard(child, message)
        if messages is None:
            self._unplug(child)
            if not child.pid:
                self._bury(child, *child.last_words())

    def _reap(self) -> None:
        """A process ended, was stopped or went on."""
        for unborn in [child for child in self._all if not child.pid]:
            self._hear(unborn)  # it may have told its pid
        for pid, status in changes():
            child = next((child for child in self._all if child.pid == pid), None)
            if child is None:
                continue  # something that a replica left behind
            if os.WIFSTOPPED(status):
                child.stopped = time.monotonic()
                self._loop.call_later(STOPPED_S, self._stands_still, child, child.stopped)
            elif os.WIFCONTINUED(status):
                child.stopped = None
            else:
                self._bury(child, os.waitstatus_to_exitcode(status), "")

    def _stands_still(self, child: Child, since: float) -> None:
        """Somebody stopped it a moment ago. What it holds is not to blame, and goes to another at once."""
        if child.stopped == since and not child.ended:
            if child.role == "replica":
                clear_hand(child.address)
            child.kill("it was stopped from outside (SIGSTOP)")

    def _bury(self, child: Child, code: int, because: str) -> None:
        if child.pid:
            self._hear(child)  # its last words
            kill_group(child.pid)
        self._unplug(child)
        child.end(code, because)
        self._all.remove(child)
        self._died(child, code)

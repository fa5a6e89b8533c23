"""What runs on a machine of the cluster: an actor that starts the process of one replica, lets fronts in, and watches it.

It is to that process what the supervisor is to those on its own machine: it sees when it hangs, hears what it says, and
keeps that until the placer asks. If it goes, the replica goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tenfold.config import single_threaded
from tenfold.drift.folder import folder_of, profile_in, replace, spool_in
from tenfold.engines.children import LAST_WORDS_S
from tenfold.engines.health import LOOK_S, has_answered
from tenfold.engines.local import Child, address_of, kill_group, listen, start
from tenfold.engines.ray.orders import Born, Ended, Failure, Heard, Order, unpack_folder
from tenfold.engines.rounds import Rounds
from tenfold.engines.vitals import in_hand, resident_bytes
from tenfold.errors import NotFound, TenfoldError
from tenfold.server.channel import Message
from tenfold.server.handshake import admit, keep_alive
from tenfold.server.process import TELL_WHERE

SILENCE_S = 1.0  # after which the placer hears how it weighs
AT_THE_DOOR = 64  # who may be about to prove that they are fronts
PRINTED_BYTES = 1 << 20  # that are kept until the placer asks


class Member:
    """One replica on this machine."""

    def __init__(self, folder: bytes, name: str, order: bytes) -> None:
        """``folder`` is the service's, as ``pack_folder`` made it; ``name`` the service in it, "" for its service.py."""
        self._order = msgspec.msgpack.decode(order, type=Order)
        self._home = TemporaryDirectory(prefix="tenfold-member-")
        self._target = unpack_folder(folder, self._home.name, name)
        self._messages: list[Message] = []
        self._printed = b""
        self._printed_all = asyncio.Event()
        self._because = ""
        self._ended: Ended | None = None
        self._news = asyncio.Event()
        self._at_the_door: dict[asyncio.Task[None], None] = {}  # who has not proved anything yet, the oldest first
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> bytes:
        """Start the process, and say where it can be asked: ``Born`` or ``Failure``, encoded."""
        import ray

        host = ray.util.get_node_ip_address()  # where others reach this machine
        try:
            self._door = listen(host, 0, "another machine")
            self._child = self._begin()
        except TenfoldError as error:
            return msgspec.json.encode(Failure.of(error))
        self._door.setblocking(False)
        self._rounds = Rounds(time.monotonic(), self._end_hanging, lambda *_: None)
        asyncio.get_running_loop().add_reader(self._child.channel.fileno(), self._hear)
        self._tasks = [self._begin_task(one) for one in (self._open_door(), self._watch())]
        node = ray.get_runtime_context().get_node_id()
        return msgspec.json.encode(Born(host, address_of(self._door)[1], socket.gethostname(), node))

    def _begin(self) -> Child:
        """The process, with lines for what it says, for what it prints, and for the fronts that are let in."""
        order = self._order
        python = order.python or sys.executable
        if not Path(python).exists():
            raise NotFound(
                f"{socket.gethostname()} has no {python}, which has the libraries of the release",
                "share the store's folder with the machines of the cluster, or install those libraries for what serves it",
            )
        self._handing, theirs = socket.socketpair()
        reading, writing = os.pipe()
        address = str(Path(self._home.name, "replica"))
        options = [word for option in order.options.items() for word in option]
        arguments = [
            self._target,
            "--listen",
            str(theirs.fileno()),
            "--handed",
            address,
            *options,
            "--home",
            self._home.name,
        ]
        try:
            return start(
                "replica", arguments, [theirs], single_threaded(), python, writing, folder=self._target, address=address
            )
        finally:
            theirs.close()
            os.close(writing)
            self._reading = reading
            asyncio.get_running_loop().add_reader(reading, self._copy)

    def _begin_task(self, what: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(what)
        task.add_done_callback(lambda _: self._news.set())
        return task

    async def listen(self, profile: bytes) -> bytes:
        """What there is to tell (``Heard``, encoded), at the latest after a while. ``profile`` is what rows are counted by
        from now on, if it is not empty."""
        if profile and (folder := self._counts()) is not None:
            folder.mkdir(parents=True, exist_ok=True)
            replace(profile_in(folder), profile)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_S):
                await self._news.wait()
        self._news.clear()
        for task in self._tasks:
            if task.done():
                task.result()
        child, ended = self._child, self._ended
        heard = Heard(
            self._messages,
            self._printed,
            self._pieces(),
            resident_bytes(child.pid),
            child.answered or has_answered(in_hand(child.address)),
            ended,
        )
        self._messages, self._printed = [], b""
        if ended is not None:
            self._home.cleanup()
        return msgspec.msgpack.encode(heard)

    async def hang_up(self) -> None:
        """The replica is not needed any more: it goes once no front asks it."""
        self._unplug()

    async def kill(self, because: str) -> None:
        """End it; where it hangs is written down before, if there is a reason at all."""
        self._end_hanging(self._child, because)

    # What the process says

    def _hear(self) -> None:
        messages = self._child.channel.receive()
        for message in messages or ():
            if message["event"] == "ready":
                self._child.ready, self._child.readied, self._child.about = True, time.monotonic(), message
            self._messages.append(message)
        if messages is None:
            self._unplug()
        self._news.set()

    def _unplug(self) -> None:
        fd = self._child.channel.fileno()
        if fd >= 0:
            asyncio.get_running_loop().remove_reader(fd)
            self._child.channel.close()

    def _copy(self) -> None:
        """Keep what it prints."""
        said = os.read(self._reading, 1 << 16)
        if said:
            self._keep(said)
        else:
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            self._printed_all.set()

    def _keep(self, said: bytes) -> None:
        """Whoever says more than can be carried is cut short."""
        if len(self._printed) < PRINTED_BYTES:
            self._printed += said
        self._news.set()

    def _counts(self) -> Path | None:
        """Where the process leaves what it counted."""
        release = self._child.release
        return folder_of(Path(self._home.name), release) if release else None

    def _pieces(self) -> list[tuple[str, bytes]]:
        """What it left there, which is ours from now on."""
        folder, found = self._counts(), []
        if folder is not None and spool_in(folder).is_dir():
            for path in sorted(spool_in(folder).iterdir()):
                if not path.name.startswith("."):
                    found.append((path.name, path.read_bytes()))
                    path.unlink()
        return found

    # Fronts

    async def _open_door(self) -> None:
        """Let fronts in, and nobody else. Where too many say nothing, the one that has been silent for longest has to go, so
        that nobody can keep fronts out."""
        loop = asyncio.get_running_loop()
        while True:
            line, (host, *_) = await loop.sock_accept(self._door)
            if len(self._at_the_door) >= AT_THE_DOOR:
                oldest = next(iter(self._at_the_door))
                oldest.cancel()
                del self._at_the_door[oldest]
            task = loop.create_task(self._let_in(line, host))
            self._at_the_door[task] = None
            task.add_done_callback(lambda done: self._at_the_door.pop(done, None))

    async def _let_in(self, line: socket.socket, host: str) -> None:
        with line:
            try:
                line.setblocking(False)
                await admit(line, bytes.fromhex(self._order.secret))
                keep_alive(line)
                line.setblocking(True)
                socket.send_fds(self._handing, [b"\n"], [line.fileno()])
            except OSError as error:
                self._keep(f"{host} was not let in by {socket.gethostname()}: {error or 'it was silent'}\n".encode())

    # Its health

    async def _watch(self) -> None:
        """Several times a second, until it has ended."""
        child = self._child
        assert child.process is not None
        while (code := child.process.poll()) is None:
            self._rounds.look([child], time.monotonic())
            await asyncio.sleep(LOOK_S)
        kill_group(child.pid)  # what it left behind
        self._door.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await self._printed_all.wait()
        self._ended = Ended(code, self._because)

    def _end_hanging(self, child: Child, because: str) -> None:
        if self._because or child.process is None:
            return
        self._because = because
        if because:
            with contextlib.suppress(OSError):
                os.kill(child.pid, TELL_WHERE)
        asyncio.get_running_loop().call_later(LAST_WORDS_S if because else 0, kill_group, child.pid)

"""The load generator: a process of its own, so that nothing else delays a request. It does what its host orders.

    ask         requests one after the other    -> what became of each
    drive       requests at random moments      -> how many so far, four times a second; at the end, what became of all
    stop        end the drive that is going on
    calibrate   a fixed piece of work           -> how fast the machine is

When its host hangs up, it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from functools import partial
from typing import Any

import msgspec

from tenfold.bench.asking import Asker, Connect, Reply
from tenfold.bench.calibration import speed
from tenfold.bench.drive import Drive
from tenfold.bench.target import Target
from tenfold.capacity.arrivals import poisson
from tenfold.server.channel import Channel, settle_memory

TELL_S = 0.25
PAUSE_S = 0.05
CONNECT_S = 10.0


class Ammunition(msgspec.Struct, frozen=True):
    """What the host sends first, on standard input: whole requests, how long an answer may take to be in time, and how
    long a single request is waited for at most."""

    requests: list[bytes]
    deadline_s: float
    patience_s: float


class Load:
    """Takes orders, one at a time."""

    def __init__(self, channel: Channel, connect: Connect, ammunition: Ammunition) -> None:
        self._channel = channel
        self._connect = connect
        self._ammunition = ammunition
        self._asker = Asker(connect, ammunition.patience_s)
        self._orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._drive: Drive | None = None

    async def obey(self) -> None:
        """Do what is ordered, until cancelled."""
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear, task)
        while True:
            order = await self._orders.get()
            match order.pop("do"):
                case "ask":
                    said = await self._ask(**order)
                case "drive":
                    said = await self._run(**order)
                case "calibrate":
                    said = {"speed": speed(**order)}
            self._channel.send(event="done", **said)

    def _hear(self, task: asyncio.Task[Any]) -> None:
        messages = self._channel.receive()
        if messages is None:
            task.cancel()
            return
        for message in messages:
            if message["do"] != "stop":
                self._orders.put_nowait(message)
            elif self._drive:
                self._drive.stop()

    async def _ask(self, seconds: float) -> dict[str, Any]:
        replies = await self._asker.ask_all(self._ammunition.requests, seconds)
        bad = None if replies[-1].is_good else replies.pop()
        return {"seconds": sorted(reply.seconds for reply in replies), "asked": len(replies)} | _bad(bad)

    async def _run(self, per_s: float, seconds: float, seed: int) -> dict[str, Any]:
        if bad := await self._settle():
            return _bad(bad)
        requests, deadline_s = self._ammunition.requests, self._ammunition.deadline_s
        gc.collect()
        self._drive = drive = Drive(self._connect, requests, poisson(per_s, seconds, seed), seconds, deadline_s)
        telling = asyncio.create_task(self._tell(drive))
        try:
            await drive.run(ready=1 + int(per_s * deadline_s))
        finally:
            telling.cancel()
            self._drive = None
        latency = drive.latency.pairs()
        return {"counts": drive.counts, "seconds": drive.seconds, "piled": drive.piled, "latency": latency}

    async def _settle(self) -> Reply | None:
        """Wait until what is left of the last drive is done, and a request alone is in time again; else what became of
        the last one, where it was not answered well."""
        until = time.monotonic() + self._ammunition.patience_s
        while True:
            reply = await self._asker.ask(self._ammunition.requests[0])
            in_time = reply.seconds <= self._ammunition.deadline_s
            if reply.is_good and (in_time or time.monotonic() > until):
                return None
            if time.monotonic() > until:
                return reply
            await asyncio.sleep(PAUSE_S)

    async def _tell(self, drive: Drive) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self._channel.send(event="progress", requests=drive.counts["requests"], missed=drive.missed)


def _bad(reply: Reply | None) -> dict[str, Any]:
    """What is to be said of a request that was not answered well."""
    return {"bad": {"status": reply.status, "body": reply.body.decode("utf-8", "replace")}} if reply else {}


async def serve(channel: Channel, target: Target, ammunition: Ammunition) -> None:
    """Find out where the target is, and take orders."""
    try:
        connect = await find(target)
    except OSError as error:
        channel.send(event="failed", because=str(error.strerror or error) or type(error).__name__)
        return
    channel.send(event="done")
    settle_memory()
    gc.disable()  # it would stop everything for milliseconds; between drives there is time
    await Load(channel, connect, ammunition).obey()


async def find(target: Target) -> Connect:
    """How to connect to the first of the target's addresses that takes a connection. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    secured = {"ssl": target.context(), "server_hostname": target.host} if target.secure else {}
    problem = OSError(f"{target.host} has no address")
    for *_, address in await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM):
        connect: Connect = partial(loop.create_connection, host=address[0], port=address[1], **secured)
        try:
            async with asyncio.timeout(CONNECT_S):
                await connect(_Knock)
        except OSError as error:  # TimeoutError is one
            problem = error
        else:
            return connect
    raise problem


class _Knock(asyncio.Protocol):
    """A connection that is not used."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


def main(url: str, channel: int) -> None:
    """Generate load on ``url``, as ordered over an inherited descriptor."""
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ammunition = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Ammunition)
    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(serve(Channel.inherited(channel), Target.of(url), ammunition))

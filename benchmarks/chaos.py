"""Replicas are killed and stopped while clients ask: is anything lost? `python -m benchmarks.chaos`, on Linux.

Every request carries a number of its own, which the model gives back. Each has to be answered with it, or refused, and within
the deadline; none may be lost, and none may get another's answer. What happens when is drawn from `--seed`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import click
import msgspec
import uvloop

from benchmarks.numbered import ask

DEADLINE_S = 0.5
GRACE_S = 0.25  # the clients and the server share two cores: an answer may lie so long before it is read
LOST_S = 10.0
REFUSALS = (429, 503, 504)
SERVICE = f'''\
import numpy as np

from tenfold import Batching, Contract, Deadline, Service


class Asked(Contract):
    number: int


class Given(Contract):
    number: int


class Echo:
    """Gives back what it is given, after as much work as a small model has."""

    forkable = FORKABLE

    def __call__(self, numbers):
        np.linalg.svd(np.ones((24, 24)))
        return numbers


class Echoes(Service):
    """Echoes numbers."""

    input, output, model = Asked, Given, Echo()
    batching = Batching(max_rows=16)
    deadline = Deadline("{DEADLINE_S * 1000:.0f} ms")

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, numbers):
        return {{"number": numbers}}
'''


class Plan(NamedTuple):
    """What is done: so many requests at so many a second, by so many connections; meanwhile a replica is killed, and another
    one stopped, every so many seconds on average. ``forkable`` says how replicas are started."""

    requests: int = 100_000
    rate: float = 2_500.0
    connections: int = 32
    replicas: int = 3
    kill_every_s: float = 2.0
    stop_every_s: float = 5.0
    seed: int = 0
    forkable: bool = True


@dataclass
class Outcome:
    """What became of the requests. ``late`` ones are among the answered and refused."""

    answered: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    late: int = 0
    lost: int = 0
    mixed_up: int = 0
    odd: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0
    killed: int = 0
    stopped: int = 0
    died: int = 0
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.refused.total() + self.lost + self.mixed_up + self.odd.total()

    def note(self, number: int, status: int, body: bytes, took_s: float) -> None:
        """One reply."""
        said = msgspec.json.decode(body)
        if status == 200 and said["output"]["number"] == number:
            self.answered += 1
        elif status == 200:
            self.mixed_up += 1
        elif status in REFUSALS:
            self.refused[f"{status} {said['code']}"] += 1
        else:
            self.odd[f"{status} {said['code']}"] += 1
        self.late += took_s > DEADLINE_S + GRACE_S
        self.slowest_s = max(self.slowest_s, took_s)

    def __str__(self) -> str:
        refused = ", ".join(f"{count} {why}" for why, count in self.refused.most_common()) or "none"
        odd = ", ".join(f"{count} {why}" for why, count in self.odd.most_common()) or "none"
        return (
            f"{self.requests:,} requests in {self.seconds:.0f} s; {self.killed} replicas killed, {self.stopped} stopped, "
            f"{self.died} died\n"
            f"answered   {self.answered:,}\nrefused    {self.refused.total():,} ({refused})\nother      {odd}\n"
            f"late       {self.late:,} (slowest {self.slowest_s * 1000:.0f} ms, deadline {DEADLINE_S * 1000:.0f})\n"
            f"lost       {self.lost:,}\nmixed up   {self.mixed_up:,}"
        )


def run(plan: Plan) -> Outcome:
    """Serve, ask and make trouble; what became of the requests."""
    with tempfile.TemporaryDirectory(prefix="tenfold-chaos-") as name:
        folder = Path(name)
        (folder / "service.py").write_text(SERVICE.replace("FORKABLE", str(plan.forkable)), "utf-8")
        with serving(folder, plan.replicas) as (process, port, log):
            outcome = uvloop.run(ask_all(plan, process.pid, port))
            outcome.died = log.read_text("utf-8").count('"event": "died"')
    return outcome


@contextmanager
def serving(folder: Path, replicas: int) -> Iterator[tuple[subprocess.Popen[bytes], int, Path]]:
    """The server's process, its port, and what it says, once all its replicas are ready."""
    log = folder / "server.log"
    ports = ["--port", "0", "--admin-port", "0"]
    command = [sys.executable, "-m", "tenfold", "serve", str(folder), "--replicas", str(replicas), *ports, "--json"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        while len(events := said(log, "ready")) < replicas or not (events := said(log, "serving")):
            if process.poll() is not None:
                raise SystemExit(f"error: the server did not start: {log.read_text('utf-8')}")
            time.sleep(0.01)
        yield process, events[0]["address"][1], log
    finally:
        process.terminate()
        process.wait()


def said(log: Path, event: str) -> list[dict[str, Any]]:
    """What the server has reported of this kind."""
    lines = [msgspec.json.decode(line) for line in log.read_bytes().splitlines() if line.startswith(b"{")]
    return [line for line in lines if line.get("event") == event]


async def ask_all(plan: Plan, server: int, port: int) -> Outcome:
    """Ask everything, while replicas are killed and stopped."""
    outcome, numbers, began = Outcome(), iter(range(plan.requests)), time.perf_counter()
    dice = Random(plan.seed)
    trouble = [
        asyncio.create_task(harm(server, signal.SIGKILL, plan.kill_every_s, Random(dice.random()), outcome)),
        asyncio.create_task(harm(server, signal.SIGSTOP, plan.stop_every_s, Random(dice.random()), outcome)),
    ]
    await asyncio.gather(*(client(plan, port, numbers, outcome) for _ in range(plan.connections)))
    for one in trouble:
        one.cancel()
    outcome.seconds = time.perf_counter() - began
    return outcome


async def harm(server: int, how: signal.Signals, every_s: float, dice: Random, outcome: Outcome) -> None:
    """Now and then, send a signal to one of the replicas."""
    while True:
        await asyncio.sleep(every_s * dice.uniform(0.5, 1.5))
        if found := replicas_of(server):
            with suppress(ProcessLookupError):
                os.kill(dice.choice(found), how)
                outcome.killed += how == signal.SIGKILL
                outcome.stopped += how == signal.SIGSTOP


def replicas_of(server: int) -> list[int]:
    """The processes that answer."""
    found = []
    for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split():
        with suppress(OSError):
            if b"replica" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                found.append(int(pid))
    return sorted(found)


async def client(plan: Plan, port: int, numbers: Iterator[int], outcome: Outcome) -> None:
    """One connection: a request when it is due, its reply, the next one. A connection that ends has lost its request."""
    began = time.perf_counter()
    connection = None
    for number in numbers:
        await asyncio.sleep(began + number / plan.rate - time.perf_counter())
        try:
            async with asyncio.timeout(LOST_S):
                connection = connection or await asyncio.open_connection("127.0.0.1", port)
                sent = time.perf_counter()
                status, body = await ask(*connection, number)
            outcome.note(number, status, body, time.perf_counter() - sent)
        except (OSError, EOFError, TimeoutError):
            outcome.lost += 1
            if connection is not None:
                connection[1].close()
                connection = None
    if connection is not None:
        connection[1].close()
        await connection[1].wait_closed()


@click.command()
@click.option("--requests", default=Plan().requests, show_default=True)
@click.option("--rate", default=Plan().rate, show_default=True, help="Requests a second.")
@click.option("--replicas", default=Plan().replicas, show_default=True)
@click.option("--kill-every", "kill_every_s", default=Plan().kill_every_s, show_default=True, help="Seconds.")
@click.option("--stop-every", "stop_every_s", default=Plan().stop_every_s, show_default=True, help="Seconds.")
@click.option("--seed", default=0, show_default=True)
@click.option("--alone", is_flag=True, help="Start each replica by itself, none as a fork.")
def main(alone: bool, **options: Any) -> None:
    """Kill and stop replicas under load, and say what became of the requests; exits with 1 where one was lost, late or got
    another's answer."""
    outcome = run(Plan(forkable=not alone, **options))
    click.echo(str(outcome))
    sys.exit(bool(outcome.lost or outcome.mixed_up or outcome.late or outcome.odd))


if __name__ == "__main__":
    main()

"""Releases take over from each other under load: is a request lost, and who notices? `python -m benchmarks.swaps`.

Two releases of one service multiply by numbers of their own. Clients that keep their connections ask at 70 % of what the
server takes here, while one release after the other takes over at once, again and again, and for a while before each few
swaps: what else the machine does meanwhile then delays the one as much as the other. Each answer has to be the product that
the release which it names would give.

Latency counts from the moment at which a request was due. How much of it is the clients' own lateness, who share the
processors with the server, is said beside it. Whoever deploys is a process of its own, at idle priority: it stands for
another machine.
"""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import NamedTuple

import click
import msgspec
import numpy as np
import uvloop

from benchmarks.numbered import ask
from tenfold.control import deployments, releases
from tenfold.server.channel import settle_memory
from tenfold.server.process import go_idle

DEADLINE_S = 1.0
LOST_S = 10.0
MEASURE_S, MEASURES, SETTLE_S = 1.0, 5, 2.0
BACK_EVERY = 5  # swaps, the last of which is taken back
SERVICE = '''\
import numpy as np

from tenfold import Batching, Contract, Deadline, Drift, Releases, Service


class Asked(Contract):
    number: int


class Given(Contract):
    product: int
    times: int


class Times:
    """So many times what it is given, after as much work as a small model has."""

    def __call__(self, numbers):
        np.linalg.svd(np.ones((24, 24)))
        return numbers * TIMES


class Swapped(Service):
    """Multiplies."""

    input, output, model = Asked, Given, Times()
    batching = Batching(max_rows=16)
    deadline = Deadline("1 s")
    drift = Drift(journal="off")
    releases = Releases(steps=(), shadow_requests=0, bake="1 h")

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, products):
        return {"product": products, "times": np.full(len(products), TIMES)}
'''


class Plan(NamedTuple):
    """So many swaps, so many seconds before each few of them, so many connections, and the share of what the server takes."""

    swaps: int = 100
    steady_s: float = 5.0
    connections: int = 64
    load: float = 0.7
    rate: float = 0.0


class Latencies:
    """How long answers took since they were due, and how late requests were sent though a connection was free, in seconds.
    Plain numbers: nothing that a collection of garbage would have to look at, and the clients to wait for."""

    def __init__(self) -> None:
        self._took_s, self._lag_s = array("d"), array("d")

    def note(self, took_s: float, lag_s: float) -> None:
        """One reply."""
        self._took_s.append(took_s)
        self._lag_s.append(lag_s)

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the latencies."""
        return float(np.quantile(self._took_s, 0.99)) * 1000

    @property
    def lag_p99_ms(self) -> float:
        """The 99th percentile of the clients' own lateness."""
        return float(np.quantile(self._lag_s, 0.99)) * 1000


@dataclass
class Outcome:
    """What became of the requests, the ``steady`` ones before the swaps and those ``during`` them. ``times`` is what each
    release was seen to multiply by."""

    rate: float = 0.0
    swaps: int = 0
    answered: int = 0
    lost: int = 0
    wrong: int = 0
    refused: int = 0
    steady: Latencies = field(default_factory=Latencies)
    during: Latencies = field(default_factory=Latencies)
    swapping: bool = False
    times: dict[str, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.lost + self.wrong + self.refused

    def note(self, number: int, status: int, body: bytes, took_s: float, lag_s: float) -> None:
        """One reply."""
        if status != 200:
            self.refused += 1
            return
        said = msgspec.json.decode(body)
        times = self.times.setdefault(said["release"], said["output"]["times"])
        is_right = said["output"] == {"product": number * times, "times": times}
        self.answered += is_right
        self.wrong += not is_right
        (self.during if self.swapping else self.steady).note(took_s, lag_s)

    @property
    def ratio(self) -> float:
        """The 99th percentile while releases were swapped, over the one before."""
        return self.during.p99_ms / self.steady.p99_ms

    @property
    def is_met(self) -> bool:
        """Whether nothing was lost, mixed up or slow."""
        return not (self.lost or self.wrong or self.refused) and self.ratio <= 2

    def __str__(self) -> str:
        before, during = self.steady, self.during
        return (
            f"{self.requests:,} requests at {self.rate:,.0f}/s, {self.swaps} swaps of {len(self.times)} releases\n"
            f"answered   {self.answered:,}, each by the release that it names\n"
            f"lost       {self.lost:,}\nwrong      {self.wrong:,}\nrefused    {self.refused:,}\n"
            f"p99        {before.p99_ms:.2f} ms before, {during.p99_ms:.2f} ms during: {self.ratio:.2f} times\n"
            f"sent late  {before.lag_p99_ms:.2f} ms before, {during.lag_p99_ms:.2f} ms during, at the 99th percentile\n"
            f"a swap     {np.median(self.took_s):.2f} s in the median, from the command to the last front\n"
            f"back       {max(self.back_s):.2f} s at most, from the command to the last front"
        )


def run(plan: Plan) -> Outcome:
    """Serve, ask and swap; what became of the requests."""
    with tempfile.TemporaryDirectory(prefix="tenfold-swaps-") as name:
        folder = Path(name) / "swapped"
        folder.mkdir()
        (folder / "requirements.txt").write_text("numpy\n")
        for times in (2, 3):
            (folder / "service.py").write_text(SERVICE.replace("TIMES", str(times)), "utf-8")
            releases.push(str(folder))
        with serving(folder) as port:
            for release in ("@1", "@2", "@1"):  # both are examined by their gates before it is measured
                swap(release, folder)
            return uvloop.run(ask_all(plan, folder, port))


class Deployer:
    """A process that swaps when it is told to."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, store: Path) -> Deployer:
        """One for this store."""
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "benchmarks.swaps", "--deployer", str(store)]
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def take(self, what: str) -> float:
        """Deploy a release, or go "back"; how many seconds that took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n".encode())
        return float(await self._process.stdout.readline())

    async def end(self) -> None:
        """No more."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


def deploy_as_told(store: Path) -> None:
    """The process: a line for each swap, and the seconds as the answer."""
    go_idle()
    for line in sys.stdin:
        what = line.strip()
        print(swap_back(store) if what == "back" else swap(what, store), flush=True)


@contextmanager
def serving(store: Path) -> Iterator[int]:
    """The port of a server of the store."""
    log = store / "server.log"
    command = [sys.executable, "-m", "tenfold", "serve", "--store", str(store), "--port", "0", "--admin-port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--json"], stdout=output, stderr=output, process_group=0)
    try:
        while not (lines := [line for line in log.read_bytes().splitlines() if b'"serving"' in line]):
            if process.poll() is not None:
                raise SystemExit(f"error: the server did not start: {log.read_text('utf-8')}")
            time.sleep(0.01)
        yield msgspec.json.decode(lines[0])["address"][1]
    finally:
        process.terminate()
        process.wait()


def swap(name: str, store: Path) -> float:
    """Let a release take over; how long that took."""
    began = time.perf_counter()
    asked = deployments.deploy(name, str(store), now=True)
    if asked.rollout is not None:
        deployments.wait(asked, 120)
    return time.perf_counter() - began


def swap_back(store: Path) -> float:
    """Take the last one back, while the one before is warm; how long that took."""
    began = time.perf_counter()
    asked = deployments.rollback("swapped", str(store))
    while (at := deployments.progress("swapped", str(store))) and at[0].rollout.state != "turning_back":
        time.sleep(0.01)
    took_s = time.perf_counter() - began
    deployments.wait(asked, 120)
    return took_s


async def ask_all(plan: Plan, store: Path, port: int) -> Outcome:
    """Ask, first as fast as it goes, then at a share of that; and swap."""
    settle_memory()
    rate = plan.rate or plan.load * await most(plan, port)
    outcome, over = Outcome(rate=rate), asyncio.Event()
    due = schedule(rate)
    clients = [asyncio.create_task(client(port, due, outcome, over)) for _ in range(plan.connections)]
    deployer, release = await Deployer.start(store), 1
    await asyncio.sleep(SETTLE_S)
    outcome.steady = Latencies()
    while outcome.swaps < plan.swaps:
        outcome.swapping = False
        await asyncio.sleep(plan.steady_s)
        outcome.swapping = True
        for _ in range(BACK_EVERY - 1):
            release = 3 - release
            outcome.took_s.append(await deployer.take(f"@{release}"))
        release = 3 - release
        outcome.back_s.append(await deployer.take("back"))
        outcome.swaps += BACK_EVERY
    over.set()
    await asyncio.gather(*clients, deployer.end())
    return outcome


async def most(plan: Plan, port: int) -> float:
    """How many requests a second the server answers when each client asks again at once, in the median of a few seconds."""
    outcome, over, rates = Outcome(), asyncio.Event(), []
    clients = [asyncio.create_task(client(port, at_once(), outcome, over)) for _ in range(plan.connections)]
    for _ in range(MEASURES):
        before, began = outcome.answered, time.perf_counter()
        await asyncio.sleep(MEASURE_S)
        rates.append((outcome.answered - before) / (time.perf_counter() - began))
    over.set()
    await asyncio.gather(*clients)
    return median(rates)


def schedule(rate: float) -> Iterator[float]:
    """When requests are due, so many a second."""
    began = time.perf_counter()
    return (began + number / rate for number in itertools.count())


def at_once() -> Iterator[float]:
    """A request is due whenever one is asked for."""
    return iter(time.perf_counter, None)


async def client(port: int, due: Iterator[float], outcome: Outcome, over: asyncio.Event) -> None:
    """One connection. It takes the next request that is due, whoever else may be waiting for an answer, and sends it then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number, when in enumerate(due):
        free = time.perf_counter()
        await asyncio.sleep(when - free)
        lag_s = time.perf_counter() - max(when, free)
        if over.is_set():
            break
        try:
            async with asyncio.timeout(LOST_S):
                status, body = await ask(reader, writer, number)
            outcome.note(number, status, body, time.perf_counter() - when, lag_s)
        except (OSError, EOFError, TimeoutError):
            outcome.lost += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


@click.command()
@click.option("--swaps", default=Plan().swaps, show_default=True)
@click.option("--steady", "steady_s", default=Plan().steady_s, show_default=True, help="Seconds before each few swaps.")
@click.option("--connections", default=Plan().connections, show_default=True)
@click.option("--load", default=Plan().load, show_default=True, help="Share of the rate that the server takes.")
@click.option("--rate", default=0.0, help="Requests a second, instead of a share.")
@click.option("--deployer", type=click.Path(path_type=Path), hidden=True)
def main(deployer: Path | None, **options: float) -> None:
    """Swap releases under load, and say what became of the requests; exits with 6 where a goal is missed."""
    if deployer is not None:
        deploy_as_told(deployer)
        return
    plan = Plan(**options)  # type: ignore[arg-type]
    outcome = run(plan)
    offered = f"--rate {plan.rate:g}" if plan.rate else f"--load {plan.load:g}"
    click.echo(f"`python -m benchmarks.swaps --swaps {plan.swaps} {offered}`\n{outcome}")
    sys.exit(0 if outcome.is_met else 6)


if __name__ == "__main__":
    main()

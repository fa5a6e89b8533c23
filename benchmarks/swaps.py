"""Releases take over from each other under load: is a request lost, and who notices? `python -m benchmarks.swaps`.

Two releases of one service multiply by numbers of their own. Clients that keep their connections ask at 70 % of what the
server takes here, before and while one release after the other takes over at once, again and again. Each answer has to be the
product that the release which it names would give. Latency counts from the moment at which a request was due. Whoever deploys
is a process of its own, so that the clients stay punctual.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import numpy as np
import uvloop

from tenfold.control import deployments, releases

DEADLINE_S = 1.0
LOST_S = 10.0
MEASURE_S, SETTLE_S = 3.0, 2.0
BACK_EVERY = 5  # swaps, then one is taken back
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
    """So many swaps, so many seconds before them, so many connections, and the share of what the server takes."""

    swaps: int = 100
    steady_s: float = 20.0
    connections: int = 16
    load: float = 0.7
    rate: float = 0.0


@dataclass
class Outcome:
    """What became of the requests. ``times`` is what each release was seen to multiply by."""

    rate: float = 0.0
    swaps: int = 0
    answered: int = 0
    lost: int = 0
    wrong: int = 0
    refused: int = 0
    steady: list[float] = field(default_factory=list)
    during: list[float] = field(default_factory=list)
    swapping: bool = False
    times: dict[str, int] = field(default_factory=dict)
    took_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All of them."""
        return self.answered + self.lost + self.wrong + self.refused

    def note(self, number: int, status: int, body: bytes, took_s: float) -> None:
        """One reply."""
        if status != 200:
            self.refused += 1
            return
        said = msgspec.json.decode(body)
        times = self.times.setdefault(said["release"], said["output"]["times"])
        is_right = said["output"] == {"product": number * times, "times": times}
        self.answered += is_right
        self.wrong += not is_right
        (self.during if self.swapping else self.steady).append(took_s)

    @property
    def ratio(self) -> float:
        """The 99th percentile while releases were swapped, over the one before."""
        return float(np.quantile(self.during, 0.99) / np.quantile(self.steady, 0.99))

    @property
    def is_met(self) -> bool:
        """Whether nothing was lost, mixed up or slow."""
        return not (self.lost or self.wrong or self.refused) and self.ratio <= 2

    def __str__(self) -> str:
        p99 = [float(np.quantile(latencies, 0.99)) * 1000 for latencies in (self.steady, self.during)]
        return (
            f"{self.requests:,} requests at {self.rate:,.0f}/s, {self.swaps} swaps of {len(self.times)} releases\n"
            f"answered   {self.answered:,}, each by the release that it names\n"
            f"lost       {self.lost:,}\nwrong      {self.wrong:,}\nrefused    {self.refused:,}\n"
            f"p99        {p99[0]:.2f} ms before, {p99[1]:.2f} ms during: {self.ratio:.2f} times\n"
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
    for line in sys.stdin:
        what = line.strip()
        print(swap_back(store) if what == "back" else swap(what, store), flush=True)


@contextmanager
def serving(store: Path) -> Iterator[int]:
    """The port of a server of the store."""
    log = store / "server.log"
    command = [sys.executable, "-m", "tenfold", "serve", "--store", str(store), "--port", "0", "--admin-port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, "--json"], stdout=output, stderr=output, start_new_session=True)
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
    while deployments.progress("swapped", str(store))[0].rollout.state != "turning_back":
        time.sleep(0.01)
    took_s = time.perf_counter() - began
    deployments.wait(asked, 120)
    return took_s


async def ask_all(plan: Plan, store: Path, port: int) -> Outcome:
    """Ask, first as fast as it goes, then at a share of that; and swap."""
    rate = plan.rate or plan.load * await most(plan, port)
    outcome, over = Outcome(rate=rate), asyncio.Event()
    clients = [
        asyncio.create_task(client(port, rate / plan.connections, k / rate, outcome, over))
        for k in range(plan.connections)
    ]
    deployer = await Deployer.start(store)
    await asyncio.sleep(SETTLE_S)
    outcome.steady.clear()
    await asyncio.sleep(plan.steady_s)
    outcome.swapping = True
    release = 1
    while outcome.swaps < plan.swaps:
        release = 3 - release
        outcome.took_s.append(await deployer.take(f"@{release}"))
        outcome.swaps += 1
        if outcome.swaps % BACK_EVERY == 0:
            release = 3 - release
            outcome.back_s.append(await deployer.take("back"))
            outcome.swaps += 1
    over.set()
    await asyncio.gather(*clients, deployer.end())
    return outcome


async def most(plan: Plan, port: int) -> float:
    """How many requests a second the server answers when each client asks again at once."""
    outcome, over = Outcome(), asyncio.Event()
    clients = [asyncio.create_task(client(port, 0.0, 0.0, outcome, over)) for _ in range(plan.connections)]
    await asyncio.sleep(MEASURE_S)
    over.set()
    await asyncio.gather(*clients)
    return outcome.answered / MEASURE_S


async def client(port: int, rate: float, offset_s: float, outcome: Outcome, over: asyncio.Event) -> None:
    """One connection: a request when it is due, its reply, the next one; 0 for at once."""
    began, number = time.perf_counter() + offset_s, 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while not over.is_set():
        due = began + number / rate if rate else time.perf_counter()
        await asyncio.sleep(due - time.perf_counter())
        number += 1
        try:
            async with asyncio.timeout(LOST_S):
                status, body = await ask(reader, writer, number)
            outcome.note(number, status, body, time.perf_counter() - due)
        except (OSError, EOFError, TimeoutError):
            outcome.lost += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await writer.wait_closed()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> tuple[int, bytes]:
    """Status and body of the reply to one request."""
    body = b'{"number":%d}' % number
    writer.write(b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


@click.command()
@click.option("--swaps", default=Plan().swaps, show_default=True)
@click.option("--steady", "steady_s", default=Plan().steady_s, show_default=True, help="Seconds before the first swap.")
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

"""Replicas come and go under load: is a request lost, and is a second one worth it? `python -m benchmarks.scale_live`.

A server is scaled 1 → 4 → 1 by `tenfold scale`, ten times, while clients that keep their connections ask; each request
carries a number that has to come back. Then the throughput of two replicas that take 20 ms of pure processor time for each
batch is measured beside that of one: on two cores that nothing else uses, it should be nearly twice as much. What the
machine itself gives is measured in turns with it, by the same loop without a server: where two bare loops do not get twice
as much done as one, two replicas cannot either. It is said besides who else took processor time.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
import uvloop

from benchmarks import chaos, numbered
from tenfold.control import scale
from tenfold.control.servers import ask

MOST = 4
CPU_MS = 20.0
CONNECTIONS = 4  # enough that each replica has a row in hand and one that waits
WARM_S = 1.0
NICE = 10  # what replicas run at: whatever else goes on takes as much from bare loops
GOAL = 1.85
BURN = """\
        end = time.thread_time() + {seconds}
        while time.thread_time() < end:
            pass
"""
BARE = """\
import sys, time

seconds, begin, end = map(float, sys.argv[1:])
done = 0
while (now := time.time()) < end:
    burnt = time.thread_time() + seconds
    while time.thread_time() < burnt:
        pass
    done += begin <= now
print(done)
"""  # the same work, without a server


class Served(NamedTuple):
    """A server: its folder, its port, its admin address, and its process."""

    folder: Path
    port: int
    admin: str
    pid: int


@contextmanager
def serving(source: str, replicas: int) -> Iterator[Served]:
    """A server of this service."""
    with tempfile.TemporaryDirectory(prefix="tenfold-scale-") as name:
        folder = Path(name)
        (folder / "service.py").write_text(source, "utf-8")
        with chaos.serving(folder, replicas) as (process, port, log):
            host, admin_port = chaos.said(log, "serving")[0]["admin"]
            yield Served(folder, port, f"http://{host}:{admin_port}", process.pid)


# -- is anything lost? -------------------------------------------------------------------------------------------------


def come_and_go(requests: int, rate: float, times: int) -> chaos.Outcome:
    """Ask at a steady rate while replicas come and go, until both are done."""
    source = chaos.SERVICE.replace("FORKABLE", "True")
    with serving(source, 1) as server:
        return uvloop.run(_come_and_go(chaos.Plan(requests=requests, rate=rate), server, times))


async def _come_and_go(plan: chaos.Plan, server: Served, times: int) -> chaos.Outcome:
    outcome, began = chaos.Outcome(), time.perf_counter()
    scaled = asyncio.create_task(asyncio.to_thread(_scale, str(server.folder), server.admin, times))

    def numbers() -> Iterator[int]:
        number = 0
        while number < plan.requests or not scaled.done():
            yield number
            number += 1

    following = numbers()
    await asyncio.gather(*(chaos.client(plan, server.port, following, outcome) for _ in range(plan.connections)))
    await scaled
    outcome.seconds = time.perf_counter() - began
    return outcome


def _scale(folder: str, admin: str, times: int) -> None:
    """1 → 4 → 1, so many times."""
    for _ in range(times):
        scale.ask(folder, MOST, "1 h", "a benchmark")
        _until(admin, MOST)
        time.sleep(0.5)
        scale.withdraw(folder)
        _until(admin, 1)


def _until(admin: str, replicas: int) -> None:
    limit = time.monotonic() + 120
    while ask(f"{admin}/api/scaling/echoes").json()["replicas"] != replicas:
        if time.monotonic() > limit:
            raise SystemExit(f"error: there are not {replicas} replicas after two minutes")
        time.sleep(0.05)


# -- is a second one worth it? -----------------------------------------------------------------------------------------


class Rate(NamedTuple):
    """Batches per second, and how many cores each role took meanwhile."""

    batches: float
    cores: dict[str, float]


def bare(processes: int, cpu_ms: float, seconds: float) -> float:
    """Batches per second of so many loops that do nothing else: what the machine itself gives."""
    begin = time.time() + WARM_S
    command = ["nice", "-n", str(NICE), sys.executable, "-c", BARE, *map(str, (cpu_ms / 1000, begin, begin + seconds))]
    loops = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
    return sum(int(loop.communicate()[0]) for loop in loops) / seconds


def throughput(replicas: int, cpu_ms: float, seconds: float) -> Rate:
    """What so many replicas answer, each batch of one row."""
    source = chaos.SERVICE.replace("FORKABLE", "False").replace("import numpy as np\n", "import time\n")
    burn = BURN.format(seconds=cpu_ms / 1000)
    source = source.replace("        np.linalg.svd(np.ones((24, 24)))\n", burn).replace("max_rows=16", "max_rows=1")
    source = source.replace(f'"{chaos.DEADLINE_S * 1000:.0f} ms"', '"5 s"')
    with serving(source, replicas) as server:
        return uvloop.run(_throughput(server, seconds))


async def _throughput(server: Served, seconds: float) -> Rate:
    """A closed loop: each connection asks again once it was answered."""
    counts: list[float] = []
    over = time.perf_counter() + WARM_S + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        while time.perf_counter() < over:
            status, _ = await numbered.ask(reader, writer, number)
            if status == 200:
                counts.append(time.perf_counter())
        writer.close()

    clients = asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    await asyncio.sleep(WARM_S)
    before = used_s(server.pid)
    await asyncio.sleep(over - time.perf_counter())
    cores = {role: (used - before[role]) / seconds for role, used in used_s(server.pid).items()}
    await clients
    return Rate(sum(1 for at in counts if over - seconds <= at <= over) / seconds, cores)


def used_s(server: int) -> dict[str, float]:
    """The processor time, in seconds, of our own process and of the server's, by role."""
    used = {"client": time.process_time()}
    for pid in (server, *map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            role = next((role for role in ("replica", "front", "admin") if role.encode() in words), "supervisor")
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            used[role] = used.get(role, 0.0) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return used


def compare(rounds: int, cpu_ms: float, seconds: float) -> None:
    """One and two, of bare loops and of replicas, in turns."""
    machine, ours = [], []
    for _ in range(rounds):
        loops = [bare(1, cpu_ms, seconds)]
        one = throughput(1, cpu_ms, seconds)
        loops.append(bare(2, cpu_ms, seconds))
        two = throughput(2, cpu_ms, seconds)
        machine.append(loops[1] / loops[0])
        ours.append(two.batches / one.batches)
        click.echo(
            f"replicas {one.batches:.1f} and {two.batches:.1f} batches/s: {ours[-1]:.2f} times; "
            f"bare loops {loops[0]:.1f} and {loops[1]:.1f}: {machine[-1]:.2f} times\n"
            f"cores with two: {', '.join(f'{role} {cores:.2f}' for role, cores in sorted(two.cores.items()))}"
        )
    got, limit = statistics.median(ours), statistics.median(machine)
    share = statistics.median(mine / its for mine, its in zip(ours, machine, strict=True))
    verdict = "met" if got >= GOAL else f"open; two bare loops are worth {limit:.2f} here"
    click.echo(
        f"batches of {cpu_ms:g} ms: two replicas are worth {got:.2f} of one, {share:.0%} of what two bare loops are; "
        f"goal {GOAL}: {verdict}"
    )


@click.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--rate", default=1500.0, show_default=True, help="Requests a second.")
@click.option("--times", default=10, show_default=True, help="How often to scale 1 → 4 → 1.")
@click.option("--rounds", default=3, show_default=True, help="Of measuring one replica, then two; 0 leaves that out.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@click.option("--cpu-ms", default=CPU_MS, show_default=True, help="Processor time of a batch.")
def main(requests: int, rate: float, times: int, rounds: int, seconds: float, cpu_ms: float) -> None:
    """Scale under load, then compare one replica with two; exits with 1 where a request was lost or mixed up."""
    outcome = chaos.Outcome()
    if times:
        outcome = come_and_go(requests, rate, times)
        click.echo(str(outcome))
    if rounds:
        compare(rounds, cpu_ms, seconds)
    sys.exit(bool(outcome.lost or outcome.mixed_up or outcome.odd))


if __name__ == "__main__":
    main()

"""Replicas come and go under load: is a request lost, and is a second one worth it? `python -m benchmarks.scale_live`.

A server is scaled 1 → 4 → 1 by `tenfold scale`, ten times, while clients that keep their connections ask; each request
carries a number that has to come back. Then the throughput of two replicas that take 10 ms of pure processor time for each
batch is measured beside that of one, in turns: on two cores that nothing else uses, it should be nearly twice as much.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvloop

from benchmarks import chaos
from tenfold.control import scale
from tenfold.control.servers import ask

MOST = 4
CPU_MS = 10
CONNECTIONS = 8
WARM_S = 1.0
BURN = f"""\
        end = time.thread_time() + {CPU_MS / 1000}
        while time.thread_time() < end:
            pass
"""


@contextmanager
def serving(source: str, replicas: int) -> Iterator[tuple[Path, int, str]]:
    """A server of this service: its folder, its port, and its admin address."""
    with tempfile.TemporaryDirectory(prefix="tenfold-scale-") as name:
        folder = Path(name)
        (folder / "service.py").write_text(source, "utf-8")
        with chaos.serving(folder, replicas) as (_, port, log):
            host, admin_port = chaos.said(log, "serving")[0]["admin"]
            yield folder, port, f"http://{host}:{admin_port}"


# -- is anything lost? -------------------------------------------------------------------------------------------------


def come_and_go(requests: int, rate: float, times: int) -> chaos.Outcome:
    """Ask at a steady rate while replicas come and go, until both are done."""
    source = chaos.SERVICE.replace("FORKABLE", "True")
    with serving(source, 1) as (folder, port, admin):
        return uvloop.run(_come_and_go(chaos.Plan(requests=requests, rate=rate), folder, port, admin, times))


async def _come_and_go(plan: chaos.Plan, folder: Path, port: int, admin: str, times: int) -> chaos.Outcome:
    outcome, began = chaos.Outcome(), time.perf_counter()
    scaled = asyncio.create_task(asyncio.to_thread(_scale, folder, admin, times))

    def numbers() -> Iterator[int]:
        number = 0
        while number < plan.requests or not scaled.done():
            yield number
            number += 1

    following = numbers()
    await asyncio.gather(*(chaos.client(plan, port, following, outcome) for _ in range(plan.connections)))
    await scaled
    outcome.seconds = time.perf_counter() - began
    return outcome


def _scale(folder: Path, admin: str, times: int) -> None:
    """1 → 4 → 1, so many times."""
    for _ in range(times):
        scale.ask(str(folder), MOST, "1 h", "a benchmark")
        _until(admin, MOST)
        time.sleep(0.5)
        scale.withdraw(str(folder))
        _until(admin, 1)


def _until(admin: str, replicas: int) -> None:
    limit = time.monotonic() + 120
    while ask(f"{admin}/api/scaling/echoes").json()["replicas"] != replicas:
        if time.monotonic() > limit:
            raise SystemExit(f"error: there are not {replicas} replicas after two minutes")
        time.sleep(0.05)


# -- is a second one worth it? -----------------------------------------------------------------------------------------


def throughput(replicas: int, seconds: float) -> float:
    """Rows per second that so many replicas answer, each batch of one row."""
    source = chaos.SERVICE.replace("FORKABLE", "False").replace("import numpy as np\n", "import time\n")
    source = source.replace("        np.linalg.svd(np.ones((24, 24)))\n", BURN).replace("max_rows=16", "max_rows=1")
    source = source.replace(f'"{chaos.DEADLINE_S * 1000:.0f} ms"', '"5 s"')
    with serving(source, replicas) as (_, port, _admin):
        return uvloop.run(_throughput(port, seconds))


async def _throughput(port: int, seconds: float) -> float:
    """A closed loop: each connection asks again once it was answered."""
    counts: list[float] = []
    over = time.perf_counter() + WARM_S + seconds

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < over:
            status, _ = await chaos.ask(reader, writer, number)
            if status == 200:
                counts.append(time.perf_counter())
        writer.close()

    await asyncio.gather(*(client(number) for number in range(CONNECTIONS)))
    return sum(1 for at in counts if over - seconds <= at <= over) / seconds


@click.command()
@click.option("--requests", default=100_000, show_default=True)
@click.option("--rate", default=1500.0, show_default=True, help="Requests a second.")
@click.option("--times", default=10, show_default=True, help="How often to scale 1 → 4 → 1.")
@click.option("--rounds", default=3, show_default=True, help="Of measuring one replica, then two; 0 leaves that out.")
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
def main(requests: int, rate: float, times: int, rounds: int, seconds: float) -> None:
    """Scale under load, then compare one replica with two; exits with 1 where a request was lost or mixed up."""
    outcome = come_and_go(requests, rate, times) if times else chaos.Outcome()
    click.echo(str(outcome))
    ratios = []
    for _ in range(rounds):
        one, two = throughput(1, seconds), throughput(2, seconds)
        ratios.append(two / one)
        click.echo(f"one replica {one:.1f} rows/s, two {two:.1f}: {two / one:.2f} times")
    if ratios:
        click.echo(
            f"two replicas are worth {statistics.median(ratios):.2f} of one (at least 1.85 where nothing else runs)"
        )
    sys.exit(bool(outcome.lost or outcome.mixed_up or outcome.odd))


if __name__ == "__main__":
    main()

"""Does a bench find the same twice? `python -m benchmarks.repeat`, from the root of the repository.

The service of the online benchmark is searched for its capacity within 50 ms, again and again, each time by a server and a
load generator that are started anew. Capacities are compared as they were found, and divided by the speed of the machine
meanwhile, which is what makes two days comparable. Before that, the generator has to show what it sends itself: to an
echo, which costs the machine next to nothing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from benchmarks.data import prepare, write_bodies
from benchmarks.environments import machine
from benchmarks.running import RUN, free_ports
from benchmarks.servers import SERVICE, TENFOLD

DEADLINE = "50 ms"
GOAL = 0.1  # that the least and the most may lie from their middle
GENERATOR_RATES = (10_000, 20_000, 30_000)


@click.command()
@click.option("--runs", default=2, show_default=True, help="How often the capacity is found.")
@click.option("--for", "span", default="10 s", show_default=True, help="How long a rate has to be kept.")
@click.option("--service", default=f"{SERVICE}:TumourCheck", show_default=True, help="What is measured.")
def main(runs: int, span: str, service: str) -> None:
    """Find a capacity several times, and say how far apart the results are."""
    RUN.mkdir(exist_ok=True)
    bodies = RUN / "repeat.ndjson"
    write_bodies(list(prepare().rows), bodies)
    print(machine())
    with echo() as url:
        for rate in GENERATOR_RATES:
            print(generated(bench(url, bodies, "--rate", str(rate), "--for", "5 s")), flush=True)
    found = []
    for number in range(1, runs + 1):
        one = bench(service, bodies, "--for", span, "--svg", str(RUN / f"capacity-{number}.svg"))
        found.append(one)
        print(f"{number}/{runs}  {capacity(one)}", flush=True)
    print(spread("as found", [one["rows_per_s"] for one in found]))
    print(spread("calibrated", [one["calibrated_rows_per_s"] for one in found]))


def bench(target: str, bodies: object, *options: str) -> dict[str, Any]:
    """What `tenfold bench` says of a target; a rate or a promise that is not kept is no error here."""
    command = [TENFOLD, "bench", target, "--requests", str(bodies), "--deadline", DEADLINE, *options, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 6):
        raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@contextmanager
def echo() -> Iterator[str]:
    """The echo of the online benchmark, at work."""
    (port,) = free_ports(1)
    with subprocess.Popen([sys.executable, "-m", "benchmarks.echo", str(port)]) as process:
        try:
            time.sleep(1.0)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.kill()


def generated(found: dict[str, Any]) -> str:
    """What the load generator sent to the echo."""
    (rate,) = found["rates"]
    late = 100 * rate["behind"] / max(rate["requests"], 1)
    sent = rate["requests"] / rate["seconds"]
    return f"echo  {sent:,.0f} requests/s sent, {late:.2g} % of them late; p99 {1000 * (rate['p99_s'] or 0):.2f} ms"


def capacity(found: dict[str, Any]) -> str:
    """One result in a line."""
    calibrated = f"speed {found['speed']:.2f}, {found['calibrated_rows_per_s']:,.0f} calibrated"
    notes = "".join(f"\n     {note}" for note in found["notes"])
    return f"{found['rows_per_s']:,.0f} rows/s, p99 {1000 * (found['p99_s'] or 0):.1f} ms; {calibrated}{notes}"


def spread(name: str, values: Sequence[float]) -> str:
    """How far the least and the most lie from their middle, against the goal."""
    middle = (min(values) + max(values)) / 2
    off = (max(values) - middle) / middle if middle else 1.0
    verdict = "met" if off <= GOAL else "open"
    return f"{name:<11}{min(values):,.0f} to {max(values):,.0f} rows/s: ±{100 * off:.1f} %, {verdict}"


if __name__ == "__main__":
    main()

"""More than can be answered: `python -m benchmarks.overload`, from the root of the repository, on Linux with two cores.

Models of a known speed are offered a share of what they can answer, and 1.3 and 3 times that, by clients that do not wait
for each other. Below capacity it is told whether batches take what was predicted; above, how much of the capacity becomes
answers in time, and how soon the others are told no. All processes of a server have one core, the clients another.
"""

from __future__ import annotations

import http.client
import os
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

import click

from benchmarks.environments import install, machine
from benchmarks.running import RUN, Running, ask, free_ports, running
from benchmarks.servers import Server
from benchmarks.steady import ROW, WARM_UP_S, WORK, Driven, Model, drive, peers, tenfold

MODELS = (
    Model("slow", 0.0, 0.010, deadline_s=0.5, max_rows=16),
    Model("by row", 0.0, 0.001, deadline_s=0.2, max_rows=32),
    Model("by batch", 0.048, 0.00025, deadline_s=0.25),
    Model("noisy", 0.016, 0.00075, deadline_s=0.25, sigma=0.3),
    Model("computing", 0.016, 0.00075, deadline_s=0.25, computes=True),
)
BELOW, ABOVE = (0.5, 0.7), (1.3, 3.0)
ENOUGH = 0.95  # of the capacity
AT_ONCE_S = 0.005
OFF = 0.2  # that a batch's 99th percentile may be from what was predicted
RECOVER_S = 60.0
PEERS_CAN = 200.0  # requests a second on one core, beside which their own work hardly shows
SERVER_CORE, CLIENT_CORE = 0, 1


class Line(NamedTuple):
    """A line of a table, and whether what it says is as it should be."""

    cells: Sequence[str]
    fits: bool = True


PREDICTED = Line(("model", "offered", "p99 of a batch, of what was predicted", "batches", "in time"))
OFFERED = Line(
    (
        "server",
        "model",
        "offered",
        "in time, of capacity",
        "p99, of deadline",
        "late",
        "refused",
        "told so, p99",
        "sent late",
    )
)


@click.command()
@click.option("--seconds", default=8.0, show_default=True, help="How long each rate is offered.")
@click.option("--model", "names", multiple=True, type=click.Choice([model.name for model in MODELS]))
@click.option("--fronts", default=1, show_default=True, help="How many processes speak HTTP, and share the replica.")
@click.option("--peers", "with_peers", is_flag=True, help="Offer the slow one to FastAPI, LitServe and BentoML.")
def main(seconds: float, names: Sequence[str], fronts: int, with_peers: bool) -> None:
    """Offer models of a known speed less and more than they can answer; exits with 1 where a goal is missed."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    RUN.mkdir(exist_ok=True)
    wanted = [model for model in MODELS if not names or model.name in names]
    print(machine())
    show(PREDICTED)
    fits = [show(predicted(model, load, seconds, fronts)) for model in wanted for load in BELOW]
    show(OFFERED)
    fits += [show(line) for model in wanted for line in overloaded(model, seconds, fronts)]
    if with_peers:
        for model in [model for model in wanted if model.capacity <= PEERS_CAN]:
            for peer in peers(model):
                install(peer)
                with running(peer, WORK, SERVER_CORE) as server:
                    for load in (BELOW[-1], *ABOVE):
                        show(offered(peer, server.url, model, load, seconds))
                        recover(server, model)
    sys.exit(not all(fits))


def show(line: Line) -> bool:
    """Print a line of a table; whether what it says is as it should be."""
    print("| " + " | ".join(line.cells) + " |", flush=True)
    return line.fits


def predicted(model: Model, load: float, seconds: float, fronts: int) -> Line:
    """Whether 99 of 100 batches take as long as it was predicted of them."""
    (metrics,) = free_ports(1)
    server = tenfold(model, metrics, fronts)
    with running(server, WORK, SERVER_CORE) as at_work:
        settle(server, at_work.url, model, load)
        before = batches(metrics)
        driven = offer(server, at_work.url, model, load, seconds)
        since = batches(metrics) - before
    ratio = quantile(since, 0.99)
    cells = model.name, f"{load:g}", f"{ratio:.2f}", f"{since.total():,}", f"{100 * driven.share('good'):.2f} %"
    return Line(cells, 1 - OFF <= ratio <= 1 + OFF)


def overloaded(model: Model, seconds: float, fronts: int) -> Iterator[Line]:
    """What tenfold makes of too much."""
    (metrics,) = free_ports(1)
    server = tenfold(model, metrics, fronts)
    with running(server, WORK, SERVER_CORE) as at_work:
        for load in ABOVE:
            yield offered(server, at_work.url, model, load, seconds)


def offered(server: Server, url: str, model: Model, load: float, seconds: float) -> Line:
    """What became of so many times what the model can answer."""
    settle(server, url, model, load)
    driven = offer(server, url, model, load, seconds)
    good = driven.good_per_s / model.capacity
    p99_s, told_s = driven.answer.quantile(0.99), driven.refusal.quantile(0.99)
    cells = [server.name, model.name, f"{load:g}", f"{good:.3f}", f"{p99_s / model.deadline_s:.2f}"]
    cells += [f"{100 * driven.share('late'):.1f} %", f"{100 * driven.share('refused'):.1f} %"]
    cells += [f"{1000 * told_s:.1f} ms" if driven.refusal.total else "–", f"{100 * driven.share('behind'):.1f} %"]
    return Line(cells, good >= ENOUGH and p99_s <= model.deadline_s and told_s <= AT_ONCE_S)


def recover(server: Running, model: Model) -> None:
    """Wait until a request alone is answered in time again: where nothing is refused, what waits is worked off first."""
    until = time.monotonic() + RECOVER_S
    while time.monotonic() < until:
        began = time.monotonic()
        with suppress(OSError, http.client.HTTPException):
            if ask(server.port, server.server.body(ROW))[0] == 200 and time.monotonic() - began <= model.deadline_s:
                return
        time.sleep(0.5)


def settle(server: Server, url: str, model: Model, load: float) -> None:
    """The same load for a while, so that what is measured is the steady state."""
    offer(server, url, model, load, WARM_UP_S)


def offer(server: Server, url: str, model: Model, load: float, seconds: float) -> Driven:
    """Requests at so many times the rate that the model can answer."""
    return drive(url, [server.body(ROW)], load * model.capacity, seconds, model.deadline_s)


def batches(port: int) -> Counter[float]:
    """How many batches took at most so many times what was predicted, and more than the figure below that, so far."""
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    found = re.findall(r'^tenfold_prediction_ratio_bucket{.*le="([^"]+)"} (\d+)', text, re.MULTILINE)
    up_to = [(0.0, 0), *((float(le), int(count)) for le, count in found)]
    return Counter({le: count - below for (_, below), (le, count) in pairwise(up_to)})


def quantile(counts: Counter[float], share: float) -> float:
    """The upper end of the bucket that this share of all stays within."""
    seen = 0
    for le, count in sorted(counts.items()):
        seen += count
        if seen >= share * counts.total():
            return le
    return 0.0


if __name__ == "__main__":
    main()

"""A model of a known speed, whoever serves it, and clients that do not wait for each other."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

import msgspec
import uvloop

from benchmarks.data import Work
from benchmarks.running import RUN
from benchmarks.servers import BENTOML, FASTAPI, HERE, LITSERVE, PORTS, TENFOLD, VENVS, Server
from tenfold.bench.connection import Connection
from tenfold.bench.drive import Drive
from tenfold.bench.load import find
from tenfold.bench.outcome import outcome
from tenfold.bench.target import Body, Target
from tenfold.capacity.arrivals import poisson
from tenfold.capacity.histogram import Histogram

ROW = {"number": 1.0}
WORK = Work([ROW], {})
WARM_UP_S = 3.0
SERVICE = '''\
import time

import numpy as np

from tenfold import Batching, Contract, Deadline, Service


class Asked(Contract):
    number: float


class Given(Contract):
    number: float


class Steady:
    """Takes its time: so long for each batch, and so long for each row of it."""

    def __init__(self):
        self.chance = np.random.default_rng(0)

    def __call__(self, numbers):
        seconds = ({fixed_s} + {row_s} * len(numbers)) * self.chance.lognormal(-{sigma}**2 / 2, {sigma})
        until = time.perf_counter() + seconds
        if {computes}:
            while time.perf_counter() < until:
                pass
        else:
            time.sleep(seconds)
        return numbers


class Echoes(Service):
    """Echoes numbers, at a known speed."""

    input, output, model = Asked, Given, Steady()
    batching = Batching(max_rows={max_rows})
    deadline = Deadline("{deadline_ms:.0f} ms")

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, numbers):
        return {{"number": numbers}}
'''


@dataclass(frozen=True, slots=True)
class Model:
    """How long a batch takes: ``fixed_s``, and ``row_s`` for each row, times lognormal noise of this spread.

    It sleeps, as one does that computes elsewhere, or computes, on the core that the server has.
    """

    name: str
    fixed_s: float
    row_s: float
    deadline_s: float
    sigma: float = 0.05
    computes: bool = False
    max_rows: int = 64

    @property
    def capacity(self) -> float:
        """Rows a second, in full batches."""
        return self.max_rows / (self.fixed_s + self.row_s * self.max_rows)


def tenfold(model: Model, metrics_port: int, fronts: int = 1) -> Server:
    """Served by tenfold, which says on another port what it counts."""
    folder = RUN / f"steady-{model.name}"
    folder.mkdir(parents=True, exist_ok=True)
    figures = {field: getattr(model, field) for field in ("fixed_s", "row_s", "sigma", "computes", "max_rows")}
    (folder / "service.py").write_text(SERVICE.format(**figures, deadline_ms=1000 * model.deadline_s), "utf-8")
    metrics = ("--metrics", f"127.0.0.1:{metrics_port}")
    return Server(
        name="tenfold",
        model="sklearn",
        command=(TENFOLD, "serve", str(folder), *PORTS, *metrics, "--fronts", str(fronts)),
        answer=lambda answer: answer["output"]["number"],
    )


def peers(model: Model) -> list[Server]:
    """Served by others, each with its batches, and with the deadline where it takes one."""
    known = {"fixed_s": model.fixed_s, "row_s": model.row_s, "sigma": model.sigma, "computes": int(model.computes)}
    environment = {name.upper(): str(figure) for name, figure in known.items()}
    environment |= {"MAX_ROWS": str(model.max_rows), "DEADLINE_S": str(model.deadline_s)}
    return [
        _peer(FASTAPI, environment, f"{VENVS}/fastapi/bin/uvicorn", "steady_fastapi:app", "--port", "{port}"),
        _peer(LITSERVE, environment, f"{VENVS}/litserve/bin/python", f"{HERE}/peers/steady_litserve.py"),
        _peer(
            BENTOML, environment, f"{VENVS}/bentoml/bin/bentoml", "serve", "steady_bentoml:Echoes", "--port", "{port}"
        ),
    ]


def _peer(server: Server, environment: Mapping[str, str], *command: str) -> Server:
    def body(row: Mapping[str, float]) -> object:
        return {"numbers": [row["number"]]} if server is BENTOML else row

    return replace(server, command=command, body=body, environment={**server.environment, **environment})


class Watched(Drive):
    """Keeps apart how long those that were refused had to wait for that; who was told 504 was not refused, but late."""

    refusal: Histogram

    def answered(self, connection: Connection, status: int, body: bytes) -> None:
        if outcome(status, body) == "refused" and status != HTTPStatus.GATEWAY_TIMEOUT:
            self.refusal.add(time.monotonic() - connection.due)
        super().answered(connection, status, body)


@dataclass(frozen=True, slots=True)
class Driven:
    """What became of requests at one rate. Latencies are counted from when each was to be sent."""

    counts: Counter[str]
    seconds: float
    answer: Histogram
    refusal: Histogram

    @property
    def good_per_s(self) -> float:
        """Answers in time."""
        return self.counts["good"] / self.seconds

    def share(self, what: Literal["good", "late", "refused", "behind"]) -> float:
        """Of the requests, those that became this; late is whatever is neither good nor refused in time."""
        refused = self.refusal.total
        late = self.counts["requests"] - self.counts["good"] - refused
        found = {"good": self.counts["good"], "late": late, "refused": refused, "behind": self.counts["behind"]}
        return found[what] / max(self.counts["requests"], 1)


def drive(url: str, bodies: Sequence[object], per_s: float, seconds: float, deadline_s: float, seed: int = 0) -> Driven:
    """Random arrivals at this rate, for so long, from this process; bodies in rotation."""
    return uvloop.run(_drive(Target.of(url), bodies, per_s, seconds, deadline_s, seed))


async def _drive(
    target: Target, bodies: Sequence[object], per_s: float, seconds: float, deadline_s: float, seed: int
) -> Driven:
    requests = target.requests([Body(msgspec.json.encode(body)) for body in bodies], {})
    run = Watched(await find(target), requests, poisson(per_s, seconds, seed), seconds, deadline_s)
    run.refusal = Histogram()
    await run.run(ready=1 + int(per_s * deadline_s))
    return Driven(run.counts, run.seconds, run.latency, run.refusal)

"""Is a file job noticed by those who ask meanwhile? `python -m benchmarks.through`, from the root of the repository.

Models of a known speed are asked at a share of what they can answer, by clients that do not wait for each other: alone, and
while `tenfold batch --through` sends a file through the same service, in turns. All processes of the server have one core;
the clients have another, on which the job stands behind them.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from benchmarks.environments import machine
from benchmarks.overload import Line, show
from benchmarks.running import RUN, free_ports, running
from benchmarks.servers import TENFOLD
from benchmarks.steady import ROW, WARM_UP_S, WORK, Driven, Model, drive, tenfold

MODELS = (
    Model("slow", 0.0, 0.010, deadline_s=0.5, max_rows=16),
    Model("by row", 0.0, 0.001, deadline_s=0.2, max_rows=32),
    Model("by batch", 0.048, 0.00025, deadline_s=0.25),
    Model("computing", 0.016, 0.00075, deadline_s=0.25, computes=True),
)
LOADS = (0.3, 0.7)
LATE = 0.001  # of the requests: so many more than without a job are too many
ROWS = 5_000_000  # more than any job gets through
PART_ROWS = 50
NICE = 10
SERVER_CORE, CLIENT_CORE = 0, 1
HEAD = Line(
    (
        "model",
        "live load",
        "p99 alone",
        "beside a job",
        "ratio",
        "of the deadline",
        "late",
        "refused",
        "the job's share",
    )
)


class Beside(NamedTuple):
    """What became of the requests, and how many rows a second the job got through meanwhile."""

    driven: Driven
    rows_per_s: float = 0.0

    @property
    def p99_s(self) -> float:
        """Of the answers, from when each request was to be sent."""
        return self.driven.answer.quantile(0.99)

    @property
    def late(self) -> float:
        """The share of requests that were answered too late."""
        return self.driven.share("late")

    @property
    def refused(self) -> float:
        """The share of requests that were refused at once."""
        return self.driven.share("refused")


@click.command()
@click.option("--seconds", default=8.0, show_default=True, help="How long each is asked, each time.")
@click.option("--rounds", default=3, show_default=True, help="How often: alone, beside a job, alone, …")
@click.option("--model", "names", multiple=True, type=click.Choice([model.name for model in MODELS]))
@click.option("--load", "loads", multiple=True, type=float, default=LOADS, show_default=True)
def main(seconds: float, rounds: int, names: Sequence[str], loads: Sequence[float]) -> None:
    """Ask models of a known speed with and without a job beside; exits with 1 where requests are late or refused for it."""
    os.sched_setaffinity(0, {CLIENT_CORE})
    RUN.mkdir(exist_ok=True)
    rows = RUN / "through.parquet"
    if not rows.exists():
        parquet.write_table(pa.table({"number": np.arange(ROWS, dtype=np.float64)}), rows)
    print(machine())
    show(HEAD)
    wanted = [model for model in MODELS if not names or model.name in names]
    fits = [show(line) for model in wanted for line in measured(model, loads, seconds, rounds, rows)]
    sys.exit(not all(fits))


def measured(model: Model, loads: Sequence[float], seconds: float, rounds: int, rows: Path) -> Iterator[Line]:
    """A line for each load."""
    server = tenfold(model, *free_ports(1))
    with running(server, WORK, SERVER_CORE) as at_work:
        for load in loads:
            per_s = load * model.capacity
            drive(at_work.url, [ROW], per_s, WARM_UP_S, model.deadline_s)
            alone, beside = [], []
            for number in range(rounds):
                alone.append(Beside(drive(at_work.url, [ROW], per_s, seconds, model.deadline_s, number)))
                with job(model, at_work.port, rows) as out:
                    before, began = answered(out), time.monotonic()
                    driven = drive(at_work.url, [ROW], per_s, seconds, model.deadline_s, number)
                    beside.append(Beside(driven, (answered(out) - before) / (time.monotonic() - began)))
            yield line(model, load, alone, beside)


def line(model: Model, load: float, alone: Sequence[Beside], beside: Sequence[Beside]) -> Line:
    """Medians over the rounds; the ratio is that of a round."""
    p99_s = [statistics.median(one.p99_s for one in some) for some in (alone, beside)]
    late = [statistics.median(one.late for one in some) for some in (alone, beside)]
    refused = [statistics.median(one.refused for one in some) for some in (alone, beside)]
    ratio = statistics.median(with_job.p99_s / without.p99_s for without, with_job in zip(alone, beside, strict=True))
    rows_per_s = statistics.median(one.rows_per_s for one in beside)
    cells = [model.name, f"{load:g}", *(f"{1000 * one:.1f} ms" for one in p99_s), f"{ratio:.2f}"]
    cells += [f"{p99_s[1] / model.deadline_s:.2f}"]
    cells += [f"{100 * before:.2f} % → {100 * after:.2f} %" for before, after in (late, refused)]
    cells += [f"{rows_per_s / model.capacity:.2f}"]
    is_as_before = late[1] + refused[1] <= late[0] + refused[0] + LATE
    return Line(cells, p99_s[1] <= model.deadline_s and is_as_before)


@contextmanager
def job(model: Model, port: int, rows: Path) -> Iterator[Path]:
    """A job that sends its file through the service, from its first part on; the folder that it writes."""
    out = RUN / "through"
    shutil.rmtree(out, ignore_errors=True)
    command = [TENFOLD, "batch", str(RUN / f"steady-{model.name}"), str(rows), "-o", str(out), "--json"]
    command += ["--through", f"http://127.0.0.1:{port}", "--shard-rows", str(PART_ROWS)]
    process = subprocess.Popen(["nice", "-n", str(NICE), *command], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while not answered(out):
            if process.poll() is not None:
                raise SystemExit(f"error: the job ended with {process.returncode}")
            time.sleep(0.05)
        yield out
        if process.poll() is not None:
            raise SystemExit(f"error: the job ended early, with {process.returncode}")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answered(out: Path) -> int:
    """The rows that are safe so far."""
    manifest = out / "manifest.jsonl"
    lines = manifest.read_bytes().split(b"\n")[1:-1] if manifest.exists() else []
    return sum(msgspec.json.decode(line)["answered"] for line in lines)


if __name__ == "__main__":
    main()

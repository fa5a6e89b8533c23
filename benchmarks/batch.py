"""Files in, files out, beside a bare loop: `python -m benchmarks.batch`, from the root of the repository, on Linux.

The bare loop reads a Parquet file, predicts and writes, in one process, with nothing checked and nothing kept. Runs take
turns (A B, A B); each is a process of its own, started anew. Every probability has to be the bare loop's, or the run ends.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import joblib
import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from benchmarks.environments import machine
from benchmarks.servers import HERE, VENVS

RUN = HERE / ".run" / "batch"
PEERS = HERE / "peers"
FIELDS = [f"f{k}" for k in range(30)]
GROUP_ROWS = 200_000
PACKAGES = {"mlflow": ["mlflow==3.17.2", "pandas", "pyarrow"], "ray": ["ray[data]==2.60.0", "pandas", "pyarrow"]}
GOALS = {"forest": 1.10, "linear": 1.50}
SERVICE = """\
from typing import Annotated, Literal

from tenfold import Contract, Ge, Le, Service, trust


class Row(Contract):
    {fields}


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class Scored(Service):
    input, output, model = Row, Diagnosis, trust("model.joblib")
"""
BARE = """\
import sys, time, joblib, numpy as np, pyarrow as pa
from pyarrow import parquet
model = joblib.load(sys.argv[1])
began, writer = time.perf_counter(), None
for batch in parquet.ParquetFile(sys.argv[2]).iter_batches(20_000):
    shares = model.predict_proba(np.column_stack([column.to_numpy() for column in batch.columns]))
    labels = model.classes_[shares.argmax(axis=1)]
    table = pa.table({"label": pa.array(labels), "probability": shares.max(axis=1)})
    writer = writer or parquet.ParquetWriter(sys.argv[3], table.schema)
    writer.write_table(table)
writer.close()
print(time.perf_counter() - began)
"""


class Timed(NamedTuple):
    """A run: seconds of work, seconds from its start to its end, seconds of processors, and the most memory of all its
    processes, in MB."""

    work_s: float
    whole_s: float
    processor_s: float
    memory_mb: float


@dataclass
class Bench:
    """A model, the service around it, a file of rows, and what was measured."""

    model: str
    rows: int
    workers: Sequence[int] = (1, 2)
    found: dict[str, list[Timed]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return RUN / self.model

    @property
    def input(self) -> Path:
        return RUN / f"rows-{self.rows}.parquet"

    def prepare(self) -> None:
        """Train the model, write the service, and make the rows."""
        from sklearn.datasets import load_breast_cancer
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        cancer = load_breast_cancer()
        forest = RandomForestClassifier(100, n_jobs=1, random_state=0)
        model = forest if self.model == "forest" else make_pipeline(StandardScaler(), LogisticRegression())
        self.home.mkdir(parents=True, exist_ok=True)
        joblib.dump(model.fit(cancer.data, cancer.target_names[cancer.target].astype(str)), self.home / "model.joblib")
        fields = "\n    ".join(f"{name}: Annotated[float, Ge(0), Le(10_000)]" for name in FIELDS)
        (self.home / "service.py").write_text(SERVICE.format(fields=fields))
        if not self.input.exists():
            write_rows(self.input, cancer.data, self.rows)

    def measure(self, name: str, run: Callable[[Path], list[str]], work: Callable[[str], float]) -> None:
        """One run of ``name``, whose output is new; ``work`` reads how long it worked from what it printed."""
        out = self.home / f"out-{name}"
        subprocess.run(["rm", "-rf", str(out)], check=True)
        began, used = time.perf_counter(), _processor_s()
        with subprocess.Popen(run(out), stdout=subprocess.PIPE, text=True, env=environment()) as process:
            memory = Memory(process.pid)
            said = process.communicate()[0]
        if process.returncode:
            raise SystemExit(f"error: {name} ended with {process.returncode}: {said}")
        whole = time.perf_counter() - began
        self.found.setdefault(name, []).append(Timed(work(said) or whole, whole, _processor_s() - used, memory.end()))

    def round(self, peers: Sequence[str]) -> None:
        """Everybody once."""
        model = self.home / "model.joblib"
        self.measure("bare", lambda out: [sys.executable, "-c", BARE, str(model), str(self.input), str(out)], float)
        for workers in self.workers:
            ours = partial(job, self.home, self.input, workers)
            self.measure(f"tenfold-{workers}", ours, seconds)
            require_equal(self.home / "out-bare", self.home / f"out-tenfold-{workers}")
        if "ray" in peers:
            script = [str(VENVS / "ray/bin/python"), str(PEERS / "ray_batch.py"), str(model), str(self.input)]
            self.measure("ray", lambda out: [*script, str(out)], float)
        if "mlflow" in peers:
            rows = self.input.with_suffix(".csv")
            if not rows.exists():
                csv.write_csv(parquet.read_table(self.input), rows)
            for workers in self.workers:
                self.measure(f"tenfold-{workers}-csv", partial(job, self.home, rows, workers), seconds)
            script = [str(VENVS / "mlflow/bin/python"), str(PEERS / "mlflow_batch.py"), str(model), str(rows)]
            self.measure("mlflow-csv", lambda out: [*script, str(out)], float)

    def table(self) -> str:
        """What was found: medians, and the ratio to the bare loop within each round, with the least and the most."""
        columns = "rows/s | of the bare loop's time | processors, whole command | whole command | memory"
        lines = [f"| {self.model}, {self.rows:,} rows | {columns} |"]
        lines.append("|---|---:|---:|---:|---:|---:|")
        bare = [one.work_s for one in self.found["bare"]]
        for name, runs in self.found.items():
            ratios = [run.work_s / base for run, base in zip(runs, bare, strict=True)]
            spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            rate = self.rows / statistics.median(run.work_s for run in runs)
            whole = statistics.median(run.whole_s for run in runs)
            memory = max(run.memory_mb for run in runs)
            used = statistics.median(run.processor_s for run in runs)
            lines.append(f"| {name} | {rate:,.0f} | {spread} | {used:.1f} s | {whole:.1f} s | {memory:,.0f} MB |")
        return "\n".join(lines)


class Memory:
    """The most memory that a process and its descendants took together; a page that several share counts once."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._most = max(self._most, sum(_kilobytes(pid) for pid in _family(self._pid)) / 1024)

    def end(self) -> float:
        self._over.set()
        self._thread.join()
        return self._most


def _processor_s() -> float:
    """What processes that have ended have used, and those that these waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _family(pid: int) -> list[int]:
    try:
        found = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except OSError:
        return []
    return [pid, *(member for child in found for member in _family(int(child)))]


def _kilobytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def write_rows(path: Path, data: Any, rows: int) -> None:
    """A file of rows drawn from real ones, each moved a little."""
    chance = np.random.default_rng(0)
    schema = pa.schema([(name, pa.float64()) for name in FIELDS])
    with parquet.ParquetWriter(path, schema) as writer:
        for first in range(0, rows, GROUP_ROWS):
            size = min(GROUP_ROWS, rows - first)
            block = data[chance.integers(0, len(data), size)] * chance.uniform(0.9, 1.1, (size, len(FIELDS)))
            writer.write_table(pa.table([block[:, k] for k in range(len(FIELDS))], schema=schema))


def require_equal(bare: Path, out: Path) -> None:
    """Every row has the bare loop's answer, to the tolerance of a release (1e-12)."""
    expected = parquet.read_table(bare)
    found = pa.concat_tables(parquet.read_table(part) for part in sorted(out.glob("part-*.parquet")))
    close = np.allclose(found["probability"].to_numpy(), expected["probability"].to_numpy(), rtol=1e-12, atol=0)
    if not close or not found["label"].equals(expected["label"]):
        raise SystemExit(f"error: {out} differs from {bare}")


def job(home: Path, rows: Path, workers: int, out: Path) -> list[str]:
    """The command line of a job of ours."""
    command = [sys.executable, "-m", "tenfold", "batch", str(home), str(rows), "-o", str(out)]
    return [*command, "--json", "--workers", str(workers)]


def seconds(said: str) -> float:
    """How long a job worked, by its own words."""
    return float(json.loads(said)["seconds"])


def environment() -> dict[str, str]:
    """Ours, so that what is measured is the program and not the compilation of its files."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def install(peer: str) -> None:
    """Make a peer's environment, with the scikit-learn that wrote the model, unless it stands already."""
    import sklearn

    folder = VENVS / peer
    if (folder / "bin" / "python").exists():
        return
    uv = str(Path(sys.executable).with_name("uv"))
    wanted = [*PACKAGES[peer], f"scikit-learn=={sklearn.__version__}", f"numpy=={np.__version__}"]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", f"{folder}/bin/python", *wanted], check=True)


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--rounds", default=3, show_default=True, help="How often each is measured.")
@click.option("--model", "models", multiple=True, default=["linear", "forest"], help="linear or forest.")
@click.option("--workers", multiple=True, default=[1, 2], show_default=True, help="Of jobs of ours.")
@click.option("--peers", "peers", multiple=True, type=click.Choice(list(PACKAGES)), help="Install and measure it, too.")
def main(rows: int, rounds: int, models: Sequence[str], workers: Sequence[int], peers: Sequence[str]) -> None:
    """Measure jobs over files beside a bare loop and, with --peers, beside its peers."""
    for peer in peers:
        install(peer)
    print(f"{machine()}\n")
    for model in models:
        bench = Bench(model, rows, workers)
        bench.prepare()
        for _ in range(rounds):
            bench.round(peers)
        print(f"{bench.table()}\n\nGoal: at most {GOALS[model]:.2f} of the bare loop's time.\n", flush=True)


if __name__ == "__main__":
    main()

"""``python -m benchmarks.drift``: false alarms, how soon a change is found, known data, and how fast rows are counted.

``--peers`` puts river's detectors and Evidently beside it, each in an environment of its own; ``--large`` profiles ten
million rows of a hundred columns.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.streams import BEFORE, POINTS, STATIONARY, Stream, made
from tenfold.drift import Drift
from tenfold.drift.building import Reference, build
from tenfold.drift.columns import Column, number_column
from tenfold.drift.counting import Counter
from tenfold.drift.judge import step
from tenfold.drift.monitor import State
from tenfold.drift.performance import Task, Truth, count
from tenfold.drift.profile import Window
from tenfold.drift.sampling import Sample, mix
from tenfold.drift.verdicts import Verdict

HERE = Path(__file__).parent
VENVS = HERE / ".venvs"
DATA = HERE.parents[1] / "shared" / "data" / "drift"
WINDOW = 1000  # points
SAMPLED = 512
CHANGE_AT = 50_000
RUNS = 1000
ERRORS = Task("accuracy", ("right", "wrong"))
PEERS = {"river": ("river",), "evidently": ("evidently", "pyarrow", "pandas<3")}


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="streams of each kind")
    parser.add_argument("--river-runs", type=int, default=RUNS, help="of these, that river's detectors are given")
    parser.add_argument(
        "--river-seconds", type=float, default=60.0, help="for each detector, after which it is given no further stream"
    )
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--only", choices=["streams", "data", "speed"])
    given = parser.parse_args()
    if given.only in (None, "streams"):
        compare_streams(given.runs, given.river_runs if given.peers else 0, given.river_seconds)
    if given.only in (None, "data") and DATA.exists():
        judge_known_data()
    if given.only in (None, "speed"):
        measure_counting()
        measure_profile(1_000_000, 30, given.peers)
        if given.large:
            measure_profile(10_000_000, 100, peers=False)


# -- streams ----------------------------------------------------------------------------------------------------


def compare_streams(runs: int, river_runs: int, river_seconds: float) -> None:
    """How many stationary streams ever alarm, and how many points after a change the first alarm comes.

    There is a tenth as many streams with a change. A detector of river's that takes too long is given fewer."""
    print(f"streams of {POINTS:,} points, windows of {WINDOW:,}, default settings; the change is at {CHANGE_AT:,}")
    print(f"{'stream':<8}{'who':<13}{'ever alarms':>18}{'alarms too soon':>17}{'found':>7}{'median delay':>14}")
    for kind in STATIONARY:
        quiet = [first_alarm(kind, made(kind, seed)) for seed in range(runs)]
        changed = [first_alarm(kind, made(kind, seed, CHANGE_AT)) for seed in range(max(runs // 10, 1))]
        _print_row(kind, "tenfold", quiet, changed)
        if river_runs:
            calm = _river(kind, river_runs, "none", river_seconds)
            later = _river(kind, max(river_runs // 10, 1), str(CHANGE_AT), river_seconds)
            for name, alarms in calm.items():
                _print_row(kind, name, alarms, later[name])


def first_alarm(kind: str, stream: Stream) -> int | None:
    """The point at which the first verdict other than HEALTHY is there; None where there is none."""
    values = stream[:, None]
    columns = [number_column(kind, stream[:BEFORE])]
    task = ERRORS if kind == "errors" else None
    windows = list(_windows(columns, values[:BEFORE], task))
    arrays = {
        name: np.concatenate([w.sample[name] for w in windows if w.sample])
        for name in ("values", "predicted", "actual")
    }
    arrays["window"] = np.repeat(np.arange(len(windows)), SAMPLED)
    sample = Sample(np.concatenate([w.sample.keys for w in windows if w.sample]), arrays)
    profile = build(Reference(columns, windows, sample, task, kind))
    state = State()
    for window in _windows(columns, values[BEFORE:], task):
        state = step(profile, Drift(), state, window)
        if state.seen[-1].verdict is not Verdict.HEALTHY:
            return int(window.end)
    return None


def _windows(columns: Sequence[Column], values: Stream, task: Task | None) -> Iterator[Window]:
    """Windows of a stream; that of errors is also the labels of a model that always says 0."""
    for first in range(0, len(values), WINDOW):
        part = values[first : first + WINDOW]
        counter = Counter(columns)
        counter.add(part)
        said, actual = np.zeros(len(part)), part[:, 0] if task else np.full(len(part), np.nan)
        outcomes = count(task, Truth(said, actual, np.zeros(len(part), dtype=np.int64)), 0) if task else None
        keys = mix(np.arange(first, first + len(part), dtype=np.uint64))
        chosen = np.sort(np.argsort(keys)[:SAMPLED])
        arrays = {"values": part[chosen], "predicted": said[chosen], "actual": actual[chosen]}
        yield Window(float(first), float(first + len(part)), counter.take(), outcomes, Sample(keys[chosen], arrays))


def _print_row(kind: str, who: str, quiet: Sequence[int | None], changed: Sequence[int | None]) -> None:
    alarms = sum(alarm is not None for alarm in quiet)
    soon = sum(alarm is not None and alarm <= CHANGE_AT for alarm in changed)
    delays = [alarm - CHANGE_AT for alarm in changed if alarm is not None and alarm > CHANGE_AT]
    ever = f"{alarms} of {len(quiet)} ({alarms / len(quiet):.1%})"
    delay = f"{median(delays):,.0f}" if delays else "–"
    print(f"{kind:<8}{who:<13}{ever:>18}{f'{soon} of {len(changed)}':>17}{len(delays):>7}{delay:>14}", flush=True)


def _river(kind: str, runs: int, change_at: str, seconds: float) -> dict[str, list[int | None]]:
    """When river's detectors first alarm, by name."""
    words = [kind, "0", str(runs), change_at, str(seconds)]
    command = [str(_environment("river")), str(HERE / "peers" / "drift_river.py"), *words]
    done = subprocess.run(command, env={"PYTHONPATH": str(HERE)}, capture_output=True, text=True, check=True)
    found: dict[str, list[int | None]] = json.loads(done.stdout)
    return found


# -- known data -------------------------------------------------------------------------------------------------


def judge_known_data() -> None:
    """Three public data sets with a known truth."""
    from tenfold.control.drifts import Roles, judge

    loans = Roles("y_pred", "y_pred_proba", "repaid", "timestamp")
    homes = Roles("y_pred", "y_pred_proba", "clf_target", "timestamp", "id")
    files = {
        "car loan": (DATA / "car_loan_reference.parquet", DATA / "car_loan_monitoring.parquet", None, loans),
        "California": (
            DATA / "california_housing_reference.csv",
            DATA / "california_housing_analysis.csv",
            DATA / "california_housing_labels.csv",
            homes,
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        files["rainfall"] = (*_rainfall(Path(folder)), None, Roles(ignore=("rain",)))
        for name, (reference, current, labels, roles) in files.items():
            report = judge(reference, current, labels, roles).report
            pairs = [(line.estimated, line.realised) for line in report.windows]
            off = [abs(e - r) for e, r in pairs if e is not None and r is not None]
            print(f"{name}: {report.verdict} since {report.since}: {report.because}")
            print(f"  windows: {' '.join(line.verdict for line in report.windows)}")
            if off:
                print(f"  estimated without labels, off by {np.mean(off):.5f} on average")


def _rainfall(folder: Path) -> tuple[Path, Path]:
    lines = (DATA / "rainfall.csv").read_text("utf-8").splitlines(keepends=True)
    for name, part in (("reference", lines[1:4001]), ("current", lines[4001:])):
        (folder / f"{name}.csv").write_text("".join([lines[0], *part]), "utf-8")
    return folder / "reference.csv", folder / "current.csv"


# -- speed ------------------------------------------------------------------------------------------------------


def measure_counting() -> None:
    """What a row of 30 fields costs in a replica, once its answer has left, for batches of several sizes."""
    values = np.random.default_rng(1).normal(size=(65_536, 30))
    columns = [number_column(f"f{k}", column) for k, column in enumerate(values[:10_000].T)]
    for rows in (1, 16, 64, 1024):
        blocks = np.split(values, len(values) // rows)
        missing = np.zeros((rows, 30), dtype=bool)
        best = float("inf")
        for _ in range(5):
            counter = Counter(columns)
            started = time.perf_counter()
            for block in blocks:
                counter.add(block, missing)
            counter.take()
            best = min(best, time.perf_counter() - started)
        print(f"counting a row of 30 fields, in batches of {rows:>5}: {best / len(values) * 1e6:.2f} µs")


def measure_profile(rows: int, columns: int, peers: bool) -> None:
    """The whole command on two Parquet files, in a process of its own; Evidently's data drift beside it."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.parquet" for name in ("reference", "current")]
        for seed, (path, many) in enumerate(zip(paths, (min(rows, 1_000_000), rows), strict=True)):
            _write(path, many, columns, seed)
        program = (
            "import re, sys, time; from pathlib import Path; from tenfold.control.drifts import judge; "
            "started = time.perf_counter(); judge(Path(sys.argv[1]), Path(sys.argv[2])); "
            "status = Path('/proc/self/status').read_text(); "  # ru_maxrss would be that of the process that started this one
            "print(time.perf_counter() - started, int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
        seconds, megabytes = map(float, done.stdout.split())
        print(f"{rows:,} × {columns}: tenfold drift in {seconds:.1f} s, {megabytes:.0f} MB resident at most")
        if peers:
            command = [_environment("evidently"), HERE / "peers" / "drift_evidently.py", *paths]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            times = found["seconds"] / seconds
            print(f"  Evidently in {found['seconds']:.1f} s, {found['megabytes']} MB: {times:.0f} times as long")


def _write(path: Path, rows: int, columns: int, seed: int) -> None:
    """Normal numbers, in row groups of a million."""
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(seed)
    schema = pa.schema([(f"x{k}", pa.float32()) for k in range(columns)])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, rows, 1_000_000):
            size = min(1_000_000, rows - first)
            arrays = [pa.array(random.standard_normal(size, dtype=np.float32)) for _ in range(columns)]
            writer.write_table(pa.table(arrays, schema=schema))


def _environment(name: str) -> Path:
    """The interpreter of a peer's environment, made once."""
    folder = VENVS / name
    python = folder / "bin" / "python"
    stamp = folder / "benchmark.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(PEERS[name]):
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEERS[name]], check=True)
        stamp.write_text("\n".join(PEERS[name]))
    return python


if __name__ == "__main__":
    main()
    print(f"(this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB)")

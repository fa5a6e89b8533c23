"""What does not depend on a round: `tenfold --help`, and importing the libraries that models need."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

from benchmarks.data import Library
from benchmarks.servers import TENFOLD

TIMES = 5


@dataclass(frozen=True, slots=True)
class Costs:
    """Medians of a few runs, each in a fresh process on the servers' core."""

    help_ms: float  # `tenfold --help` from start to exit
    import_s: dict[Library, float]  # beyond the start of Python: the rest of a server's start is its own


def measure_costs(core: int) -> Costs:
    empty = _run_s(core, sys.executable, "-c", "")
    sklearn = _run_s(core, sys.executable, "-c", "import sklearn.linear_model, sklearn.pipeline")
    onnx = _run_s(core, sys.executable, "-c", "import onnxruntime")
    help_s = _run_s(core, TENFOLD, "--help")
    return Costs(help_s * 1e3, {"sklearn": sklearn - empty, "onnx": onnx - empty})


def _run_s(core: int, *command: str) -> float:
    return median(_run_once_s(core, *command) for _ in range(TIMES))


def _run_once_s(core: int, *command: str) -> float:
    began = time.perf_counter()
    subprocess.run(["taskset", "-c", str(core), *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began

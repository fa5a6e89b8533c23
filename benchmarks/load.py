"""The load: wrk in a closed loop on a core of its own, and what it reports."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

SCRIPT = Path(__file__).with_name("post.lua")


class _Counted(msgspec.Struct):
    """What `post.lua` prints at the end of a run."""

    answers: int
    duration_us: int
    p50_us: int
    p99_us: int
    refused: int  # answers with a status of 400 or above
    broken: int  # connections refused or cut, and answers that took over 2 s


@dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk. Only good answers count as rows; the percentiles are over all answers."""

    rows_per_s: float
    p50_ms: float
    p99_ms: float
    failed: int


def wrk_version() -> str:
    """How wrk calls itself; without it there is no benchmark."""
    if shutil.which("wrk") is None:
        raise SystemExit("error: the load generator wrk is not installed.\nfix:   apt-get install wrk")
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout
    return said.partition("[")[0].strip()


def drive(url: str, bodies: Path, connections: int, seconds: int) -> Load:
    """Send the bodies in rotation; each connection waits for its answer before it sends again."""
    options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(SCRIPT)]
    command = ["wrk", *options, url, "--", str(bodies)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"error: wrk failed on {url}: {run.stderr.strip() or run.stdout.strip()}")
    counted = msgspec.json.decode(run.stdout.strip().rpartition("\n")[2], type=_Counted)
    good = counted.answers - counted.refused
    return Load(
        rows_per_s=good / counted.duration_us * 1e6,
        p50_ms=counted.p50_us / 1e3,
        p99_ms=counted.p99_us / 1e3,
        failed=counted.refused + counted.broken,
    )

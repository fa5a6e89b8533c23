"""A job is killed at random points until it is done: does a byte differ? `python -m benchmarks.batch_crashes`, on Linux.

Each time either the job or one of its workers gets SIGKILL, at a moment drawn from `--seed`; then the same command is
given again. The folder has to be, in the end, that of a job which nobody interrupted.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import click

from benchmarks.batch import Bench, environment


class Crashes:
    """One job, its folder, and the command that goes on with it."""

    def __init__(self, bench: Bench, shard_rows: int) -> None:
        self.out = bench.home / "killed"
        self._whole = bench.home / "whole"
        self._command = [sys.executable, "-m", "tenfold", "batch", str(bench.home), str(bench.input)]
        self._command += ["--shard-rows", str(shard_rows), "--workers", "2", "--json", "-o"]

    def begin(self, out: Path) -> subprocess.Popen[bytes]:
        """Start the job, or go on with it."""
        return subprocess.Popen([*self._command, str(out)], stdout=subprocess.DEVNULL, env=environment())

    def whole(self) -> dict[str, str]:
        """What nobody interrupts, and how that looks."""
        subprocess.run(["rm", "-rf", str(self._whole), str(self.out)], check=True)
        if self.begin(self._whole).wait():
            raise SystemExit("error: the job does not even finish by itself")
        return digests(self._whole)

    def parts(self) -> int:
        """How many parts are safe."""
        manifest = self.out / "manifest.jsonl"
        return max(manifest.read_bytes().count(b"\n") - 1, 0) if manifest.exists() else 0


def digests(out: Path) -> dict[str, str]:
    """The digest of every file."""
    files = (file for file in sorted(out.rglob("*")) if file.is_file())
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def workers(pid: int) -> list[int]:
    """The processes of a job's workers."""
    with suppress(OSError):
        found = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
        return list(map(int, found.split()))
    return []


def strike(crashes: Crashes, chance: Random, after: int) -> bool:
    """Go on with the job, and kill it, perhaps after one of its workers, once so many more parts are safe and a little
    later; whether it was still at work then."""
    job = crashes.begin(crashes.out)
    target = crashes.parts() + after
    while crashes.parts() < target and job.poll() is None:
        time.sleep(0.002)
    time.sleep(chance.random() * 0.05)
    victims = workers(job.pid)
    if victims and chance.random() < 0.3:
        os.kill(chance.choice(victims), signal.SIGKILL)
        time.sleep(chance.random() * 0.2)
    job.kill()
    return job.wait() == -signal.SIGKILL


def require_equal(crashes: Crashes, expected: dict[str, str]) -> None:
    """Let the job finish, and compare every byte; then begin anew."""
    if crashes.begin(crashes.out).wait():
        raise SystemExit("error: the job does not finish")
    found = digests(crashes.out)
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if differing:
        raise SystemExit(f"error: {len(differing)} files differ, {differing[0]} first")
    subprocess.run(["rm", "-rf", str(crashes.out)], check=True)


@click.command()
@click.option("--kills", default=50, show_default=True)
@click.option("--rows", default=500_000, show_default=True)
@click.option("--shard-rows", default=1_000, show_default=True)
@click.option("--seed", default=6, show_default=True)
def main(kills: int, rows: int, shard_rows: int, seed: int) -> None:
    """Kill a job again and again, and compare every byte that it writes in the end; as often as it takes."""
    bench, chance = Bench("linear", rows), Random(seed)
    bench.prepare()
    crashes = Crashes(bench, shard_rows)
    expected = crashes.whole()
    most = max(rows // shard_rows // 12, 1)
    killed = finished = 0
    while killed < kills:
        if strike(crashes, chance, chance.randint(0, most)):
            killed += 1
            print(f"kill {killed:>3}  at part {crashes.parts():,} of {len(expected) - 3:,}", flush=True)
        else:
            require_equal(crashes, expected)
            finished += 1
    require_equal(crashes, expected)
    print(f"{killed} kills, {finished + 1} jobs of {len(expected):,} files, no byte differs")


if __name__ == "__main__":
    main()

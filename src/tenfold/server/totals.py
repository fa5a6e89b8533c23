"""The counters of a server, summed over its fronts: those that run, and those that were replaced.

A front that is gone has left its file. Its counts are folded into one file per release, so that a sum never goes down while
the server runs, and reading stays cheap however many fronts there have been. Only the admin process folds.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from tenfold.server.metrics import BATCH_BUCKETS, FAILURES, GAUGES, LATENCY_BUCKETS, STAGES, bucket_end_s


class Sums(msgspec.Struct):
    """What fronts that are gone have counted, and the names of their files, which may not count again."""

    folded: list[str]
    counts: dict[str, int]


class Totals:
    """The counters in a run folder, by release."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._files: dict[Path, CounterFile] = {}
        self._sums: dict[str, Sums] = {}
        for path in run.glob("folded.*.json"):
            release = path.name.removeprefix("folded.").removesuffix(".json")
            self._sums[release] = msgspec.json.decode(path.read_bytes(), type=Sums)

    def of(self, release: str) -> Counter[str]:
        """Every counter of a release that is not 0."""
        sums = self._sums.get(release)
        total = Counter(sums.counts) if sums else Counter()
        for path in self._paths(release):
            total.update(self._file(path).counts())
        return total

    def fold(self) -> None:
        """Add what fronts that are gone have counted to the sums, and delete their files."""
        by_release: dict[str, list[Path]] = {}
        for path in self._run.glob("front-*.counters"):
            if is_over(path):
                by_release.setdefault(release_of(path), []).append(path)
        for release, paths in by_release.items():
            self._fold(release, paths)

    def _fold(self, release: str, paths: Iterable[Path]) -> None:
        """The sums are replaced as a whole, and name what is in them: whenever this ends, nothing counts twice or not."""
        before = self._sums.get(release, Sums([], {}))
        left = [name for name in before.folded if (self._run / name).exists()]
        fresh = [path for path in paths if path.name not in left]
        counts = Counter(before.counts)
        for path in fresh:
            counts.update({name: n for name, n in self._file(path).counts().items() if name not in GAUGES})
        sums = Sums([*left, *(path.name for path in fresh)], dict(counts))
        replace(self._run / f"folded.{release}.json", sums)
        self._sums[release] = sums
        for path in paths:
            self._files.pop(path, None)
            path.unlink(missing_ok=True)

    def _paths(self, release: str) -> list[Path]:
        sums = self._sums.get(release)
        folded = sums.folded if sums else []
        found = self._run.glob("front-*.counters")
        return [path for path in found if release_of(path) == release and path.name not in folded]

    def _file(self, path: Path) -> CounterFile:
        if path not in self._files:
            self._files[path] = CounterFile(path)
        return self._files[path]


def read(run: Path, release: str) -> Counter[str]:
    """The counters of a release, for a process that does not fold. Files are read before the sums, which name those that they
    hold already: so none counts twice or not, whenever they are folded."""
    found: dict[str, dict[str, int]] = {}
    for path in run.glob("front-*.counters"):
        if release_of(path) == release:
            with contextlib.suppress(OSError):  # folded a moment ago
                found[path.name] = CounterFile(path).counts()
    sums = Sums([], {})
    with contextlib.suppress(OSError):
        sums = msgspec.json.decode((run / f"folded.{release}.json").read_bytes(), type=Sums)
    total = Counter(sums.counts)
    for name, counts in found.items():
        if name not in sums.folded:
            total.update(counts)
    return total


class CounterFile:
    """A front's file, mapped: each look reads whole slots, whatever the front is writing meanwhile."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(data[:8], "little")
        self._names = msgspec.json.decode(data[8 : 8 + length], type=list[str])
        self._slots = memoryview(data)[8 + length :].cast("Q")

    def counts(self) -> dict[str, int]:
        """Every counter that is not 0."""
        return {name: n for name, n in zip(self._names, self._slots.tolist(), strict=True) if n}


def release_of(path: Path) -> str:
    """The release that a front's file counts."""
    return path.name.partition(".")[2].removesuffix(".counters")


def is_over(path: Path) -> bool:
    """Whether the front that wrote the file is gone: its lock ended with it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def replace(path: Path, value: Any) -> None:
    """Write a file as JSON such that whoever reads it finds the old one or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.encode(value))
    fresh.replace(path)


def quantile_s(counters: Counter[str], share: float) -> float | None:
    """The latency that this share of answers did not exceed, in seconds; None before the first answer."""
    counts = [counters[f"latency:{k}"] for k in range(LATENCY_BUCKETS)]
    wanted = share * sum(counts)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return bucket_end_s(bucket)
    return None


def live(counters: Counter[str]) -> dict[str, Any]:
    """What a service did, as the answer sheet and the status line read it."""
    stages = {stage: counters[f"stage_ns:{stage}"] / 1e9 for stage in STAGES}
    batches = max(counters["batches"], 1)
    answered = sum(counters[f"latency:{k}"] for k in range(LATENCY_BUCKETS))
    rows = max(counters["rows"], 1)
    return {
        "rows": counters["came"],
        "answered": answered,
        "refused": counters["refused"],
        "late": counters["late"],
        "shed": counters["shed"],
        "failed": counters["failed"],
        "deaths": counters["deaths"],
        "latency_s": {"p50": quantile_s(counters, 0.5), "p99": quantile_s(counters, 0.99)},
        "batch_rows": {"p50": _median_batch(counters)},
        "stage_s": {
            stage: spent / (rows if stage in ("decode", "queue") else batches) for stage, spent in stages.items()
        },
        "violations": {
            name: n for name, n in _named(counters, "violation:").items() if name.rpartition(":")[2] not in FAILURES
        },
        "changes": _named(counters, "change:"),
    }


def _named(counters: Counter[str], prefix: str) -> dict[str, int]:
    """Counts by "pointer:code", without the prefix and the zeros."""
    return {name.removeprefix(prefix): n for name, n in counters.items() if n and name.startswith(prefix)}


def _median_batch(counters: Counter[str]) -> int | None:
    counts = [counters[f"batch_rows:{k}"] for k in range(BATCH_BUCKETS)]
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and 2 * seen >= sum(counts):
            return 1 << bucket
    return None

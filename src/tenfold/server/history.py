"""What happened minute by minute, for two days: a ring of fixed size per service in the run folder.

The admin process writes a record after each minute. A successor goes on where it left off: the ring is a mapped file, and
what had been counted at the last record is kept beside it, so that no row is missed and none counted twice.
"""

from __future__ import annotations

import contextlib
import mmap
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan, nan
from pathlib import Path
from typing import Any

import msgspec

from tenfold.server.outcomes import OUTCOMES, requests_by_outcome, rows_by_outcome
from tenfold.server.totals import quantile_s, replace

MINUTES = 48 * 60
COUNTED = {"rows": "came", "changed": "changed", "batches": "batches", "deaths": "deaths"}  # figures and their counters
MEASURED = ("seconds", "waiting", "p50_s", "p99_s")
FIGURES = (*MEASURED, "replicas", "requests", *COUNTED, *OUTCOMES)
_RECORD = struct.Struct(f"<q16s{len(FIGURES)}d")  # the minute since 1970, the release, the figures
_VERSION = b"minutes1"


class History:
    """The last two days of one service."""

    def __init__(self, path: Path) -> None:
        """A file that another version left is begun anew."""
        size = len(_VERSION) + MINUTES * _RECORD.size
        known = path.exists() and path.stat().st_size == size and path.read_bytes()[: len(_VERSION)] == _VERSION
        if not known:
            path.write_bytes(_VERSION + bytes(MINUTES * _RECORD.size))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), size)

    def record(self, minute: int, release: str, figures: Mapping[str, float]) -> None:
        """Keep what a minute was like, in the place of the one of two days before."""
        values = [figures.get(name, nan) for name in FIGURES]
        _RECORD.pack_into(self._map, self._at(minute), minute, release.rpartition("@")[2].encode()[:16], *values)

    def between(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        """The records of these minutes, oldest first; None for what was not known."""
        for minute in range(max(first, last - MINUTES + 1), last + 1):
            found, release, *values = _RECORD.unpack_from(self._map, self._at(minute))
            if found == minute:
                figures = {name: _figure(name, value) for name, value in zip(FIGURES, values, strict=True)}
                yield {"minute": minute, "release": release.rstrip(b"\0").decode(), **figures}

    def _at(self, minute: int) -> int:
        return len(_VERSION) + minute % MINUTES * _RECORD.size


def _figure(name: str, value: float) -> float | int | None:
    if isnan(value):
        return None
    return value if name in MEASURED else int(value)


class Before(msgspec.Struct):
    """What had been counted when the last minute was recorded: ``at`` in seconds since 1970, counters by release."""

    at: float
    counters: dict[str, dict[str, int]]


class Recorder:
    """Writes the records of every service of a server."""

    def __init__(self, run: Path, count: Callable[[str], Counter[str]], now: float) -> None:
        """``count`` sums the counters of a release; ``now`` and other times are in seconds since 1970."""
        self._run = run
        self._count = count
        self._histories: dict[str, History] = {}
        self._path = run / "minute.json"
        self._before = Before(now, {})
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._before = msgspec.json.decode(self._path.read_bytes(), type=Before)

    def of(self, name: str) -> History:
        """The history of a service."""
        if name not in self._histories:
            self._histories[name] = History(self._run / f"history.{name}")
        return self._histories[name]

    def tick(self, now: float, services: Sequence[Mapping[str, Any]]) -> None:
        """Record the minute, if it is over. ``services`` are those that the server answers for, as it tells of them."""
        before = self._before
        if int(now // 60) == int(before.at // 60):
            return
        after: dict[str, dict[str, int]] = {}
        for about in services:
            name, current = about["service"]["name"], about["release"]
            done = Counter[str]()
            for release in {current, *(one for one in before.counters if one.rpartition("@")[0] == name)}:
                counters = self._count(release)
                fresh = counters - Counter(before.counters.get(release, {}))
                if fresh or release == current:  # a former release is forgotten once it has nothing more to answer
                    after[release] = dict(counters)
                done += fresh
            figures = figures_of(done, max(now - before.at, 0.0)) | {"replicas": about["replicas"]}
            self.of(name).record(int(before.at // 60), current, figures)
        self._before = Before(now, after)
        replace(self._path, self._before)


def figures_of(done: Counter[str], seconds: float) -> dict[str, float]:
    """What was done within so many seconds. ``waiting`` is how many requests waited on average, by Little's law: what all
    of them waited together, over the time."""
    figures: dict[str, float] = {name: done[counter] for name, counter in COUNTED.items()}
    figures |= rows_by_outcome(done)
    figures |= {"seconds": seconds, "requests": sum(requests_by_outcome(done).values())}
    figures["waiting"] = done["stage_ns:queue"] / 1e9 / seconds if seconds else 0.0
    for name, share in (("p50_s", 0.5), ("p99_s", 0.99)):
        quantile = quantile_s(done, share)
        if quantile is not None:
            figures[name] = quantile
    return figures

"""Counters that cost next to nothing: one mapped file per front and service, summed by whoever looks.

A counter is a 64-bit slot in a memory-mapped file that begins with its names as JSON. A front only ever adds to its own file;
the file outlives it, so that nothing is lost when a process is killed. Latencies go into a histogram of eight buckets an
octave (at most 12.5 % wide) from 1 µs to over a minute.
"""

from __future__ import annotations

import mmap
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tenfold.contract.form import Form, leaves

STAGES = ("decode", "queue", "validate", "preprocess", "model", "postprocess")
EVENTS = (
    "came",
    "rows",
    "refused",
    "changed",
    "failed",
    "unready",
    "late",
    "shed",
    "fallback",
    "batches",
    "deaths",
    "waited_ns",
)
LATENCY_BUCKETS = 216
BATCH_BUCKETS = 32
FIELD_CODES = (
    *("missing", "wrong_type", "out_of_range", "pattern", "unseen", "non_finite", "duplicate_key", "predicate"),
    *("quarantined", "image_format", "image_too_large", "image_broken", "image_mode"),
)
FAILURES = ("model_failed", "output_invalid", "internal", "deadline")
FIELD_ACTIONS = ("clamp", "impute", "flag")


def names_for(form: Form) -> list[str]:
    """Every counter of a service with this input contract."""
    names = list(EVENTS)
    names += [f"stage_ns:{stage}" for stage in STAGES]
    names += [f"latency:{k}" for k in range(LATENCY_BUCKETS)]
    names += [f"batch_rows:{k}" for k in range(BATCH_BUCKETS)]
    names += ["violation::malformed", "violation::unknown_field", "violation::wrong_type", "violation::other"]
    names += [f"violation::{code}" for code in FAILURES]
    for _, _, pointer, _ in leaves(form.fields):
        names += [f"violation:{pointer}:{code}" for code in FIELD_CODES]
        names += [f"change:{pointer}:{action}" for action in FIELD_ACTIONS]
    names += [f"violation::rule:{rule.name}" for rule in form.rules]
    names += [f"change::rule:{rule.name}" for rule in form.rules]
    return names


class Counters:
    """A file of named 64-bit counters that this process alone adds to."""

    def __init__(self, path: Path, names: Iterable[str]) -> None:
        known = list(names)
        header = msgspec.json.encode(known)
        header += b" " * (-len(header) % 8)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(fd, len(header).to_bytes(8, "little") + header)
            os.ftruncate(fd, 8 + len(header) + 8 * len(known))
            self._map = mmap.mmap(fd, 0)
        finally:
            os.close(fd)
        self.slots = memoryview(self._map)[8 + len(header) :].cast("Q")
        self.place = {name: k for k, name in enumerate(known)}
        self._latency = self.place["latency:0"]
        self._batch = self.place["batch_rows:0"]
        self._totals = [self.place[name] for name in ("rows", "batches", *(f"stage_ns:{stage}" for stage in STAGES))]

    def batch(self, rows: int, stage_ns: Sequence[int]) -> None:
        """Count a batch, and the nanoseconds that each of ``STAGES`` took for it."""
        slots = self.slots
        slots[self._batch + rows.bit_length()] += 1
        for place, count in zip(self._totals, (rows, 1, *stage_ns), strict=True):
            slots[place] += count

    def add(self, name: str, count: int = 1) -> None:
        """Add to a counter by name. A name without a slot counts under its code alone, and else as ``violation::other``."""
        place = self.place.get(name)
        if place is None:
            place = self.place.get(f"violation::{name.rpartition(':')[2]}", self.place["violation::other"])
        self.slots[place] += count

    def latency(self, seconds: float) -> None:
        """Count one answered request."""
        microseconds = int(seconds * 1e6)
        octave = microseconds.bit_length() - 4  # as in bucket_of, without a call
        bucket = microseconds if octave < 0 else (octave + 1 << 3) + (microseconds >> octave & 7)
        self.slots[self._latency + (bucket if bucket < LATENCY_BUCKETS else LATENCY_BUCKETS - 1)] += 1


def bucket_of(microseconds: int) -> int:
    """The histogram bucket of a latency."""
    octave = microseconds.bit_length() - 4
    if octave < 0:
        return microseconds
    return min((octave + 1 << 3) + (microseconds >> octave & 7), LATENCY_BUCKETS - 1)


def bucket_end_us(bucket: int) -> int:
    """The latency, in microseconds, at which a bucket ends."""
    if bucket < 8:
        return bucket + 1
    octave = (bucket >> 3) - 1
    return (8 + (bucket & 7) + 1) << octave


def read(paths: Iterable[Path]) -> Counter[str]:
    """The sum of several files of counters."""
    total: Counter[str] = Counter()
    for path in paths:
        total.update(dict(_counters(path)))
    return total


def _counters(path: Path) -> Iterator[tuple[str, int]]:
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    names = msgspec.json.decode(data[8 : 8 + length], type=list[str])
    yield from zip(names, memoryview(data)[8 + length :].cast("Q"), strict=True)


def quantile_s(counters: Counter[str], share: float) -> float | None:
    """The latency that this share of answers did not exceed, in seconds; None before the first answer."""
    counts = [counters[f"latency:{k}"] for k in range(LATENCY_BUCKETS)]
    wanted = share * sum(counts)
    seen = 0
    for bucket, count in enumerate(counts):
        seen += count
        if count and seen >= wanted:
            return bucket_end_us(bucket) / 1e6
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
            return 1 << max(bucket - 1, 0)
    return None

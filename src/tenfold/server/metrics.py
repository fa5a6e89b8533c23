"""Counters that cost next to nothing: one mapped file per front and release, which that front alone adds to.

A counter is a 64-bit slot in a memory-mapped file that begins with its names as JSON. The file outlives its front, so nothing
is lost when a process is killed; that the front lives is told by its lock on the file. ``server.totals`` sums the files.

Latencies are counted between the bounds of Renard's series R40 (ISO 3): forty a decade, 5 to 7 % wide, from 10 µs to 100 s.
The bounds that people name (50 µs, 2.5 ms, 75 ms, 1 s) are among them, so that what is exported is counted, not estimated.
"""

from __future__ import annotations

import fcntl
import mmap
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path

import msgspec

from tenfold.contract.form import Form, leaves
from tenfold.errors import CODES
from tenfold.server.compiled import hot

STAGES = ("decode", "queue", "validate", "preprocess", "model", "postprocess")
# What replicas answered, and how long it took; then what became of rows and requests.
BATCHES = ("rows", "batches", *(f"stage_ns:{stage}" for stage in STAGES))
EVENTS = (
    *("came", "journal_dropped"),  # rows
    *("deaths", "waited_ns"),  # of replicas at work; of the service's own code, which waited instead of computing
    *("good", "overdue"),  # requests of one row that the model answered: within their deadline, or not
    *("many:good", "many:overdue", "many_rows:good", "many_rows:overdue"),  # of many rows, and how many were answered
    *("refused", "failed", "fallback", "changed"),  # rows
    *("rows:shed", "rows:unready", "rows:late"),  # rows
    *("shed", "unready", "late", "requests:fallback"),  # requests
)
GAUGES = ("gauge:waiting_rows", "gauge:running_batches")
FIELD_CODES = (
    *("missing", "wrong_type", "out_of_range", "pattern", "unseen", "non_finite", "duplicate_key", "predicate"),
    *("quarantined", "image_format", "image_too_large", "image_broken", "image_mode"),
)
FAILURES = ("model_failed", "output_invalid", "internal", "deadline")
FIELD_ACTIONS = ("clamp", "impute", "flag")
ROWS_WITH = dict.fromkeys(("model_failed", "output_invalid", "internal"), "failed")  # the counter of rows with a code;
ROWS_WITH |= {"deadline": "rows:late", "overloaded": "rows:shed", "not_ready": "rows:unready"}  # any other is refused

R40 = (
    *(100, 106, 112, 118, 125, 132, 140, 150, 160, 170, 180, 190, 200, 212, 224, 236, 250, 265, 280, 300),
    *(315, 335, 355, 375, 400, 425, 450, 475, 500, 530, 560, 600, 630, 670, 710, 750, 800, 850, 900, 950),
)
BOUNDS_US = [number * 10**decade / 10 for decade in range(7) for number in R40] + [1e8]
LATENCY_BUCKETS = len(BOUNDS_US) + 1
BATCH_BUCKETS = 32  # bucket k holds up to 2^k rows
PREDICTION_BUCKETS = 81
PREDICTION_STEP = 20  # buckets per unit of actual over predicted time; the last one holds everything from 4 on

_ENDS = [ceil(bound) for bound in BOUNDS_US[:121]]
_PLACE = b"".join(bytes([k]) * (end - start) for k, (start, end) in enumerate(zip([0, *_ENDS], _ENDS, strict=False)))
"""The bucket of each whole number of microseconds below 10 ms. It serves for the decades above too, since three digits say
between which bounds of the series a number lies: 80 buckets further for hundreds of microseconds, and so on."""


def names_for(form: Form) -> list[str]:
    """Every counter of a service with this input contract."""
    names = [*BATCHES, *EVENTS, *GAUGES]
    names += [f"latency:{k}" for k in range(LATENCY_BUCKETS)]
    names += [f"batch_rows:{k}" for k in range(BATCH_BUCKETS)]
    names += [f"prediction:{k}" for k in range(PREDICTION_BUCKETS)]
    names += [f"refusal:{code}" for code in CODES]
    names += [f"violation::{code}" for code in ("malformed", "unknown_field", "wrong_type", "quarantined", "other")]
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
        """The file appears under its name once it is whole and locked; it stays locked for as long as this process lives."""
        known = list(names)
        fresh = path.with_suffix(".new")
        header = msgspec.json.encode(known)
        header += b" " * (-len(header) % 8)
        with fresh.open("w+b") as file:
            slots_at = file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(slots_at + 8 * len(known))
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._map = mmap.mmap(file.fileno(), 0)  # has a descriptor of its own, which keeps the lock
        fresh.replace(path)
        self.slots = memoryview(self._map)[slots_at:].cast("Q")
        self.place = {name: k for k, name in enumerate(known)}
        self._good, self._overdue = self.place["good"], self.place["overdue"]
        self._latency = self.place["latency:0"]
        self._batch = self.place["batch_rows:0"]
        self._prediction = self.place["prediction:0"]
        self._batches = [self.place[name] for name in BATCHES]
        self._gauges = [self.place[name] for name in GAUGES]

    def batch(self, rows: int, stage_ns: Sequence[int]) -> None:
        """Count a batch, and the nanoseconds that each of ``STAGES`` took for it."""
        slots = self.slots
        slots[self._batch + (rows - 1).bit_length()] += 1
        for place, count in zip(self._batches, (rows, 1, *stage_ns), strict=True):
            slots[place] += count

    def predicted(self, expected_s: float, took_s: float) -> None:
        """Count what a batch took against the 99th percentile that was expected of it."""
        if expected_s > 0:
            bucket = int(took_s / expected_s * PREDICTION_STEP)
            self.slots[self._prediction + (bucket if bucket < PREDICTION_BUCKETS else PREDICTION_BUCKETS - 1)] += 1

    def now(self, waiting_rows: int, running_batches: int) -> None:
        """Say how much waits and runs, until the next time."""
        waiting, running = self._gauges
        self.slots[waiting] = waiting_rows
        self.slots[running] = running_batches

    def add(self, name: str, count: int = 1) -> None:
        """Add to a counter by name. A name without a slot counts under its code alone, and else as ``violation::other``."""
        place = self.place.get(name)
        if place is None:
            place = self.place.get(f"violation::{name.rpartition(':')[2]}", self.place["violation::other"])
        self.slots[place] += count

    def latency(self, taken_s: float) -> None:
        """Count one request that a replica answered, from complete headers to the answer."""
        self.slots[self._latency + bucket_of(int(taken_s * 1e6))] += 1

    def answered(self, taken_s: float, left_s: float) -> None:
        """Count one row that the model answered, ``left_s`` before its deadline: its latency, and whether it was good."""
        slots, us = self.slots, int(taken_s * 1e6)
        if us < 10_000:  # as in bucket_of, without a call
            slots[self._latency + _PLACE[us]] += 1
        else:
            slots[self._latency + bucket_of(us)] += 1
        slots[self._good if left_s >= 0 else self._overdue] += 1

    def answered_well(self, now: float, came: list[float]) -> None:
        """Count rows that the model answered at ``now``, before their deadlines. ``came`` is when each of them did."""
        count_latencies(self.slots, self._latency, _PLACE, now, came)
        self.slots[self._good] += len(came)

    def answered_many(self, rows: int, left_s: float) -> None:
        """Count a request of which the model answered so many rows."""
        word = "good" if left_s >= 0 else "overdue"
        self.add(f"many:{word}")
        self.add(f"many_rows:{word}", rows)

    def refused(self, code: str) -> None:
        """Count a request that was answered with a problem document."""
        self.add(f"refusal:{code.partition(':')[0]}")


def count_each(slots: memoryview, first: int, places: bytes, now: float, came: list[float]) -> None:
    """Count the latency of each request that came then and is answered ``now``, in seconds, in its bucket of a histogram.
    ``first`` is the slot of the first bucket, ``places`` those of latencies below 10 ms."""
    for started in came:
        us = int((now - started) * 1e6)
        slots[first + (places[us] if us < 10_000 else bucket_of(us))] += 1


count_latencies = count_each if hot is None else hot.count_latencies


def bucket_of(us: int) -> int:
    """The histogram bucket of a latency in whole microseconds."""
    if us < 10_000:
        return _PLACE[us]
    if us < 1_000_000:
        return _PLACE[us // 100] + 80
    return _PLACE[us // 10_000] + 160 if us < 100_000_000 else LATENCY_BUCKETS - 1


def bucket_end_s(bucket: int) -> float:
    """The latency at which a bucket ends, in seconds; the last one has no end, and its beginning stands for it."""
    end_us: float = BOUNDS_US[min(bucket, len(BOUNDS_US) - 1)]
    return end_us / 1e6

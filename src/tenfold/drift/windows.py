"""Which window a row belongs to: by the time of its answer, or in the order of the rows where no time is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from tenfold.drift.columns import Floats, Ints

MOST = 10  # windows of a table, where nobody says how long one is
FEWEST_ROWS = 500  # in each of them, if there are so many
FAR = 10.0  # times the span of nearly all times, beyond which a time is a clock's mistake
SPAN = (0.005, 0.995)
FARTHEST_S = 253_402_300_800.0  # the year 10000, before which a time is one


class Plan(NamedTuple):
    """Where windows begin: ``edges`` (w + 1,) in ascending order, each window from one edge up to the next.

    Edges are times in seconds, or row numbers where ``timed`` is false. ``window_s`` is their length where they are equally
    long. ``remarks`` say what is odd about the clock.
    """

    edges: Floats
    timed: bool
    window_s: float | None = None
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.edges) - 1

    def of(self, positions: Floats) -> Ints:
        """The window (n,) of each time or row number, -1 where it belongs to none."""
        found = self.edges.searchsorted(positions, "right") - 1
        outside = (positions >= self.edges[-1]) | np.isnan(positions)
        return np.where(outside, -1, found).astype(np.int64)


def by_rows(rows: int, windows: int | None = None) -> Plan:
    """Windows of as many rows each, in their order."""
    count = windows or _count(rows)
    return Plan(np.floor(np.arange(count + 1) * rows / count), timed=False)


def by_time(times: Floats, window_s: float | None = None, windows: int | None = None) -> Plan:
    """Windows of as many rows each in the order of their time (n,), or of ``window_s`` seconds each, from midnight on."""
    known = times[np.abs(times) < FARTHEST_S]  # which NaN is not, either
    low, high = _inner(known)
    inside = np.sort(known[(known >= low) & (known <= high)])
    remarks = tuple(_remarks(times, known, len(known) - len(inside), window_s))
    if not len(inside):
        return Plan(np.array([0.0, 1.0]), timed=True, remarks=(*remarks, "no row has a time"))
    last = float(np.nextafter(inside[-1], np.inf))
    if window_s is not None:
        first = np.floor(inside[0] / window_s) * window_s
        count = int(np.floor((last - first) / window_s)) + 1
        return Plan(first + window_s * np.arange(count + 1), True, window_s, remarks)
    count = windows or _count(len(inside))
    starts = inside[np.arange(count) * len(inside) // count]
    return Plan(np.unique(np.append(starts, last)), timed=True, remarks=remarks)


def moment(time_s: float) -> str:
    """A time in seconds since 1970 as ISO 8601 has it."""
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _count(rows: int) -> int:
    return min(max(rows // FEWEST_ROWS, 1), MOST)


def _inner(known: Floats) -> tuple[float, float]:
    """What times are believed: those within ten times the span of nearly all of them."""
    if not len(known):
        return 0.0, 0.0
    low, high = np.quantile(known, SPAN)
    return float(low - FAR * (high - low)), float(high + FAR * (high - low))


def _remarks(times: Floats, known: Floats, far: int, window_s: float | None) -> Sequence[str]:
    remarks = []
    if len(known) < len(times):
        remarks.append(f"{len(times) - len(known):,} rows have no time and belong to no window")
    if far:
        remarks.append(f"the clock jumps: {far:,} rows are dated far from all others, and belong to no window")
    back = np.diff(known)
    backwards = int((back < -(window_s or 0.0)).sum())
    if 0 < backwards <= len(known) // 100:  # more than that is a table in another order, and no clock
        remarks.append(f"the clock goes back {backwards:,} times; rows count for the window of their time")
    return remarks

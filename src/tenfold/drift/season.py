"""The hour of the week: what a window is compared with where traffic has its times, once they came round often enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints
from tenfold.drift.effects import Baseline, baseline_of, moved

CYCLES = 4  # that the reference has to hold of a season, so that a Monday is not told from one Monday
HOUR_S, DAY_S, WEEK_S = 3600.0, 86400.0, 604800.0


class Cycle(NamedTuple):
    """A season: its name, how long it is and into how many slots it is cut."""

    name: str
    length_s: float
    slots: int

    def slot(self, time_s: Floats) -> Ints:
        """The slot (n,) of each time (n,) in seconds since 1970-01-01, which was a Thursday."""
        return np.floor(np.mod(time_s, self.length_s) / self.length_s * self.slots).astype(np.int64)


CYCLE = {
    "hour of the week": Cycle("hour of the week", WEEK_S, 168),
    "day of the week": Cycle("day of the week", WEEK_S, 7),
    "hour of the day": Cycle("hour of the day", DAY_S, 24),
}


class Season(msgspec.Struct, frozen=True):
    """The reference by slot of a cycle: counters (slots, c), and the baselines within its slot of each column that has a
    season. The others are compared with the whole reference."""

    cycle: str
    counts: Ints
    baselines: dict[str, Baseline]

    def of(self, start_s: float, end_s: float) -> Ints:
        """The counters (c,) of the slot that the middle of a window lies in; of all slots that a longer one takes in."""
        cycle = CYCLE[self.cycle]
        each = cycle.length_s / cycle.slots
        parts = max(round((end_s - start_s) / each), 1)
        middles = start_s + (end_s - start_s) * (np.arange(parts) + 0.5) / parts
        found: Ints = self.counts[np.unique(cycle.slot(middles))].sum(axis=0)
        return found


def possible(first_s: float, last_s: float, window_s: float, times: int = CYCLES) -> list[Cycle]:
    """The cycles that windows of this length can tell and that came round so many times between two times, finest first."""
    return [
        cycle
        for cycle in CYCLE.values()
        if (last_s - first_s) >= times * cycle.length_s * 0.99 and window_s <= cycle.length_s / cycle.slots * 1.01
    ]


class Traffic(NamedTuple):
    """Windows of a length of time in their order: when each starts (w,), when the last one ends, how long they are, their
    counters (w, c), and those of each column by group (w, g)."""

    starts: Floats
    end: float
    window_s: float
    cells: Ints
    grouped: Mapping[str, Ints]


def season_of(traffic: Traffic, without: float, cycles: Iterable[Cycle] | None = None) -> Season | None:
    """The finest season in which the columns move less within a slot than they do ``without`` one (see ``restless``); None
    where none does."""
    known = possible(float(traffic.starts[0]), traffic.end, traffic.window_s) if cycles is None else cycles
    for cycle in known:
        slots = cycle.slot(traffic.starts + traffic.window_s / 2)
        found = {name: within(counts, slots) for name, counts in traffic.grouped.items()}
        if restless(found, traffic.grouped) < without / 2:
            summed = np.zeros((cycle.slots, traffic.cells.shape[1]), dtype=np.int64)
            np.add.at(summed, slots, traffic.cells)
            return Season(cycle.name, summed, found)
    return None


def within(counts: Ints, slots: Ints) -> Baseline:
    """The baseline of windows (w, g), each compared with the others of its slot."""
    total = np.zeros((int(slots.max()) + 1, counts.shape[1]), dtype=np.int64)
    np.add.at(total, slots, counts)
    return baseline_of([moved(total[slot] - window, window) for window, slot in zip(counts, slots, strict=True)])


def restless(baselines: Mapping[str, Baseline], names: Iterable[str]) -> float:
    """How much columns move from window to window, in the square."""
    return sum(max(baselines[name].mean, 0.0) ** 2 + baselines[name].spread ** 2 for name in names)

"""The hour of the week: what a window is compared with where traffic has its times, once they came round often enough."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints
from tenfold.drift.effects import Baseline

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
    """The reference by slot of a cycle: counters (slots, c), and the baselines of each column within its slot."""

    cycle: str
    counts: Ints
    baselines: dict[str, Baseline]

    def slot(self, start_s: float, end_s: float) -> int:
        """The slot that the middle of a window lies in."""
        return int(CYCLE[self.cycle].slot(np.array([(start_s + end_s) / 2]))[0])


def possible(first_s: float, last_s: float, window_s: float) -> list[Cycle]:
    """The cycles that windows of this length can tell and that came round often enough between two times, finest first."""
    return [
        cycle
        for cycle in CYCLE.values()
        if (last_s - first_s) >= CYCLES * cycle.length_s * 0.99 and window_s <= cycle.length_s / cycle.slots * 1.01
    ]

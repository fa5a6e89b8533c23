"""How many rows are answered in each hour, and which hours were watched from beginning to end: only those tell what is usual.

An hour in which the server was away, in which the clock jumped, or in which another release answered a share of the rows
tells nothing of what clients sent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from tenfold.drift.season import HOUR_S

AWAY_S = 900.0  # without a look, beyond which an hour was not watched: less than that makes no hour half of what it was


class Arrivals(msgspec.Struct):
    """Rows of units that are not over, by the number of the unit. ``looked`` is when it was looked at last, ``since`` when
    looking began, ``next`` the first unit that was not told of."""

    unit_s: float = HOUR_S
    opened: dict[str, int] = {}
    looked: float = -1e18
    since: float = -1e18
    next: int = 0

    def add(self, time: float, rows: int) -> None:
        """Rows were answered then."""
        unit = int(time // self.unit_s)
        if unit >= self.next:
            self.opened[str(unit)] = self.opened.get(str(unit), 0) + rows

    def over(self, time: float, grace_s: float, alone: bool) -> Iterator[tuple[int, int]]:
        """Look: the units that are over by now and were watched as a whole, and their rows."""
        if not alone or abs(time - self.looked) > AWAY_S:
            self.since = time
        self.looked = time
        last = int((time - grace_s) // self.unit_s)
        for unit in range(max(self.next, math.ceil((self.since - AWAY_S) / self.unit_s)), last):
            yield unit, self.opened.get(str(unit), 0)
        self.next = last
        self.opened = {unit: rows for unit, rows in self.opened.items() if int(unit) >= last}


def unit_of(window_s: float) -> float:
    """The least number of whole windows that takes an hour."""
    return window_s * math.ceil(HOUR_S / window_s)

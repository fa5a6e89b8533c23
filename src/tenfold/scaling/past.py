"""The traffic so far, as a policy looks at it: how many rows came in each second, and how unevenly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

BURST_S = 10  # the two windows over which the arrival rate is averaged
CALM_S = 60


class Past(NamedTuple):
    """The first ``end`` seconds of a traffic. ``totals[k]`` are the rows of its first ``k`` seconds, ``squares[k]`` the
    squared differences between neighbours among them, summed: so that a mean over any window takes no time, and a replay of
    weeks shares one list."""

    totals: Sequence[float]
    squares: Sequence[float]
    end: int

    @classmethod
    def of(cls, counts: Sequence[float]) -> Past:
        """The rows of each second, the latest one last."""
        squares = ((after - before) ** 2 for before, after in pairwise(counts))
        return cls([0.0, *accumulate(counts)], [0.0, 0.0, *accumulate(squares)], len(counts))

    def at(self, second: int) -> Past:
        """What was known at the end of a second."""
        return Past(self.totals, self.squares, second)

    def mean(self, window_s: int, before_s: int = 0) -> float:
        """Rows per second over the last ``window_s`` seconds, or those that ended ``before_s`` ago; 0 without any."""
        last = self.end - before_s
        first = max(last - window_s, 0)
        return (self.totals[last] - self.totals[first]) / (last - first) if last > first else 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing came for a minute."""
        return self.mean(CALM_S) == 0

    def dispersion(self) -> float:
        """How much more the count of a second fluctuates than a Poisson count would: many rows may come in one request.

        Variance over mean of the last minute, at least 1, from the differences of neighbours, so that a trend is no
        fluctuation (von Neumann, "Distribution of the Ratio of the Mean Square Successive Difference to the Variance", 1941).
        """
        first = max(self.end - CALM_S, 0)
        rows = self.totals[self.end] - self.totals[first]
        if self.end - first < BURST_S or rows <= 0:
            return 1.0
        return max((self.squares[self.end] - self.squares[first + 1]) / (2 * rows), 1.0)


class Forecast(NamedTuple):
    """Rows per second to reckon with, and whether that is more than came so far, since they become more."""

    rate: float
    is_rising: bool = False


def forecast(past: Past, ahead_s: float) -> Forecast:
    """The rate at which rows will come when a replica that is ordered now is ready, ``ahead_s`` from now: the higher of two
    averages, and the rise between them carried on, as far as it is more than noise and for no longer than was looked back."""
    recent, mean = past.mean(BURST_S), past.mean(CALM_S)
    older_s = min(past.end, CALM_S) - BURST_S
    if older_s <= 0:
        return Forecast(max(recent, mean))
    before = past.mean(CALM_S - BURST_S, BURST_S)
    noise = 2 * math.sqrt(past.dispersion() * max(before, 1 / older_s) / BURST_S)
    rise = max(recent - before - noise, 0.0)
    slope = rise / ((older_s + BURST_S) / 2)  # from the middle of the one window to that of the other
    return Forecast(max(recent, mean) + slope * min(ahead_s, CALM_S), rise > 0)

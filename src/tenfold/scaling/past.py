"""The traffic so far, as a policy looks at it: how many rows came in each second, and how unevenly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

BURST_S = 10  # the two windows over which the arrival rate is averaged
CALM_S = 60
TRIED_S = 1800  # over which it is tried how well a minute foretells a later one
KEPT_S = TRIED_S + 600  # of the past that a server keeps: enough to try that for starts of some minutes
FEWEST = 5  # minutes that tell anything of it
NORMAL = 1.4826  # standard deviations in the median of absolute ones, by the normal law


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

    def moves(self, ahead_s: float) -> tuple[float, float]:
        """By how much the mean of a minute differs from that of the minute which ends ``ahead_s`` later, in rows per second:
        in the middle, and the standard deviation, beyond that of random arrivals; 0 where too little is known.

        By medians over the last while, so that they tell of how the traffic always is, and not of the one time that it jumped
        (Hampel, "The Influence Curve and Its Role in Robust Estimation", 1974).
        """
        lag, totals = max(round(ahead_s), 1), self.totals
        ends = range(self.end, max(self.end - TRIED_S, lag + CALM_S - 1), -CALM_S)
        if len(ends) < FEWEST:
            return 0.0, 0.0
        moved = [totals[end] - totals[end - CALM_S] - totals[end - lag] + totals[end - lag - CALM_S] for end in ends]
        usual = _median(moved)
        spread = NORMAL * _median([abs(one - usual) for one in moved]) / CALM_S
        return usual / CALM_S, math.sqrt(max(spread**2 - self.dispersion() * self.mean(CALM_S) / CALM_S, 0.0))

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
    """Rows per second to reckon with; whether that is more than came so far, since they become more; and the standard
    deviation of what will come from that, beyond what random arrivals have within seconds."""

    rate: float
    is_rising: bool = False
    error: float = 0.0


def forecast(past: Past, ahead_s: float) -> Forecast:
    """The rate at which rows will come when a replica that is ordered now is ready, ``ahead_s`` from now: an average, and its
    rise carried on, as far as that is more than noise and for no longer than was looked back, or what it mostly rose in
    such a time of late.

    Of what the last seconds have more than the minute counts what random arrivals do not explain: they scatter by a standard
    deviation, and half of all the time they are above it. All else is in the error, which is staffed for apart.
    """
    recent, mean = past.mean(BURST_S), past.mean(CALM_S)
    drift, error = past.moves(ahead_s)
    older_s = min(past.end, CALM_S) - BURST_S
    if older_s <= 0:
        return Forecast(max(recent, mean))
    before = past.mean(CALM_S - BURST_S, BURST_S)
    noise = math.sqrt(past.dispersion() * max(mean, 1 / older_s) / BURST_S)
    rise = max(recent - before - 2 * math.hypot(noise, error), 0.0)
    slope = rise / ((older_s + BURST_S) / 2)  # from the middle of the one window to that of the other
    now = max(mean, recent - noise)
    return Forecast(now + max(slope * min(ahead_s, CALM_S), drift, 0.0), rise > 0, error)


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]

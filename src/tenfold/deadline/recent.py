"""How long does something take these days? A mean, a median and a 99th percentile of what was observed last."""

from __future__ import annotations

from math import inf

FIRST_WINDOW, WINDOW = 128, 2048
PAUSE = 2.0  # what takes longer than this times the 99th percentile is a pause of the machine, and counts as so long
RENEWED = 32  # observations that are left when the speed has changed
KNOWN = 3  # observations from which on one can tell what is odd


class Recent:
    """The durations of one kind of work. What is said of them is brought up to date by ``settle``.

    Whenever 128, 256, … and at last 2,048 are remembered, the older half is forgotten, so that what was learnt first, in a
    warm-up, counts for nothing soon.
    """

    __slots__ = ("_is_new", "_most", "_values", "high_s", "low_s", "mean_s", "median_s", "peak_s")

    def __init__(self) -> None:
        self._values: list[float] = []
        self._most = FIRST_WINDOW
        self._is_new = False  # whether something was observed since it was settled
        self.mean_s = self.median_s = self.peak_s = 0.0
        self.low_s, self.high_s = -inf, inf  # what lies beyond is odd

    @property
    def weight(self) -> int:
        """How many observations are remembered."""
        return len(self._values)

    def observe(self, seconds: float) -> None:
        """It took so long."""
        self._is_new = True
        values = self._values
        longest_s = PAUSE * self.peak_s or seconds
        values.append(seconds if seconds < longest_s else longest_s)
        if len(values) >= self._most:
            del values[: self._most // 2]
            self._most = min(2 * self._most, WINDOW)

    def settle(self) -> None:
        """Look at what is remembered."""
        if not self._is_new:
            return
        self._is_new = False
        values = sorted(self._values)
        count = len(values)
        self.mean_s = sum(values) / count
        self.median_s = values[count // 2]
        self.peak_s = quantile(values, 0.99)
        if count >= KNOWN:
            self.low_s = min(quantile(values, 0.01), 0.9 * self.median_s)
            self.high_s = max(self.peak_s, 1.1 * self.median_s)

    def scale(self, factor: float) -> None:
        """All of it takes so many times as long now; most of what is remembered is forgotten."""
        self._values = [factor * seconds for seconds in self._values[-RENEWED:]]
        self._most = FIRST_WINDOW
        self._is_new = True
        self.settle()


def quantile(values: list[float], share: float) -> float:
    """What so large a share of further values stays below, of sorted ones: place k of n is that of k / (n + 1) (Weibull)."""
    place = min(max(share * (len(values) + 1) - 1, 0.0), len(values) - 1)
    at = int(place)
    if at + 1 == len(values):
        return values[-1]
    return values[at] + (place - at) * (values[at + 1] - values[at])

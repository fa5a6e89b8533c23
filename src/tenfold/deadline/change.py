"""Has the world changed? A few observations in a row that fit no longer are told from one that never did."""

from __future__ import annotations

from statistics import median

from tenfold.deadline.recent import Recent

CERTAIN = 4  # odd observations in a row: by chance alone, one time in a hundred million


class Change:
    """Watches for observations in a row, of whatever size, that take longer than 99 of 100 did, or shorter.

    They are kept back: remembered as what they are as soon as one fits again, or after everything else has been scaled.
    """

    __slots__ = ("_is_slower", "_kept")

    def __init__(self) -> None:
        self._kept: list[tuple[Recent, float]] = []
        self._is_slower = False

    def observe(self, recent: Recent, seconds: float) -> float | None:
        """It took so long: how many times as long everything takes now, if that has changed."""
        is_slower = seconds > recent.high_s
        is_odd = is_slower or seconds < recent.low_s
        if self._kept and not (is_odd and is_slower == self._is_slower):
            self.settle()
        if not is_odd:
            recent.observe(seconds)
            return None
        self._is_slower = is_slower
        self._kept.append((recent, seconds))
        if len(self._kept) < CERTAIN:
            return None
        return median([seconds / max(recent.median_s, 1e-9) for recent, seconds in self._kept])

    def settle(self) -> None:
        """There is no doubt any more."""
        kept, self._kept = self._kept, []
        for recent, seconds in kept:
            recent.observe(seconds)

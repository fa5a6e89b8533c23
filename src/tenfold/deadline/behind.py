"""How long does a batch wait in a replica for those of other fronts, of which each has a queue of its own?"""

from __future__ import annotations

NEWEST = 1 / 8  # the weight of the newest batch in what is usual
RARELY = 3.0  # mean absolute deviations beyond the mean, which is hardly ever more


class Behind:
    """The seconds between a batch's turn, as its front sees it, and its beginning: their mean, and what they rarely exceed.

    A replica takes a batch of each front in turn, so that this is mostly what the batches of the others take.
    """

    __slots__ = ("_deviation_s", "mean_s")

    def __init__(self) -> None:
        self.mean_s = self._deviation_s = 0.0

    @property
    def peak_s(self) -> float:
        """What a batch rarely waits longer than."""
        return self.mean_s + RARELY * self._deviation_s

    def observe(self, seconds: float) -> None:
        """A batch waited so long."""
        self._deviation_s += (abs(seconds - self.mean_s) - self._deviation_s) * NEWEST
        self.mean_s += (seconds - self.mean_s) * NEWEST

    def left_s(self, elapsed_s: float) -> float:
        """How long a batch waits still, on average, whose turn it has been for so long."""
        return max(self.mean_s - elapsed_s, 0.0)

"""What does a batch cost? The seconds that so many rows take, learnt from the batches that ran."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from tenfold.deadline.change import Change
from tenfold.deadline.curve import Point, curve, slopes, within
from tenfold.deadline.recent import Recent

EVERY = 256  # observations after which the curves are drawn anew,
DRAW_S = 0.25  # or after batches that took so long together: drawing takes a thousandth of that
STALE = 512  # observations without one of a size, after which it may be tried again
FADES = 64  # observations after which the newer of two sizes counts twice
WORTH = 0.9  # a batch is worth while when it does so many rows per second of those that a full one does
WAIT_SHARE = 0.5  # of a batch that runs, which a request has to be able to wait for before its own begins
LEAST = 0.1  # of the time that requests have is for their batch, however long it waits
NEWS = 0.02  # of that time, below which a change is none
LIGHT_BYTES = 16 * 2**10


class Cost:
    """The seconds that batches of up to ``max_rows`` rows take: their mean and their 99th percentile.

    Batches are kept apart by powers of two of their rows, with straight lines between (see ``curve``). When batches
    of whatever size take longer or shorter than they used to, all sizes change by that factor, those too that were not
    seen since. A size that was not seen for long costs, row for row, no more than the next smaller: an estimate that
    is too high would never be corrected otherwise, since nobody would try that size again.
    """

    def __init__(self, max_rows: int, seconds: float = 0.0) -> None:
        """``seconds`` is assumed for a batch of any size until one has been observed."""
        self.max_rows = max_rows
        self.budget_s = self._allowed_s = inf
        self._sizes = [min(1 << k, max_rows) for k in range(bucket(max_rows) + 1)]
        self._last = len(self._sizes) - 1
        self._recent: list[Recent | None] = [None] * len(self._sizes)
        self._seen_at = [0] * len(self._sizes)
        self._seen = self._draw_at = 0
        self._undrawn_s = 0.0
        self._change = Change()
        self._set(means=[seconds] * len(self._sizes), peaks=[seconds] * len(self._sizes))

    def observe(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        k = bucket(rows) if rows < self.max_rows else self._last
        if rows != self._sizes[k]:
            seconds *= self._up_to_size(k, rows)
        recent = self._recent[k] or self._begin(k)
        self._seen = seen = self._seen + 1
        self._seen_at[k] = seen
        factor = self._change.observe(recent, seconds)
        if factor is not None:
            self._scale(factor)
        self._undrawn_s = undrawn_s = self._undrawn_s + seconds
        if seen >= self._draw_at or undrawn_s > DRAW_S:
            self._draw()

    def expect(self, budget_s: float) -> None:
        """Requests have so much time as a rule; ``planned_rows`` follows from it."""
        self.budget_s = self._allowed_s = budget_s
        self._set(self._means, self._peaks)

    def leave(self, seconds: float) -> None:
        """So much of a request's time passes before its batch begins, whatever happens here."""
        left_s = max(self._allowed_s - seconds, LEAST * self._allowed_s)
        if abs(left_s - self.budget_s) > NEWS * self._allowed_s:
            self.budget_s = left_s
            self._set(self._means, self._peaks)

    def mean_s(self, rows: int) -> float:
        """The seconds that a batch of so many rows takes on average."""
        if rows >= self.max_rows:
            return self._means[-1] * rows / self.max_rows
        k = (rows - 1).bit_length()
        return self._means[k] - (self._sizes[k] - rows) * self._mean_slopes[k]

    def peak_s(self, rows: int) -> float:
        """The seconds that 99 of 100 batches of so many rows stay within."""
        if rows >= self.max_rows:
            return self._peaks[-1] * rows / self.max_rows
        k = (rows - 1).bit_length()
        return self._peaks[k] - (self._sizes[k] - rows) * self._peak_slopes[k]

    def median_s(self, rows: int) -> float:
        """The seconds that half of the batches of about so many rows stay within."""
        recent = self._recent[bucket(min(rows, self.max_rows))]
        return recent.median_s if recent is not None else self.mean_s(rows)

    def rows_within(self, seconds: float) -> int:
        """The most rows that a batch may have so that its ``peak_s`` stays within so many seconds."""
        return within(self._peaks, self._sizes, seconds)

    def worth_rows(self, rows: int) -> int:
        """The fewest rows that are worth a batch where so many wait: more of them would not go much faster."""
        wanted = WORTH * rows
        mean_s = max(self.mean_s(rows), 1e-9)
        for size, seconds in zip(self._sizes, self._means, strict=True):
            if size >= rows:
                break
            if size * mean_s >= wanted * seconds:
                return size
        return rows

    def left_s(self, rows: int, elapsed_s: float) -> float:
        """The seconds that a batch takes still, having taken ``elapsed_s``. Beyond its 99th percentile it is stuck in
        something, and nothing is known but that long things last long: as long again as they are late."""
        mean_s, peak_s = self.mean_s(rows), self.peak_s(rows)
        return max(mean_s - elapsed_s, elapsed_s - peak_s, (peak_s - mean_s) / 2)

    def left_at_most_s(self, rows: int, elapsed_s: float) -> float:
        """The seconds that a batch takes still in 99 of 100 cases, having taken ``elapsed_s``."""
        return abs(self.peak_s(rows) - elapsed_s)

    def like(self, factor: float) -> Cost:
        """A cost to start from where rows are ``factor`` times as heavy: what is known here, until something is there."""
        other = Cost(self.max_rows)
        other.budget_s, other._allowed_s = self.budget_s, self._allowed_s
        other._set([factor * seconds for seconds in self._means], [factor * seconds for seconds in self._peaks])
        return other

    def _begin(self, k: int) -> Recent:
        recent = self._recent[k] = Recent()
        self._draw_at = 0
        return recent

    def _up_to_size(self, k: int, rows: int) -> float:
        """What a batch of so many rows is multiplied with to stand for one of the size that it is kept with."""
        own = self.mean_s(rows)
        return self._means[k] / own if own > 0.0 else 1.0

    def _scale(self, factor: float) -> None:
        for recent in self._recent:
            if recent is not None:
                recent.scale(factor)
        self._change.settle()
        self._draw_at = 0

    def _draw(self) -> None:
        self._undrawn_s = 0.0
        self._draw_at = self._seen + min(EVERY, 1 + self._seen // 8)
        known = [(k, recent) for k, recent in enumerate(self._recent) if recent is not None]
        for _, recent in known:
            recent.settle()
        self._set(
            means=curve(self._points(known, [recent.mean_s for _, recent in known]), self._sizes),
            peaks=curve(self._points(known, [recent.peak_s for _, recent in known]), self._sizes),
        )

    def _points(self, known: Sequence[tuple[int, Recent]], values: Sequence[float]) -> list[Point]:
        points: list[Point] = []
        for (k, recent), seconds in zip(known, values, strict=True):
            age = self._seen - self._seen_at[k]
            most_s = inf
            if points and age > min(STALE, 32 * recent.weight):
                most_s = points[-1].seconds * self._sizes[k] / self._sizes[points[-1].at]
            points.append(Point(k, min(seconds, most_s), recent.weight / (1 + age / FADES)))
        return points

    def _set(self, means: list[float], peaks: list[float]) -> None:
        sizes = self._sizes
        self._means = means
        self._peaks = [max(pair) for pair in zip(means, peaks, strict=True)]
        self._mean_slopes = slopes(means, sizes)
        self._peak_slopes = slopes(self._peaks, sizes)
        needs = [mean + 1.5 * (peak - mean) + WAIT_SHARE * mean for mean, peak in zip(means, self._peaks, strict=True)]
        self.planned_rows = (
            within(needs, sizes, self.budget_s) or within(self._peaks, sizes, WORTH * self.budget_s) or 1
        )


class Costs:
    """A ``Cost`` for each weight of rows: up to 16 KiB, 64 KiB, 256 KiB and so on, for pictures and tensors."""

    def __init__(self, lightest: Cost) -> None:
        self._costs = {0: lightest}

    def of(self, row_bytes: float) -> Cost:
        """The cost of batches whose rows have so many bytes on average. A weight never seen before starts from the next
        one known: a heavier one as it is, a lighter one as if every byte cost the same."""
        weight = (max(int(row_bytes) // LIGHT_BYTES, 0).bit_length() + 1) // 2
        cost = self._costs.get(weight)
        if cost is None:
            nearest = min(self._costs, key=lambda known: (abs(known - weight), known))
            cost = self._costs[weight] = self._costs[nearest].like(4.0 ** max(weight - nearest, 0))
        return cost


def bucket(rows: int) -> int:
    """The power of two that holds so many rows: 0 for 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8."""
    return (rows - 1).bit_length()

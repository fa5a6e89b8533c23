"""How far a field has moved: the share of its rows that would have to be elsewhere, beyond what chance moves.

The measure is the total variation between two histograms of the same groups. Chance moves some rows, too: more of few
rows than of many. What it moves on average is subtracted, and what is left is compared with the tolerance, so that
neither a small sample's noise nor a large sample's trivia is drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints

GROUPS = 12  # of about equal size that a field is judged by: fewer groups, less that chance moves
ROUNDING = 1e-20  # of a square, below which differences are no more than that
SIGMAS = 2.0  # by which the reference's own uncertainty widens a tolerance, since it doesn't average out


class Moved(NamedTuple):
    """The share of rows that moved beyond chance (it may be below 0), and its standard error."""

    share: float
    error: float


def regroup(counts: Ints, groups: Ints) -> Ints:
    """Counters (c,), or many rows of them (w, c), summed by group."""
    summed: Ints = counts @ (groups[:, None] == np.arange(groups.max() + 1)).astype(np.int64)
    return summed


def moved(reference: Ints, current: Ints) -> Moved:
    """How far ``current`` (g,) is from ``reference`` (g,), both counts by group; NaN where one of them is empty.

    Chance moves the sum of half of each group's mean absolute difference; that of a group is sqrt(2/π) of its standard
    deviation. The error is Hoeffding's for the most favourable set of groups, so that it bounds tails, too.
    """
    m, n = int(reference.sum()), int(current.sum())
    if not m or not n:
        return Moved(np.nan, np.nan)
    total = float(np.abs(reference / m - current / n).sum() / 2)
    pooled = (reference + current) / (m + n)
    chance = float(np.sqrt(pooled * (1 - pooled)).sum() * np.sqrt((1 / m + 1 / n) / (2 * np.pi)))
    return Moved(total - chance, 0.5 / np.sqrt(n))


class Baseline(msgspec.Struct, frozen=True):
    """What a statistic of a window is while nothing changes, from the windows of the reference.

    ``mean`` and ``spread`` are those of the windows, the spread beyond what sampling explains; ``windows`` is how many there
    were, and ``persistence`` the correlation of neighbours, which makes them count for fewer.
    """

    mean: float = 0.0
    spread: float = 0.0
    windows: int = 0
    persistence: float = 0.0


def baseline(values: Floats, errors: Floats) -> Baseline:
    """The baseline of the reference's windows (w,) in their order, given the standard error of each by sampling alone."""
    known = np.isfinite(values) & np.isfinite(errors)
    values, errors = values[known], errors[known]
    w = len(values)
    if w < 2:
        return Baseline(float(values[0]) if w else 0.0, windows=w)
    mean = float(values.mean())
    beyond = float(values.var(ddof=1) - np.mean(errors**2))
    around = values - mean
    energy = float(around @ around)
    lag = float(around[1:] @ around[:-1]) / energy if energy > ROUNDING * w * mean**2 else 0.0
    persistence = min(max(lag + 1 / w, 0.0), 0.95)  # a sample's own autocorrelation is about 1/w too low
    return Baseline(mean, float(np.sqrt(max(beyond, 0.0))), w, persistence)


def baseline_of(statistics: Sequence[Moved]) -> Baseline:
    """The baseline of how far windows moved, in their order."""
    shares, errors = np.array(statistics, dtype=np.float64).reshape(-1, 2).T
    # where nothing moved, the share varies by 0.3/sqrt(n) rather than by Hoeffding's bound of 0.5/sqrt(n)
    return baseline(shares, errors * 0.6)


def left_out(counts: Ints) -> Baseline:
    """The baseline of windows (w, g), each compared with the sum of the others."""
    total = counts.sum(axis=0)
    return baseline_of([moved(total - window, window) for window in counts])


def score(excess: float, error: float, spread: float, windows: int, persistence: float = 0.0) -> float:
    """How many standard deviations an ``excess`` over its tolerance is, as if it were normal.

    The variance is ``error``² by sampling and ``spread``² between windows; the latter is known from few windows, so that the
    ratio follows Student's t with Welch's degrees of freedom. Wallace's transformation makes it normal ("Bounds on normal
    approximations to Student's and the chi-square distributions", Annals of Mathematical Statistics 30, 1959). Windows
    that resemble their neighbours count for fewer.
    """
    variance = error**2 + spread**2
    if not np.isfinite(excess) or variance <= 0:
        return 0.0
    t = excess / np.sqrt(variance) * np.sqrt((1 - persistence) / (1 + persistence))
    if spread <= 0:
        return float(t)
    freedom = max(windows - 1, 1) * (variance / spread**2) ** 2
    z = (8 * freedom + 1) / (8 * freedom + 3) * np.sqrt(freedom * np.log1p(t * t / freedom))
    return float(np.sign(t) * z)

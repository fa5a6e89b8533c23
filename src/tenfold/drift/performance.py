"""How well the model does, measured on labels: counts that add up, a value, its standard error, and what is too bad."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints

Metric = Literal["auc", "accuracy", "mae"]

FLOOR = 0.002  # of a ranking or of answers: less than that is not harm, however good the model was
STEPS = 1 << 12  # of the fixed point within one mean absolute error of the reference
LIMIT = 1 << 20  # steps, beyond which an error counts as that large: squares of eight million of them add up in 64 bits


class Task(msgspec.Struct, frozen=True):
    """What is measured. ``classes`` are the labels by code; of two, the last is the one that a high score speaks for.

    ``metric`` is "auc" (two classes and a score), "accuracy" (classes) or "mae" (numbers). ``unit`` is the fixed point of
    absolute errors.
    """

    metric: Metric
    classes: tuple[str, ...] = ()
    unit: float = 1.0

    def loss(self, value: float) -> float:
        """What is lost at this value of the metric: 0 is perfect."""
        return value if self.metric == "mae" else 1 - value

    def tolerance(self, reference: float, share: float) -> float:
        """By how much the loss may exceed that of the reference's value before that is harm."""
        allowed = share * self.loss(reference)
        return allowed if self.metric == "mae" else max(allowed, FLOOR)


class Measured(NamedTuple):
    """A value of the metric, its standard error and from how many rows; NaN where it cannot be told."""

    value: float
    error: float
    rows: int


NOTHING = Measured(np.nan, np.nan, 0)


class Outcomes(msgspec.Struct):
    """What became of labelled rows. All of it adds up, in any order.

    ``ranks`` (c, 2) counts the rows of each class by the counter of their score, where there is a score to rank by; ``sums``
    (2,) are the losses in whole units and their squares.
    """

    rows: int
    ranks: Ints
    sums: Ints

    @classmethod
    def none(cls, cells: int) -> Outcomes:
        """No labels, of a score with so many counters."""
        return cls(0, np.zeros((cells, 2), dtype=np.int64), np.zeros(2, dtype=np.int64))

    def merge(self, other: Outcomes) -> Outcomes:
        """The outcomes of the rows of both."""
        return Outcomes(self.rows + other.rows, self.ranks + other.ranks, self.sums + other.sums)


class Truth(NamedTuple):
    """Answers beside their labels, (n,) each: class codes or numbers, NaN where unknown; and the counter of each score."""

    predicted: Floats
    actual: Floats
    cells: Ints


def count(task: Task, truth: Truth, cells: int) -> Outcomes:
    """The outcomes of rows; those without a label, or a label that is no class of the reference, are left out."""
    known = np.isfinite(truth.actual)
    if task.metric != "auc":
        known &= np.isfinite(truth.predicted)
    predicted, actual = truth.predicted[known], truth.actual[known]
    ranks = np.zeros((cells, 2), dtype=np.int64)
    if task.metric == "auc":
        flat = np.bincount(truth.cells[known] * 2 + (actual == 1), minlength=2 * cells)
        ranks = flat.reshape(cells, 2).astype(np.int64)
    if task.metric == "mae":
        steps = np.minimum(np.rint(np.abs(predicted - actual) / task.unit), LIMIT).astype(np.int64)
    else:
        steps = (predicted != actual).astype(np.int64)
    return Outcomes(len(actual), ranks, np.array([steps.sum(), steps @ steps]))


def measure(task: Task, outcomes: Outcomes) -> Measured:
    """The metric of labelled rows."""
    n = outcomes.rows
    if not n:
        return NOTHING
    if task.metric == "auc":
        return _measure_ranks(outcomes)
    lost, squares = map(int, outcomes.sums)
    mean = lost / n
    if task.metric == "accuracy":
        # no error in ten rows does not mean that there are none: Agresti and Coull, "Approximate is better than 'exact' for
        # interval estimation of binomial proportions", The American Statistician 52, 1998
        smooth = (lost + 2) / (n + 4)
        return Measured(1 - mean, float(np.sqrt(smooth * (1 - smooth) / n)), n)
    variance = max(squares / n - mean * mean, 0.0)
    return Measured(mean * task.unit, float(np.sqrt(variance / n)) * task.unit, n)


def _measure_ranks(outcomes: Outcomes) -> Measured:
    negatives, positives = outcomes.ranks[:, 0].astype(np.float64), outcomes.ranks[:, 1].astype(np.float64)
    ranking = rank(positives, negatives)
    if ranking is None:
        return Measured(np.nan, np.nan, outcomes.rows)
    above, below = ranking.above - ranking.area, ranking.below - ranking.area
    p, n = positives.sum(), negatives.sum()
    variance = positives @ below**2 / p**2 + negatives @ above**2 / n**2
    least = 1 / (min(p, n) + 2)  # a few rows that are ranked perfectly do not mean that all are
    return Measured(ranking.area, max(float(np.sqrt(variance)), float(least)), outcomes.rows)


class Ranking(NamedTuple):
    """The area under the ROC curve; and for each score the shares of negatives below and of positives above it."""

    area: float
    below: Floats
    above: Floats


def rank(positives: Floats, negatives: Floats) -> Ranking | None:
    """How well scores rank, given the weight of either class at each score in ascending order; equal scores count half.

    None where one class is missing. The shares are the structural components of DeLong, DeLong and Clarke-Pearson
    ("Comparing the areas under two or more correlated ROC curves", Biometrics 44, 1988).
    """
    p, n = float(positives.sum()), float(negatives.sum())
    if p <= 0 or n <= 0:
        return None
    below = (np.cumsum(negatives) - negatives / 2) / n
    above = (p - np.cumsum(positives) + positives / 2) / p
    return Ranking(float(positives @ below / p), below, above)


def shares_of_area(scores: Floats, actual: Floats) -> Floats:
    """A value for each row (n,), of which the mean is the area and the spread what it varies by: the standard error of the
    area, or of the difference of two, is that of such a mean. 1/2 each where one class is missing."""
    levels, index = np.unique(scores, return_inverse=True)
    positives = np.bincount(index, actual, minlength=len(levels)).astype(np.float64)
    ranking = rank(positives, np.bincount(index).astype(np.float64) - positives)
    if ranking is None:
        return np.full(len(scores), 0.5)
    share = float(actual.mean())
    below, above = ranking.below[index] - ranking.area, ranking.above[index] - ranking.area
    return ranking.area + np.where(actual == 1, below / share, above / (1 - share))


def expected_area(scores: Floats, probabilities: Floats) -> Measured:
    """The area to be expected where row i of (n,) is positive with ``probabilities[i]``; its error is by sampling rows."""
    levels, index = np.unique(scores, return_inverse=True)
    positives = np.bincount(index, probabilities, minlength=len(levels)).astype(np.float64)
    ranking = rank(positives, np.bincount(index).astype(np.float64) - positives)
    if ranking is None:
        return Measured(np.nan, np.nan, len(scores))
    share = float(probabilities.mean())
    influence = probabilities / share * (ranking.below[index] - ranking.area)
    influence += (1 - probabilities) / (1 - share) * (ranking.above[index] - ranking.area)
    return Measured(ranking.area, float(np.sqrt(np.mean(influence**2) / len(scores))), len(scores))

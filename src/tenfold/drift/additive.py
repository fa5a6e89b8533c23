"""What the reference says of an outcome, given a score and the groups that a row's fields fall into.

A calibrated score alone says how often the model is right *on the reference's rows*. Where live rows are others, rows with
the same score may be right less often. So the calibrated score is the offset of an additive model over the fields' groups
(logistic for outcomes that are 0 or 1, least squares for losses), which knows in which corner a score says too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints

MOST_FIELDS = 16  # those that say most about what the score leaves open
RIDGE = 10.0  # rows' worth of "no effect" added to each group
STEPS = 25
SMALL = 1e-4  # a step, in log odds, after which the next one would not be noticed
SOLVED = 1e-12  # of the first error, in the square, that may be left of a system of equations
HALVINGS = 30
TINY = 1e-6
LEAST, MOST = 1e-4, 1 - 1e-4


class Calibration(msgspec.Struct, frozen=True):
    """A step function from a score to how often the outcome was 1: never falling where the score rises."""

    scores: Floats
    shares: Floats

    def of(self, scores: Floats) -> Floats:
        """The calibrated probability (n,) of each score (n,), between the steps by linear interpolation."""
        return np.interp(scores, self.scores, self.shares)


def calibrate(scores: Floats, outcomes: Floats) -> Calibration:
    """Isotonic regression by pooling adjacent violators (Barlow et al., 1972) of 0/1 ``outcomes`` (n,) on ``scores`` (n,)."""
    levels, index = np.unique(scores, return_inverse=True)
    weights = np.bincount(index).astype(np.float64)
    means = np.bincount(index, outcomes) / weights
    pools: list[list[float]] = []  # mean, weight and how many levels were pooled
    for mean, weight in zip(means.tolist(), weights.tolist(), strict=True):
        pools.append([mean, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            right, left = pools.pop(), pools.pop()
            together = left[1] + right[1]
            pools.append([(left[0] * left[1] + right[0] * right[1]) / together, together, left[2] + right[2]])
    shares = np.repeat([pool[0] for pool in pools], [int(pool[2]) for pool in pools])
    return Calibration(levels, shares)


class Additive(msgspec.Struct, frozen=True):
    """An effect for each group of some fields: ``fields`` are their places among the columns, ``effects`` one array each."""

    fields: tuple[int, ...]
    effects: tuple[Floats, ...]
    constant: float
    logistic: bool

    def of(self, groups: Ints, offset: Floats) -> Floats:
        """The expected outcome (n,) of rows with these groups (n, k), from the offset (n,) on: log odds where logistic."""
        total = offset + self.constant
        for field, effect in zip(self.fields, self.effects, strict=True):
            total = total + effect[groups[:, field]]
        return expit(total) if self.logistic else total


def fit(groups: Ints, sizes: Sequence[int], offset: Floats, outcomes: Floats, logistic: bool) -> Additive:
    """Fit the effects of groups (n, k), of which column j has ``sizes[j]``, by Newton's method with a ridge."""
    fields = _telling(groups, sizes, outcomes - (expit(offset) if logistic else offset))
    starts = np.concatenate([[0], np.cumsum([sizes[field] for field in fields], dtype=np.int64)])
    chosen = np.asfortranarray(groups[:, fields])
    ridge = np.full(int(starts[-1]) + 1, RIDGE * (float(outcomes.var()) + TINY if logistic else 1.0))
    ridge[-1] = TINY
    problem = _Problem(chosen, starts, offset, outcomes, ridge)
    effects = (
        problem.logistic() if logistic else problem.step(np.zeros(len(ridge)), outcomes - offset, np.ones(len(offset)))
    )
    parts = tuple(np.split(effects[:-1], starts[1:-1])) if fields else ()
    return Additive(tuple(fields), parts, float(effects[-1]), logistic)


def _telling(groups: Ints, sizes: Sequence[int], rest: Floats) -> list[int]:
    """The fields whose groups explain most of what the offset leaves open, in the order of the columns."""
    explained = []
    for field, size in enumerate(sizes):
        rows = np.bincount(groups[:, field], minlength=size)
        sums = np.bincount(groups[:, field], rest, minlength=size)
        explained.append(float((sums**2 / (rows + RIDGE)).sum()))
    return sorted(np.argsort(explained)[::-1][:MOST_FIELDS].tolist())


class _Problem(NamedTuple):
    """Effects are sought for groups (n, k) of fields whose own begin at ``starts``; the last one is the constant."""

    groups: Ints
    starts: Ints
    offset: Floats
    outcomes: Floats
    ridge: Floats

    def logistic(self) -> Floats:
        """The effects that make 0/1 outcomes likeliest. A step that overshoots is halved until it doesn't."""
        effects = np.zeros(len(self.ridge))
        cost, total = self._cost(effects)
        for _ in range(STEPS):
            expected = expit(total)
            step = self.step(effects, self.outcomes - expected, expected * (1 - expected) + TINY)
            before = cost
            for _ in range(HALVINGS):
                cost, total = self._cost(effects + step)
                if cost <= before:
                    break
                step /= 2
            effects += step
            if np.abs(step).max() < SMALL:
                break
        return effects

    def _cost(self, effects: Floats) -> tuple[float, Floats]:
        """The negative log likelihood with the ridge, and the log odds (n,)."""
        total: Floats = self.offset + effects[self.groups + self.starts[:-1]].sum(axis=1) + effects[-1]
        unlikely = float((np.logaddexp(0, total) - self.outcomes * total).sum())
        return unlikely + float(self.ridge @ effects**2) / 2, total

    def step(self, effects: Floats, rest: Floats, weights: Floats) -> Floats:
        """One step of Newton's method. A row is in one group of each field, so that products of fields are weights summed
        by pairs of groups."""
        gram, slope = np.diag(self.ridge), -self.ridge * effects
        gram[-1, -1] += weights.sum()
        slope[-1] += rest.sum()
        spans = [slice(start, end) for start, end in pairwise(self.starts.tolist())]
        for k, (one, span) in enumerate(zip(self.groups.T, spans, strict=True)):
            width = span.stop - span.start
            held = np.bincount(one, weights, minlength=width)
            gram[span, span] += np.diag(held)
            gram[span, -1] = gram[-1, span] = held
            slope[span] += np.bincount(one, rest, minlength=width)
            for other, across in zip(self.groups.T[k + 1 :], spans[k + 1 :], strict=True):
                wide = across.stop - across.start
                together = np.bincount(one * wide + other, weights, minlength=width * wide).reshape(width, wide)
                gram[span, across], gram[across, span] = together, together.T
        return _solve(gram, slope)


def _solve(matrix: Floats, right: Floats) -> Floats:
    """Conjugate gradients, preconditioned by the diagonal (Hestenes and Stiefel, 1952), for a positive definite matrix.

    By hand, since a library's solver starts threads: beside a busy server they wait for each other, for a hundred times
    as long as the sums take.
    """
    solution = np.zeros_like(right)
    rest, diagonal = right.copy(), np.diag(matrix)
    scaled = rest / diagonal
    direction, energy = scaled, float(rest @ scaled)
    enough = energy * SOLVED
    for _ in range(4 * len(right)):
        if energy <= enough:
            break
        across = np.einsum("ij,j->i", matrix, direction)
        length = energy / float(direction @ across)
        solution += length * direction
        rest -= length * across
        scaled = rest / diagonal
        before, energy = energy, float(rest @ scaled)
        direction = scaled + energy / before * direction
    return solution


def logit(probability: Floats) -> Floats:
    """Log odds, of probabilities kept away from 0 and 1."""
    inside = np.clip(probability, LEAST, MOST)
    return np.log(inside / (1 - inside))


def expit(odds: Floats) -> Floats:
    """The probability of log odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * odds)), dtype=np.float64)

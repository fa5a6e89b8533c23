"""What no field shows alone: how fields hang together, seen along fixed directions of the reference.

Each value becomes the normal score of its bin, each row its projections on principal axes of the reference: the longest,
along which most of the variation lies, and the shortest, along which hardly any does and a broken relation shows at once.
The projections are then columns like any other, with bins, groups and a share of moved rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from tenfold.drift.columns import Column, Floats, Ints, cells_of, grouped, number_column
from tenfold.drift.effects import GROUPS, regroup

AXES = 4  # at either end of the spectrum
THINNEST = 1e-6  # variance of an axis below which it is rounding
NAMED = 0.2  # part of an axis, squared, from which on a field is named as belonging to it


class Projection(msgspec.Struct, frozen=True):
    """``scores`` has for each field the value of each of its counters; ``axes`` (k, d) are directions of length 1.

    ``columns`` and ``groups`` are those of the projections, ``counts`` the reference's rows in them by group.
    """

    scores: tuple[Floats, ...]
    axes: Floats
    columns: tuple[Column, ...]
    groups: tuple[Ints, ...]
    counts: tuple[Ints, ...]

    def count(self, cells: Ints) -> list[Ints]:
        """Rows by group along each axis, given the counters (n, k) that their fields fall into."""
        along = cells_of(self.columns, self._along(cells))
        pairs = zip(self.columns, self.groups, along.T, strict=True)
        return [regroup(np.bincount(cell, minlength=column.cells), groups) for column, groups, cell in pairs]

    def _along(self, cells: Ints) -> Floats:
        return np.asarray(_scored(self.scores, cells) @ self.axes, dtype=np.float64)


def project(names: Sequence[str], sizes: Sequence[int], cells: Ints) -> Projection | None:
    """The projection of a reference whose fields, with ``sizes`` counters each, fall into counters ``cells`` (n, k).

    None where there are no two fields that vary.
    """
    scores = tuple(_normal_scores(np.bincount(cell, minlength=size)) for cell, size in zip(cells.T, sizes, strict=True))
    table = _scored(scores, cells)
    if len(table) < 2 or np.count_nonzero(table.std(axis=0) > 0) < 2:
        return None
    variance, axes = np.linalg.eigh(np.cov(table, rowvar=False))
    real = np.flatnonzero(variance > THINNEST)
    chosen = real if len(real) <= 2 * AXES else np.concatenate([real[:AXES], real[-AXES:]])
    axes = np.ascontiguousarray(axes[:, chosen])
    along = table @ axes
    columns = tuple(number_column(title(names, axis), values) for axis, values in zip(axes.T, along.T, strict=True))
    counted = [
        np.bincount(cell, minlength=column.cells)
        for column, cell in zip(columns, cells_of(columns, along).T, strict=True)
    ]
    groups = tuple(grouped(column, counts, GROUPS) for column, counts in zip(columns, counted, strict=True))
    return Projection(scores, axes, columns, groups, tuple(map(regroup, counted, groups)))


def title(names: Sequence[str], axis: Floats) -> str:
    """A direction by the fields that make it up, the most important first: "joint: a, b"."""
    order = np.argsort(-np.abs(axis), kind="stable")
    belonging = [names[k] for k in order if axis[k] ** 2 >= NAMED] or [names[order[0]], names[order[1]]]
    return f"joint: {', '.join(belonging)}"


def _scored(scores: Sequence[Floats], cells: Ints) -> Floats:
    return np.stack([score[cell] for score, cell in zip(scores, cells.T, strict=True)], axis=1)


def _normal_scores(counts: Ints) -> Floats:
    """The normal quantile at the middle of each counter's share, scaled to variance 1 on the reference."""
    total = max(int(counts.sum()), 1)
    middle = (np.cumsum(counts) - counts / 2) / total
    half_a_row = 0.5 / total
    scores = _probit(np.clip(middle, half_a_row, 1 - half_a_row))
    mean = counts @ scores / total
    deviation = float(np.sqrt(counts @ (scores - mean) ** 2 / total))
    return np.asarray((scores - mean) / (deviation or 1.0), dtype=np.float64)


def _probit(p: Floats) -> Floats:
    """The normal quantile of p (Abramowitz and Stegun 26.2.23, off by 0.00045 at most)."""
    tail = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * np.log(tail))
    x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)))
    return np.asarray(np.where(p < 0.5, -x, x), dtype=np.float64)

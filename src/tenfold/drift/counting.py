"""Counting rows into the reference's bins: integers alone, so that any order, replica and block gives the same sums.

Each column of a block is sorted, and the counters are the differences between where the bins' edges fall: five times as
fast as looking up the bin of each value. A replica calls ``add`` once its answer has left, which only puts the block
aside, and counts when enough rows have come together (0.4 µs for a row of 30 fields).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tenfold.drift.columns import MISSING, NAN, REACH, STEPS, Column, Floats, Ints, offsets

ROWS_AT_ONCE = 256  # counted together: a pause of 0.1 ms for 30 fields
MOST_AT_ONCE = 1 << 15  # in one pass: sums of squares stay exact in float64, since 2**15 * (2**16)**2 < 2**53
LIMIT = REACH * STEPS


class Counts(msgspec.Struct):
    """How many rows fell where. All of it adds up: ``merge`` in any order gives the counts of all rows, bit for bit.

    ``cells`` (c,) are the counters of all columns one after the other, ``sums`` (k, 2) each column's whole units from its
    centre and their squares over ``finite`` (k,) values, ``least`` and ``most`` (k,) the finite extremes.
    """

    rows: int
    cells: Ints
    finite: Ints
    sums: Ints
    least: Floats
    most: Floats

    @classmethod
    def none(cls, columns: Sequence[Column]) -> Counts:
        """The counts of no rows."""
        k = len(columns)
        zeros = np.zeros(k, dtype=np.int64)
        cells = np.zeros(int(offsets(columns)[-1]), dtype=np.int64)
        return cls(0, cells, zeros, np.zeros((k, 2), dtype=np.int64), np.full(k, np.inf), np.full(k, -np.inf))

    def merge(self, other: Counts) -> Counts:
        """The counts of the rows of both."""
        return Counts(
            self.rows + other.rows,
            self.cells + other.cells,
            self.finite + other.finite,
            self.sums + other.sums,
            np.minimum(self.least, other.least),
            np.maximum(self.most, other.most),
        )

    @classmethod
    def beside(cls, columns: Sequence[Counts]) -> Counts:
        """The counts of the same rows, column by column, as one."""
        return cls(
            columns[0].rows,
            np.concatenate([counts.cells for counts in columns]),
            np.concatenate([counts.finite for counts in columns]),
            np.concatenate([counts.sums for counts in columns]),
            np.concatenate([counts.least for counts in columns]),
            np.concatenate([counts.most for counts in columns]),
        )

    def moments(self, columns: Sequence[Column]) -> tuple[Floats, Floats]:
        """The mean and the standard deviation of each column (k,), NaN where it has no value."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.sums[:, 0] / self.finite
            variance = self.sums[:, 1] / self.finite - mean**2
        unit = np.array([column.unit for column in columns])
        centre = np.array([column.centre for column in columns])
        return centre + unit * mean, unit * np.sqrt(np.maximum(variance, 0))


class Counter:
    """Counts blocks of rows. One for each replica and window; ``take`` hands over what was counted since the last."""

    def __init__(self, columns: Sequence[Column], rows_at_once: int = ROWS_AT_ONCE) -> None:
        self._columns = tuple(columns)
        self._probes = [column.probes() for column in columns]
        self._centre = np.array([[column.centre] for column in columns])
        self._scale = np.array([[1 / column.unit] for column in columns])
        ends = offsets(columns)
        self._ends = list(zip(ends[:-1] + 1, ends[1:] - 1, strict=True))  # where each column's bounds stand among all
        self._missing_cells = ends[1:] + MISSING
        self._nan_cells = ends[1:] + NAN
        self._finite = ends[:-1] + 1, ends[1:] + NAN - 1  # bounds before the first and after the last finite value
        self._bounds = np.zeros(ends[-1] + 1, dtype=np.int64)
        self._rows_at_once = rows_at_once
        self._waiting: list[Floats] = []
        self._waiting_rows = 0
        self._absent: list[NDArray[np.bool_]] = []
        self._counts = Counts.none(columns)

    def add(self, block: Floats, missing: NDArray[np.bool_] | None = None) -> None:
        """Take a block (n, k) of values in the order of the columns, categories as codes, missing ones as NaN.

        ``missing`` (n, k) tells those from NaN that came as NaN; None where all NaN are missing ones. The block is kept, not
        copied, until it is counted.
        """
        self._waiting.append(block)
        self._absent.append(np.isnan(block) if missing is None else missing)
        self._waiting_rows += len(block)
        if self._waiting_rows >= self._rows_at_once:
            self._count()

    def take(self) -> Counts:
        """The counts since the last call."""
        self._count()
        taken, self._counts = self._counts, Counts.none(self._columns)
        return taken

    def _count(self) -> None:
        if not self._waiting:
            return
        block = np.concatenate(self._waiting)
        missing = np.concatenate(self._absent).sum(axis=0)
        self._waiting, self._absent, self._waiting_rows = [], [], 0
        for first in range(0, len(block), MOST_AT_ONCE):
            by_column = np.array(block[first : first + MOST_AT_ONCE].T, dtype=np.float64, order="C", copy=True)
            self._counts.rows += by_column.shape[1]
            self._add_moments(by_column)
            by_column.sort(axis=1)
            self._add_cells(by_column)
        self._counts.cells[self._nan_cells] -= missing
        self._counts.cells[self._missing_cells] += missing

    def _add_cells(self, by_column: Floats) -> None:
        """Add sorted columns (k, n). The bounds of a column are 0, where its bins begin, and n; counters lie between them."""
        rows = by_column.shape[1]
        bounds = self._bounds
        for values, probes, (first, last) in zip(by_column, self._probes, self._ends, strict=True):
            bounds[first:last] = values.searchsorted(probes)
        bounds[self._missing_cells] = rows
        found = np.diff(bounds)
        found[self._missing_cells] = 0
        self._counts.cells += found
        before, after = bounds[self._finite[0]], bounds[self._finite[1]]
        some = np.flatnonzero(after > before)
        self._counts.least[some] = np.minimum(self._counts.least[some], by_column[some, before[some]])
        self._counts.most[some] = np.maximum(self._counts.most[some], by_column[some, after[some] - 1])

    def _add_moments(self, by_column: Floats) -> None:
        finite = np.isfinite(by_column)
        with np.errstate(over="ignore", invalid="ignore"):
            steps = by_column - self._centre
            steps *= self._scale
        np.rint(steps, out=steps)
        np.copyto(steps, 0.0, where=~finite)
        np.minimum(steps, LIMIT, out=steps)
        np.maximum(steps, -LIMIT, out=steps)
        self._counts.finite += finite.sum(axis=1)
        self._counts.sums[:, 0] += steps.sum(axis=1).astype(np.int64)
        self._counts.sums[:, 1] += np.einsum("ij,ij->i", steps, steps).astype(np.int64)


def count_column(column: Column, values: Floats, missing: NDArray[np.bool_]) -> Counts:
    """The counts of one column (n,), where a table comes column by column."""
    counter = Counter([column])
    counter.add(values[:, None], missing[:, None])
    return counter.take()

"""What a column is compared by: fixed bins taken from the reference, so that counts of any rows can be added up.

A category is counted by its code as if it were a number, so that one way of counting serves every column. The counters
of a column with b bins are, in this order:

    -inf | below | bin 0 … bin b-1 | above | +inf | NaN | missing
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 32  # of a field: a change of a thirtieth of the rows is seen wherever it happens
SCORE_BINS = 256  # of a score: a ranking of 5,000 rows loses less than its own noise by this
MOST_NAMES = 10_000  # categories that are known by name; beyond it, unseen ones cannot be told from rare ones
BEFORE, AFTER = 2, 4  # counters before and after the bins
NEGATIVE, BELOW = 0, 1
ABOVE, POSITIVE, NAN, MISSING = -4, -3, -2, -1
LARGEST = float(np.finfo(np.float64).max)
STEPS = 256  # of the fixed point within one spread of the reference
REACH = 256  # spreads from the centre, beyond which a value counts as that far in the moments

Role = Literal["input", "prediction", "score", "rule"]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """The bins of one column: bin i holds ``edges[i] <= x < edges[i + 1]``.

    A category has a bin for each of ``names``, then one for ``others`` (rare on the reference) and one for names that the
    reference has never seen. ``centre`` and ``unit`` are what moments are counted in: whole units from the centre.
    """

    name: str
    kind: Literal["number", "category"]
    role: Role = "input"
    edges: tuple[float, ...]
    names: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    centre: float = 0.0
    unit: float = 1.0

    @property
    def cells(self) -> int:
        """How many counters the column has."""
        return len(self.edges) - 1 + BEFORE + AFTER

    @property
    def unseen(self) -> int:
        """The code of a category that the reference never had."""
        return len(self.names) + 1

    def codes(self) -> dict[str, int]:
        """The code of each category that is known by name."""
        codes = dict.fromkeys(self.others, len(self.names))
        return codes | {name: code for code, name in enumerate(self.names)}

    def probes(self) -> Floats:
        """Where the counters begin, within sorted values: "-inf" ends at the first, NaN begins at the last."""
        return np.array([-LARGEST, *self.edges, np.inf, np.nan])

    def title(self, cell: int) -> str:
        """A counter in words: "12.5 to 40", "benign", "missing"."""
        b = cell - BEFORE
        if 0 <= b < len(self.edges) - 1:
            return self._bin(b)
        return ("-inf", "below", "above", "inf", "NaN", "missing")[cell if b < 0 else cell - self.cells]

    def _bin(self, b: int) -> str:
        if self.kind == "category":
            return self.names[b] if b < len(self.names) else ("other", "unseen")[b - len(self.names)]
        low, high = self.edges[b], self.edges[b + 1]
        return written(low) if high == np.nextafter(low, np.inf) else f"{written(low)} to {written(high)}"


def number_column(name: str, values: Floats, role: Role = "input", bins: int = BINS) -> Column:
    """Bins of equal shares of the reference's ``values`` (n,); a value that fills a share alone (0, or -1) has its own.

    Where there are few distinct values, each has its own. Values that are not finite are left out of account.
    """
    found = np.sort(values[np.isfinite(values)])
    if not len(found):
        return Column(name=name, kind="number", role=role, edges=(0.0,))
    quantiles = found[np.arange(bins) * len(found) // bins]
    starts, shares = np.unique(quantiles, return_counts=True)
    own = starts[shares > 1]
    distinct = _distinct(found)
    if len(distinct) <= bins:
        starts = own = distinct
    edges = np.unique(np.concatenate([starts, _after(own), _after(found[-1:])]))
    centre = float(found[len(found) // 2])
    unit = _spread(found, centre) / STEPS
    return Column(name=name, kind="number", role=role, edges=tuple(edges.tolist()), centre=centre, unit=unit)


def _distinct(found: Floats) -> Floats:
    """Each value of a sorted array once."""
    first = np.ones(len(found), dtype=bool)
    first[1:] = found[1:] != found[:-1]
    return found[first]


def _after(values: Floats) -> Floats:
    """The next larger numbers; behind the largest of all comes infinity, which is no edge."""
    with np.errstate(over="ignore"):
        return np.minimum(np.nextafter(values, np.inf), LARGEST)


def _spread(found: Floats, centre: float) -> float:
    """What a typical value differs by from the centre, and never nothing."""
    low, high = found[len(found) // 20], found[-1 - len(found) // 20]
    with np.errstate(over="ignore"):
        spread = float(np.std(found[(found >= low) & (found <= high)]))
    if spread > 0 and np.isfinite(spread):
        return spread
    return max(abs(centre), float(np.abs(found).max()), 1.0) / STEPS


def category_column(name: str, values: Sequence[str | None], role: Role = "input", most: int = BINS) -> Column:
    """A bin for each of the ``most`` frequent names of the reference, in the order of how frequent they are."""
    counted = Counter(value for value in values if value is not None)
    by_count = sorted(counted, key=lambda known: (-counted[known], known))
    return named_column(name, by_count[:most], by_count[most : most + MOST_NAMES], role)


def named_column(name: str, names: Sequence[str], others: Sequence[str] = (), role: Role = "input") -> Column:
    """A category whose names are known beforehand, such as those that a contract lists, in this order."""
    edges = tuple(code - 0.5 for code in range(len(names) + 3))
    return Column(name=name, kind="category", role=role, edges=edges, names=tuple(names), others=tuple(sorted(others)))


def offsets(columns: Sequence[Column]) -> Ints:
    """Where the counters of each column begin within those of all; the last is how many there are."""
    return np.concatenate([[0], np.cumsum([column.cells for column in columns], dtype=np.int64)])


def cells_of(columns: Sequence[Column], block: Floats) -> Ints:
    """The counter (n, k) that each value of a block (n, k) belongs to; missing values count as NaN here."""
    cells = np.empty(block.shape, dtype=np.int64)
    for k, column in enumerate(columns):
        cells[:, k] = column.probes().searchsorted(block[:, k], "right")
    return cells


# -- groups: fewer, larger cells to decide by ---------------------------------------------------------------


def grouped(column: Column, counts: Ints, most: int) -> Ints:
    """The group of each counter (cells,): at most about ``most`` of similar size, numbered from 0.

    Neighbouring bins are put together until they hold their share of the reference's ``counts``. What lies below, above, is
    missing or was never seen is a group of its own each, however few rows of the reference it has.
    """
    share = counts.sum() / most
    groups = np.zeros(column.cells, dtype=np.int64)
    groups[BELOW] = groups[NEGATIVE] = 0
    last = len(column.edges) - 1
    if column.kind == "category":
        held = _grouped_names(column, counts[BEFORE : BEFORE + last], share)
    else:
        held = _grouped_neighbours(counts[BEFORE : BEFORE + last], share)
    groups[BEFORE : BEFORE + last] = held + 1
    after = 1 + (int(held.max()) + 1 if last else 0)
    groups[[ABOVE, POSITIVE]] = after
    groups[[NAN, MISSING]] = after + 1
    return groups


def _grouped_neighbours(counts: Ints, share: float) -> Ints:
    group, held = 0, 0
    groups = []
    for count in counts.tolist():
        if held >= share:
            group, held = group + 1, 0
        groups.append(group)
        held += count
    return np.array(groups, dtype=np.int64)


def _grouped_names(column: Column, counts: Ints, share: float) -> Ints:
    """Names that are frequent enough alone; the rare and the other ones together; the unseen ones alone."""
    frequent = [code for code in range(len(column.names)) if counts[code] * 4 >= share]
    groups = np.full(len(counts), len(frequent), dtype=np.int64)
    groups[frequent] = np.arange(len(frequent))
    groups[column.unseen] = len(frequent) + 1
    return groups


def group_titles(column: Column, groups: Ints) -> list[str]:
    """Each group in words."""
    titles = []
    for group in range(int(groups.max()) + 1):
        cells = np.flatnonzero(groups == group)
        titles.append(_group_title(column, cells))
    return titles


def _group_title(column: Column, cells: Ints) -> str:
    inside = cells[(cells >= BEFORE) & (cells < column.cells - AFTER)] - BEFORE
    if not len(inside):
        return column.title(int(cells[0] if cells[0] == column.cells + ABOVE else cells[-1]))
    if len(inside) == 1:
        return column.title(int(inside[0]) + BEFORE)
    if column.kind == "category":
        return "rare"
    return f"{written(column.edges[inside[0]])} to {written(column.edges[inside[-1] + 1])}"


def written(number: float) -> str:
    """A number as a person reads it, to four digits: "35,180", "0.001234", "2.5e-07"."""
    rounded = float(f"{number:.4g}")
    return f"{rounded:,.10g}" if 1e-4 <= abs(rounded) < 1e9 or not rounded else f"{rounded:g}"

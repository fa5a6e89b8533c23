"""Bins: every value has one counter, and the counters of the reference are of use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tenfold.drift.columns import (
    BINS,
    Column,
    category_column,
    cells_of,
    group_titles,
    grouped,
    named_column,
    number_column,
)
from tenfold.drift.counting import Counter

NUMBERS = arrays(np.float64, st.integers(1, 60), elements=st.floats(width=64))


@given(reference=NUMBERS, values=NUMBERS)
def test_every_value_has_exactly_one_counter(reference: np.ndarray, values: np.ndarray) -> None:
    """Counting by sorting, and looking up the bin of each value, agree for any number there is."""
    column = number_column("x", reference)
    counter = Counter([column])
    counter.add(values[:, None], np.zeros((len(values), 1), dtype=bool))
    found = np.bincount(cells_of([column], values[:, None])[:, 0], minlength=column.cells)
    assert counter.take().cells.tolist() == found.tolist()


def test_bins_hold_equal_shares() -> None:
    """A change of a thirtieth of the rows is seen wherever it happens."""
    values = np.random.default_rng(1).exponential(size=20_000)
    column = number_column("x", values)
    held = np.bincount(cells_of([column], values[:, None])[:, 0], minlength=column.cells)
    assert len(column.edges) == BINS + 1
    assert held[2:-4].min() > 0.9 * len(values) / BINS


def test_a_value_that_comes_often_has_its_own_bin() -> None:
    """A zero for "none", or a -1 for "never", is not mixed with its neighbours."""
    values = np.concatenate([np.full(500, -1.0), np.random.default_rng(2).normal(size=500)])
    column = number_column("days since contact", values)
    cell = cells_of([column], np.array([[-1.0], [-0.999], [-1.001]]))[:, 0]
    assert len(set(cell.tolist())) == 3
    assert column.title(int(cell[0])) == "-1"


def test_few_values_have_a_bin_each() -> None:
    """A field of whole numbers is compared value by value, and a value between them is something new."""
    column = number_column("rooms", np.array([1.0, 2, 2, 3, 3, 3]))
    assert {"1", "2", "3", "1 to 2"} <= {column.title(cell) for cell in range(column.cells)}


@pytest.mark.parametrize("values", [[], [np.nan], [np.inf, -np.inf], [7.0], [1e308, -1e308]])
def test_any_reference_makes_bins(values: list[float]) -> None:
    """An empty column, a constant, infinities: the column is there, and counts."""
    column = number_column("x", np.array(values, dtype=np.float64))
    counter = Counter([column])
    counter.add(np.array([[7.0], [np.nan], [-np.inf]]))
    assert counter.take().cells.sum() == 3


def test_categories_are_known_rare_or_unseen() -> None:
    """The frequent names have a bin, the rare ones share one, and what the reference never had is told from both."""
    column = category_column("port", ["S", "S", "S", "C", "C", "Q", None], most=2)
    assert column.codes() == {"S": 0, "C": 1, "Q": 2}
    assert column.unseen == 3
    assert [column.title(cell) for cell in range(2, 6)] == ["S", "C", "other", "unseen"]


def test_groups_are_few_and_named() -> None:
    """A histogram for a person has a dozen bars, of similar size, with what they hold."""
    values = np.random.default_rng(3).normal(size=5000)
    column = number_column("x", values)
    counter = Counter([column])
    counter.add(values[:, None])
    groups = grouped(column, counter.take().cells, 12)
    titles = group_titles(column, groups)
    assert len(titles) == groups.max() + 1 <= 16
    assert (titles[0], titles[-2], titles[-1]) == ("below", "above", "missing")


def test_rare_names_are_grouped_and_unseen_ones_are_not() -> None:
    """A name that nobody has seen stands out, however rare it is."""
    column: Column = named_column("c", ["a", "b", "c"])
    counts = np.zeros(column.cells, dtype=np.int64)
    counts[2:5] = [500, 490, 1]
    titles = group_titles(column, grouped(column, counts, 12))
    assert titles == ["below", "a", "b", "rare", "unseen", "above", "missing"]

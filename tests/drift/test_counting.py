"""Counters add up: bit for bit, in any order, from any number of replicas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.drift.columns import MISSING, NAN, Floats, category_column, number_column
from tenfold.drift.counting import Counter, Counts, count_column
from tenfold.drift.profile import pack, unpack

RANDOM = np.random.default_rng(11)
TABLE = np.column_stack(
    [
        RANDOM.normal(3, 2, 3000),
        RANDOM.lognormal(5, 3, 3000),
        RANDOM.integers(0, 4, 3000),
        np.where(RANDOM.random(3000) < 0.2, np.nan, RANDOM.normal(size=3000)),
        np.where(RANDOM.random(3000) < 0.01, np.inf, -RANDOM.random(3000)),
    ]
)
COLUMNS = [
    number_column("normal", TABLE[:, 0]),
    number_column("heavy", TABLE[:, 1]),
    category_column("kind", ["a", "b", "c"] * 9),
    number_column("gaps", TABLE[:, 3]),
    number_column("infinite", TABLE[:, 4]),
]


def counted(*blocks: Floats, rows_at_once: int = 256) -> Counts:
    """The counts of blocks by one replica."""
    counter = Counter(COLUMNS, rows_at_once)
    for block in blocks:
        counter.add(block)
    return counter.take()


WHOLE = pack(counted(TABLE))


@given(
    cuts=st.lists(st.integers(0, 3000), max_size=12),
    replicas=st.integers(1, 4),
    rows_at_once=st.sampled_from([1, 7, 256, 10_000]),
    seed=st.integers(0, 99),
)
def test_replicas_in_any_order_equal_the_single_pass(
    cuts: list[int], replicas: int, rows_at_once: int, seed: int
) -> None:
    """However rows are spread over replicas, cut into batches and merged, the profile is the same to the last bit."""
    order = np.random.default_rng(seed).permutation(len(TABLE))
    blocks = np.split(TABLE[order], sorted(cuts))
    parts = [counted(*blocks[k::replicas], rows_at_once=rows_at_once) for k in range(replicas)]
    total = Counts.none(COLUMNS)
    for k in np.random.default_rng(seed + 1).permutation(replicas):
        total = total.merge(parts[k])
    assert pack(total) == WHOLE


def test_columns_that_are_counted_alone_make_the_same_counts() -> None:
    """A table that is read column by column gives what a service gives that sees rows."""
    missing = np.isnan(TABLE)
    alone = [count_column(column, TABLE[:, k], missing[:, k]) for k, column in enumerate(COLUMNS)]
    assert pack(Counts.beside(alone)) == WHOLE


def test_counts_survive_being_kept() -> None:
    """What is written down and read again is the same."""
    assert pack(unpack(WHOLE, Counts)) == WHOLE


def test_taking_hands_over_what_came_since() -> None:
    """A replica that reports every minute reports each row once."""
    counter = Counter(COLUMNS)
    counter.add(TABLE[:100])
    first = counter.take()
    counter.add(TABLE[100:])
    assert pack(first.merge(counter.take())) == WHOLE
    assert counter.take().rows == 0


def test_moments_are_those_of_the_values() -> None:
    """Fixed point loses less than anybody would notice: a five-hundredth of a typical deviation."""
    mean, deviation = counted(TABLE).moments(COLUMNS)
    assert mean[0] == pytest.approx(TABLE[:, 0].mean(), abs=2e-3)
    assert deviation[0] == pytest.approx(TABLE[:, 0].std(), rel=1e-3)
    assert mean[3] == pytest.approx(np.nanmean(TABLE[:, 3]), abs=2e-3)


def test_extremes_are_exact() -> None:
    """The smallest and the largest finite value are those that came."""
    counts = counted(TABLE)
    finite = TABLE[np.isfinite(TABLE[:, 4]), 4]
    assert (counts.least[4], counts.most[4]) == (finite.min(), finite.max())


def test_missing_is_not_nan() -> None:
    """What did not come and what came as NaN are counted apart."""
    counter = Counter(COLUMNS[:1])
    counter.add(np.array([[np.nan], [np.nan], [1.0]]), np.array([[True], [False], [False]]))
    cells = counter.take().cells
    assert (cells[MISSING], cells[NAN]) == (1, 1)


def test_a_value_far_out_counts_as_far() -> None:
    """One absurd number does not overflow, nor drown the mean of all others beyond use."""
    counts = counted(np.vstack([TABLE, [1e300, 1e300, 0, 0, 0]]))
    mean, _ = counts.moments(COLUMNS)
    assert mean[0] == pytest.approx(3, abs=1)
    assert counts.most[0] == 1e300

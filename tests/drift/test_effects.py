"""How far a field has moved: nothing where nothing did, for few rows and for many."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tenfold.drift.effects import Baseline, baseline, moved, regroup, score

GROUPS = 12


def counts(random: np.random.Generator, n: int, shift: float = 0.0) -> np.ndarray:
    """The groups of n normal values; the groups are equally likely where there is no shift."""
    edges = stats.norm.ppf(np.arange(1, GROUPS) / GROUPS)
    return np.bincount(edges.searchsorted(random.normal(shift, 1, n)), minlength=GROUPS)


@pytest.mark.parametrize("n", [50, 1000, 100_000])
def test_chance_moves_nothing(n: int) -> None:
    """The same distribution, sampled again, is not drift, whether of fifty rows or of a hundred thousand."""
    random = np.random.default_rng(n)
    reference = counts(random, 50_000)
    found = [moved(reference, counts(random, n)) for _ in range(40)]
    shares = np.array([share for share, _ in found])
    assert abs(shares.mean()) < 0.02
    assert (shares < 3 * found[0].error).all()


def test_a_shift_is_the_share_of_rows_that_moved() -> None:
    """Half a standard deviation moves a fifth of the rows: 2Φ(1/4) - 1."""
    random = np.random.default_rng(1)
    share, error = moved(counts(random, 50_000), counts(random, 20_000, 0.5))
    assert share == pytest.approx(2 * stats.norm.cdf(0.25) - 1, abs=0.03)
    assert error == pytest.approx(0.5 / np.sqrt(20_000))


def test_nothing_to_compare_is_not_a_number() -> None:
    """A column without a reference is left out, not a reason to fail."""
    assert np.isnan(moved(np.zeros(3, dtype=np.int64), np.array([1, 2, 3])).share)


def test_groups_add_up() -> None:
    """Counters are summed by group, one window or many at once."""
    groups = np.array([0, 1, 1, 0])
    assert regroup(np.array([1, 2, 3, 4]), groups).tolist() == [5, 5]
    assert regroup(np.array([[1, 2, 3, 4], [0, 1, 0, 0]]), groups).tolist() == [[5, 5], [0, 1]]


@pytest.mark.parametrize("windows", [3, 10, 40])
@pytest.mark.parametrize("t", [0.5, 2.0, 5.0])
def test_few_windows_prove_less(windows: int, t: float) -> None:
    """A spread that is known from few windows makes Student's t of the ratio, which is turned into a normal one."""
    freedom = windows - 1
    found = score(t, 0.0, 1.0, windows)
    assert found == pytest.approx(stats.norm.isf(stats.t.sf(t, freedom)), rel=0.03)
    assert score(-t, 0.0, 1.0, windows) == -found


def test_a_known_error_proves_what_it_is() -> None:
    """Without a spread between windows the ratio is normal."""
    assert score(3.0, 1.5, 0.0, 2) == 2.0


def test_windows_like_their_neighbours_count_for_fewer() -> None:
    """A persistence of 0.6 makes four windows say what one would say."""
    assert score(1.0, 1.0, 0.0, 9, persistence=0.6) == pytest.approx(0.5)


def test_the_spread_is_what_sampling_does_not_explain() -> None:
    """Windows that differ by chance have no spread, those that differ by more have the rest of it."""
    random = np.random.default_rng(4)
    calm = baseline(random.normal(0, 1, 500), np.ones(500))
    restless = baseline(random.normal(0, np.hypot(1, 3), 500), np.ones(500))
    assert calm.spread < 0.4
    assert restless.spread == pytest.approx(3, rel=0.1)


def test_slow_waves_are_persistent() -> None:
    """Neighbours that resemble each other are noticed; noise is not mistaken for it."""
    random = np.random.default_rng(5)
    assert baseline(np.sin(np.arange(60) / 8), np.full(60, 0.01)).persistence > 0.8
    assert baseline(random.normal(size=400), np.ones(400)).persistence < 0.12


def test_one_window_has_no_spread() -> None:
    """A reference of one window says where it was, and nothing of how it varies."""
    assert baseline(np.array([0.3]), np.array([0.1])) == Baseline(0.3, windows=1)
    assert baseline(np.array([]), np.array([])) == Baseline()

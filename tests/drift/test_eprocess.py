"""Evidence that may be looked at for ever."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.drift.eprocess import Wealth, confidence_sequence, discoveries, wager

THRESHOLD = 20.0


def played(scores: np.ndarray, renewing: bool = False) -> list[Wealth]:
    """The wealth after each window."""
    wealth, history = Wealth(), []
    for window, z in enumerate(scores.tolist()):
        wealth = wager(wealth, z, window, THRESHOLD, renewing)
        history.append(wealth)
    return history


def first(history: list[Wealth], renewing: bool = False) -> int | None:
    """The window at which the evidence reached the threshold."""
    return next((k for k, wealth in enumerate(history) if wealth.evidence(renewing) >= THRESHOLD), None)


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Looked at after each of 200 windows, one run in twenty at most ever raises an alarm while nothing changes."""
    random = np.random.default_rng(1)
    alarms = sum(first(played(random.normal(size=200))) is not None for _ in range(300))
    assert alarms <= 300 / THRESHOLD


def test_false_alarms_that_renew_themselves_are_as_far_apart_as_promised() -> None:
    """A mean of at least twenty windows lies before a false alarm."""
    random = np.random.default_rng(2)
    lengths = [first(played(random.normal(size=400), renewing=True), renewing=True) or 400 for _ in range(200)]
    assert np.mean(lengths) >= THRESHOLD


@pytest.mark.parametrize("healthy", [0, 30, 1000])
def test_a_change_is_found_as_quickly_after_a_long_time(healthy: int) -> None:
    """A thousand quiet windows cost two or three more, not a thousand."""
    history = played(np.concatenate([np.full(healthy, -5.0), np.full(20, 3.0)]))
    found = first(history)
    assert found is not None
    assert found - healthy <= 5
    assert history[found].since == healthy


def test_one_window_that_leaves_no_doubt_is_enough() -> None:
    """Eight standard deviations need no second look."""
    assert first(played(np.array([-1.0, -1.0, 8.0]))) == 2


def test_what_is_over_is_seen_to_be_over() -> None:
    """After a long drift has ended, a few windows are enough to take the alarm back."""
    history = played(np.concatenate([np.full(100, 6.0), np.full(6, -5.0)]))
    assert history[-1].evidence(False) < THRESHOLD


evidences = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 500), min_size=1)


@given(evidence=evidences)
def test_discoveries_are_the_largest_set_that_e_bh_allows(evidence: dict[str, float]) -> None:
    """A brute search over all sets finds the same number of hypotheses to give up."""
    sizes = [
        size
        for size in range(1, len(evidence) + 1)
        for chosen in combinations(evidence, size)
        if min(evidence[name] for name in chosen) * size >= len(evidence) * THRESHOLD
    ]
    found = discoveries(evidence, THRESHOLD)
    assert len(found) == max(sizes, default=0)
    assert all(evidence[name] * len(found) >= len(evidence) * THRESHOLD for name in found)


def test_the_confidence_sequence_holds_at_every_size() -> None:
    """Watched from the thirtieth value to the thousandth, it misses the mean in one run of twenty at most."""
    random = np.random.default_rng(3)
    missed = 0
    for _ in range(200):
        values = random.exponential(size=1000)
        n = np.arange(1, 1001)
        means = np.cumsum(values) / n
        deviations = np.sqrt(np.maximum(np.cumsum(values**2) / n - means**2, 0))
        bounds = [
            confidence_sequence(int(n[k]), float(means[k]), float(deviations[k]), 0.05) for k in range(29, 1000, 5)
        ]
        missed += any(not low <= 1 <= high for low, high in bounds)
    assert missed <= 200 * 0.05 + 5


def test_the_confidence_sequence_closes_in() -> None:
    """More values say more."""
    assert confidence_sequence(0, 0, 1, 0.05) == (-np.inf, np.inf)
    near, far = confidence_sequence(10_000, 0, 1, 0.05), confidence_sequence(100, 0, 1, 0.05)
    assert near[1] < far[1] / 5

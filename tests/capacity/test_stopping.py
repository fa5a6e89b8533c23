"""How many requests show anything, against another way to count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from tenfold.capacity.stopping import at_most, confidence, is_shown, needed


@given(st.integers(1, 20_000), st.floats(0, 1), st.sampled_from([0.001, 0.01, 0.5, 0.9]))
def test_the_sum_is_the_binomial_distribution(requests: int, part: float, share: float) -> None:
    """SciPy comes to the same by another formula."""
    missed = round(part * requests)
    assert at_most(missed, requests, share) == pytest.approx(binom.cdf(missed, requests, share), abs=1e-9)


@given(st.integers(1, 20_000), st.integers(-2, 40))
def test_around_one_in_a_hundred_it_is_exact(requests: int, more: int) -> None:
    """Where it decides anything, to the ninth digit."""
    missed = min(max(requests // 100 + more, 0), requests)
    assert at_most(missed, requests) == pytest.approx(binom.cdf(missed, requests, 0.01), abs=1e-9)


def test_without_a_miss_it_takes_459_requests() -> None:
    """As MLPerf's early stopping has it."""
    assert needed() == 459
    assert is_shown(459, 0)
    assert not is_shown(458, 0)


@given(st.integers(0, 200))
def test_what_is_needed_is_the_least_that_shows(missed: int) -> None:
    """One request fewer shows nothing."""
    requests = needed(missed)
    assert is_shown(requests, missed)
    assert not is_shown(requests - 1, missed)


def test_a_hundred_requests_show_little() -> None:
    """A short run says how little it says."""
    assert confidence(100, 0) == pytest.approx(1 - 0.99**100)
    assert confidence(0, 0) == 0

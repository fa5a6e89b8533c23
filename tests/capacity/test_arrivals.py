"""When requests come."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import expon, kstest

from tenfold.capacity.arrivals import poisson


def test_gaps_are_those_of_a_poisson_process() -> None:
    """Exponential gaps, as of many clients who know nothing of each other."""
    moments = list(poisson(1000, 20, seed=3))
    gaps = [after - before for before, after in pairwise(moments)]
    assert kstest(gaps, expon(scale=1 / 1000).cdf).pvalue > 0.01
    assert abs(len(moments) - 20_000) < 4 * 20_000**0.5


@given(st.floats(0.1, 1000), st.floats(0.01, 2), st.integers(0, 1000))
def test_the_same_seed_gives_the_same_moments(per_s: float, seconds: float, seed: int) -> None:
    """In order, within the time, and again and again."""
    moments = list(poisson(per_s, seconds, seed))
    assert moments == list(poisson(per_s, seconds, seed)) == sorted(moments)
    assert all(0 < moment < seconds for moment in moments)

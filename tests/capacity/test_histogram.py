"""Latencies in buckets, against the latencies themselves."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.capacity.histogram import Histogram, end_s

LATENCIES = st.lists(st.floats(1e-6, 4000), min_size=1, max_size=200)


def counted(latencies: list[float]) -> Histogram:
    """A histogram of these."""
    histogram = Histogram()
    for latency in latencies:
        histogram.add(latency)
    return histogram


@given(LATENCIES, st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_never_too_small_and_hardly_too_large(latencies: list[float], share: float) -> None:
    """From a microsecond to an hour it is at most a hundredth, or a microsecond, above the true one."""
    truth = sorted(latencies)[math.ceil(share * len(latencies)) - 1]
    found = counted(latencies).quantile(share)
    assert truth <= found <= truth * 1.008 + 1.1e-6


@given(LATENCIES, LATENCIES)
def test_two_histograms_add_up(ours: list[float], theirs: list[float]) -> None:
    """Counting apart and adding is counting together."""
    together = Histogram([*counted(ours).pairs(), *counted(theirs).pairs()])
    assert together.counts == counted(ours + theirs).counts
    assert together.total == len(ours) + len(theirs)


@given(LATENCIES, st.floats(1e-5, 4000))
def test_the_share_within_a_time(latencies: list[float], seconds: float) -> None:
    """It counts what is surely within, and misses only what shares a bucket with the limit."""
    found = counted(latencies).share_within(seconds)
    sure = sum(latency <= seconds / 1.01 - 2e-6 for latency in latencies) / len(latencies)
    assert sure <= found <= sum(latency <= seconds for latency in latencies) / len(latencies)


def test_nothing_and_too_much() -> None:
    """An empty histogram has quantiles, and days end up in the last bucket."""
    assert Histogram().quantile(0.99) == 0
    assert Histogram().share_within(1) == 0
    assert counted([86400.0, -1.0]).total == 2


def test_buckets_follow_each_other() -> None:
    """Each begins where the last ended, and is at most 0.8 % wide above 128 µs."""
    ends = [end_s(bucket) for bucket in range(2000)]
    assert ends == sorted(set(ends))
    assert all((after - before) / before < 0.0079 for before, after in pairwise(ends[128:]))
    for bucket in (0, 1, 255, 256, 257, 1999):
        assert counted([end_s(bucket) - 0.4e-6]).pairs() == [(bucket, 1)]
    assert end_s(0) == pytest.approx(1e-6)

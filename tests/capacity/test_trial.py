"""One rate, tried: what counts as kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.capacity.trial import Trial, by_rate, pooled


def trial(**changes: Any) -> Trial:
    """A thousand requests in ten seconds, some of them changed."""
    return Trial(**{"rate": 100.0, "seconds": 10.0, "requests": 1000, "good": 1000} | changes)


def test_one_in_a_hundred_may_miss() -> None:
    """The deadline is a matter of the 99th percentile."""
    assert trial(good=990, late=10).kept
    assert not trial(good=989, late=11).kept


@pytest.mark.parametrize("why", ["late", "refused", "fallback", "failed", "broken", "silent"])
def test_whatever_is_no_good_answer_in_time_has_missed(why: str) -> None:
    """Refusing quickly is no way to keep a deadline."""
    assert trial(good=900, **{why: 100}).missed == 100
    assert not trial(good=900, **{why: 100}).kept


def test_what_piles_up_is_not_kept() -> None:
    """All may be in time, and yet more come than are answered."""
    assert trial(piled=30).kept
    assert not trial(piled=60).kept
    assert trial(requests=100_000, good=100_000, piled=900).kept
    assert not trial(requests=100_000, good=100_000, piled=1100).kept


def test_a_short_trial_shows_nothing() -> None:
    """A hundred requests without a miss are kept, and no proof."""
    assert trial(requests=100, good=100).kept
    assert not trial(requests=100, good=100).shown
    assert trial().shown
    assert not trial(requests=0, good=0).kept


def test_a_miss_may_be_our_own_fault() -> None:
    """Where the load generator was late for half of what missed, nobody can tell."""
    assert trial(good=500, late=500).hopeless
    assert not trial(good=500, late=500, behind=300).hopeless
    assert trial(good=500, late=500, behind=300).doubtful
    assert not trial(good=980, late=20).hopeless
    assert not trial(behind=9).doubtful


def test_goodput_counts_rows_that_were_in_time() -> None:
    """A request may have several rows."""
    assert trial(good=500, rows_each=4.0).goodput == 200.0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(1, 1000)), min_size=1, max_size=5))
def test_trials_of_a_rate_are_one_that_was_interrupted(counts: list[tuple[int, int, int]]) -> None:
    """Requests, misses and latencies add up."""
    some = [
        trial(requests=good + late, good=good, late=late, latency=((bucket, good + late),))
        for good, late, bucket in counts
    ]
    together = pooled(some)
    assert together.requests == sum(one.requests for one in some)
    assert together.missed == sum(one.missed for one in some)
    assert together.seconds == 10.0 * len(some)
    assert sum(count for _, count in together.latency) == together.requests
    assert by_rate([*some, trial(rate=50.0)]) == (trial(rate=50.0), together)

"""Whether the bets on harm are fair, and what they win."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.releases.evidence import RATIOS, Evidence, Tally, log_mean

BEFORE = Evidence().after(Tally(3, 40, 2, 60))


def chances(of: int, share: float) -> list[float]:
    """The probability of each number of bad requests, of so many."""
    return [math.comb(of, bad) * share**bad * (1 - share) ** (of - bad) for bad in range(of + 1)]


def mean(won: Callable[[int, int], float], new: list[float], old: list[float]) -> float:
    """What is won on average, where the numbers of bad requests at both releases have these probabilities."""
    return sum(p * q * math.exp(won(x, y)) for x, p in enumerate(new) for y, q in enumerate(old))


sizes, shares = st.integers(1, 12), st.floats(0.001, 0.45)


@given(sizes, sizes, shares, st.floats(0, 1))
def test_nothing_is_won_on_average_where_there_is_no_harm(
    new_of: int, old_of: int, share: float, better: float
) -> None:
    """Whatever share of the requests the new release got, a release that is as good or better is not found harmful sooner
    or later: the wealth of the bets is expected to stay or to fall."""

    def won(new_bad: int, old_bad: int) -> float:
        return BEFORE.after(Tally(new_bad, new_of, old_bad, old_of)).harm() - BEFORE.harm()

    assert mean(won, chances(new_of, share * better), chances(old_of, share)) <= 1 + 1e-9


@given(sizes, sizes, st.integers(0, 24))
def test_nothing_is_won_on_average_where_requests_are_assigned_at_random(new_of: int, old_of: int, bad: int) -> None:
    """However many requests of an hour are bad, and for whatever reason: where they fall is chance."""
    of, total = new_of + old_of, 0.0
    bad = min(bad, of)
    for new_bad in range(max(0, bad - old_of), min(bad, new_of) + 1):
        chance = math.comb(new_of, new_bad) * math.comb(old_of, bad - new_bad) / math.comb(of, bad)
        total += chance * math.exp(Evidence().after(Tally(new_bad, new_of, bad - new_bad, old_of)).harm())
    assert total <= 1 + 1e-9


@given(
    sizes, sizes, st.floats(0.001, 0.04), st.sampled_from([ratio for ratio in RATIOS if ratio > 1]), st.floats(1, 1.2)
)
def test_harm_is_not_ruled_out_where_there_is_some(
    new_of: int, old_of: int, share: float, ratio: float, worse: float
) -> None:
    """A release that is so much worse does not prove the opposite on average, by the ratio or by the share."""
    harmful = min(share * ratio * worse, 1.0)

    def won(new_bad: int, old_bad: int) -> float:
        return Evidence().after(Tally(new_bad, new_of, old_bad, old_of)).ruled_out(ratio, harmful / worse)

    assert mean(won, chances(new_of, harmful), chances(old_of, share)) <= 1 + 1e-9


@given(st.integers(1, 20), st.floats(0, 0.5))
def test_copies_prove_nothing_where_both_fail_alike(pairs: int, share: float) -> None:
    """Of requests that one of two releases failed, at most half are the new one's if it is no worse."""
    total = sum(
        chance * math.exp(Evidence().after_pairs(new_alone, pairs - new_alone).harm())
        for new_alone, chance in enumerate(chances(pairs, share))
    )
    assert total <= 1 + 1e-9


tallies = st.builds(
    lambda new_bad, new_of, old_bad, old_of: Tally(min(new_bad, new_of), new_of, min(old_bad, old_of), old_of),
    *[st.integers(0, 50)] * 4,
)


@given(st.lists(tallies, max_size=8))
def test_evidence_is_the_product_of_its_events(blocks: list[Tally]) -> None:
    """Block by block or event by event, and in whatever order: the same requests say the same."""
    evidence, likelihoods = Evidence(), [0.0] * len(RATIOS)
    for block in blocks:
        evidence = evidence.after(block)
        if block.new_of and block.old_of:
            share = block.new_of / block.of
            for k, ratio in enumerate(RATIOS):
                from_new = share * ratio / (share * ratio + 1 - share)
                likelihoods[k] += block.new_bad * math.log(from_new / share)
                likelihoods[k] += block.old_bad * math.log((1 - from_new) / (1 - share))
    assert evidence.likelihoods == pytest.approx(likelihoods, abs=1e-6)
    assert evidence.counts.of == sum(block.of for block in blocks)
    backwards = Evidence()
    for block in reversed(blocks):
        backwards = backwards.after(block)
    assert backwards.likelihoods == pytest.approx(evidence.likelihoods, abs=1e-6)


@given(tallies, tallies)
def test_counters_that_began_anew_count(before: Tally, after: Tally) -> None:
    """A server that was restarted counts from nought, and what it counts is not lost, nor taken away."""
    more = after.since(before)
    assert min(more.new_bad, more.new_of, more.old_bad, more.old_of) >= 0
    assert before.plus(after).since(before) == after


def test_one_side_alone_compares_nothing() -> None:
    """Requests that only one release answered are counted, and say nothing of the other."""
    assert Evidence().after(Tally(5, 10, 0, 0)) == Evidence(Tally(5, 10, 0, 0))
    assert Evidence().after(Tally(0, 0, 5, 10)).harm() == 0


def test_no_bad_request_in_many_rules_harm_out() -> None:
    """Of 299 requests none is bad: by the usual rule, at most one in a hundred is, with a probability of 95 %."""
    won = partial(Evidence(Tally(0, 299, 0, 299)).ruled_out_share, 0.01)
    assert 0.5 * 20 < math.exp(won()) < 20
    assert Evidence(Tally(299, 299, 0, 299)).ruled_out_share(0.01) < -100


def test_means_of_what_is_huge() -> None:
    """A release that fails everything is no overflow."""
    assert log_mean([1000.0, 1000.0]) == pytest.approx(1000.0)
    assert log_mean([-math.inf, 0.0]) == pytest.approx(math.log(0.5))
    assert math.isfinite(Evidence().after(Tally(10**9, 10**9, 0, 10**9)).harm())

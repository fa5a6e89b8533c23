"""What the evidence of a canary amounts to."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.releases import Releases
from tenfold.releases.evidence import RATIOS, Evidence, Guard, Tally
from tenfold.releases.verdicts import (
    PROOF,
    Target,
    harmed,
    harmed_in_bake,
    requests_needed,
    steps,
    target,
    unproven,
)

POLICY = Releases()


def test_a_small_step_asks_for_little() -> None:
    """What is exposed to a tenth of the traffic may be ten times as bad for the same harm."""
    assert target(POLICY, 1.0) == Target(2.0, 0.001)
    assert target(POLICY, 0.5) == Target(3.0, 0.002)
    assert target(POLICY, 0.1) == Target(10.0, 0.01)
    assert target(POLICY, 0.0001) == Target(20.0, 0.5)
    assert target(Releases(harm_ratio=1.05), 1.0).ratio == 1.1


@given(st.floats(1.001, 20), st.floats(0.001, 1))
def test_what_is_to_be_ruled_out_can_be(harm_ratio: float, exposed: float) -> None:
    """Whatever is declared, it is one of the ratios that are counted."""
    wanted = target(Releases(harm_ratio=harm_ratio), exposed)
    assert wanted.ratio in RATIOS
    assert 1 < wanted.ratio <= max(1.1, 1 + (harm_ratio - 1) / exposed + 1e-6)
    assert 0 < wanted.share <= 0.5


def test_harm_is_found_in_any_kind() -> None:
    """The kind that shows it is named."""
    good, bad = Evidence().after(Tally(10, 1000, 30, 3000)), Evidence().after(Tally(30, 1000, 9, 3000))
    assert harmed(POLICY, {}) is None
    assert harmed(POLICY, {Guard.ERRORS: good, Guard.LATE: good, Guard.ANY: good}) is None
    assert harmed(POLICY, {Guard.ERRORS: good, Guard.LATE: bad, Guard.ANY: bad}) is Guard.LATE
    assert harmed(Releases(guard_rails=("errors",)), {Guard.ERRORS: good, Guard.LATE: bad}) is None


def test_harm_that_is_tolerable_is_none() -> None:
    """Twenty bad requests in a hundred thousand where there were none: more, and still none that anybody minds."""
    evidence = Evidence().after(Tally(20, 100_000, 0, 100_000))
    assert harmed(POLICY, {Guard.ERRORS: evidence, Guard.ANY: evidence}) is None
    assert harmed(Releases(tolerable="0.01%"), {Guard.ERRORS: evidence, Guard.ANY: evidence}) is Guard.ERRORS


def test_labels_are_not_waited_for() -> None:
    """Labels come after weeks; what they say counts, and that they are missing does not."""
    none = Evidence().after(Tally(0, 10_000, 0, 10_000))
    wanted = target(POLICY, 1.0)
    assert unproven(POLICY, {Guard.ERRORS: none, Guard.LABELS: Evidence()}, wanted) == []
    assert unproven(POLICY, {Guard.LABELS: none}, wanted) != []
    wrong = Evidence().after(Tally(90, 100, 20, 100))
    assert harmed(POLICY, {Guard.ERRORS: none, Guard.ANY: none, Guard.LABELS: wrong}) is Guard.LABELS


def test_nothing_is_proven_where_nothing_is_counted() -> None:
    """A canary that nobody asks, or whose requests nobody counts, is not taken for a good one."""
    assert unproven(POLICY, {}, target(POLICY, 0.1)) != []
    silent = {Guard.ERRORS: Evidence().after(Tally(0, 0, 0, 10**6))}
    assert unproven(POLICY, silent, target(POLICY, 0.1)) != []


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("bad", [0.0, 0.01, 0.05])
def test_how_many_requests_are_needed_is_about_right(share: float, bad: float) -> None:
    """If the new release is as good as the old one, the verdict comes when it was announced, or a little earlier."""
    wanted = target(POLICY, {0.01: 0.1, 0.1: 0.5, 0.5: 1.0}[share])
    before = Evidence(Tally(0, 0, round(bad * 10**6), 10**6))
    needed = requests_needed(before, wanted, share)
    taken = 0.0
    while _expected(bad, share, taken).ruled_out(*wanted) < PROOF:
        taken += max(needed / 100, 1.0)
    assert 0.6 * needed < taken < 1.2 * needed
    half = _expected(bad, share, taken / 2)
    assert requests_needed(half, wanted, share) < 0.8 * needed
    assert requests_needed(_expected(bad, share, taken), wanted, share) == 0


def _expected(bad: float, share: float, new_of: float) -> Evidence:
    """The evidence after so many requests to the new release, of which as many are bad as is to be expected."""
    new_bad, all_bad = bad * new_of, bad * new_of / share
    likelihoods = [new_bad * math.log(ratio) - all_bad * math.log(share * ratio + 1 - share) for ratio in RATIOS]
    old_of = new_of / share - new_of
    return Evidence(Tally(round(new_bad), round(new_of), round(bad * old_of), round(old_of)), tuple(likelihoods))


@given(*[st.integers(0, 300)] * 4, st.floats(0.001, 0.999))
def test_an_end_is_always_in_sight(new_bad: int, new_of: int, old_bad: int, old_of: int, share: float) -> None:
    """Whatever was counted, a number of requests can be told, and nothing is divided by nought."""
    evidence = Evidence().after(Tally(min(new_bad, new_of), new_of, min(old_bad, old_of), old_of))
    assert 0 <= requests_needed(evidence, Target(2.0, 0.001), share) < math.inf


def test_steps_are_those_that_the_traffic_fills() -> None:
    """Each step of ``auto`` is to come to its verdict within the hour; the last one is always there."""
    known = {Guard.ERRORS: Evidence(Tally(0, 0, 0, 1000))}
    auto = Releases("auto")
    assert steps(POLICY, known, 0.0) == POLICY.ratios
    assert steps(auto, known, 1000.0) == (0.01, 0.1, 0.5)
    assert steps(auto, known, 10.0) == (0.1, 0.5)
    assert steps(auto, known, 0.01) == steps(auto, {}, 0.0) == (0.5,)


def test_the_bake_holds_a_release_against_what_was_before() -> None:
    """With all traffic on one release, only harm beyond doubt counts, and only what is its own fault."""
    old = Tally(0, 0, 20, 10_000)

    def baked(guard: Guard, bad: int, of: int) -> Guard | None:
        return harmed_in_bake(POLICY, {guard: Evidence(old.plus(Tally(bad, of, 0, 0)))})

    assert baked(Guard.ERRORS, 5, 1000) is None
    assert baked(Guard.ERRORS, 50, 1000) is Guard.ERRORS
    assert baked(Guard.VIOLATIONS, 50, 1000) is None
    assert harmed_in_bake(POLICY, {Guard.ERRORS: Evidence(Tally(50, 1000, 0, 0))}) is None

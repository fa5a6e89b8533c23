"""The search for the highest rate, held against servers on paper whose capacity is known."""

from __future__ import annotations

import random
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.capacity.knee import Found, Plan, Tried, Try, bracket, next_try, verdict
from tenfold.capacity.trial import Trial
from tests.capacity.queues import Queue, drive, search

QUEUES = {
    "one at a time": Queue(deadline_s=0.05, fixed_s=0.002),
    "a deadline that hides a queue": Queue(deadline_s=1.0, fixed_s=0.002),
    "batches": Queue(deadline_s=0.05, fixed_s=0.004, each_s=0.0002, most=64),
    "refuses what is late": Queue(deadline_s=0.05, fixed_s=0.002, sheds=True),
    "on an uneven machine": Queue(deadline_s=0.05, fixed_s=0.002, hiccups=0.05),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", QUEUES)
def test_the_capacity_of_a_server_is_found(name: str) -> None:
    """Whatever chance sends, what is found is within a tenth of the truth, and mostly much closer."""
    queue = QUEUES[name]
    truth = queue.capacity()
    found = [search(queue, seed)[0] for seed in range(6)]
    shares = [one.shown.rate / truth for one in found if one.shown]
    assert len(shares) == len(found)
    assert 0.88 < min(shares) <= max(shares) < 1.08
    assert median(shares) == pytest.approx(1, abs=0.06)
    assert all(one.missed and one.missed.rate <= 1.35 * one.shown.rate for one in found if one.shown)


def test_a_capacity_is_shown_and_not_just_seen() -> None:
    """What is found was kept for two long trials, with enough requests to be sure."""
    found, tried = search(QUEUES["one at a time"], 3)
    assert found.shown is not None
    shows = [one.trial for one in tried if one.purpose == "show" and one.trial.rate == found.shown.rate]
    assert len(shows) >= 2
    assert found.shown.requests == sum(trial.requests for trial in shows)
    assert found.shown.confidence > 0.99


def test_the_curve_is_drawn_on_both_sides_of_the_knee() -> None:
    """There are rates from a tenth of the capacity to a quarter above it."""
    found, tried = search(QUEUES["one at a time"], 1)
    assert found.shown is not None
    shares = sorted(one.trial.rate / found.shown.rate for one in tried)
    assert shares[0] < 0.12
    assert shares[-1] > 1.15
    assert all(after / before < 2.7 for before, after in pairwise(shares))


def test_a_service_that_is_too_slow_for_its_deadline_has_no_capacity() -> None:
    """Where even an idle server is late, the search ends, and soon."""
    found, tried = search(Queue(deadline_s=0.05, fixed_s=0.08), 1)
    assert found == Found(None, found.missed)
    assert len(tried) < 12


def test_a_promise_that_is_kept_is_measured_where_it_was_made() -> None:
    """The promised rate is a point of the curve, and the search goes on beyond it."""
    found, tried = search(QUEUES["one at a time"], 1, promised=200.0)
    assert found.shown is not None
    assert found.shown.rate > 400
    assert tried[0].trial.rate == 200.0


def test_a_promise_that_just_holds_is_not_missed_by_the_step() -> None:
    """The looks stop a little below the capacity; a promise in the gap is tried in full length."""
    queue = QUEUES["batches"]
    promised = 0.95 * queue.capacity()
    found, tried = search(queue, 5, promised=promised)
    assert found.shown is not None
    assert found.shown.rate >= promised or ("show", promised) in [(one.purpose, one.trial.rate) for one in tried]


def test_a_slow_service_is_not_tried_for_ever() -> None:
    """One row in two seconds: the search takes what time it needs, within a bound, and says how sure it is."""
    found, tried = search(Queue(deadline_s=5.0, fixed_s=2.0), 1, show_s=5.0)
    assert found.shown is not None
    assert found.shown.confidence < 0.99
    assert max(one.trial.seconds for one in tried) <= 60.0


def outcome(rate: float, seconds: float, dice: random.Random) -> Trial:
    """Anything at all."""
    requests = dice.randrange(0, 2000)
    good = dice.choice((0, requests, dice.randint(0, requests)))
    piled = dice.randint(-requests, requests)
    return Trial(
        rate=rate, seconds=seconds, requests=requests, good=good, piled=piled, behind=dice.randint(0, requests)
    )


@given(st.integers(0, 10**6), st.floats(1e-3, 1e5), st.floats(1e-5, 10.0), st.one_of(st.none(), st.floats(0.1, 1e5)))
def test_the_search_ends_whatever_happens(seed: int, first: float, alone_s: float, promised: float | None) -> None:
    """A server that behaves as it likes is no reason to go on for ever, nor to fall over."""
    found, tried = drive(outcome, Plan(first, alone_s, 10.0, 1.0, promised), seed)
    if found.shown:
        assert verdict([one.trial for one in tried if one.purpose == "show" and one.trial.rate == found.shown.rate])
    if found.shown and found.missed:
        assert found.missed.rate > found.shown.rate


@given(st.integers(0, 10**6))
def test_the_same_trials_give_the_same_answer(seed: int) -> None:
    """The decider remembers nothing of its own."""
    plan = Plan(100.0, 0.001)
    found, tried = drive(outcome, plan, seed)
    assert next_try(plan, tried) == found
    for known in range(len(tried)):
        step = next_try(plan, tried[:known])
        assert isinstance(step, Try)
        assert (step.rate, step.purpose) == (tried[known].trial.rate, tried[known].purpose)


def kept(rate: float) -> Trial:
    """A rate at which all was in time."""
    return Trial(rate=rate, seconds=2, requests=1000, good=1000)


def missed(rate: float, share: float) -> Trial:
    """A rate at which a share was not."""
    return Trial(rate=rate, seconds=2, requests=1000, good=round(1000 * (1 - share)))


def test_a_look_that_failed_by_little_is_repeated() -> None:
    """A neighbour on the machine may have spoilt it."""
    plan = Plan(100.0, 0.001)
    tried = [Tried("look", kept(100.0)), Tried("look", missed(200.0, 0.03))]
    again = next_try(plan, tried)
    assert isinstance(again, Try)
    assert again.rate == 200.0
    assert bracket({100.0: [kept(100.0)], 200.0: [missed(200.0, 0.03), kept(200.0)]})[0] == 200.0


def test_a_look_that_failed_by_far_is_not() -> None:
    """The next rate is between it and what was kept."""
    step = next_try(Plan(100.0, 0.001), [Tried("look", kept(100.0)), Tried("look", missed(200.0, 0.5))])
    assert isinstance(step, Try)
    assert 100.0 < step.rate < 200.0


def test_the_time_left_is_told() -> None:
    """It is never negative, and does not grow from one long trial to the next."""
    _, tried = search(QUEUES["one at a time"], 2)
    plan = Plan(250.0, 0.002)
    left = [step.left_s for known in range(len(tried)) if isinstance(step := next_try(plan, tried[:known]), Try)]
    assert left[-1] > 0
    assert left[-1] <= left[-3]

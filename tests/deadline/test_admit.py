"""Who is let in, and who is told at once that it would be too late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline import Admit, Cost, Queue, Refuse, admit, bucket

SECONDS = st.floats(0, 10)
OBSERVATIONS = st.lists(st.tuples(st.integers(1, 64), st.floats(1e-6, 5)), max_size=40)


@st.composite
def _costs(draw: st.DrawFn) -> Cost:
    """A cost after any history of observations."""
    cost = Cost(draw(st.integers(1, 64)), draw(SECONDS))
    for rows, took_s in draw(OBSERVATIONS):
        cost.observe(min(rows, cost.max_rows), took_s)
    return cost


QUEUES = st.builds(Queue, st.integers(0, 100_000), st.integers(0, 9), st.integers(0, 64))


def _steady(seconds: float, max_rows: int = 64) -> Cost:
    cost = Cost(max_rows)
    for rows in (1, 8, max_rows):
        cost.observe(rows, seconds)
    return cost


def test_rows_that_fit_before_their_deadline_are_admitted() -> None:
    """A short queue and enough time: the request is taken."""
    assert isinstance(admit(Queue(64, 1, 1), 1, _steady(0.01), due=0.05, now=0.0), Admit)


def test_rows_behind_a_long_queue_are_refused_at_once() -> None:
    """A client hears in no time that it would be late, why, and when to come back."""
    refusal = admit(Queue(640, 1, 1), 1, _steady(0.01), due=0.05, now=0.0)
    assert isinstance(refusal, Refuse)
    assert refusal.reason == "640 rows wait; an answer would take 120 ms of 50 ms"
    assert refusal.retry_after_s == pytest.approx(0.07)


def test_more_replicas_answer_the_same_queue_in_time() -> None:
    """The queue is bounded in time, so that each further replica makes it longer."""
    queue = Queue(640, 0, 1)
    assert isinstance(admit(queue, 1, _steady(0.01), due=0.05, now=0.0), Refuse)
    assert isinstance(admit(queue._replace(replicas=4), 1, _steady(0.01), due=0.05, now=0.0), Admit)


def test_an_idle_replica_is_always_tried() -> None:
    """A cost that was once measured too high does not shut a service for good."""
    assert isinstance(admit(Queue(0, 0, 1), 1, _steady(60), due=0.05, now=0.0), Admit)


def test_without_a_replica_nothing_is_admitted() -> None:
    """While nothing is loaded, requests are refused and do not pile up."""
    assert isinstance(admit(Queue(0, 0, 0), 1, _steady(0.01), due=9.0, now=0.0), Refuse)


@given(QUEUES, st.integers(1, 10_000), _costs(), SECONDS, SECONDS)
def test_every_snapshot_has_an_answer_with_a_reason(
    queue: Queue, rows: int, cost: Cost, due: float, now: float
) -> None:
    """Whatever the load: an answer, a reason, and a time to come back that is never at once."""
    decision = admit(queue, rows, cost, due, now)
    assert decision == admit(queue, rows, cost, due, now)
    assert decision.reason
    if isinstance(decision, Refuse):
        assert decision.retry_after_s > 0


@given(QUEUES, st.integers(1, 100), _costs(), SECONDS, SECONDS, SECONDS)
def test_more_time_never_turns_an_admission_into_a_refusal(
    queue: Queue, rows: int, cost: Cost, due: float, now: float, more: float
) -> None:
    """A client that allows more time is at least as welcome."""
    if isinstance(admit(queue, rows, cost, due, now), Admit):
        assert isinstance(admit(queue, rows, cost, due + more, now), Admit)


@given(_costs(), st.integers(1, 64))
def test_a_cost_stays_within_what_was_observed(cost: Cost, rows: int) -> None:
    """An estimate is never negative, and the 99th percentile never lies below the mean."""
    assert 0 <= cost.mean_s(rows) <= cost.peak_s(rows)
    assert cost.peak_s(max(cost.rows_within(cost.peak_s(rows)), 1)) <= max(cost.peak_s(rows), cost.peak_s(1))


def test_a_cost_follows_a_model_that_became_slower() -> None:
    """After a hundred slower batches, requests are admitted by the new speed."""
    cost = _steady(0.001)
    for _ in range(100):
        cost.observe(64, 0.004)
    assert cost.mean_s(64) == pytest.approx(0.004, rel=0.1)
    assert cost.mean_s(1) == 0.001


def test_a_size_never_seen_is_estimated_carefully() -> None:
    """A larger batch is taken to cost its rows' share, a smaller one as much as the next larger."""
    cost = Cost(64)
    cost.observe(8, 0.008)
    assert cost.mean_s(32) == pytest.approx(0.032)
    assert cost.mean_s(1) == 0.008
    assert Cost(64, seconds=0.5).peak_s(3) == 0.5


def test_the_percentile_settles_above_most_observations() -> None:
    """About 1 batch of 100 takes longer than the 99th percentile says."""
    cost = Cost(1)
    late = 0
    for k in range(5000):
        took_s = 0.001 + 0.001 * ((k * 7919) % 1000) / 1000
        late += k >= 1000 and took_s > cost.peak_s(1)
        cost.observe(1, took_s)
    assert 0.002 < late / 4000 < 0.03


@pytest.mark.parametrize(("rows", "power"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6)])
def test_sizes_are_kept_by_powers_of_two(rows: int, power: int) -> None:
    """Seven numbers describe batches of up to 64 rows."""
    assert bucket(rows) == power

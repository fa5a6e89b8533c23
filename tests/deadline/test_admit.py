"""Who is let in, and who is told at once that it would be too late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline import Admit, Cost, Queue, Refuse, admit
from tests.deadline.test_cost import costs

SECONDS = st.floats(0, 10)
ROWS = st.integers(1, 10_000)


@st.composite
def _queues(draw: st.DrawFn) -> Queue:
    """Any state of a release that can occur, and many that cannot."""
    free_s = draw(st.lists(SECONDS, max_size=5))
    waiting_rows = draw(st.integers(0, 100_000))
    return Queue(
        waiting_rows,
        draw(st.integers(0, 9)),
        len(free_s) or draw(st.integers(0, 64)),
        free_s,
        behind_rows=draw(st.integers(0, waiting_rows)),
        usual_rows=draw(st.integers(0, 1000)),
        overtaken=draw(st.floats(0, 1)),
        behind_s=(behind_s := draw(SECONDS)),
        behind_peak_s=behind_s + draw(SECONDS),
    )


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
    assert refusal.retry_after_s == pytest.approx(0.07, rel=0.05)


def test_what_a_running_batch_takes_still_counts() -> None:
    """A replica that is nearly done leaves time for one more batch; one that has just begun does not."""
    cost = _steady(0.01)
    assert isinstance(admit(Queue(0, 1, 1, [0.001]), 1, cost, due=0.015, now=0.0), Admit)
    assert isinstance(admit(Queue(0, 1, 1, [0.010]), 1, cost, due=0.015, now=0.0), Refuse)


def test_more_replicas_answer_the_same_queue_in_time() -> None:
    """The queue is bounded in time, so that each further replica makes it longer."""
    queue = Queue(640, 0, 1)
    assert isinstance(admit(queue, 1, _steady(0.01), due=0.05, now=0.0), Refuse)
    assert isinstance(admit(queue._replace(replicas=4), 1, _steady(0.01), due=0.05, now=0.0), Admit)


def test_whoever_is_more_urgent_goes_first() -> None:
    """A request with a tight deadline is let in before those with a later one, however many wait."""
    queue = Queue(640, 0, 1, [0.001])
    assert isinstance(admit(queue, 1, _steady(0.01), due=0.05, now=0.0), Refuse)
    assert isinstance(admit(queue._replace(behind_rows=640), 1, _steady(0.01), due=0.05, now=0.0), Admit)


def test_where_others_go_ahead_it_takes_longer() -> None:
    """Where half of all rows overtake those that wait, a place in the queue is worth half."""
    queue = Queue(256, 1, 1, [0.0])
    assert isinstance(admit(queue, 1, _steady(0.01), due=0.08, now=0.0), Admit)
    assert isinstance(admit(queue._replace(overtaken=0.5), 1, _steady(0.01), due=0.08, now=0.0), Refuse)


def test_many_rows_count_as_many() -> None:
    """A request of a thousand rows is sixteen batches, and is refused where sixteen batches take too long."""
    assert isinstance(admit(Queue(0, 0, 1, [0.0]), 1000, _steady(0.01), due=0.17, now=0.0), Admit)
    assert isinstance(admit(Queue(0, 0, 1, [0.0]), 1000, _steady(0.01), due=0.15, now=0.0), Refuse)


def test_an_idle_replica_is_always_tried() -> None:
    """A cost that was once measured too high does not shut a service for good."""
    assert isinstance(admit(Queue(0, 0, 1), 1, _steady(60), due=0.05, now=0.0), Admit)


def test_now_and_then_even_many_rows_are_tried() -> None:
    """Where only large requests come, one in so many is let through in spite of a cost that says no."""
    refused = Queue(0, 0, 1, [0.0], usual_rows=0)
    assert isinstance(admit(refused, 1000, _steady(60), due=0.05, now=0.0), Refuse)
    assert isinstance(admit(refused._replace(usual_rows=16_000), 1000, _steady(60), due=0.05, now=0.0), Admit)


def test_without_a_replica_nothing_is_admitted() -> None:
    """While nothing is loaded, requests are refused and do not pile up."""
    assert isinstance(admit(Queue(0, 0, 0), 1, _steady(0.01), due=9.0, now=0.0), Refuse)


def test_who_is_late_already_is_refused() -> None:
    """A deadline that passed while the body was read is said at once."""
    assert isinstance(admit(Queue(0, 0, 1), 1, _steady(0.01), due=1.0, now=1.0), Refuse)


@given(_queues(), ROWS, costs(), SECONDS, SECONDS)
def test_every_snapshot_has_an_answer_with_a_reason(
    queue: Queue, rows: int, cost: Cost, due: float, now: float
) -> None:
    """Whatever the load: an answer, a reason, a time to come back that is never at once, and the same when asked again."""
    decision = admit(queue, rows, cost, due, now)
    assert decision == admit(queue, rows, cost, due, now)
    assert decision.reason
    if isinstance(decision, Refuse):
        assert decision.retry_after_s > 0


@given(_queues(), ROWS, costs(), SECONDS, SECONDS, SECONDS)
def test_more_time_never_turns_an_admission_into_a_refusal(
    queue: Queue, rows: int, cost: Cost, due: float, now: float, more: float
) -> None:
    """A client that allows more time is at least as welcome."""
    if isinstance(admit(queue, rows, cost, due, now), Admit):
        assert isinstance(admit(queue, rows, cost, due + more, now), Admit)


@given(_queues(), ROWS, costs(), SECONDS, st.integers(0, 1000), st.integers(0, 100), SECONDS, st.floats(0, 1))
def test_more_work_never_turns_a_refusal_into_an_admission(
    queue: Queue, rows: int, cost: Cost, due: float, waiting: int, more: int, busy_s: float, overtaken: float
) -> None:
    """Where a request is refused, it is refused as well behind more rows or busier replicas."""
    if isinstance(admit(queue, rows, cost, due, 0.0), Refuse):
        assume_busy = max(queue.running_batches, 1) if queue.running_batches or waiting or busy_s else 0
        busier = queue._replace(
            waiting_rows=queue.waiting_rows + waiting,
            running_batches=assume_busy,
            free_s=[seconds + busy_s for seconds in queue.free_s],
            usual_rows=queue.usual_rows,
            overtaken=max(queue.overtaken, overtaken),
        )
        assert isinstance(admit(busier, rows + more, cost, due, 0.0), Refuse)

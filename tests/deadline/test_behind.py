"""How long batches wait behind those of other fronts."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline import Admit, Behind, Cost, Queue, Refuse, admit


def _learnt(*waits_s: float) -> Behind:
    behind = Behind()
    for seconds in waits_s:
        behind.observe(seconds)
    return behind


def test_a_front_without_others_waits_for_nobody() -> None:
    """Nothing is added to what its own batches take."""
    assert (Behind().mean_s, Behind().peak_s, Behind().left_s(0.0)) == (0.0, 0.0, 0.0)


def test_what_batches_wait_is_learnt_and_forgotten() -> None:
    """Within some thirty batches, from the first of another front on, and after its last."""
    behind = _learnt(*[0.064] * 40)
    assert behind.mean_s == pytest.approx(0.064, rel=0.02)
    assert behind.peak_s == pytest.approx(0.064, rel=0.2)
    assert behind.left_s(0.03) == pytest.approx(0.034, rel=0.05)
    assert behind.left_s(0.1) == 0.0
    for _ in range(60):
        behind.observe(0.0)
    assert behind.peak_s < 0.002


@given(st.lists(st.floats(0, 100), max_size=50), st.floats(0, 100))
def test_waits_are_never_negative(waits_s: list[float], elapsed_s: float) -> None:
    """Whatever was observed, the most is no less than the mean."""
    behind = _learnt(*waits_s)
    assert behind.peak_s >= behind.mean_s >= 0.0
    assert 0.0 <= behind.left_s(elapsed_s) <= behind.mean_s


def test_hardly_any_batch_waits_longer_than_is_said() -> None:
    """Where the batches of others take now this and now that."""
    chance, behind, beyond = random.Random(1), Behind(), 0
    for _ in range(2000):
        seconds = chance.gauss(0.064, 0.01)
        beyond += seconds > behind.peak_s
        behind.observe(seconds)
    assert beyond <= 100


def test_a_request_is_refused_for_what_others_take() -> None:
    """A batch that begins only once another front's has run may be late, though nobody waits here."""
    cost = Cost(64)
    for _ in range(3):
        cost.observe(64, 0.01)
    mine = Queue(0, 1, 1, [0.01])
    shared = mine._replace(behind_s=0.02, behind_peak_s=0.02)
    assert isinstance(admit(mine, 1, cost, due=0.03, now=0.0), Admit)
    assert isinstance(admit(shared, 1, cost, due=0.03, now=0.0), Refuse)
    assert isinstance(admit(shared, 1, cost, due=0.05, now=0.0), Admit)


def test_batches_are_planned_for_the_time_that_others_leave() -> None:
    """Fewer rows together where there is less time for them; as many as before once the others are gone."""
    cost = Cost(64)
    for rows in (1, 4, 16, 64):
        for _ in range(3):
            cost.observe(rows, 0.001 * rows)
    cost.expect(0.1)
    alone = cost.planned_rows
    cost.leave(0.05)
    assert cost.planned_rows == pytest.approx(alone / 2, abs=2)
    cost.leave(1.0)
    assert 1 <= cost.planned_rows <= 8
    cost.leave(0.0)
    assert cost.planned_rows == alone

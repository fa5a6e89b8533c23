"""What a batch costs, learnt from those that ran."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline import Cost, Costs
from tenfold.deadline.cost import STALE, bucket

OBSERVATIONS = st.lists(st.tuples(st.integers(1, 64), st.floats(0, 100)), max_size=60)


@st.composite
def costs(draw: st.DrawFn) -> Cost:
    """A cost after any history of observations."""
    cost = Cost(draw(st.integers(1, 64)), draw(st.floats(0, 10)))
    for rows, took_s in draw(OBSERVATIONS):
        cost.observe(min(rows, cost.max_rows), took_s)
    cost.expect(draw(st.floats(1e-3, 100)))
    return cost


def _true_s(rows: int) -> float:
    return 0.002 + 0.0001 * rows


def _warm(max_rows: int = 64, factor: float = 1.0) -> Cost:
    """What a replica's warm-up tells: 1, 4, 16 and 64 rows, three times each."""
    cost = Cost(max_rows)
    for rows in (1, 4, 16, 64):
        for _ in range(3):
            cost.observe(rows, factor * _true_s(rows))
    return cost


def _observe(cost: Cost, count: int, factor: float, seed: int = 0, sigma: float = 0.1) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        rows = chance.choice((1, 5, 20, 40, 64, 64, 64, 64))
        cost.observe(rows, factor * _true_s(rows) * math.exp(chance.gauss(0, sigma)))


@given(costs(), st.integers(1, 200))
def test_an_estimate_is_sane_whatever_was_observed(cost: Cost, rows: int) -> None:
    """It is finite and not negative, the 99th percentile never lies below the mean, and more rows never cost less."""
    assert 0 <= cost.mean_s(rows) <= cost.peak_s(rows) * (1 + 1e-9) < math.inf
    assert cost.mean_s(rows) <= cost.mean_s(rows + 1) * (1 + 1e-9)
    assert cost.peak_s(rows) <= cost.peak_s(rows + 1) * (1 + 1e-9)
    assert cost.median_s(rows) >= 0
    assert cost.left_s(rows, 0.01) >= 0
    assert cost.left_at_most_s(rows, 0.01) >= 0
    assert 1 <= cost.worth_rows(rows) <= rows
    assert 1 <= cost.planned_rows <= cost.max_rows


@given(costs(), st.floats(0, 200))
def test_a_batch_of_the_most_rows_stays_within_the_time(cost: Cost, seconds: float) -> None:
    """What ``rows_within`` allows, ``peak_s`` confirms."""
    rows = cost.rows_within(seconds)
    assert 0 <= rows <= cost.max_rows
    if rows:
        assert cost.peak_s(rows) <= seconds * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("sigma", [0.05, 0.3, 0.5])
def test_in_a_steady_state_the_99th_percentile_is_right_for_each_size(sigma: float) -> None:
    """Whatever the mix of sizes, the prediction for each lies within 20 % of the truth."""
    cost = _warm()
    _observe(cost, 12_000, 1.0, seed=3, sigma=sigma)
    for rows in (1, 5, 20, 40, 64):
        assert cost.peak_s(rows) == pytest.approx(_true_s(rows) * math.exp(2.326 * sigma), rel=0.2)
        assert cost.mean_s(rows) == pytest.approx(_true_s(rows) * math.exp(sigma**2 / 2), rel=0.15)


def test_about_one_batch_in_a_hundred_takes_longer_than_predicted() -> None:
    """The share of batches beyond the 99th percentile, predicted before each, is about one percent."""
    cost, chance = _warm(), random.Random(5)
    _observe(cost, 1000, 1.0)
    beyond = 0
    for _ in range(5000):
        rows = chance.randint(1, 64)
        took_s = _true_s(rows) * math.exp(chance.gauss(0, 0.2))
        beyond += took_s > cost.peak_s(rows)
        cost.observe(rows, took_s)
    assert 0.005 < beyond / 5000 < 0.02


@pytest.mark.parametrize("factor", [3.0, 1 / 3, 10.0])
@pytest.mark.parametrize("known", [60, 5000])
def test_another_speed_is_known_within_a_few_tens_of_batches(factor: float, known: int) -> None:
    """A model that is slower all at once, or faster, is predicted right after thirty batches, however long it was not."""
    cost = _warm()
    _observe(cost, known, 1.0)
    _observe(cost, 30, factor, seed=1)
    assert cost.mean_s(64) == pytest.approx(factor * _true_s(64), rel=0.25)
    assert cost.peak_s(64) == pytest.approx(factor * _true_s(64) * 1.26, rel=0.5)


def test_sizes_that_were_not_seen_change_with_the_others() -> None:
    """Under load only full batches run; when they take three times as long, a single row is expected to as well."""
    cost = _warm()
    _observe(cost, 500, 1.0)
    for _ in range(20):
        cost.observe(64, 3 * _true_s(64))
    assert cost.mean_s(1) == pytest.approx(3 * _true_s(1), rel=0.3)


@pytest.mark.parametrize("known", [0, 20, 1000])
def test_a_pause_changes_next_to_nothing(known: int) -> None:
    """After one batch that a collection of garbage made a hundred times as long, the door is open as before."""
    cost = _warm()
    _observe(cost, known, 1.0)
    before = cost.peak_s(64)
    cost.observe(64, 100 * _true_s(64))
    _observe(cost, 1, 1.0)
    assert cost.peak_s(64) <= 2.2 * before
    assert cost.mean_s(64) <= 2.2 * _true_s(64)


def test_a_size_that_seemed_too_slow_is_tried_again() -> None:
    """A wrong estimate of full batches does not keep batches small for good."""
    cost = _warm()
    for _ in range(20):
        cost.observe(64, 1.0)
    assert cost.rows_within(0.02) < 64
    for _ in range(STALE + 10):
        cost.observe(32, _true_s(32))
        cost.observe(16, _true_s(16))
    assert cost.rows_within(0.02) == 64


def test_where_nothing_was_observed_the_assumption_holds() -> None:
    """Before the first batch, a cost says what it was told."""
    assert Cost(64, seconds=0.5).peak_s(3) == 0.5
    assert Cost(64).mean_s(64) == 0.0


def test_small_batches_are_worth_while_only_where_rows_cost_more_than_the_batch() -> None:
    """A model with a high fixed cost wants full batches; one that costs the same for each row does not care."""
    fixed, by_row = Cost(64), Cost(64)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        fixed.observe(rows, 0.01)
        by_row.observe(rows, 0.001 * rows)
    assert fixed.worth_rows(64) == 64
    assert by_row.worth_rows(64) == 1


def test_batches_are_planned_so_that_a_request_may_wait_for_half_of_one() -> None:
    """A deadline that is shorter than two full batches is kept by smaller ones."""
    cost = _warm()
    assert cost.planned_rows == 64
    cost.expect(0.010)
    assert 40 <= cost.planned_rows < 50
    cost.expect(0.0001)
    assert cost.planned_rows == 1


def test_what_a_running_batch_takes_still() -> None:
    """A batch that is about to end ends soon; one that should have ended long ago is stuck in something."""
    cost = _warm()
    assert cost.left_s(64, 0.0) == pytest.approx(_true_s(64), rel=0.1)
    assert cost.left_s(64, 0.006) == pytest.approx(_true_s(64) - 0.006, rel=0.2)
    assert cost.left_s(64, 0.208) == pytest.approx(0.2, rel=0.1)


def test_heavy_rows_have_a_cost_of_their_own() -> None:
    """Large pictures do not make small ones look slow, and a size never seen starts from the nearest."""
    all_costs = Costs(_warm())
    small, large = all_costs.of(2_000), all_costs.of(3_000_000)
    assert small is all_costs.of(10_000)
    assert large is all_costs.of(2_000_000)
    assert large.mean_s(8) >= 4 * small.mean_s(8)
    for _ in range(100):
        large.observe(8, 0.2)
    assert large.mean_s(8) == pytest.approx(0.2, rel=0.05)
    assert small.mean_s(8) == pytest.approx(_true_s(8), rel=0.05)
    assert all_costs.of(500_000).mean_s(8) <= 0.21


@pytest.mark.parametrize(("rows", "power"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6)])
def test_sizes_are_kept_by_powers_of_two(rows: int, power: int) -> None:
    """Seven numbers describe batches of up to 64 rows."""
    assert bucket(rows) == power

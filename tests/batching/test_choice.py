"""How many waiting rows go to a free replica, and which requests are given up."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from tenfold.batching import Choice, next_batch
from tenfold.batching.choice import BACKGROUND_SHARE, rows_along
from tenfold.deadline import Cost
from tests.deadline.test_cost import costs


class Waiting(NamedTuple):
    rows: int
    due: float


HEADS = st.lists(st.builds(Waiting, st.integers(1, 100), st.floats(-1, 10)), max_size=40).map(
    lambda heads: sorted(heads, key=lambda head: head.due)
)


def _linear(per_row_s: float, max_rows: int = 64, fixed_s: float = 0.0) -> Cost:
    cost = Cost(max_rows)
    for power in range(7):
        cost.observe(2**power, fixed_s + per_row_s * 2**power)
    return cost


def _choice(heads: list[Waiting], cost: Cost, now: float = 0.0) -> Choice:
    return next_batch(heads, sum(head.rows for head in heads), cost, now)


def test_everything_that_waits_goes_together() -> None:
    """Batches grow by themselves under load: no window, no idle wait."""
    assert _choice([Waiting(1, 1.0)] * 10, _linear(0.0001)) == (0, 10)
    assert _choice([], _linear(0.0001)) == (0, 0)


def test_a_batch_holds_at_most_max_rows() -> None:
    """Rows count, not requests."""
    assert _choice([Waiting(30, 1.0)] * 3, _linear(0.0001)) == (0, 64)
    assert _choice([Waiting(500, 1.0), Waiting(1, 1.0)], _linear(0.0001)) == (0, 64)


def test_a_batch_stops_growing_where_it_would_make_its_first_request_late() -> None:
    """Throughput is not bought with a missed deadline."""
    drop, rows = _choice([Waiting(1, 0.0101), *[Waiting(1, 1.0)] * 40], _linear(0.001))
    assert drop == 0
    assert rows in (9, 10)


def test_a_request_that_is_late_anyhow_shrinks_no_batch() -> None:
    """One lost request does not take the others with it."""
    assert _choice([Waiting(1, 0.0001), *[Waiting(1, 1.0)] * 9], _linear(0.001)) == (1, 9)


def test_a_request_that_would_force_a_tiny_batch_is_dropped_early() -> None:
    """Where a batch costs nearly the same for one row as for 64, one row is not served at the price of 63 others."""
    heads = [Waiting(1, 0.0102), *[Waiting(1, 1.0)] * 80]
    assert _choice(heads, _linear(0.0001, fixed_s=0.010)) == (1, 64)


def test_a_small_batch_is_no_loss_where_each_row_costs_the_same() -> None:
    """Where every row costs the same, nobody is dropped for the sake of a larger batch."""
    assert _choice([Waiting(1, 0.0025), *[Waiting(1, 1.0)] * 80], _linear(0.001)) == (0, 2)


def test_where_nothing_can_be_in_time_something_is_tried() -> None:
    """An estimate that is too high is found out, and not believed for ever."""
    drop, rows = _choice([Waiting(1, 0.1), Waiting(1, 0.2), Waiting(5, 0.3), Waiting(2, 0.3)], _linear(1.0))
    assert drop == 2
    assert rows >= 1


@given(HEADS, costs(), st.floats(0, 10))
def test_a_choice_makes_progress_and_keeps_the_limit(heads: list[Waiting], cost: Cost, now: float) -> None:
    """Whatever waits, and whatever is known: some rows go, never too many, and never more than there are."""
    drop, rows = _choice(heads, cost, now)
    assert (drop, rows) == _choice(heads, cost, now)
    if heads:
        assert 0 <= drop < len(heads)
        assert 1 <= rows <= min(cost.max_rows, sum(head.rows for head in heads[drop:]))
        assert all(head.due < heads[-1].due for head in heads[:drop])
    else:
        assert (drop, rows) == (0, 0)


@given(costs(), st.integers(1, 64), st.floats(-1, 100))
def test_background_work_makes_a_batch_hardly_longer(cost: Cost, rows: int, left_s: float) -> None:
    """With whatever goes along, the batch is full at most, an eighth longer at most, and done in half of the time left."""
    rows = min(rows, cost.max_rows)
    along = rows_along(rows, left_s, cost)
    assert 0 <= along <= cost.max_rows - rows
    if along:
        together_s = cost.peak_s(rows + along)
        assert together_s * (1 - BACKGROUND_SHARE) <= cost.peak_s(rows) * (1 + 1e-6)
        assert together_s <= left_s / 2 * (1 + 1e-6)

"""How many waiting requests go to a free replica."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.batching import Batching, next_batch
from tenfold.deadline import Cost
from tenfold.errors import ServiceError


class Waiting(NamedTuple):
    rows: int
    due: float


HEADS = st.lists(st.builds(Waiting, st.integers(1, 100), st.floats(-1, 10)), max_size=40).map(
    lambda heads: sorted(heads, key=lambda head: head.due)
)


def _linear(per_row_s: float, max_rows: int = 64) -> Cost:
    cost = Cost(max_rows)
    for power in range(7):
        cost.observe(2**power, per_row_s * 2**power)
    return cost


def test_everything_that_waits_goes_together() -> None:
    """Batches grow by themselves under load: no window, no idle wait."""
    assert next_batch([Waiting(1, 1.0)] * 10, _linear(0.0001), now=0.0) == 10
    assert next_batch([], _linear(0.0001), now=0.0) == 0


def test_a_batch_holds_at_most_max_rows() -> None:
    """Rows count, not requests."""
    assert next_batch([Waiting(30, 1.0)] * 3, _linear(0.0001), now=0.0) == 2
    assert next_batch([Waiting(500, 1.0), Waiting(1, 1.0)], _linear(0.0001), now=0.0) == 1


def test_a_batch_stops_growing_where_it_would_make_its_first_request_late() -> None:
    """Throughput is not bought with a missed deadline."""
    heads = [Waiting(1, 0.010), *[Waiting(1, 1.0)] * 40]
    assert next_batch(heads, _linear(0.001), now=0.0) == 8


def test_a_request_that_is_late_anyhow_shrinks_no_batch() -> None:
    """One lost request does not take the others with it."""
    heads = [Waiting(1, 0.0001), *[Waiting(1, 1.0)] * 9]
    assert next_batch(heads, _linear(0.001), now=0.0) == 10


@given(HEADS, st.integers(1, 64), st.floats(0, 10))
def test_a_batch_is_never_empty_and_never_too_large(heads: list[Waiting], max_rows: int, now: float) -> None:
    """Every turn makes progress, and the limit holds wherever a request alone does not break it."""
    cost = _linear(0.001, max_rows)
    count = next_batch(heads, cost, now)
    assert count == next_batch(heads, cost, now)
    assert min(1, len(heads)) <= count <= len(heads)
    if count > 1:
        assert sum(head.rows for head in heads[:count]) <= max_rows


@given(HEADS)
def test_asking_again_empties_the_queue(heads: list[Waiting]) -> None:
    """Whatever waits is answered in at most as many turns as there are requests."""
    turns = 0
    while heads:
        heads = heads[next_batch(heads, _linear(0.001), now=0.0) :]
        turns += 1
    assert turns <= 40


def test_the_option_says_what_it_means() -> None:
    """The answer sheet shows what was declared; a batch of no rows is an error."""
    assert Batching().describe() == "up to 64 rows"
    assert Batching(max_rows=1).describe() == "one row at a time"
    with pytest.raises(ServiceError, match=r"Batching\(max_rows=0\): expected `int` >= 1"):
        Batching(max_rows=0)

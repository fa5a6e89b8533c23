"""What waits, and in which order it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tenfold.batching import Line
from tenfold.deadline import Cost
from tests.deadline.test_cost import costs

_numbers = count()


@dataclass(frozen=True)
class Item:
    rows: int
    due: float
    abandoned: bool = False
    number: int = field(default_factory=lambda: next(_numbers))

    def cut(self, rows: int) -> tuple[Item, Item]:
        return replace(self, rows=rows), replace(self, rows=self.rows - rows)


def _line(*items: Item) -> Line[Item]:
    line: Line[Item] = Line(Item.cut)
    for item in items:
        line.add(item)
    return line


def _cost(max_rows: int = 64, seconds: float = 0.001) -> Cost:
    cost = Cost(max_rows)
    cost.observe(max_rows, seconds)
    return cost


def _fixed_cost() -> Cost:
    """48 ms for a batch, and a quarter of one for each row."""
    cost = Cost(64)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        cost.observe(rows, 0.048 + 0.00025 * rows)
    return cost


def _dues(items: Sequence[Item]) -> list[float]:
    return [item.due for item in items]


@given(st.lists(st.floats(0, 10), max_size=30))
def test_the_most_urgent_goes_first(dues: list[float]) -> None:
    """Requests leave in the order of their deadlines, and in that of their arrival where those are the same."""
    items = [Item(1, round(due)) for due in dues]
    taken = _line(*items).take(_cost(), begins=-10.0).items
    assert [item.number for item in taken] == [item.number for item in sorted(items, key=lambda item: item.due)]


def test_a_request_of_many_rows_fills_batches_to_the_brim() -> None:
    """What does not fit any more is split, and its rest goes first in the next batch."""
    line = _line(Item(40, 1.0), Item(40, 2.0), Item(1, 3.0))
    first, second = line.take(_cost(), 0.0).items, line.take(_cost(), 0.0).items
    assert [item.rows for item in first] == [40, 24]
    assert [item.rows for item in second] == [16, 1]
    assert not line


def test_what_nobody_waits_for_is_left_out() -> None:
    """A client that has gone takes no place at the head of the queue."""
    line = _line(Item(1, 1.0, abandoned=True), Item(1, 2.0))
    assert _dues(line.take(_cost(), 0.0).items) == [2.0]
    assert line.rows == 0


def test_a_batch_is_handed_over_ahead_only_when_it_is_full_and_in_time() -> None:
    """A replica that is busy still gets nothing that might be needed more urgently by somebody else."""
    line = _line(*[Item(1, 1.0)] * 63)
    assert not line.take(_cost(), 0.0, ahead=True).items
    line.add(Item(1, 1.0))
    assert not line.take(_cost(), 0.9995, ahead=True).items
    assert len(line.take(_cost(), 0.0, ahead=True).items) == 64


def test_background_work_goes_when_nothing_else_waits() -> None:
    """Work that has time never goes before work that has none."""
    cost = _cost()
    for rows in (1, 2, 4, 8, 16, 32, 64):
        cost.observe(rows, 0.001 * rows)
    line = _line(Item(1, 5.0))
    line.add_background(Item(1, 1.0))
    assert _dues(line.take(cost, 0.0).items) == [5.0]
    assert _dues(line.take(cost, 0.0).items) == [1.0]
    assert not line


def test_background_work_goes_along_where_there_is_room() -> None:
    """A batch that takes everybody who waits, and hardly gets longer by a few rows more, has them."""
    line = _line(*[Item(1, 1.0)] * 20)
    line.add_background(Item(30, 0.9))
    taken = line.take(_fixed_cost(), 0.0).items
    assert sum(item.rows for item in taken) > 20
    assert _dues(taken) == sorted(_dues(taken))
    assert line.rows == 0


def test_background_work_goes_along_with_nobody_who_is_in_a_hurry() -> None:
    """Nor where others are left waiting: whoever has little time left has the batch to himself, with those before him."""
    line = _line(*[Item(1, 0.07)] * 20)
    line.add_background(Item(30, inf))
    assert sum(item.rows for item in line.take(_fixed_cost(), 0.0).items) == 20
    line.add(Item(70, 1.0))
    assert [item.rows for item in line.take(_fixed_cost(), 0.0).items] == [64]
    assert line.background_rows == 30


def test_background_work_alone_is_handed_over_to_a_free_replica_only() -> None:
    """Whoever comes while that is busy still goes first."""
    line = _line()
    line.add_background(Item(1, inf))
    assert not line.take(_cost(), 0.0, ahead=True).items
    assert line.take(_cost(), 0.0).items[0].due == inf


def test_a_batch_of_background_work_leaves_time_for_the_others() -> None:
    """It takes a quarter of a deadline at the most, so that whoever comes meanwhile is in time behind it."""
    cost = Cost(64)
    for rows in (1, 2, 4, 8, 16, 32, 64):
        cost.observe(rows, 0.001 * rows)
    cost.expect(0.020)
    line = _line()
    line.add_background(Item(64, inf))
    assert 4 <= line.take(cost, 0.0).items[0].rows <= 5


def test_what_comes_back_goes_first() -> None:
    """When a replica dies, what waited for it is at the head of the queue again."""
    line = _line(Item(1, 1.0), Item(1, 2.0), Item(1, 3.0))
    taken = line.take(_cost(2), 0.0).items
    line.put_back(taken)
    assert _dues(line.take(_cost(), 0.0).items) == [1.0, 2.0, 3.0]


def test_what_is_due_is_taken_out() -> None:
    """Whoever's deadline has passed gets an answer that says so."""
    line = _line(Item(1, 1.0), Item(1, 2.0))
    line.add_background(Item(1, 0.5))
    assert sorted(_dues(line.expired(1.0))) == [0.5, 1.0]
    assert line.rows == 1
    assert line.background_rows == 0


def test_admission_sees_what_goes_before() -> None:
    """A request finds the rows that wait, and how many of them it goes ahead of."""
    line = _line(*[Item(2, float(due)) for due in (1, 2, 3, 3)])
    queue = line.seen_by(2.0, [0.1, 0.0], running_batches=1)
    assert (queue.waiting_rows, queue.behind_rows, queue.replicas) == (8, 4, 2)
    line.refused(4)
    line.add_background(Item(2, 9.0))
    queue = line.seen_by(9.0, [0.1], running_batches=1)
    assert (queue.waiting_rows, queue.behind_rows, queue.usual_rows) == (8, 0, 4)
    assert line.seen_by_background([0.1], running_batches=1).waiting_rows == 10


class AnyLine(RuleBasedStateMachine):
    """Whatever happens in whatever order, no row is lost, none is served twice, and the counts are right."""

    def __init__(self) -> None:
        super().__init__()
        self.line = _line()
        self.came = self.left = 0
        self.now = 0.0

    @rule(rows=st.integers(1, 100), left=st.floats(0, 5), background=st.booleans(), gone=st.booleans())
    def add(self, rows: int, left: float, background: bool, gone: bool) -> None:
        item = Item(rows, self.now + left)
        (self.line.add_background if background else self.line.add)(item)
        self.came += rows

    @precondition(lambda self: bool(self.line))
    @rule(cost=costs(), ahead=st.booleans(), wait=st.floats(0, 1), lost=st.booleans())
    def take(self, cost: Cost, ahead: bool, wait: float, lost: bool) -> None:
        items, dropped = self.line.take(cost, self.now + wait, ahead)
        assert items or ahead
        assert sum(item.rows for item in items) <= cost.max_rows
        if lost:
            self.line.put_back([*dropped, *items])
        else:
            self.left += sum(item.rows for item in (*items, *dropped))

    @rule(seconds=st.floats(0, 2))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        late = self.line.expired(self.now)
        assert all(item.due <= self.now for item in late)
        self.left += sum(item.rows for item in late)

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.came == self.left + self.line.rows + self.line.background_rows
        assert bool(self.line) == (self.line.rows + self.line.background_rows > 0)


AnyLine.TestCase.settings = settings(max_examples=30, stateful_step_count=30)
TestAnyLine = AnyLine.TestCase

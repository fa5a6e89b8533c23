"""What waits for a replica: the most urgent first, and background work behind it."""

from __future__ import annotations

from bisect import bisect_right, insort_left, insort_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Generic, NamedTuple, Protocol, TypeVar

from tenfold.batching.choice import Head, next_batch, rows_along
from tenfold.deadline import Cost, Queue

BACKGROUND_PART = 4  # a batch of background work alone takes so small a part of a deadline
NEWEST = 1 / 16  # the weight of the newest batch in what is usual

_DUE = attrgetter("due")


class Waiting(Head, Protocol):
    """A request, or a part of one, that waits."""

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""


Item = TypeVar("Item", bound=Waiting)


class Taken(NamedTuple, Generic[Item]):
    """The items of a batch, of which some may be abandoned, and those that are given up for the sake of the others."""

    items: list[Item]
    dropped: list[Item]


class Line(Generic[Item]):
    """The requests that wait, earliest deadline first, in two classes; with the same deadline, in the order of arrival.

    Background work goes when nothing else waits, in batches that take a quarter of a deadline at most: whoever comes while
    one runs is in time behind it. Where something always waits, it goes along in batches that hold all that does and have
    room for more (``choice.rows_along``). What does not fit into a batch any more is cut, so that batches are full whatever
    requests are made of.
    """

    __slots__ = (
        "_ahead_rows", "_background", "_cut", "_overtaken", "_urgent", "_usual_rows",
        "background_rows", "rows",
    )  # fmt: skip

    def __init__(self, cut: Callable[[Item, int], tuple[Item, Item]]) -> None:
        """``cut`` makes two of an item: its first so many rows, and the rest."""
        self._cut = cut
        self._urgent: list[Item] = []
        self._background: list[Item] = []
        self.rows = 0  # that wait, without background work
        self.background_rows = 0
        self._usual_rows = 0
        self._ahead_rows = 0  # rows that went ahead of others since the last batch
        self._overtaken = 0.0

    def __bool__(self) -> bool:
        return bool(self._urgent or self._background)

    def add(self, item: Item) -> None:
        """Queue it behind those that are due no later."""
        urgent = self._urgent
        if urgent and item.due < urgent[-1].due:
            insort_right(urgent, item, key=_DUE)
            self._ahead_rows += item.rows
        else:
            urgent.append(item)
        self.rows += item.rows

    def add_background(self, item: Item) -> None:
        """Queue it behind everything that is not background work."""
        insort_right(self._background, item, key=_DUE)
        self.background_rows += item.rows

    def put_back(self, items: Sequence[Item]) -> None:
        """These were taken, and have to be taken again: before others that are due at the same time."""
        for item in reversed(items):
            insort_left(self._urgent, item, key=_DUE)
            self.rows += item.rows

    def refused(self, rows: int) -> None:
        """So many rows were not let in: there will be as many again."""
        self._usual_rows += rows

    def seen_by(self, due: float, free_s: Sequence[float], running_batches: int) -> Queue:
        """What a request that is due then finds, where replicas are free after so many seconds.

        How many rows are due later is exact where all requests have as many rows.
        """
        urgent, behind_rows = self._urgent, 0
        if urgent and due < urgent[-1].due:
            behind = len(urgent) - bisect_right(urgent, due, key=_DUE)
            behind_rows = round(self.rows * behind / len(urgent))
        return Queue(
            self.rows,
            running_batches,
            len(free_s),
            free_s,
            behind_rows,
            self._usual_rows,
            self._overtaken,
        )

    def seen_by_background(self, free_s: Sequence[float], running_batches: int) -> Queue:
        """What background work finds: everything goes before it."""
        return Queue(self.rows + self.background_rows, running_batches, len(free_s), free_s)

    def take(self, cost: Cost, begins: float, ahead: bool = False) -> Taken[Item]:
        """The next batch, for a replica that is free at ``begins``.

        With ``ahead`` the replica is not free yet: only a full batch that keeps all deadlines is handed over then,
        since whoever is more urgent comes too late for it.
        """
        urgent, rows = self._urgent, self.rows
        if self._all_goes(cost, begins) and not ahead:
            self._urgent, self.rows = [], 0
            self._went(rows)
            return Taken(urgent, [])
        while urgent and urgent[0].abandoned:
            self.rows -= urgent.pop(0).rows
        if self._background and not urgent:
            return Taken([], []) if ahead else self._take_background(cost, begins)
        if not urgent or (ahead and not self._fills(cost, begins)):
            return Taken([], [])
        drop, rows = next_batch(urgent, self.rows, cost, begins)
        dropped = _first(urgent, drop)
        self.rows -= rows + sum([item.rows for item in dropped])
        self._went(rows)
        items = self._first_rows(urgent, rows)
        if self._background and not urgent:
            items = self._with_background(items, rows, cost, begins)
        return Taken(items, dropped)

    def expired(self, now: float) -> list[Item]:
        """Take out what is due already."""
        late = _first(self._urgent, bisect_right(self._urgent, now, key=_DUE))
        late_background = _first(self._background, bisect_right(self._background, now, key=_DUE))
        self.rows -= sum([item.rows for item in late])
        self.background_rows -= sum([item.rows for item in late_background])
        return late + late_background

    def clear(self) -> list[Item]:
        """Take out everything."""
        items = self._urgent + self._background
        self._urgent.clear()
        self._background.clear()
        self.rows = self.background_rows = 0
        return items

    def _went(self, rows: int) -> None:
        """A batch of so many rows goes; what is usual follows."""
        self._usual_rows = rows
        self._overtaken += (min(self._ahead_rows / rows, 1.0) - self._overtaken) * NEWEST
        self._ahead_rows = 0

    def _all_goes(self, cost: Cost, begins: float) -> bool:
        """Whether one batch takes all that waits, and in time: nearly always."""
        if not self._urgent or self._background or self.rows > cost.max_rows:
            return False
        first = self._urgent[0]
        return not first.abandoned and first.due - begins >= cost.peak_s(self.rows)

    def _fills(self, cost: Cost, begins: float) -> bool:
        """Whether a batch that begins then is full and keeps the deadline of whoever is in it."""
        return self.rows >= cost.max_rows and begins + cost.peak_s(cost.max_rows) <= self._urgent[0].due

    def _take_background(self, cost: Cost, begins: float) -> Taken[Item]:
        """A batch that leaves most of the time to whoever comes meanwhile."""
        drop, rows = next_batch(self._background, self.background_rows, cost, begins)
        dropped = _first(self._background, drop)
        rows = min(rows, max(cost.rows_within(cost.budget_s / BACKGROUND_PART), 1))
        self.background_rows -= rows + sum([item.rows for item in dropped])
        return Taken(self._first_rows(self._background, rows), dropped)

    def _with_background(self, items: list[Item], rows: int, cost: Cost, begins: float) -> list[Item]:
        """All that waits, and as much background work as may go along."""
        along = min(rows_along(rows, items[0].due - begins, cost), self.background_rows)
        self.background_rows -= along
        return sorted([*items, *self._first_rows(self._background, along)], key=_DUE)

    def _first_rows(self, waiting: list[Item], rows: int) -> list[Item]:
        """Take out the first so many rows, cutting the last item if need be."""
        count = 0
        for item in waiting:
            if item.rows > rows:
                break
            rows -= item.rows
            count += 1
        items = _first(waiting, count)
        if rows:
            part, waiting[0] = self._cut(waiting[0], rows)
            items.append(part)
        return items


def _first(waiting: list[Item], count: int) -> list[Item]:
    """Take out the first so many items."""
    items = waiting[:count]
    del waiting[:count]
    return items

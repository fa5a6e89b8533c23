"""Which of the waiting requests go to the free replica, and which are given up for the sake of the others?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tenfold.deadline import Cost


class Head(Protocol):
    """A waiting request, as far as batching looks at it."""

    @property
    def rows(self) -> int:
        """How many rows it has."""

    @property
    def due(self) -> float:
        """When it has to be answered, on the clock that the replica's being free is told on."""


BACKGROUND_SHARE = 1 / 8  # of the time of batches that hold other work too, where there is room for both


class Choice(NamedTuple):
    """The first ``drop`` requests are told that there is no time; of what follows, ``rows`` rows go."""

    drop: int
    rows: int


def next_batch(heads: Sequence[Head], waiting_rows: int, cost: Cost, begins: float) -> Choice:
    """The batch for a replica that is free at ``begins``, of requests in the order of their deadlines.

    It is the largest that the most urgent request in it allows, in 99 of 100 cases. A request that would allow only a
    batch that is not worth while, and would probably be late even so, is dropped now rather than late: serving it
    would make those behind it late, one after the other (the early drop of Nexus, SOSP 2019). The requests that are
    due last go in any case, so that an estimate that has become too high is found out.
    """
    wanted = min(waiting_rows, cost.max_rows)
    if heads and heads[0].due - begins >= cost.peak_s(wanted):
        return Choice(0, wanted)
    worth, likely_s = 0, -1.0
    for drop, head in enumerate(heads):
        if likely_s < 0 or waiting_rows < wanted:
            wanted = min(waiting_rows, cost.max_rows)
            worth = cost.worth_rows(min(wanted, cost.planned_rows))
            likely_s = cost.mean_s(worth)
        left_s = head.due - begins
        if left_s >= likely_s or head.due >= heads[-1].due:
            return Choice(drop, min(max(cost.rows_within(left_s), worth), wanted))
        waiting_rows -= head.rows
    return Choice(0, 0)


def rows_along(rows: int, left_s: float, cost: Cost) -> int:
    """How many rows of background work go along with ``rows`` others, the most urgent of which has ``left_s`` left.

    A batch is mostly made of what it costs whatever its size: a few rows more make it hardly longer. They may take an eighth
    of its time, and the batch has to end within half of the time left: nobody is late for work that has time.
    """
    return max(cost.rows_within(min(cost.peak_s(rows) / (1 - BACKGROUND_SHARE), left_s / 2)) - rows, 0)

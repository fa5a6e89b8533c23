"""How many rows go together? (Question 5.) A free replica takes what waits; no batch is waited for to fill.

A predict costs nearly the same for one row as for 64, so batches that grow by themselves under load are the
lever of throughput. ``next_batch`` decides how many of the waiting requests go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

from msgspec import Meta

from tenfold.deadline import Cost
from tenfold.options import Option


class Batching(Option, frozen=True):
    """How many rows go through preprocess, model and postprocess together."""

    max_rows: Annotated[int, Meta(ge=1, le=65536, description="a batch never holds more rows than this")] = 64

    def describe(self) -> str:
        return f"up to {self.max_rows} rows" if self.max_rows > 1 else "one row at a time"


class Head(Protocol):
    """A waiting request, as far as batching looks at it."""

    @property
    def rows(self) -> int:
        """How many rows it has."""

    @property
    def due(self) -> float:
        """When it has to be answered, on the clock that ``now`` is read from."""


def next_batch(heads: Sequence[Head], cost: Cost, now: float) -> int:
    """How many of the waiting requests go to the free replica, from the first on; 0 only where none waits.

    ``heads`` stand in the order of their deadlines. The batch grows to ``cost.max_rows`` unless a larger one
    would make its most urgent request late, where a smaller one keeps it in time. The first request always
    goes, however many rows it has; one that will be late in any case shrinks no batch, since that would only
    make more of them late.
    """
    hopeless_s = cost.peak_s(1)
    left_s = next((head.due - now for head in heads if head.due - now >= hopeless_s), float("inf"))
    most = cost.rows_within(left_s)
    rows = count = 0
    for head in heads:
        rows += head.rows
        if count and rows > most:
            break
        count += 1
    return count

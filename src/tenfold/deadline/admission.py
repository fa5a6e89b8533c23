"""Who is let in, and who is told at once that the answer would be too late?"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from typing import NamedTuple

from tenfold.deadline.cost import Cost
from tenfold.units import duration

SOONEST_RETRY_S = 0.05  # a client told to come back sooner than this would only knock
MOST_OVERTAKEN = 0.95
PROBE_AFTER = 16  # refusals in a row, with nothing to do, after which one request is tried all the same


class Admit(NamedTuple):
    """These rows can be answered in time."""

    reason: str


class Refuse(NamedTuple):
    """These rows cannot be answered in time; after ``retry_after_s`` they might be."""

    reason: str
    retry_after_s: float


IN_TIME = Admit("in time")
IDLE = Admit("nothing waits")
PROBE = Admit("nothing waits, and nobody has tried for long")


class Queue(NamedTuple):
    """What ``admit`` sees of a release: rows that wait, batches that run, replicas that are ready.

    ``free_s`` are the seconds until each replica is free (0 for an idle one); without it, all are taken to have the
    same work. ``behind_rows`` of the ``waiting_rows`` are due later than the request. ``usual_rows`` is how many rows
    the last batch had and were refused since: so many are about to come again. ``overtaken`` is the share of rows
    that went ahead of others that had come before them. ``behind_s`` is how long each
    batch waits in its replica for those of other fronts, and ``behind_peak_s`` what that rarely exceeds. Background work
    that waits is none of this: nobody waits for it.
    """

    waiting_rows: int
    running_batches: int
    replicas: int
    free_s: Sequence[float] = ()
    behind_rows: int = 0
    usual_rows: int = 0
    overtaken: float = 0.0
    behind_s: float = 0.0
    behind_peak_s: float = 0.0


def admit(queue: Queue, rows: int, cost: Cost, due: float, now: float) -> Admit | Refuse:
    """Can these rows be answered before ``due``, behind everything that waits?

    ``due`` and ``now`` are on one clock, in seconds. Whoever finds the queue empty and all replicas idle is let in
    with up to a batch of rows, and from time to time with more, since nothing else would ever correct an estimate that
    has become too high.
    """
    left_s = due - now
    if queue.replicas < 1:
        return Refuse("no replica is ready", 1.0)
    if left_s <= 0:
        return Refuse("the deadline passed before the request was complete", SOONEST_RETRY_S)
    if not queue.running_batches and not queue.waiting_rows:
        if rows <= cost.max_rows:
            return IDLE
        if queue.usual_rows >= PROBE_AFTER * rows:
            return PROBE
    finish_s = _finish_s(queue, rows, cost)
    if finish_s <= left_s:
        return IN_TIME
    needed = f"an answer would take {duration(finish_s)} of {duration(left_s)}"
    return Refuse(f"{queue.waiting_rows} rows wait; {needed}", max(finish_s - left_s, SOONEST_RETRY_S))


def _finish_s(queue: Queue, rows: int, cost: Cost) -> float:
    """The seconds until these rows are answered, in 99 of 100 cases.

    The rows ahead go in batches of the planned size, at their mean cost, each to the replica that is free first. The
    batch that carries these rows is as large as batches are these days: were it taken to be small because little
    waits just now, it would have to be sent half empty later. Deviations add up like those of independent batches,
    of one's own and of others.
    """
    full_rows = cost.planned_rows
    together = queue.waiting_rows + rows
    own_rows = min(max(together, queue.usual_rows), full_rows)
    batches = (together - queue.behind_rows - 1) // full_rows
    if queue.overtaken:
        batches = int((batches + 1) / (1.0 - min(queue.overtaken, MOST_OVERTAKEN))) - 1
    full_s = cost.mean_s(full_rows) + queue.behind_s
    rounds, place = divmod(batches, queue.replicas)
    free_s = sorted(queue.free_s) or [queue.running_batches / queue.replicas * full_s] * queue.replicas
    begin_s = rounds * full_s + min(free_s[place], free_s[0] + full_s)
    if not begin_s:
        return cost.peak_s(min(together, full_rows)) + queue.behind_peak_s
    mean_s = cost.mean_s(own_rows)
    beyond_s = hypot(cost.peak_s(own_rows) - mean_s, queue.behind_peak_s - queue.behind_s)
    return begin_s + queue.behind_s + mean_s + beyond_s * sqrt(rounds + 2)

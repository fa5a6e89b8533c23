"""The decision: how many replicas, from what was seen of the traffic and of the replicas, and why.

Pure: time and measurements are handed in, and what has to be remembered is a value that comes back. Replicas that are still
starting count as capacity, or every look during a start-up would order the same replicas again; and the queue is bounded
elsewhere (``deadline.admit``), or a backlog would be taken for traffic.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tenfold.scaling.options import Scaling
from tenfold.scaling.past import CALM_S, Past, forecast
from tenfold.scaling.schedule import NOBODY, Floor
from tenfold.units import duration

EVERY_S = 2.0  # between two decisions
CERTAINTY = 2.33  # standard deviations of a count that the staffing covers: the 99th percentile of the normal law
FORESIGHT = 2.58  # likewise of the forecast, for rows that cannot wait: the 99.5th percentile
SHORTEST_S = 5 * EVERY_S  # for which needs are remembered
STARTS = 1.5  # for which needs are remembered at least: a replica stays for half as long as it took to come
SLOTS = 10  # parts of ``scale_in_after`` for which the highest need is remembered


class Snapshot(NamedTuple):
    """What is seen of a release.

    ``past`` are the rows that came, whatever became of them. ``rate`` is the highest rate of rows that one replica answers
    within the budget, as measured; ``startup_s`` is what a replica takes from its order to its first answer.
    """

    past: Past
    waiting_rows: float
    ready: int
    starting: int
    rate: float
    startup_s: float
    budget_s: float


class Replicas(NamedTuple):
    """So many are wanted, ready and starting together, and why in plain words."""

    n: int
    reason: str


class Memory(NamedTuple):
    """What a decision has to know of those before it: the highest need of each of the last ``SLOTS`` parts of the time after
    which replicas go, the oldest first, and when the latest part began."""

    needs: tuple[int, ...] = ()
    since: float = -math.inf


def decide(
    seen: Snapshot, policy: Scaling, memory: Memory, now: float, floor: Floor = NOBODY
) -> tuple[Replicas, Memory]:
    """How many replicas from now on. ``now`` is in seconds, on any clock that does not run back; ``floor`` is what a schedule
    or a person asks for beyond the policy, whatever its limits are.

    Out at once, by the forecast over what one replica carries, with some to spare for what comes unevenly, and a term that
    drains what waits. In only to the highest need within ``scale_in_after``, and within ``STARTS`` times what a start takes:
    a replica that goes as soon as it has come was paid for nothing. Right after a start the past is unknown, and nothing
    goes for that long.
    """
    low, high = policy.bounds
    have = seen.ready + seen.starting
    need = _need(seen, policy)
    kept_s = max(policy.scale_in_after_s, STARTS * seen.startup_s, SHORTEST_S)
    memory = _remembered(memory, max(need.n, have if memory.since == -math.inf else 0), kept_s, now)
    wanted = max(memory.needs) if need.n < have else need.n
    n = min(max(wanted, low), high)
    limit = ""
    if floor.n > n:
        n, limit = floor.n, f"; {floor.because}"
    elif wanted > high:
        limit = f"; {wanted} would be needed, and there are {high} at most"
    elif n > wanted:
        limit = f"; {low} at least"
    elif n > need.n:
        limit = f"; {wanted} were needed within the last {duration(kept_s)}"
    moved = f"{have} → {n}: " if n != have else f"{n}: "
    return Replicas(n, moved + need.reason + limit), memory


def _need(seen: Snapshot, policy: Scaling) -> Replicas:
    """The replicas that forecast and backlog call for, by themselves."""
    past, waiting, rate = seen.past, seen.waiting_rows, seen.rate
    if past.is_idle and not waiting:
        return Replicas(0, f"no rows for {min(past.end, CALM_S)} s" if past.end else "no rows yet")
    expected = forecast(past, seen.startup_s)
    unforeseen = FORESIGHT * expected.error / (1 + seen.budget_s)  # a second's rows have a second and the budget
    uneven = math.hypot(spare(expected.rate, past.dispersion(), seen.budget_s), unforeseen)
    carry = (expected.rate * (1 + policy.headroom_ratio) + uneven) / rate
    drain = 0.0
    if waiting > rate * max(seen.ready, 1) * min(seen.budget_s, 1.0):  # more than passes by itself
        drain = waiting / (rate * policy.drain_backlog_in_s)
    said = f"{_rows(expected.rate)} rows/s forecast{', rising' if expected.is_rising else ''}"
    each = f"{_rows(rate)} rows/s each at p99 ≤ {duration(seen.budget_s)}"
    also = f", {waiting:,.0f} waiting" if waiting else ""
    return Replicas(max(math.ceil(carry + drain), 1), f"{said}, {each}{also}")


def spare(rate: float, dispersion: float, budget_s: float) -> float:
    """Rows per second to carry beyond the mean ``rate``, so that what comes unevenly is in time.

    Square-root staffing (Halfin and Whitt, "Heavy-Traffic Limits for Queues with Many Exponential Servers", 1981) against a
    budget: within any time ``w`` there come ``rate w + z √(dispersion rate w)`` rows at most, and for these there are ``w``
    and the budget; this is the largest such capacity over all ``w`` of a second or more (what is shorter is within what a
    replica was measured to carry, at random arrivals).
    """
    worst_s = 4 * budget_s**2 * rate / (CERTAINTY**2 * dispersion)
    if worst_s >= 1:
        return CERTAINTY**2 * dispersion / (4 * budget_s)
    return max((CERTAINTY * math.sqrt(dispersion * rate) - rate * budget_s) / (1 + budget_s), 0.0)


def _rows(per_s: float) -> str:
    """A rate to the digits that mean something."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.3g}"


def _remembered(memory: Memory, need: int, kept_s: float, now: float) -> Memory:
    """The needs of the last while, in ``SLOTS`` parts."""
    part_s = kept_s / SLOTS
    if not memory.needs or now - memory.since >= part_s * SLOTS:  # nobody looked: what was needed before may be still
        return Memory((max((need, *memory.needs)),), now)
    passed = int((now - memory.since) / part_s)
    if not passed:
        *former, last = memory.needs
        return Memory((*former, max(last, need)), memory.since)
    needs = (*memory.needs, *[memory.needs[-1]] * (passed - 1), need)[-SLOTS:]
    return Memory(needs, memory.since + passed * part_s)

"""What one replica carries, as the traffic itself shows it: a measurement of another day is corrected by what happens."""

from __future__ import annotations

from typing import NamedTuple

WEIGHT = 0.3  # of what is seen now
FLOOR = 0.1  # of what was measured: less is believed of no replica


class Seen(NamedTuple):
    """Rows per second of the last while: answered, and refused or late for lack of time; by so many replicas, all of which
    were there all the time."""

    answered: float
    missed: float
    replicas: int


def learnt(rate: float, measured: float, seen: Seen) -> float:
    """The rate of one replica from now on, in rows per second.

    Replicas that miss rows show that they carry no more than they answer; those that answer more than was believed, and miss
    nothing, show that they carry it. Anything else shows nothing, and what was measured is believed again, slowly.
    """
    each = seen.answered / max(seen.replicas, 1)
    if seen.replicas and seen.missed > 0.01 * seen.answered and 0 < each < rate:
        return max(rate + WEIGHT * (each - rate), FLOOR * measured)
    if seen.replicas and not seen.missed and each > rate:
        return rate + WEIGHT * (each - rate)
    return rate + 0.001 * (measured - rate)

"""Several services on one machine: who gets which of its cores and how much of its memory, where there is not enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Machine(NamedTuple):
    """What there is for replicas; 0 bytes where that is not known. ``kind`` is what people call it."""

    cores: float
    memory_bytes: int = 0
    kind: str = "machine"


class Claim(NamedTuple):
    """What a service asks for: so many replicas, ``least`` of which it gets in any case; each takes so many cores and bytes.
    ``share`` is its part beside those of others."""

    wanted: int
    least: int = 0
    share: float = 1.0
    cores: float = 1.0
    memory_bytes: int = 0


class Allotted(NamedTuple):
    """The replicas that a service gets, and what limits them: "cores", "memory", or "" where it gets what it asks for."""

    n: int
    limit: str = ""


def allot(claims: Sequence[Claim], machine: Machine) -> list[Allotted]:
    """Weighted max-min fairness (Bertsekas and Gallager, "Data Networks", 1992, 6.5.2), a replica at a time: what is left
    goes to whoever has the least of the machine for its share, as long as it wants more and there is room."""
    given = [min(claim.wanted, claim.least) for claim in claims]
    limits = [""] * len(claims)
    while True:
        open_ = [k for k, claim in enumerate(claims) if given[k] < claim.wanted and not limits[k]]
        if not open_:
            break
        poorest = min(open_, key=lambda k: (given[k] * (claims[k].cores or 1.0) / claims[k].share, k))
        limit = _full(claims, given, machine, claims[poorest])
        if limit:
            limits[poorest] = limit
        else:
            given[poorest] += 1
    return [Allotted(n, limit) for n, limit in zip(given, limits, strict=True)]


def _full(claims: Sequence[Claim], given: Sequence[int], machine: Machine, one: Claim) -> str:
    """What there is not enough of for one more replica."""
    cores = sum(n * claim.cores for n, claim in zip(given, claims, strict=True))
    if one.cores and cores + one.cores > machine.cores + 1e-9:
        return "cores"
    taken = sum(n * claim.memory_bytes for n, claim in zip(given, claims, strict=True))
    return "memory" if machine.memory_bytes and taken + one.memory_bytes > machine.memory_bytes else ""

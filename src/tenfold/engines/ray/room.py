"""Whether a cluster has room for a replica: decided from what Ray says of its machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tenfold.engines.ray.orders import Needs

Resources = Mapping[str, float]


class Room(NamedTuple):
    """What the machines have for replicas, together."""

    cores: float
    memory_bytes: int


def machines(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Resources]:
    """What each machine that is there has, by its id, of what ``ray.nodes()`` says."""
    return {node["NodeID"]: node["Resources"] for node in nodes if node["Alive"]}


def lacking(needs: Needs, whole: Mapping[str, Resources], free: Mapping[str, Resources]) -> str:
    """What there is instead of room, in words; "" where there is room. ``whole`` is what each machine has, ``free`` what
    nobody has taken of it."""
    if any(_has(free.get(name, {}), needs) for name in whole):
        return ""
    if not any(_has(has, needs) for has in whole.values()):
        return f"no machine of the {len(whole)} has that much; the largest has {_said(whole.values(), needs)}"
    left = [free.get(name, {}) for name in whole]
    cores = sum(one.get("CPU", 0.0) for one in left), sum(one.get("CPU", 0.0) for one in whole.values())
    return (
        f"{cores[0]:g} of {cores[1]:g} cores are free on {len(whole)} machines; the emptiest has {_said(left, needs)}"
    )


def _has(has: Resources, needs: Needs) -> bool:
    return has.get("CPU", 0.0) >= needs.cores and has.get("memory", 0.0) >= needs.memory_bytes


def _said(some: Iterable[Resources], needs: Needs) -> str:
    """The most that one of these has."""
    most = max(((one.get("CPU", 0.0), one.get("memory", 0.0)) for one in some), default=(0.0, 0.0))
    return str(Needs(most[0], int(most[1]) if needs.memory_bytes else 0))

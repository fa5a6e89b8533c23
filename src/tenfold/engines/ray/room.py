"""Whether a cluster has room for a replica, and where: decided from what Ray says of its machines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
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
    if not any(_has(one, needs) for one in whole.values()):
        return f"no machine of the {len(whole)} has that much; the largest has {_said(whole.values(), needs)}"
    left = [free.get(name, {}) for name in whole]
    cores = sum(one.get("CPU", 0.0) for one in left), sum(one.get("CPU", 0.0) for one in whole.values())
    return (
        f"{cores[0]:g} of {cores[1]:g} cores are free on {len(whole)} machines; the emptiest has {_said(left, needs)}"
    )


def choose(
    needs: Needs, free: Mapping[str, Resources], taken: Mapping[str, int], here: str, shunned: Collection[str]
) -> str:
    """The machine for another replica of a release, of those with room; "" where none has any.

    ``free`` is what nobody has taken of each, ``taken`` how many of this release are there already, ``here`` the machine of
    the fronts: one replica belongs there, so that where each machine has fronts of its own, the loss of another takes nothing
    from them. The others are spread. ``shunned`` are machines that seem to be lost, before Ray knows.
    """
    fit = [name for name, one in free.items() if _has(one, needs) and name not in shunned]
    if here in fit and not taken.get(here):
        return here
    return min(fit, key=lambda name: (taken.get(name, 0), -free[name].get("CPU", 0.0)), default="")


def crowded(
    needs: Needs, free: Mapping[str, Resources], taken: Mapping[str, int], here: str, shunned: Collection[str]
) -> str:
    """The machine of which one replica should go elsewhere, since the next one to be lost would take too many along; "" where
    they are spread as well as there is room. The same is given as to ``choose``, once all replicas of a release are placed.

    Each move leaves them spread better than before, and so they come to rest.
    """
    better = choose(needs, free, taken, here, shunned)
    fullest = max(taken, key=lambda name: taken[name], default="")
    if not better or not fullest:
        return ""
    is_bare = better == here and not taken.get(here)
    return fullest if is_bare or taken[fullest] - taken.get(better, 0) > 1 else ""


def _has(has: Resources, needs: Needs) -> bool:
    return all(has.get(name, 0.0) >= amount for name, amount in _amounts(needs).items())


def _amounts(needs: Needs) -> dict[str, float]:
    """All that is needed, by Ray's names."""
    return {"CPU": needs.cores, "memory": float(needs.memory_bytes), **needs.others}


def _said(some: Iterable[Resources], needs: Needs) -> str:
    """What the one of these has that comes closest, of what is needed."""
    rarest = (*needs.others, "CPU", "memory")
    best = max(some, key=lambda one: [one.get(name, 0.0) for name in rarest], default={})
    others = {name: best.get(name, 0.0) for name in needs.others}
    return str(Needs(best.get("CPU", 0.0), int(best.get("memory", 0.0)) if needs.memory_bytes else 0, others))

"""``tenfold scale``: more replicas for a while, whatever the policy says; and what a server has to know of a service's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from tenfold.answers import Evidence
from tenfold.control.stores import opened, who
from tenfold.engines.overrides import WHAT, Override, latest
from tenfold.errors import NotFound, UsageError
from tenfold.spec import Spec
from tenfold.store import Act
from tenfold.units import seconds

LONGEST_S = 30 * 86_400.0  # what is to hold for longer belongs into the class
MOST = 256

__all__ = ["Asked", "Override", "ask", "asked", "measured", "withdraw"]


class Asked(NamedTuple):
    """What was asked for of a service, in which store."""

    service: str
    override: Override
    place: str


def measured(described: Spec, folder: Path) -> float | None:
    """What one replica of a release was measured to carry, in rows per second; None where nobody measured it."""
    known = Evidence.read(folder).of(described).capacity
    return known.card.per_replica if known and known.card.rows_per_s else None


def ask(name: str, least: int, span: str, why: str = "", place: str = "") -> Asked:
    """Have so many replicas at least, for so long. ``name`` is a service of the store, or a folder.

    A running server that looks after the store follows within seconds. The request is put on record, and runs out by itself.
    """
    if least > MOST:
        raise UsageError(f"--min {least} is more than {MOST} processes", "a smaller number")
    try:
        span_s = seconds(span)
    except ValueError as error:
        raise UsageError(f"--for: {error}", 'write --for "2 h"') from None
    if not 0 < span_s <= LONGEST_S:
        mend = 'write --for "2 h"; for longer than that, Scaling(min_replicas=…)'
        raise UsageError(f"--for {span} is no while of up to 30 days", mend)
    return _record(name, Override(least, time.time() + span_s, who(), why), place)


def withdraw(name: str, why: str = "", place: str = "") -> Asked:
    """Let the policy decide again, at once."""
    return _record(name, Override(0, time.time(), who(), why or "withdrawn"), place)


def asked(place: str = "", target: str = ".") -> dict[str, Override]:
    """What holds at present, by service."""
    now = time.time()
    with opened(place, target) as store:
        return {name: one for name, one in latest(store.events.list()).items() if one.least and one.until > now}


def _record(name: str, override: Override, place: str) -> Asked:
    path = Path(name.partition(":")[0])
    is_folder = path.exists()
    if is_folder:
        from tenfold.service import find, spec

        service = spec(find(name)).name
    elif path.name != name or path.suffix == ".py":
        raise NotFound(f"{name} does not exist", "name the folder that is served, or a service of a store by its name")
    else:
        service = name
    with opened(place, name, create=is_folder) as store:
        if not is_folder and service not in store.releases.services():
            mend = f"it has {', '.join(store.releases.services()) or 'none'}; or name the folder that is served"
            raise NotFound(f"the store {store.place} has no service {service}", mend)
        act = Act(override.who, WHAT, override.why, {"min": override.least, "until": override.until})
        store.events.append(act, service=service)
        return Asked(service, override, store.place)

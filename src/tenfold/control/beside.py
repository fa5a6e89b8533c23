"""A contract that breaks others answers beside the old one: the same release, under the name of a service of its own.

Whoever asks ``wine`` goes on doing so; ``wine-2`` has the new contract, with releases, rollouts and roll-backs of its own.
The release is the same to the byte, and has the same id: just what its folder is told differs (``Released.service``).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import NamedTuple

import msgspec

from tenfold.control import gates
from tenfold.control.stores import who
from tenfold.errors import Conflict, UsageError
from tenfold.service.read import RESERVED, is_name
from tenfold.store import Act, Store
from tenfold.store.records import ROLLOUT, Release
from tenfold.store.trees import needed

BESIDE = "beside"  # the kind of evidence that says beside which one a service answers
MOST_NAME = 63


class Beside(NamedTuple):
    """How a release would be called beside another one, that other one, which goes on, and whom it would break."""

    release: Release
    stays: Release
    because: str


def proposed(store: Store, release: Release, current: Release | None, name: str = "") -> Beside | None:
    """How a release can answer whose contract breaks those who ask ``current``; None where it breaks nobody.

    ``name`` is the service that it is to be; else the first of wine-2, wine-3, … that is free, or that answers beside
    ``wine`` and that it does not break. ``UsageError`` for a name that no service can have, ``Conflict`` for one that is
    taken.
    """
    because = broken(store, release, current)
    if current is None or not because:
        return None
    if not name:
        name = next(one for one in _names(release.service) if _is_free(store, one, release))
    else:
        require_name(name, release.service)
        if not _is_free(store, name, release):
            raise Conflict(
                f"{name} is a service already, and {release.name} is not what its clients expect",
                "leave --as out, or name another one",
            )
    known, latest = store.releases.by_id(name, release.id), store.releases.latest(name)
    number = known.number if known else latest.number + 1 if latest else 1
    return Beside(msgspec.structs.replace(release, service=name, number=number), current, because)


def broken(store: Store, release: Release, current: Release | None) -> str:
    """Whom a release breaks: by its contract, or as the gate saw it when requests of before were sent once more."""
    if current is None or current.id == release.id:
        return ""
    foreseen = gates.foreseen(store, release, current)["contract"]
    said = [(one.verdict, one.because) for one in store.gates.of(release.service, release.id) if _is_of(one, current)]
    return next((because for verdict, because in [foreseen, *said] if verdict == "failed"), "")


def put(store: Store, release: Release, beside: Beside, why: str = "") -> Release:
    """The same release as one of the service beside, with what was measured of it; and that on record. ``Conflict`` where
    another one took that name meanwhile."""
    service = beside.release.service
    spec = msgspec.structs.replace(store.spec(release), name=service)
    stated = store.blobs.put(msgspec.json.encode(spec))
    with store.transaction():
        if not _is_free(store, service, release):  # somebody else was quicker
            raise Conflict(f"{service} was taken meanwhile by what {release.name} breaks", "deploy it once more")
        made, is_new = store.releases.add(
            service,
            release.parts,
            who=who(),
            needs=[*needed(store.blobs, release), stated],
            roots=release.roots,
            entry=release.entry,
            spec=stated,
            source=release.source,
            why=f"{release.name} beside {beside.stays.name}",
        )
        for one in store.evidence.of(release.service, release.id) if is_new else ():
            if one.kind != ROLLOUT:
                store.evidence.put(made.service, made.id, one.kind, one.content, one.machine)
        store.evidence.put(made.service, "", BESIDE, {"service": release.service})
        said = f"{beside.stays.name} goes on, and {release.name} answers as {made.name}: {why or beside.because}"
        store.events.append(Act(who(), BESIDE, said, {"as": made.name}), service=release.service, to=release.id)
    return made


def beside(store: Store, service: str) -> list[str]:
    """The services that answer beside one."""
    return [one for one in store.releases.services() if origin(store, one) == service]


def require_name(name: str, service: str = "") -> None:
    """Raise ``UsageError`` for what no service beside ``service`` can be called."""
    if not is_name(name) or name in (service, *RESERVED):
        raise UsageError(
            f"--as {name!r} cannot be the name of a service beside it", "lower-case letters, digits, hyphens"
        )


def was_put(store: Store, service: str, release: str, since: datetime) -> bool:
    """Whether a release of a service was put beside it since a moment."""
    events = store.events.list(service, what=(BESIDE,))
    return any(one.to == release and one.at >= since for one in events)


def origin(store: Store, service: str) -> str:
    """The service beside which this one answers; "" for one that stands alone."""
    found = store.evidence.of(service, "", BESIDE)
    return str(found[0].content["service"]) if found else ""


def _is_free(store: Store, name: str, release: Release) -> bool:
    """Whether a release may answer under a name: nothing does, or what does so already answers beside, and is not broken."""
    if name not in store.releases.services():
        return True
    if origin(store, name) != release.service:
        return False
    pointer = store.pointers.get(name)
    current = store.releases.by_id(name, pointer.release) if pointer else store.releases.latest(name)
    return not broken(store, release, current)


def _is_of(gate: gates.Gate, current: Release) -> bool:
    return gate.name == "contract" and gate.against == current.id


def _names(service: str) -> Iterator[str]:
    for n in count(2):
        yield f"{service[: MOST_NAME - len(str(n)) - 1].rstrip('-')}-{n}"

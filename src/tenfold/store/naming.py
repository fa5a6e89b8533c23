"""How a person's name of a release is understood: tumour-check@14, @3f9c2a1, @latest, @previous."""

from __future__ import annotations

import re
from difflib import get_close_matches

from tenfold.errors import NotFound, UsageError
from tenfold.store.nouns import CURRENT
from tenfold.store.opening import Store
from tenfold.store.records import Release

FEWEST_DIGITS = 4  # of a digest that a person may shorten it to

_NAMED = re.compile(r"(?P<service>[a-z0-9-]*)(?:@(?P<which>\w+))?")
_HEX = re.compile(r"[0-9a-f]+")


def resolve(store: Store, name: str) -> Release:
    """The release that a person means.

    ``tumour@14`` is a number, ``tumour@3f9c2a1`` the beginning of an id, ``tumour@latest`` the one that was pushed last,
    ``tumour@previous`` the one that answered before the one that does, ``tumour@current`` the one that does, and so does
    ``tumour`` alone; where none answers yet, it is the latest. The service may be left out where the store has just one.
    Raises ``NotFound``, which says what there is.
    """
    said = _NAMED.fullmatch(name)
    if said is None:
        raise UsageError(
            f"{name!r} is no name of a release", "write NAME@N, such as tumour@14; or NAME@latest, @3f9c2a1"
        )
    service = _service(store, said["service"])
    which = said["which"] or (CURRENT if store.pointers.get(service) else "latest")
    found = _numbered(store, service, which) or _pointed(store, service, which)
    if found is None:
        latest = store.releases.latest(service)
        newest = f"the newest is {latest.name}; " if latest else ""
        raise NotFound(
            f"{service} has no release {which!r}",
            f"{newest}tenfold releases {service}{store.at(service)} lists them all",
        )
    return found


def _service(store: Store, name: str) -> str:
    """The service that is meant."""
    known = store.releases.services()
    if name in known:
        return name
    if not known:
        raise NotFound("the store has no releases", f"tenfold push SERVICE{store.at()} makes the first one")
    if not name:
        if len(known) == 1:
            return known[0]
        raise UsageError(f"the store has {len(known)} services", f"name one: {', '.join(known[:8])}")
    near = get_close_matches(name, known, 1)
    raise NotFound(
        f"the store has no service {name!r}", f"did you mean {near[0]}?" if near else f"it has {', '.join(known[:8])}"
    )


def _numbered(store: Store, service: str, which: str) -> Release | None:
    """By number, or else by the beginning of the id."""
    if which.isdecimal() and (found := store.releases.by_number(service, int(which))):
        return found
    if not _HEX.fullmatch(which) or len(which) < FEWEST_DIGITS:
        return None
    alike = [release for release in store.releases.list(service) if release.id.startswith(which)]
    if len(alike) > 1:
        names = ", ".join(f"{release.name} ({release.id[:12]})" for release in alike)
        raise UsageError(f"several releases of {service} begin with {which}: {names}", "write more digits")
    return alike[0] if alike else None


def _pointed(store: Store, service: str, which: str) -> Release | None:
    """By a name that moves."""
    if which == "latest":
        return store.releases.latest(service)
    if which == "previous":
        pointer = store.pointers.get(service)
        if pointer is None or not pointer.previous:
            raise NotFound(
                f"nothing answered for {service} before what does now",
                f"tenfold releases {service}{store.at(service)} · lists its releases",
            )
        return store.releases.by_id(service, pointer.previous)
    pointer = store.pointers.get(service, which)
    return store.releases.by_id(service, pointer.release) if pointer else None

"""Keys: created, listed, revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import NamedTuple

from tenfold.auth import SCOPES, fresh
from tenfold.control.stores import is_there, opened, who
from tenfold.errors import NotFound, UsageError
from tenfold.store.records import Key
from tenfold.units import seconds

__all__ = ["Key"]


class Created(NamedTuple):
    """A new key, with its text, which is shown once and kept nowhere; the store that it is in, and whether that was made
    for it."""

    key: Key
    text: str
    place: str
    is_first: bool


def create(name: str, scopes: Sequence[str] = ("predict",), expires: str | None = None, place: str = "") -> Created:
    """Make a key for ``name`` with these scopes, which runs out after ``expires`` ("90 days"); None is never."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        raise UsageError(f"{unknown[0] if unknown else 'nothing'!r} is no scope", f"the scopes are {', '.join(SCOPES)}")
    if not name.strip() or not name.isprintable():
        raise UsageError(f"{name!r} cannot be the name of a key", "say who it is for: tenfold keys create laboratory")
    is_first = not is_there(place)
    with opened(place, create=True) as store:
        now = store.clock()
        ends = None if expires is None else _end(now, expires)
        made = fresh(store.entropy)
        key = Key(
            id=made.id,
            name=name,
            digest=made.digest,
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            at=now,
            who=who(),
            expires=ends,
        )
        store.keys.add(key)
        return Created(key, made.text, store.place, is_first)


def listed(place: str = "") -> Sequence[Key]:
    """Every key that was ever made, the oldest first."""
    with opened(place) as store:
        return store.keys.list()


def are_held(place: str = "") -> bool:
    """Whether somebody has a key that holds; nobody has one to a store that is not there."""
    try:
        with opened(place) as store:
            now = store.clock()
            return any(not key.revoked and (key.expires is None or key.expires > now) for key in store.keys.list())
    except NotFound:
        return False


def revoke(which: str, place: str = "") -> Key:
    """Let a key, by its id or the name that no other has, allow nothing any more."""
    with opened(place) as store:
        keys = [key for key in store.keys.list() if which in (key.id, key.name)]
        live = [key for key in keys if not key.revoked] or keys
        if len(live) > 1:
            raise UsageError(
                f"{len(live)} keys are named {which!r}", f"name one by its id: {', '.join(k.id for k in live)}"
            )
        if not live:
            names = {word for key in store.keys.list() for word in (key.id, key.name)}
            near = get_close_matches(which, names, 1)
            list_them = f"tenfold keys list{store.at()}"
            raise NotFound(f"there is no key {which!r}", f"did you mean {near[0]}?" if near else list_them)
        revoked = store.keys.revoke(live[0].id, who())
        assert revoked is not None  # it was there a moment ago, and keys are never deleted
        return revoked


def _end(now: datetime, text: str) -> datetime:
    """When a key runs out that is made now. Raises ``UsageError`` for what is no time, or is none that comes."""
    try:
        end = now + timedelta(seconds=seconds(text))
    except OverflowError:
        raise UsageError(
            f"--expires: {text!r} is longer than a calendar", "leave it out for a key that stays"
        ) from None
    except ValueError as error:
        said = str(error).partition(";")[0]  # without its example, which is of milliseconds
        raise UsageError(f"--expires: {said}", 'say how long: --expires "90 days"') from None
    if end <= now:
        raise UsageError(f"--expires: a key that ends after {text!r} never holds", 'say how long: --expires "90 days"')
    return end

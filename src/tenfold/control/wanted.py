"""What a store wants of its services: the release that each is to answer with, and the rollouts on their way."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.control.beside import origin
from tenfold.store import Store
from tenfold.store.records import Pointer, Release, Rollout


class Wanted:
    """All services of a store, or those that were named. ``news`` are those of which there is something new to show."""

    def __init__(self, store: Store, names: Sequence[str] = ()) -> None:
        self.pointers: dict[str, Pointer] = {}
        self.rollouts: dict[str, Rollout] = {}
        self.origins: dict[str, str] = {}  # beside which service one answers
        self.news: set[str] = set()
        self._store = store
        self._names = names
        self._generation = -1

    def read(self) -> None:
        """Look whether it has changed."""
        generation = self._store.generation()
        if generation != self._generation:
            self.pointers = {one.service: one for one in self._store.pointers.list() if one.name == "current"}
            self.rollouts = {one.service: one for one in self._store.rollouts.list(ended=False)}
            self.origins = {one: origin(self._store, one) for one in {*self.pointers, *self.rollouts}}
            self._generation = generation
            self.news.update(self.pointers)

    def forget(self) -> None:
        """Read all of it again the next time."""
        self._generation = -1

    def services(self) -> list[str]:
        """Those that are served: all, or the named ones with what answers beside them."""
        known = {*self.pointers, *self.rollouts}
        named = {*self._names, *(one for one in known if self.origins.get(one) in self._names)}
        return sorted(named if self._names else known)

    def release(self, service: str, release: str) -> Release | None:
        """The release with this id; None where the store has none."""
        return self._store.releases.by_id(service, release) if release else None

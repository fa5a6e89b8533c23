"""What people asked for beyond a policy: the events of ``tenfold scale`` in a store, each until it runs out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from tenfold.scaling.schedule import NOBODY, Floor
from tenfold.store import Store
from tenfold.store.following import Follower
from tenfold.store.records import Event

LOOK_S = 0.5
WHAT = "scale"  # of an event; its detail has "min" and "until", in seconds of Unix time


class Override(NamedTuple):
    """So many replicas at least, until a moment (seconds of Unix time), and who asked for them."""

    least: int
    until: float
    who: str
    why: str = ""

    def floor(self, now: float) -> Floor:
        """What it amounts to at a moment."""
        if now >= self.until or not self.least:
            return NOBODY
        until = datetime.fromtimestamp(self.until, UTC)
        why = f" ({self.why})" if self.why else ""
        return Floor(self.least, f"{self.who} asked for {self.least} until {until:%Y-%m-%d %H:%M} UTC{why}")


def latest(events: Iterable[Event]) -> dict[str, Override]:
    """The last word for each service."""
    asked = (event for event in events if event.what == WHAT)
    return {one.service: Override(one.detail["min"], one.detail["until"], one.who, one.why) for one in asked}


class Overrides:
    """Those of a store, which may come into being while a server runs. One that cannot be read leaves all as it was."""

    def __init__(self, place: str) -> None:
        self._seen = 0
        self._known: dict[str, Override] = {}
        self._follower = Follower(place, self._later, every_s=LOOK_S) if place else None
        self.look()

    def look(self) -> None:
        """See whether somebody asked for something since."""
        for events in self._follower.news() if self._follower else ():
            self._known |= latest(events)

    def _later(self, store: Store) -> Sequence[Event] | None:
        """What happened since the last look."""
        events = store.events.list(after=self._seen)
        if not events:
            return None
        self._seen = events[-1].n
        return events

    def floor(self, service: str, now: float) -> Floor:
        """What somebody asks for at a moment (seconds of Unix time)."""
        override = self._known.get(service)
        return override.floor(now) if override else NOBODY

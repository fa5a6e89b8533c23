"""Replicas by the clock: "Mon-Fri 08:00-18:00 Europe/Berlin: 4" keeps four of them ready in those hours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
EXAMPLE = '"Mon-Fri 08:00-18:00 Europe/Berlin: 4"'

_ENTRY = re.compile(
    r"(?:(?P<first>\w{3})(?:-(?P<last>\w{3}))?\s+)?"
    r"(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)"
    r"(?:\s+(?P<zone>[\w+-]+(?:/[\w+-]+)*))?"
    r"\s*:\s*(?P<replicas>\d+)"
)


class Entry(NamedTuple):
    """Hours of some days of the week, 0 being Monday, and the fewest replicas then. Hours that end before they begin end on
    the next day."""

    text: str
    days: frozenset[int]
    begin: time
    end: time
    zone: tzinfo
    replicas: int

    def holds(self, moment: datetime) -> bool:
        """Whether it holds at a moment (one with a time zone)."""
        local = moment.astimezone(self.zone)
        at = local.time()
        if self.begin < self.end:
            return local.weekday() in self.days and self.begin <= at < self.end
        before = (local - timedelta(days=1)).weekday()
        return (local.weekday() in self.days and at >= self.begin) or (before in self.days and at < self.end)


class Floor(NamedTuple):
    """The fewest replicas for the time being, beyond ``min_replicas``, and who asks for them; 0 where nobody does."""

    n: int = 0
    because: str = ""


NOBODY = Floor()


def entries(schedule: Sequence[str]) -> tuple[Entry, ...]:
    """The entries as they are written. Raises ``ValueError`` for one that cannot be read."""
    return tuple(map(_entry, schedule))


def scheduled(schedule: Sequence[Entry], moment: datetime) -> Floor:
    """What the schedule asks for at a moment (one with a time zone): the most of what holds then."""
    held = [entry for entry in schedule if entry.holds(moment)]
    most = max(held, key=lambda entry: entry.replicas, default=None)
    return Floor(most.replicas, f"the schedule has {most.text}") if most else Floor()


def _entry(text: str) -> Entry:
    found = _ENTRY.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no entry of a schedule; write {EXAMPLE}")
    try:
        begin, end = time.fromisoformat(found["begin"]), time.fromisoformat(found["end"])
        zone = ZoneInfo(found["zone"] or "UTC")
    except (ValueError, ZoneInfoNotFoundError):
        raise ValueError(f"{text!r} has no such hour or time zone; write {EXAMPLE}") from None
    return Entry(text, _days(text, found["first"], found["last"]), begin, end, zone, int(found["replicas"]))


def _days(text: str, first: str | None, last: str | None) -> frozenset[int]:
    """The days from the first to the last, over a weekend too; all of them where none is named."""
    if first is None:
        return frozenset(range(7))
    if {first, last or first} - set(DAYS):
        raise ValueError(f"{text!r} names a day that is none of {', '.join(DAYS)}")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return frozenset((begin + k) % 7 for k in range((end - begin) % 7 + 1))

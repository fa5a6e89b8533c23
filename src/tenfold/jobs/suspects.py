"""Which rows end the process of the model, or keep it busy for ever: found without losing their neighbours.

A shard whose process ended is tried once more as it is: the process may have been killed for nothing of its own. If it
ends again, or if it was ended for taking too long, its rows are probed in ever smaller pieces, whose answers are thrown
away; a single row that ends the process twice is guilty. Then the shard is answered without the guilty, in the very
composition that it always had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

PIECES = 64  # of a range that is probed: each death leaves one of them to look into
TRIES = 2  # of a shard as a whole, before its rows are suspected, and after


class Whole(NamedTuple):
    """Answer the shard, without some rows, each of which has its reason; ``hurried`` unless all others are known to be
    answered in time, one by one."""

    without: Mapping[int, str]
    hurried: bool = True


class Probe(NamedTuple):
    """Try the rows from ``first`` up to ``stop``, ``size`` at a time."""

    first: int
    stop: int
    size: int


class Hopeless(NamedTuple):
    """The shard ends its process as a whole, although none of its rows does so alone."""

    how: str


@dataclass(slots=True)
class Suspects:
    """The rows of one shard. ``next`` says what to do with them; then say what came of it."""

    rows: int
    guilty: dict[int, str] = field(default_factory=dict)
    _deaths: int = 0
    _how: str = ""
    _late: bool = False
    _probed: bool = False
    _ranges: list[tuple[int, int]] = field(default_factory=list)
    _suspect: int = -1

    def next(self) -> Whole | Probe | Hopeless:
        """What to try."""
        if self._deaths >= TRIES:
            return Hopeless(self._how)
        if not self._ranges:
            return Whole(self.guilty, hurried=not (self._probed and self._late))
        first, stop = self._ranges[-1]
        return Probe(first, stop, -(-(stop - first) // PIECES))

    def died(self, how: str, *, late: bool = False) -> None:
        """The process ended while it answered the whole shard; ``late`` where it was ended for taking too long."""
        self._deaths, self._how, self._late = self._deaths + 1, how, late
        if (late or self._deaths == TRIES) and not self._probed and self.rows:
            self._deaths, self._probed = 0, True
            self._ranges = [(0, self.rows)]

    def died_at(self, first: int, stop: int, how: str) -> None:
        """The process ended while it tried the piece from ``first`` up to ``stop`` of the probe."""
        _, end = self._ranges.pop()
        if stop < end:
            self._ranges.append((stop, end))
        if stop - first == 1 and first == self._suspect:
            self.guilty[first] = how
            return
        self._ranges.append((first, stop))
        self._suspect = first if stop - first == 1 else -1

    def lost(self, how: str) -> None:
        """The process ended before it tried any piece of the probe."""
        self._deaths, self._how = self._deaths + 1, how

    def passed(self) -> None:
        """The probe came through."""
        self._ranges.pop()

"""What is to be said of rows besides their outputs: what validation in the front says of a request, a replica of a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tenfold.errors import Change, Flag, Violation
from tenfold.server.frames import Notes


class Remarks:
    """What validation in the front had to say of a request's rows, by their position in the request."""

    __slots__ = ("changes", "fallbacks", "flags", "key", "put_aside", "violations")

    def __init__(
        self,
        violations: Sequence[Violation] = (),
        changes: Sequence[Change] = (),
        flags: Sequence[Flag] = (),
        put_aside: Mapping[int, Sequence[Violation]] | None = None,
        fallbacks: Mapping[int, str] | None = None,
        key: Any = None,
    ) -> None:
        self.violations = list(violations)
        self.changes = list(changes)
        self.flags = list(flags)
        self.put_aside = dict(put_aside or {})
        self.fallbacks = dict(fallbacks or {})
        self.key = key

    def add(self, notes: Notes | None, place: int) -> None:
        """Take over what a replica says of one row, which stands at ``place`` here."""
        if notes is None:
            return
        self.violations += [said._replace(row=place) for said in notes.violations]
        self.changes += [said._replace(row=place) for said in notes.changes]
        self.flags += [said._replace(row=place) for said in notes.flags]
        for because in notes.fallbacks.values():
            self.fallbacks[place] = because
        for reasons in notes.put_aside.values():
            self.put_aside[place] = [reason._replace(row=place) for reason in reasons]


class Outcome(msgspec.Struct, eq=False, gc=False):
    """A batch that came back: one JSON text per row (None where it was refused), and what is to be said of single rows.

    ``sent`` is when it went to the replica, ``timing`` the stages of the batch as Server-Timing has them.
    """

    outputs: Sequence[bytes | None]
    notes: dict[int, Notes] | None
    sent: float
    timing: bytes


def by_row(notes: Notes) -> dict[int, Notes]:
    """What is said of each row of a batch."""
    found: dict[int, Notes] = defaultdict(Notes)
    for violation in notes.violations:
        found[violation.row].violations.append(violation)
    for change in notes.changes:
        found[change.row].changes.append(change)
    for flag in notes.flags:
        found[flag.row].flags.append(flag)
    for row, reasons in notes.put_aside.items():
        found[row].put_aside[row] = reasons
    for row, because in notes.fallbacks.items():
        found[row].fallbacks[row] = because
    return dict(found)

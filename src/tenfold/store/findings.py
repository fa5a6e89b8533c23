"""Labels and profiles in SQL: what turned out to be true, and counts of what was seen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from tenfold.store.clock import Clock
from tenfold.store.database import Database, record
from tenfold.store.nouns import Counted
from tenfold.store.records import Label, Profile, json, written

AT_ONCE = 500  # rows asked for in one statement

_COLUMNS = 'service, "by", ref, label, at, who'


class JoinedLabels:
    """``Labels``, one for each row: the one that is true last."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def add(self, labels: Iterable[Label]) -> Counted:
        counts = {"new": 0, "corrected": 0, "known": 0}
        arrived = written(self._clock())
        with self._database.transaction():
            for label in labels:
                counts[self._add(label, arrived)] += 1
        return Counted(**counts)

    def _add(self, label: Label, arrived: str) -> str:
        before = self.find(label.service, label.by, [label.ref]).get(label.ref)
        if before is not None and before.at > label.at:
            return "known"
        if before is not None and before.label == label.label:
            self._database.run(
                'UPDATE label SET at = ? WHERE service = ? AND "by" = ? AND ref = ?',
                *(written(label.at), label.service, label.by, label.ref),
            )
            return "known"
        values = (json(label.label), written(label.at), label.who, arrived, label.service, label.by, label.ref)
        if before is not None:
            self._database.run(
                'UPDATE label SET label = ?, at = ?, who = ?, arrived = ? WHERE service = ? AND "by" = ? AND ref = ?',
                *values,
            )
            return "corrected"
        self._database.run(
            'INSERT INTO label (label, at, who, arrived, service, "by", ref) VALUES (?, ?, ?, ?, ?, ?, ?)', *values
        )
        return "new"

    def find(self, service: str, by: str, refs: Collection[str]) -> Mapping[str, Label]:
        wanted, found = list(refs), {}
        for k in range(0, len(wanted), AT_ONCE):
            some = wanted[k : k + AT_ONCE]
            marks = ", ".join("?" * len(some))
            rows = self._database.rows(
                f'SELECT {_COLUMNS} FROM label WHERE service = ? AND "by" = ? AND ref IN ({marks})', service, by, *some
            )
            found.update({row["ref"]: record(Label, row, "label") for row in rows})
        return found

    def since(self, service: str, moment: datetime | None = None) -> Iterator[Label]:
        last = (written(moment) if moment else "", "", "")
        while True:
            rows = self._database.rows(
                f'SELECT {_COLUMNS}, arrived FROM label WHERE service = ? AND (arrived, ref, "by") > (?, ?, ?) '
                'ORDER BY arrived, ref, "by" LIMIT ?',
                *(service, *last, AT_ONCE),
            )
            for row in rows:
                yield record(Label, {name: value for name, value in row.items() if name != "arrived"}, "label")
            if len(rows) < AT_ONCE:
                return
            last = (rows[-1]["arrived"], rows[-1]["ref"], rows[-1]["by"])


class WindowProfiles:
    """``Profiles``, one for each release, kind and window."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, profile: Profile) -> None:
        where = (profile.service, profile.release, profile.kind, written(profile.since), written(profile.until))
        with self._database.transaction():
            self._database.run(
                "DELETE FROM profile WHERE service = ? AND release = ? AND kind = ? AND since = ? AND until = ?", *where
            )
            self._database.run(
                "INSERT INTO profile (service, release, kind, since, until, rows, content) VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(*where, profile.rows, profile.content),
            )

    def of(self, service: str, release: str = "", kind: str = "") -> Sequence[Profile]:
        rows = self._database.rows(
            "SELECT * FROM profile WHERE service = ? AND (release = ? OR ? = '') AND (kind = ? OR ? = '') "
            "ORDER BY since, until, release, kind",
            *(service, release, release, kind, kind),
        )
        return [record(Profile, row) for row in rows]

"""Releases and their signatures in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tenfold.service.manifest import release_id
from tenfold.store.clock import Clock
from tenfold.store.database import Database, record
from tenfold.store.history import EventLog
from tenfold.store.nouns import Act, Blobs
from tenfold.store.records import Release, Signature, json, written


class Absent(Exception):
    """Blobs that a release consists of, and that are not there (any more)."""

    def __init__(self, digests: Collection[str]) -> None:
        super().__init__(f"{len(digests)} blobs")
        self.digests = digests


class NumberedReleases:
    """``Releases`` with numbers that count up within a service."""

    def __init__(self, database: Database, events: EventLog, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._blobs = blobs
        self._clock = clock

    def add(
        self, service: str, parts: Mapping[str, str], *, who: str, needs: Collection[str] = (), **about: Any
    ) -> tuple[Release, bool]:
        made = release_id(dict(parts))
        with self._database.transaction():
            # within the transaction, so that no sweep comes between
            if absent := [digest for digest in needs if self._blobs.find(digest) is None]:
                raise Absent(absent)
            known = self.by_id(service, made)
            if known is not None:
                if known.collected:
                    self._database.run(
                        "UPDATE release SET collected = NULL WHERE service = ? AND id = ?", service, made
                    )
                return known, False
            latest = self.latest(service)
            number = latest.number + 1 if latest else 1
            release = Release(
                service=service, number=number, id=made, parts=dict(parts), at=self._clock(), who=who, **about
            )
            self._insert(release)
            self._events.append(Act(who, "push", release.why, {"number": number}), service=service, to=made)
        return release, True

    def _bring_back(self, known: Release, spec: str) -> None:
        """The files of a release that were given up are there again."""
        self._database.run(
            "UPDATE release SET collected = NULL, spec = ? WHERE service = ? AND id = ?", spec, known.service, known.id
        )

    def _insert(self, new: Release) -> None:
        self._database.run(
            "INSERT INTO release (service, number, id, parts, roots, entry, spec, source, at, who, why) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *(new.service, new.number, new.id, json(new.parts), json(new.roots), new.entry, new.spec, new.source),
            *(written(new.at), new.who, new.why),
        )

    def by_number(self, service: str, number: int) -> Release | None:
        return self._one("service = ? AND number = ?", service, number)

    def by_id(self, service: str, id: str) -> Release | None:  # noqa: A002 - its own word
        return self._one("service = ? AND id = ?", service, id)

    def latest(self, service: str) -> Release | None:
        return self._one("service = ? ORDER BY number DESC LIMIT 1", service)

    def list(self, service: str = "") -> Sequence[Release]:
        return self._many("(service = ? OR ? = '') ORDER BY at DESC, service, number DESC", service, service)

    def services(self) -> Sequence[str]:
        return [row["service"] for row in self._database.rows("SELECT DISTINCT service FROM release ORDER BY service")]

    def collect(self, release: Release) -> None:
        with self._database.transaction():
            self._database.run(
                "UPDATE release SET collected = ? WHERE service = ? AND id = ?",
                *(written(self._clock()), release.service, release.id),
            )

    def sign(self, signature: Signature) -> None:
        with self._database.transaction():
            where = (signature.service, signature.release, signature.key)
            self._database.run("DELETE FROM signature WHERE service = ? AND release = ? AND key = ?", *where)
            self._database.run(
                "INSERT INTO signature (service, release, key, envelope) VALUES (?, ?, ?, ?)",
                *(*where, signature.envelope),
            )

    def signatures(self, service: str, release: str) -> Sequence[Signature]:
        rows = self._database.rows(
            "SELECT * FROM signature WHERE service = ? AND release = ? ORDER BY key", service, release
        )
        return [record(Signature, row) for row in rows]

    def _one(self, where: str, *values: Any) -> Release | None:
        return next(iter(self._many(where, *values)), None)

    def _many(self, where: str, *values: Any) -> Sequence[Release]:
        rows = self._database.rows(f"SELECT * FROM release WHERE {where}", *values)
        return [record(Release, row, "parts", "roots") for row in rows]

"""Keys in SQL: who was given one, for what, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from tenfold.auth import Access, Grant, Scope
from tenfold.store.clock import Clock
from tenfold.store.database import Database, record
from tenfold.store.history import EventLog, advance
from tenfold.store.nouns import Act
from tenfold.store.records import Key, json, written


class HashedKeys:
    """``Keys`` of which only the digests are kept."""

    def __init__(self, database: Database, events: EventLog, clock: Clock) -> None:
        self._database = database
        self._events = events
        self._clock = clock

    def add(self, key: Key) -> None:
        detail = {"id": key.id, "name": key.name, "scopes": key.scopes}
        with self._database.transaction():
            self._database.run(
                "INSERT INTO access_key (id, name, digest, scopes, at, who, expires) VALUES (?, ?, ?, ?, ?, ?, ?)",
                *(key.id, key.name, key.digest, json(key.scopes), written(key.at), key.who),
                written(key.expires) if key.expires else None,
            )
            self._events.append(Act(key.who, "key created", detail=detail))
            advance(self._database)

    def list(self) -> Sequence[Key]:
        return [record(Key, row, "scopes") for row in self._database.rows("SELECT * FROM access_key ORDER BY at, id")]

    def revoke(self, id: str, who: str) -> Key | None:  # noqa: A002 - its own word
        now = self._clock()
        with self._database.transaction():
            key = next((key for key in self.list() if key.id == id), None)
            if key is None or key.revoked:
                return key
            self._database.run("UPDATE access_key SET revoked = ? WHERE id = ?", written(now), id)
            self._events.append(Act(who, "key revoked", detail={"id": id, "name": key.name}))
            advance(self._database)
        return msgspec.structs.replace(key, revoked=now)


def access(keys: Iterable[Key], required: Sequence[Scope], now: datetime) -> Access:
    """What the processes that answer have to know of the keys that hold. Made anew whenever the store's generation changes,
    and sent to them as ``to_bytes``."""
    return Access(
        required=tuple(required),
        grants=tuple(
            Grant(
                id=key.id,
                name=key.name,
                digest=key.digest,
                scopes=msgspec.convert(key.scopes, tuple[Scope, ...]),
                until_s=key.expires.timestamp() if key.expires else None,
            )
            for key in keys
            if not key.revoked and (key.expires is None or key.expires > now)
        ),
    )

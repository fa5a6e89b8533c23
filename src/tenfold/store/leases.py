"""Leases in SQL: who may do something alone, for a while, and the tokens by which a late one is told."""

from __future__ import annotations

from datetime import timedelta

from tenfold.errors import Conflict
from tenfold.store.clock import Clock
from tenfold.store.database import Database, record
from tenfold.store.records import Lease, written


class FencedLeases:
    """``Leases`` whose tokens only grow, so that whoever slept through the end of a lease is found out."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        now = self._clock()
        with self._database.transaction():
            held = self._get(name)
            if held is not None and held.holder != holder and held.expires > now:
                return None
            token = held.token + 1 if held else 1
            lease = Lease(name=name, holder=holder, token=token, expires=now + timedelta(seconds=ttl_s))
            self._database.run("DELETE FROM lease WHERE name = ?", name)
            self._database.run(
                "INSERT INTO lease (name, holder, token, expires) VALUES (?, ?, ?, ?)",
                *(name, holder, token, written(lease.expires)),
            )
        return lease

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        with self._database.transaction():
            self.check(lease)
            renewed = Lease(
                name=lease.name,
                holder=lease.holder,
                token=lease.token,
                expires=self._clock() + timedelta(seconds=ttl_s),
            )
            self._database.run("UPDATE lease SET expires = ? WHERE name = ?", written(renewed.expires), lease.name)
        return renewed

    def release(self, lease: Lease) -> None:
        """The token stays, so that the next one is higher."""
        with self._database.transaction():
            self._database.run(
                "UPDATE lease SET expires = ? WHERE name = ? AND token = ?",
                *(written(self._clock()), lease.name, lease.token),
            )

    def check(self, lease: Lease) -> None:
        held = self._get(lease.name)
        if held is None or held.token != lease.token or held.expires <= self._clock():
            whose = f"{held.holder} has it" if held and held.token != lease.token else "it ran out"
            raise Conflict(
                f"{lease.holder} does not hold the lease on {lease.name} any more: {whose}",
                "whoever holds it goes on; nothing was changed here",
            )

    def _get(self, name: str) -> Lease | None:
        rows = self._database.rows("SELECT * FROM lease WHERE name = ?", name)
        return record(Lease, rows[0]) if rows else None

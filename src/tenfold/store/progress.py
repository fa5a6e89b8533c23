"""Gates, rollouts and evidence in SQL: how releases fare on their way to traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tenfold.errors import Conflict, NotFound
from tenfold.store.clock import Clock, Entropy, identifier
from tenfold.store.database import Database, Taken, record
from tenfold.store.history import EventLog, advance
from tenfold.store.nouns import Act
from tenfold.store.places import at
from tenfold.store.records import Evidence, Gate, Lease, Rollout, json, written


class KeptGates:
    """``Gates`` that keep every word that was said."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, gate: Gate) -> None:
        with self._database.transaction():
            last = self._database.rows("SELECT COALESCE(MAX(n), 0) AS n FROM gate")[0]["n"]
            self._database.run(
                "INSERT INTO gate (n, service, release, name, verdict, because, against, evidence, machine, at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(last + 1, gate.service, gate.release, gate.name, gate.verdict, gate.because, gate.against),
                *(gate.evidence, gate.machine, written(gate.at)),
            )

    def of(self, service: str, release: str) -> Sequence[Gate]:
        rows = self._database.rows("SELECT * FROM gate WHERE service = ? AND release = ? ORDER BY n", service, release)
        said: dict[str, Gate] = {}
        for row in rows:
            said[row["name"]] = record(Gate, {name: value for name, value in row.items() if name != "n"})
        return list(said.values())


class VersionedRollouts:
    """``Rollouts`` that change by compare-and-swap, each change with an event in the same transaction."""

    def __init__(self, database: Database, events: EventLog, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._events = events
        self._clock = clock
        self._entropy = entropy

    def begin(
        self,
        service: str,
        to: str,
        act: Act,
        *,
        from_: str = "",
        plan: Mapping[str, Any],
        state: str = "pending",
        fence: Lease | None = None,
    ) -> Rollout:
        now = self._clock()
        rollout = Rollout(
            id=identifier(self._entropy),
            service=service,
            from_=from_,
            to=to,
            state=state,
            plan=msgspec.to_builtins(dict(plan)),
            at=now,
            changed=now,
            who=act.who,
        )
        with self._database.transaction():
            self._events.append(act, service=service, from_=from_, to=to, fence=fence)
            try:
                self._database.run(
                    'INSERT INTO rollout (id, service, "from", "to", state, plan, detail, version, at, changed, who) '
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    *(rollout.id, service, from_, to, state, json(rollout.plan), "{}", 1),
                    *(written(now), written(now), act.who),
                )
            except Taken:
                raise Conflict(
                    f"another rollout of {service} has not ended",
                    f"tenfold status --store {self._database.place} shows it; "
                    f"tenfold rollback {service}{at(self._database.place, service)} takes it back",
                ) from None
            advance(self._database)
        return rollout

    def change(
        self,
        rollout: Rollout,
        state: str,
        act: Act,
        *,
        detail: Mapping[str, Any] | None = None,
        ended: bool = False,
        fence: Lease | None = None,
    ) -> Rollout:
        now = self._clock()
        changed = msgspec.structs.replace(
            rollout,
            state=state,
            detail=rollout.detail if detail is None else msgspec.to_builtins(dict(detail)),
            version=rollout.version + 1,
            changed=now,
            ended=now if ended else None,
        )
        with self._database.transaction():
            self._events.append(act, service=rollout.service, from_=rollout.from_, to=rollout.to, fence=fence)
            count = self._database.run(
                "UPDATE rollout SET state = ?, detail = ?, version = ?, changed = ?, ended = ? "
                "WHERE id = ? AND version = ? AND ended IS NULL",
                *(state, json(changed.detail), changed.version, written(now), written(now) if ended else None),
                *(rollout.id, rollout.version),
            )
            if not count:
                raise Conflict(
                    f"the rollout of {rollout.service} was changed by somebody else, or has ended",
                    f"tenfold releases {rollout.service} --events{at(self._database.place, rollout.service)} "
                    "shows by whom",
                )
            advance(self._database)
        return changed

    def by_id(self, id: str) -> Rollout:  # noqa: A002 - its own word
        found = self._many("id = ?", id)
        if not found:
            raise NotFound(f"there is no rollout {id}", f"tenfold releases --events{at(self._database.place)}")
        return found[0]

    def open(self, service: str) -> Rollout | None:
        found = self._many("service = ? AND ended IS NULL", service)
        return found[0] if found else None

    def list(self, service: str = "", *, ended: bool = True) -> Sequence[Rollout]:
        which = "" if ended else "AND ended IS NULL"
        return self._many(f"(service = ? OR ? = '') {which} ORDER BY at DESC", service, service)

    def _many(self, where: str, *values: Any) -> Sequence[Rollout]:
        rows = self._database.rows(f"SELECT * FROM rollout WHERE {where}", *values)
        return [record(Rollout, row, "plan", "detail") for row in rows]


class KeptEvidence:
    """``Evidences`` as JSON, the newest of each kind."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(self, service: str, release: str, kind: str, content: Mapping[str, Any], machine: str = "") -> None:
        where = (service, release, machine, kind)
        with self._database.transaction():
            self._database.run(
                "DELETE FROM evidence WHERE service = ? AND release = ? AND machine = ? AND kind = ?", *where
            )
            self._database.run(
                "INSERT INTO evidence (service, release, machine, kind, content, at) VALUES (?, ?, ?, ?, ?, ?)",
                *(*where, json(content), written(self._clock())),
            )

    def of(self, service: str, release: str, kind: str = "") -> Sequence[Evidence]:
        rows = self._database.rows(
            "SELECT * FROM evidence WHERE service = ? AND release = ? AND (kind = ? OR ? = '') ORDER BY kind, machine",
            *(service, release, kind, kind),
        )
        return [record(Evidence, row, "content") for row in rows]

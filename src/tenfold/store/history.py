"""Events and pointers in SQL: the chain of what was done, and the names that move with it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import msgspec

from tenfold.errors import Conflict, GateFailed, NotFound
from tenfold.store.clock import Clock
from tenfold.store.database import Database, record
from tenfold.store.nouns import CURRENT, Act, Leases
from tenfold.store.places import at
from tenfold.store.records import Event, Lease, Pointer, json, written

GENESIS = hashlib.sha256(b"tenfold").hexdigest()  # what the first event follows
AT_ONCE = 1000  # events read in one statement
TRIES = 5
MOVES = "pointer"  # the key in an event's detail that says which pointer it moved, and to which generation


class EventLog:
    """``Events`` in a table that only grows."""

    def __init__(self, database: Database, leases: Leases, clock: Clock) -> None:
        self._database = database
        self._leases = leases
        self._clock = clock

    def append(
        self, act: Act, *, service: str = "", from_: str = "", to: str = "", fence: Lease | None = None
    ) -> Event:
        with self._database.transaction():
            if fence is not None:
                self._leases.check(fence)
            last = self._last()
            event = Event(
                n=last.n + 1 if last else 1,
                at=self._clock(),
                who=act.who,
                what=act.what,
                service=service,
                from_=from_,
                to=to,
                why=act.why,
                detail=msgspec.to_builtins(dict(act.detail)),
                previous=last.hash if last else GENESIS,
            )
            event = msgspec.structs.replace(event, hash=hash_of(event))
            self._database.run(
                'INSERT INTO event (n, at, who, what, service, "from", "to", why, detail, previous, hash) '
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(event.n, written(event.at), event.who, event.what, event.service, event.from_, event.to),
                *(event.why, json(event.detail), event.previous, event.hash),
            )
        return event

    def list(self, service: str = "", *, after: int = 0, most: int = 0, what: Sequence[str] = ()) -> Sequence[Event]:
        kinds = f"AND what IN ({', '.join('?' * len(what))})" if what else ""
        rows = self._database.rows(
            f"SELECT * FROM event WHERE n > ? AND (service = ? OR ? = '') {kinds} ORDER BY n DESC LIMIT ?",
            *(after, service, service, *what, most or 2**62),
        )
        return [record(Event, row, "detail") for row in reversed(rows)]

    def verify(self) -> Event | None:
        for _ in range(TRIES):
            last, misplaced = self._verify()
            if not misplaced or self._last() == last:
                break  # otherwise a pointer may have moved between its events were read and itself
        if misplaced:
            raise _broken(misplaced)
        return last

    def _verify(self) -> tuple[Event | None, str]:
        """The last event of an unbroken chain, and which pointer is not where it says; "" for none."""
        last: Event | None = None
        moved: dict[tuple[str, str], tuple[str, int, int]] = {}
        for event in self._all():
            _require_follows(event, last)
            last = event
            if pointer := event.detail.get(MOVES):
                moved[event.service, pointer["name"]] = (event.to, pointer["generation"], event.n)
        for pointer in EventfulPointers.all(self._database):
            seen = (pointer.release, pointer.generation, pointer.event)
            if moved.pop((pointer.service, pointer.name), None) != seen:
                return last, f"{pointer.service} {pointer.name} is not where event {pointer.event} put it"
        if moved:
            (service, name), (*_, n) = next(iter(moved.items()))
            return last, f"{service} {name}, which event {n} moved, is gone"
        return last, ""

    def _all(self) -> Iterator[Event]:
        """Every event, some at a time."""
        n = 0
        while rows := self._database.rows("SELECT * FROM event WHERE n > ? ORDER BY n LIMIT ?", n, AT_ONCE):
            yield from (record(Event, row, "detail") for row in rows)
            n = rows[-1]["n"]

    def _last(self) -> Event | None:
        rows = self._database.rows("SELECT * FROM event ORDER BY n DESC LIMIT 1")
        return record(Event, rows[0], "detail") if rows else None


class EventfulPointers:
    """``Pointers`` that move by compare-and-swap, with the event in the same transaction."""

    def __init__(self, database: Database, events: EventLog) -> None:
        self._database = database
        self._events = events

    @staticmethod
    def all(database: Database) -> Sequence[Pointer]:
        """Every pointer."""
        return [record(Pointer, row) for row in database.rows("SELECT * FROM pointer ORDER BY service, name")]

    def get(self, service: str, name: str = CURRENT) -> Pointer | None:
        rows = self._database.rows("SELECT * FROM pointer WHERE service = ? AND name = ?", service, name)
        return record(Pointer, rows[0]) if rows else None

    def list(self, service: str = "") -> Sequence[Pointer]:
        return [pointer for pointer in self.all(self._database) if service in ("", pointer.service)]

    def move(
        self, service: str, to: str, act: Act, *, expected: int, name: str = CURRENT, fence: Lease | None = None
    ) -> Pointer:
        with self._database.transaction():
            before = self.get(service, name)
            generation = before.generation if before else 0
            if generation != expected:
                raise Conflict(
                    f"{name} of {service} was moved meanwhile (move {generation}, seen was {expected})",
                    f"tenfold releases {service} --events{at(self._database.place, service)} shows by whom; "
                    "look, and decide again",
                )
            if not self._database.rows("SELECT 1 FROM release WHERE service = ? AND id = ?", service, to):
                look = f"tenfold releases {service}{at(self._database.place, service)} lists them"
                raise NotFound(f"{service} has no release {to[:7]}", look)
            left = before.release if before else ""
            detail = {**act.detail, MOVES: {"name": name, "generation": generation + 1}}
            event = self._events.append(act._replace(detail=detail), service=service, from_=left, to=to, fence=fence)
            previous = before.previous if before and left == to else left
            moved = Pointer(
                service=service, name=name, release=to, previous=previous, generation=generation + 1, event=event.n
            )
            self._database.run("DELETE FROM pointer WHERE service = ? AND name = ?", service, name)
            self._database.run(
                "INSERT INTO pointer (service, name, release, previous, generation, event) VALUES (?, ?, ?, ?, ?, ?)",
                *(service, name, to, previous, moved.generation, event.n),
            )
            advance(self._database)
        return moved


def advance(database: Database) -> None:
    """Let those who poll the generation see that what is to run has changed."""
    database.run("UPDATE generation SET n = n + 1")


def hash_of(event: Event) -> str:
    """The SHA-256 of an event in canonical JSON, without its hash, but with the one before."""
    fields = msgspec.to_builtins(msgspec.structs.replace(event, at=event.at, hash=""))
    fields["at"] = written(event.at)
    return hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()


def _require_follows(event: Event, last: Event | None) -> None:
    number, previous = (last.n + 1, last.hash) if last else (1, GENESIS)
    if event.n != number:
        raise _broken(f"event {number} is missing")
    if event.previous != previous:
        raise _broken(f"event {event.n} does not follow event {event.n - 1}")
    if event.hash != hash_of(event):
        raise _broken(f"event {event.n} ({event.what} by {event.who}) was altered")


def _broken(reason: str) -> GateFailed:
    return GateFailed(
        f"the record of events is broken: {reason}",
        "somebody wrote to the database past tenfold; compare with a backup, and find out who can write there",
    )

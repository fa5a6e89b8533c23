"""Requests in progress: one row, or many rows that travel in parts and are put together again."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import msgspec

from tenfold.errors import Change, Flag, Violation
from tenfold.server.compiled import hot
from tenfold.server.frames import Notes
from tenfold.server.logs import RequestLog
from tenfold.server.metrics import ROWS_WITH, Counters
from tenfold.server.replies import Replies, fallback_json, plain, refusal, timing_of, worst
from tenfold.server.responses import problem
from tenfold.server.tracing import Trace
from tenfold.server.wire import Connection, Head

Packed = tuple[bytes, ...]
DECLINED = {"deadline": "late", "overloaded": "shed", "not_ready": "unready"}  # the counter of each code
KILLED_TWICE = "the row ended the model's process twice"


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


class Lane(Protocol):
    """What a request needs of the release that answers it. ``fallback`` is its constant answer as JSON; an answer that has
    less than ``tight_s`` left may be worth a line in the log."""

    counters: Counters
    replies: Replies
    log: RequestLog
    fallback: bytes | None
    tight_s: float

    def came(self, rows: int) -> None:
        """Count rows that came in and will not be queued."""

    def count(self, remarks: Remarks) -> None:
        """Count what validation refused, changed and flagged."""

    def refused(self, request: Request, code: str) -> None:
        """Count and log a request that got a problem document."""

    def keep_aside(self, request: Request, remarks: Remarks) -> None:
        """Write quarantined rows to the dead-letter file."""


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


class Request(msgspec.Struct, gc=False, eq=False):
    """What one row and many have in common: who asked, when, and until when.

    One is made for every request, which a Struct does in a third of the time of a class with slots.
    """

    lane: Lane
    connection: Connection
    head: Head
    id: bytes
    started: float
    decoded: float
    due: float
    body: bytes
    packed: Sequence[Packed] = ()
    deaths: int = 0
    done: bool = False
    remarks: Remarks | None = None

    @property
    def trace_id(self) -> bytes:
        """The client's own id of the request, or ours."""
        return self.head.trace_id or self.id

    @property
    def trace(self) -> Trace | None:
        """The trace of its caller."""
        return self.head.trace

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.done or self.connection.transport is None

    def headers(self, timing: bytes = b"") -> list[tuple[str, str]]:
        """The headers that every answer carries."""
        named = [("x-request-id", self.trace_id.decode("latin-1"))]
        if self.head.trace is not None:
            named.append(("traceresponse", self.head.trace.response(self.id)))
        return [*named, ("server-timing", timing.decode())] if timing else named

    def timing(self, sent: float, stages: bytes) -> bytes:
        """Server-Timing (W3C): how long decoding and waiting took, and the stages of the batch."""
        return timing_of(self.decoded - self.started, sent - self.decoded, stages)

    def finish(self, response: bytes) -> None:
        """Answer, once."""
        if not self.done:
            self.done = True
            self.connection.send(response, self.head.keep_alive)

    def refuse(self, code: str, detail: str, retry_after_s: float | None = None) -> None:
        """Answer that there will be no answer."""
        self.lane.refused(self, code)
        headers = self.headers()
        if retry_after_s is not None:
            headers.append(("retry-after", str(max(1, round(retry_after_s)))))
        self.finish(problem(code, detail, headers=headers))


class Single(Request, gc=False, eq=False):
    """One row."""

    rows: ClassVar[int] = 1

    @property
    def request(self) -> Single:
        """The request that the row belongs to: itself."""
        return self

    def answer(self, outcome: Outcome, at: int, now: float) -> None:
        """Row ``at`` of a batch is this one."""
        connection, lane = self.connection, self.lane
        if self.done or connection.transport is None:
            return
        output, head = outcome.outputs[at], self.head
        if output is None or outcome.notes is not None or self.remarks is not None or head.trace is not None:
            lane.counters.latency(now - self.started)
            self.remarks = self.remarks or Remarks()
            if outcome.notes is not None:
                self.remarks.add(outcome.notes.get(at), 0)
            self.conclude(output, self.timing(outcome.sent, outcome.timing))
            return
        self.done = True
        left_s = self.due - now
        lane.counters.answered(now - self.started, left_s)
        if left_s < lane.tight_s:
            lane.log.answered(self, now)
        pieces, decoded, trace_id = lane.replies.pieces(outcome.timing), self.decoded, head.trace_id or self.id
        response = plain(pieces, self.id, trace_id, decoded - self.started, outcome.sent - decoded, output)
        connection.send(response, head.keep_alive)

    def conclude(self, output: bytes | None, timing: bytes = b"") -> None:
        """Answer with everything that is to be said about the row."""
        remarks = self.remarks or Remarks()
        if not self.packed:
            self.lane.came(1)
        self.lane.count(remarks)
        self.lane.keep_aside(self, remarks)
        because = remarks.fallbacks.get(0)
        if output is None and because is not None:
            output = self.lane.fallback
        if output is None:
            violations = remarks.violations or [Violation(0, "", "internal", "the row was lost")]
            self.lane.refused(self, worst(violations).code)
            self.finish(refusal(violations, self.headers(timing)))
            return
        fallback = fallback_json(because) if because else None
        if because:
            self.lane.counters.add("requests:fallback")
        else:
            now = time.monotonic()
            self.lane.counters.add("good" if now <= self.due else "overdue")
            if self.due - now < self.lane.tight_s or self.trace is not None:
                self.lane.log.answered(self, now)
        self.finish(
            self.lane.replies.one(
                self.id,
                output,
                self.headers(timing),
                key=remarks.key,
                changes=remarks.changes,
                flags=remarks.flags,
                fallback=fallback,
            )
        )

    def decline(self, code: str, detail: str, retry_after_s: float | None = None) -> None:
        """There is no time for this row, or no replica: give the constant fallback where there is one, else say so."""
        if self.abandoned:
            return
        self.lane.counters.add(DECLINED[code])
        if self.lane.fallback is None:
            self.lane.counters.add(ROWS_WITH[code])
            self.refuse(code, detail, retry_after_s)
        else:
            self.remarks = Remarks(fallbacks={0: code}, key=self.remarks.key if self.remarks else None)
            self.conclude(None)

    def expire(self) -> None:
        """The deadline has passed."""
        self.decline("deadline", f"no answer within {self.due - self.started:.3g} s")

    def fail(self) -> None:
        """An answer came that cannot be given."""
        if not self.abandoned:
            self.remarks = Remarks(violations=[Violation(0, "", "internal", "the answer could not be written")])
            self.conclude(None)

    def apart(self) -> Sequence[Single]:
        """The rows one by one."""
        return (self,)

    def quarantine(self) -> None:
        """The row has ended two replicas."""
        reasons = [Violation(0, "", "quarantined", KILLED_TWICE)]
        self.remarks = Remarks(violations=reasons, put_aside={0: reasons})
        self.conclude(None)


class Many(Request, gc=False, eq=False):
    """Many rows of one request, collected until each is answered or refused."""

    left: int = 0
    outputs: list[bytes | None] = []
    sent: float = 0.0
    stages: bytes = b""
    strict: bool = False

    def begin(self, total: int, accepted: int, remarks: Remarks, strict: bool) -> None:
        """``total`` rows came, of which ``accepted`` go to a replica."""
        self.lane.came(total - accepted)
        self.outputs = [None] * total
        self.left = accepted
        self.remarks = remarks
        self.strict = strict
        self.sent = self.decoded
        self.stages = b""

    def collect(self, part: Part, outcome: Outcome, at: int, now: float) -> None:
        """The rows of a part came back."""
        if self.done or self.connection.transport is None:
            return
        assert self.remarks is not None
        for k, place in enumerate(part.places):
            self.outputs[place] = outcome.outputs[at + k]
            if outcome.notes is not None:
                self.remarks.add(outcome.notes.get(at + k), place)
        self.sent, self.stages = outcome.sent, outcome.timing
        self.settle(part.rows)

    def settle(self, rows: int) -> None:
        """So many rows more have their answer; with the last one, all are given."""
        self.left -= rows
        if self.left == 0:
            self.lane.counters.latency(time.monotonic() - self.started)
            self.conclude(self.timing(self.sent, self.stages))

    def conclude(self, timing: bytes = b"") -> None:
        """Answer with what there is."""
        remarks = self.remarks or Remarks()
        self.lane.count(remarks)
        self.lane.keep_aside(self, remarks)
        for place in remarks.fallbacks:
            if self.outputs[place] is None:
                self.outputs[place] = self.lane.fallback
        self._count(remarks)
        self.finish(
            self.lane.replies.many(
                self.id,
                self.outputs,
                self.headers(timing),
                violations=remarks.violations,
                changes=remarks.changes,
                flags=remarks.flags,
                fallbacks=remarks.fallbacks,
                strict=self.strict,
            )
        )

    def _count(self, remarks: Remarks) -> None:
        """The request is what its best row is; unless it is ``strict``, where one row that is refused spoils the others."""
        rows = len(self.outputs) - self.outputs.count(None) - len(remarks.fallbacks)
        if remarks.violations and (self.strict or rows + len(remarks.fallbacks) == 0):
            self.lane.counters.add("refused", rows)
            self.lane.refused(self, worst(remarks.violations).code)
        elif rows or not remarks.fallbacks:
            now = time.monotonic()
            self.lane.counters.answered_many(rows, self.due - now)
            self.lane.log.answered(self, now)
        else:
            self.lane.counters.add("requests:fallback")

    def decline(self, code: str, detail: str, retry_after_s: float | None = None) -> None:
        """There is no time for these rows, or no replica: give the constant fallback where there is one, else say so."""
        if self.abandoned:
            return
        self.lane.counters.add(DECLINED[code])
        if self.lane.fallback is None and not any(self.outputs):
            self.lane.counters.add(ROWS_WITH[code], len(self.outputs))
            self.refuse(code, detail, retry_after_s)
        else:
            self._give_up(code, detail)

    def expire(self) -> None:
        """The deadline has passed: what is answered is given, the rest is told why not."""
        self.decline("deadline", f"no answer within {self.due - self.started:.3g} s")

    def fail(self) -> None:
        """An answer came that cannot be given."""
        if not self.abandoned:
            self._give_up("internal", "the answer could not be written")

    def _give_up(self, code: str, detail: str) -> None:
        """Answer with what there is, and a reason or the fallback for each row that has neither."""
        assert self.remarks is not None
        refused = {violation.row for violation in self.remarks.violations} | self.remarks.fallbacks.keys()
        for place, output in enumerate(self.outputs):
            if output is None and place not in refused:
                if self.lane.fallback is not None:
                    self.remarks.fallbacks[place] = code
                else:
                    self.remarks.violations.append(Violation(place, "", code, detail))
        self.conclude()


class Part:
    """Some rows of a ``Many`` that wait together. ``places`` are their positions in the request."""

    __slots__ = ("connection", "deaths", "decoded", "due", "packed", "places", "request", "rows", "started")

    def __init__(self, request: Many, places: Sequence[int], packed: Sequence[Packed]) -> None:
        self.request = request
        self.connection = request.connection
        self.places = places
        self.packed = packed
        self.rows = len(packed)
        self.due = request.due
        self.decoded = request.decoded
        self.started = request.started
        self.deaths = 0

    @property
    def done(self) -> bool:
        """Whether the request that they belong to is answered."""
        return self.request.done

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.request.abandoned

    def answer(self, outcome: Outcome, at: int, now: float) -> None:
        """Rows ``at``, ``at + 1``, … of a batch are these."""
        self.request.collect(self, outcome, at, now)

    def apart(self) -> Sequence[Part]:
        """The rows one by one."""
        if self.rows == 1:
            return (self,)
        return [Part(self.request, [place], [row]) for place, row in zip(self.places, self.packed, strict=True)]

    def quarantine(self) -> None:
        """The row has ended two replicas."""
        request, place = self.request, self.places[0]
        if not request.abandoned and request.remarks is not None:
            reasons = [Violation(place, "", "quarantined", KILLED_TWICE)]
            request.remarks.violations += reasons
            request.remarks.put_aside[place] = reasons
            request.settle(1)


def give_each(items: Sequence[Single | Part], outcome: Outcome, now: float, lane: Lane, came: list[float]) -> None:
    """Answer everything that a batch is made of. Nearly always that is requests of one row, in good time, of which nothing is
    to be said: these are answered here, and are yet to be counted as good, for which ``came`` takes when they did."""
    in_good_time = outcome.notes is None and items[0].due - now >= lane.tight_s
    outputs, sent, pieces = outcome.outputs, outcome.sent, lane.replies.pieces(outcome.timing)
    at = 0
    for item in items:
        output = outputs[at]
        if (
            type(item) is Single
            and in_good_time
            and output is not None
            and item.remarks is None
            and item.head.trace is None
        ):
            connection = item.connection
            if not item.done and connection.transport is not None:
                head, name, started, decoded = item.head, item.id, item.started, item.decoded
                response = plain(pieces, name, head.trace_id or name, decoded - started, sent - decoded, output)
                item.done = True
                came.append(started)
                connection.send(response, head.keep_alive)
            at += 1
        else:
            item.answer(outcome, at, now)
            at += item.rows


give = give_each if hot is None else hot.giver(Single)


def cut(item: Single | Part, rows: int) -> tuple[Part, Part]:
    """Its first so many rows, and the rest."""
    assert isinstance(item, Part)  # a single row is no larger than any batch
    request, places, packed = item.request, item.places, item.packed
    return Part(request, places[:rows], packed[:rows]), Part(request, places[rows:], packed[rows:])

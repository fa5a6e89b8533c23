"""A request in progress: who asked, when, and until when; and one of a single row, from its decoding to its answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from tenfold.errors import Violation
from tenfold.server.books import Books
from tenfold.server.metrics import ROWS_WITH
from tenfold.server.remarks import Outcome, Remarks
from tenfold.server.replies import fallback_json, plain, refusal, timing_of, worst
from tenfold.server.responses import problem
from tenfold.server.tracing import Trace
from tenfold.server.wire import Connection, Head

Packed = tuple[bytes, ...]
DECLINED = {"deadline": "late", "overloaded": "shed", "not_ready": "unready"}  # the counter of each code
KILLED_TWICE = "the row ended the model's process twice"


class Request(msgspec.Struct, gc=False, eq=False):
    """What one row and many have in common: who asked, when, and until when.

    One is made for every request, which a Struct does in a third of the time of a class with slots.
    """

    lane: Books
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
        self.lane.keep_aside(self.id, self.body, remarks)
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

"""Many rows of one request: they travel in parts, as other requests do, and are put together again."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from tenfold.errors import Violation
from tenfold.server.metrics import ROWS_WITH
from tenfold.server.remarks import Outcome, Remarks
from tenfold.server.replies import worst
from tenfold.server.requests import DECLINED, KILLED_TWICE, Packed, Request


class Many(Request, gc=False, eq=False):
    """Many rows of one request, collected until each is answered or refused."""

    left: int = 0
    outputs: list[bytes | None] = msgspec.field(default_factory=list)
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
        self.lane.keep_aside(self.id, self.body, remarks)
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

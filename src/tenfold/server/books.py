"""What is counted, logged and kept of the requests that a release answers, and how it words its answers."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from tenfold.server.logs import Asked, RequestLog
from tenfold.server.metrics import FAILURES, ROWS_WITH, Counters
from tenfold.server.remarks import Remarks
from tenfold.server.replies import Replies
from tenfold.server.responses import encode_json
from tenfold.spec import Spec
from tenfold.validation.deadletters import DeadLetters


class Books:
    """What a request needs of the release that answers it. ``fallback`` is its constant answer as JSON; an answer that has
    less than ``tight_s`` left may be worth a line in the log."""

    def __init__(self, spec: Spec, release: str, counters: Counters, home: Path) -> None:
        """``home`` is the service's folder, where its dead letters are kept."""
        self.spec = spec
        self.release = release
        self.counters = self._own_counters = counters
        self.is_copying = False
        self.replies = Replies(release)
        self.log = RequestLog(release)
        self.fallback = None if spec.deadline.fallback is None else encode_json(spec.deadline.fallback)
        self.budget_s = spec.deadline.budget_s
        self.tight_s = self.budget_s * 0.1
        self._dead_letters = DeadLetters(home, spec.input)

    def answer_copies(self, counters: Counters | None) -> None:
        """From now on, whatever comes is a copy of what another release answers: counted apart, not kept. None ends that."""
        self.is_copying = counters is not None
        self.counters = counters or self._own_counters

    def came(self, rows: int) -> None:
        """Count rows that came in and will not be queued."""
        self.counters.add("came", rows)

    def count(self, remarks: Remarks) -> None:
        """Count what validation refused, changed and flagged."""
        add = self.counters.add
        rows = {violation.row: ROWS_WITH.get(violation.code, "refused") for violation in remarks.violations}
        for counter in rows.values():
            add(counter)
        add("changed", len({change.row for change in remarks.changes}))
        add("fallback", len(remarks.fallbacks))
        for violation in remarks.violations:
            add(f"violation:{'' if violation.code in FAILURES else violation.pointer}:{violation.code}")
        for change in remarks.changes:
            add(f"change:{change.pointer}:{change.action}")
        for flag in remarks.flags:
            add(f"change:{flag.pointer or ''}:{'flag' if flag.pointer else flag.code}")

    def refused(self, request: Asked, code: str) -> None:
        """Count and log a request that got a problem document."""
        self.counters.refused(code)
        self.log.refused(request, code)

    def keep_aside(self, request_id: bytes, body: bytes, remarks: Remarks) -> None:
        """Write quarantined rows of a request to the dead-letter file."""
        if remarks.put_aside and not self.is_copying:
            self._dead_letters.write(datetime.now(UTC), request_id.decode(), self.release, body, remarks.put_aside)

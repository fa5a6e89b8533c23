"""W3C Trace Context: the trace that a request belongs to is read, written to the log, and answered with ``traceresponse``.

tenfold begins no trace. A request that its caller samples gets a line in the log, whatever became of it.
https://www.w3.org/TR/trace-context/ and, for ``traceresponse``, its editor's draft.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED, _RANDOM = 0x01, 0x02


class Trace(NamedTuple):
    """What a ``traceparent`` says: the trace, and the flags of its caller."""

    id: str
    flags: int

    @property
    def sampled(self) -> bool:
        """Whether the caller keeps this trace."""
        return bool(self.flags & _SAMPLED)

    def response(self, request_id: bytes) -> str:
        """The value of ``traceresponse``. Our part of the trace is named by the last 64 bits of the request's own id."""
        child = request_id.replace(b"-", b"")[-16:].decode()
        return f"00-{self.id}-{child}-{self.flags & (_SAMPLED | _RANDOM):02x}"


def parse(traceparent: str) -> Trace | None:
    """The trace that a request belongs to; None where the header is absent or breaks the standard, which says to ignore it.

    A later version of the standard may append fields, which version 00 may not.
    """
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or (found[4] and traceparent.startswith("00")):
        return None
    if not found[1].strip("0") or not found[2].strip("0"):
        return None
    return Trace(found[1], int(found[3], 16))

"""What a client reads: the JSON of one answer and of many, and the problem documents of those that got none."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from random import getrandbits
from typing import Any

import msgspec

from tenfold.errors import Change, Flag, Violation, status_of, summary
from tenfold.server.responses import Date, encode_json, problem, response

MAX_TOLD = 10_000  # violations that one answer names; a small body can cause a hundred times as many
Headers = Sequence[tuple[str, str]]
Pieces = tuple[bytes, bytes, bytes]  # of an answer: before its length, the stages in its head, and around its output


class Ids:
    """UUIDs of version 7 (RFC 9562, sections 5.7 and 6.2): milliseconds since 1970, 26 random bits, a counter of 48 bits.

    Everything but the counter is made anew each millisecond; the counter begins at random.
    """

    __slots__ = ("_count", "_low", "_stamp", "_until")

    def __init__(self) -> None:
        self._stamp = b""
        self._until = 0.0
        self._count = getrandbits(35)
        self._low = len(DIGITS)

    def next(self, now: float) -> bytes:
        """A new id as 36 ASCII bytes. ``now``, in monotonic seconds, says when the clock has to be read again."""
        low = self._low = self._low + 1
        if now >= self._until or low >= len(DIGITS):
            self._renew(now)
            low = 0
        return self._stamp + DIGITS[low]

    def _renew(self, now: float) -> None:
        """All but the last digits of the counter."""
        text = b"%012x" % int(time.time() * 1000)
        bits = getrandbits(26)
        self._count = self._count + 1 & 0xFFFFFFFFF
        high = b"%b-%b-7%03x-%04x-" % (text[:8], text[8:], bits & 0xFFF, bits >> 12 | 0x8000)
        self._stamp = b"%b%09x" % (high, self._count)
        self._until = now + 0.001
        self._low = 0


DIGITS = [b"%03x" % n for n in range(4096)]


class Replies:
    """The answers of one release."""

    def __init__(self, release: str) -> None:
        self.release = release
        self._middle = b'","release":' + encode_json(release) + b',"output":'

    def pieces(self, stages: bytes) -> Pieces:
        """What the answers to the rows of a batch with these stages have in common, for ``plain``."""
        first = b"HTTP/1.1 200 OK\r\n" + Date.line + b"content-type: application/json\r\ncontent-length: "
        return first, stages, self._middle

    def one(
        self,
        request_id: bytes,
        output: bytes,
        headers: Headers,
        *,
        key: Any = None,
        changes: Sequence[Change] = (),
        flags: Sequence[Flag] = (),
        fallback: Mapping[str, str] | None = None,
    ) -> bytes:
        """One row, with whatever is to be said about it."""
        document: dict[str, Any] = {"id": request_id.decode()}
        if key is not None:
            document["key"] = key
        document["release"] = self.release
        document["output"] = msgspec.Raw(output)
        if changes:
            document["changes"] = [change_json(change) for change in changes]
        if flags:
            document["flags"] = [{"pointer": flag.pointer, "code": flag.code} for flag in flags]
        if fallback:
            document["fallback"] = fallback
        return response(200, encode_json(document), headers=headers)

    def many(
        self,
        request_id: bytes,
        outputs: Sequence[bytes | None],
        headers: Headers,
        *,
        violations: Sequence[Violation] = (),
        changes: Sequence[Change] = (),
        flags: Sequence[Flag] = (),
        fallbacks: Mapping[int, str] | None = None,
        strict: bool = False,
    ) -> bytes:
        """Many rows, in the order in which they came; one bad row never fails the others, unless ``strict``."""
        answered = sum(output is not None for output in outputs)
        document: dict[str, Any] = {
            "id": request_id.decode(),
            "release": self.release,
            "answered": answered,
            "refused": len(outputs) - answered,
            "outputs": [None if output is None else msgspec.Raw(output) for output in outputs],
        }
        ordered = sorted(violations, key=lambda violation: violation.row)
        if ordered and (not answered or strict):
            return refusal(ordered, headers, extra=document)
        document["errors"] = [violation_json(violation) for violation in ordered[:MAX_TOLD]]
        if len(ordered) > MAX_TOLD:
            document["errors_omitted"] = len(ordered) - MAX_TOLD
        if changes:
            document["changes"] = [{"row": change.row, **change_json(change)} for change in sorted(changes, key=_row)]
        if flags:
            document["flags"] = [{"row": f.row, "pointer": f.pointer, "code": f.code} for f in sorted(flags, key=_row)]
        if fallbacks:
            document["fallbacks"] = [
                {"row": row, **fallback_json(because)} for row, because in sorted(fallbacks.items())
            ]
        return response(200, encode_json(document), headers=headers)


def plain(pieces: Pieces, request_id: bytes, trace_id: bytes, decode_s: float, queue_s: float, output: bytes) -> bytes:
    """The answer to one row as it came, of a batch with these pieces: what nearly every request gets. It has the ids of the
    request and of its trace, how long it was decoded and waited, and its output."""
    first, stages, middle = pieces
    length = len(request_id) + len(middle) + len(output) + 8
    return b"".join((
        first, b"%d" % length, b"\r\nx-request-id: ", trace_id, b"\r\nserver-timing: decode;dur=",
        milliseconds(decode_s), b", queue;dur=", milliseconds(queue_s), stages,
        b'\r\n\r\n{"id":"', request_id, middle, output, b"}",
    ))  # fmt: skip


def refusal(violations: Sequence[Violation], headers: Headers, extra: Mapping[str, Any] | None = None) -> bytes:
    """The problem document of rows that were refused."""
    more = dict(extra or {})
    if len(violations) > MAX_TOLD:
        more["errors_omitted"] = len(violations) - MAX_TOLD
    return problem(worst(violations).code, summary(violations), violations[:MAX_TOLD], headers, extra=more)


def worst(violations: Sequence[Violation]) -> Violation:
    """The violation that a whole request is refused for; the service's own failures weigh more than the input's."""
    return max(violations, key=lambda violation: status_of(violation.code) >= 500)


def violation_json(violation: Violation) -> dict[str, Any]:
    """A violation as clients read it."""
    return violation._asdict()


def change_json(change: Change) -> dict[str, Any]:
    """A change as clients read it."""
    return {"pointer": change.pointer, "action": change.action, "code": change.code, "value": change.value}


def fallback_json(because: str) -> dict[str, str]:
    """Why an answer is the service's constant fallback, and not the model's."""
    return {"because": because, "by": "constant"}


def _row(item: Change | Flag) -> int:
    return item.row


_MILLISECONDS = [b"%d.%03d" % divmod(microseconds, 1000) for microseconds in range(10_000)]


def timing_of(decode_s: float, queue_s: float, stages: bytes) -> bytes:
    """Server-Timing (W3C) of one request."""
    return b"decode;dur=%b, queue;dur=%b%b" % (milliseconds(decode_s), milliseconds(queue_s), stages)


def stages_of(spent_ns: Sequence[int], waited_ns: int = 0) -> bytes:
    """The stages of a batch, as Server-Timing goes on with them, and what the service's own code spent waiting."""
    if waited_ns:
        return b"%b, waited;dur=%b" % (stages_of(spent_ns), milliseconds(waited_ns / 1e9))
    one, two, three, four = spent_ns
    ms = _MILLISECONDS
    try:
        return _STAGES % (ms[one // 1000], ms[two // 1000], ms[three // 1000], ms[four // 1000])
    except IndexError:
        return _STAGES % tuple([milliseconds(spent / 1e9) for spent in spent_ns])


_STAGES = b", validate;dur=%b, preprocess;dur=%b, model;dur=%b, postprocess;dur=%b"


def milliseconds(seconds: float) -> bytes:
    """A duration in milliseconds with three decimals, as Server-Timing has it."""
    try:
        return _MILLISECONDS[int(seconds * 1e6)]
    except IndexError:
        return b"%.3f" % (seconds * 1e3)

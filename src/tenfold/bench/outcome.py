"""What an answer is worth: only one that the model gave counts, and tenfold's own say so where it did not."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["good", "refused", "failed", "fallback"]

TOO_BUSY = (429, 503, 504)  # what servers say when they can take no more: refused, and not failed
MARKS = (b'"fallback', b'"overloaded"', b'"deadline"', b'"not_ready"')


class _Error(msgspec.Struct):
    code: str


class _Fallback(msgspec.Struct):
    because: str
    by: str


class _Answer(msgspec.Struct):
    """What tells in an answer of tenfold's that not every row of it was answered by the model in time."""

    fallback: _Fallback | None = None
    fallbacks: list[_Fallback] = []
    errors: list[_Error] = []


_decode = msgspec.json.Decoder(_Answer).decode


def outcome(status: int, body: bytes) -> Outcome:
    """What became of a request. An answer to many rows is good where none of them was refused for lack of time."""
    if status in TOO_BUSY:
        return "refused"
    if not 200 <= status < 300:
        return "failed"
    for mark in MARKS:
        if mark in body:
            return _read(body)
    return "good"


def _read(body: bytes) -> Outcome:
    try:
        answer = _decode(body)
    except msgspec.MsgspecError:  # not an answer of tenfold's, whatever its words are
        return "good"
    if answer.fallback or answer.fallbacks:
        return "fallback"
    busy = any(error.code in ("overloaded", "deadline", "not_ready") for error in answer.errors)
    return "refused" if busy else "good"

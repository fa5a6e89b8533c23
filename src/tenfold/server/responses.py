"""Responses as whole bytes: the head, the body, and the problem document of a request that got no answer."""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from tenfold.errors import CODES, Violation, status_of

JSON = "application/json"
HTML = "text/html; charset=utf-8"
PROBLEM = "application/problem+json"

encode_json = msgspec.json.Encoder().encode
AGAIN = HTTPStatus.SERVICE_UNAVAILABLE.value
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Page(NamedTuple):
    """What is answered: a document and its kind."""

    body: bytes
    media_type: str = JSON
    status: int = 200


class Date:
    """The Date header, formatted once a second (RFC 9110, section 6.6.1)."""

    line = b""

    @classmethod
    def refresh(cls) -> None:
        """Format the current time anew."""
        cls.line = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"


Date.refresh()


def response(
    status: int,
    body: bytes,
    media_type: str = JSON,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """A whole HTTP/1.1 response. Whoever is to come again later (503) is told when: in a second, unless ``headers`` say."""
    lines = [b"HTTP/1.1 %d %b\r\n" % (status, REASONS.get(status, b"Unknown")), Date.line]
    lines.append(b"content-type: %b\r\ncontent-length: %d\r\n" % (media_type.encode(), len(body)))
    lines += [f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in headers]
    if status == AGAIN and media_type == PROBLEM and all(name != "retry-after" for name, _ in headers):
        lines.append(b"retry-after: 1\r\n")
    lines.append(b"\r\n")
    return b"".join(lines) + body


def fitted(response: bytes, *, only_head: bool, last: bool) -> bytes:
    """A response without its body, as HEAD has it, or with word that the connection ends: nearly none is either."""
    head, blank, body = response.partition(b"\r\n\r\n")
    if last and b"\r\nconnection: close" not in head:
        head = head.replace(b"\r\n", b"\r\nconnection: close\r\n", 1)
    return head + blank if only_head else head + blank + body


def problem(
    code: str,
    detail: str = "",
    violations: Sequence[Violation] = (),
    headers: Sequence[tuple[str, str]] = (),
    *,
    extra: dict[str, Any] | None = None,
) -> bytes:
    """A response with a problem document."""
    return response(status_of(code), problem_document(code, detail, violations, extra), PROBLEM, headers)


def problem_document(
    code: str, detail: str = "", violations: Sequence[Violation] = (), extra: dict[str, Any] | None = None
) -> bytes:
    """A problem document (RFC 9457). It never repeats what the client sent."""
    known = CODES[code.partition(":")[0]]
    document: dict[str, Any] = {
        "type": f"urn:tenfold:error:{code}",
        "title": known.title,
        "status": status_of(code),
        "detail": detail or known.meaning,
        "code": code,
        "errors": [{"row": v.row, "pointer": v.pointer, "code": v.code, "detail": v.detail} for v in violations],
        "hint": known.fix,
    }
    return encode_json(document | (extra or {}))

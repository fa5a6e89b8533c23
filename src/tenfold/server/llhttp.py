"""What llhttp makes of bytes, through httptools: the head of a request, and a chunked body, within limits.

Head and trailers may have 16 KiB and 100 lines, an address 8 KiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import httptools

from tenfold.errors import CODES

MAX_HEAD_BYTES = 16 * 1024
MAX_HEAD_LINES = 100
MAX_TARGET_BYTES = 8 * 1024
MAX_LENGTH_DIGITS = 18


class Rejected(Exception):
    """A request that is refused before any handler sees it: a code of ``errors.CODES`` and what is wrong."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail or CODES[code].meaning


def parse_head(raw: bytes) -> tuple[str, bytes, dict[str, str], bool]:
    """One head, up to and with its empty line: its method, target and headers (lower-case names), and whether the connection
    stays. Raises ``Rejected``."""
    if raw.count(b"\n") != raw.count(b"\r\n"):
        raise Rejected("bad_request", "lines of a head end with CR LF")
    parsing = _HeadParser()
    parser = parsing.parser
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an offer of another protocol may be ignored (RFC 9110, section 7.8)
    except httptools.HttpParserError as error:
        raise Rejected("bad_request", f"not a valid request: {error}") from None
    headers = parsing.headers
    if not parsing.target:
        raise Rejected("bad_request", "a request begins with its method and its target")
    if len(parsing.target) > MAX_TARGET_BYTES:
        raise Rejected("uri_too_long")
    if parsing.lines > MAX_HEAD_LINES:
        raise Rejected("headers_too_large")
    version = parser.get_http_version()
    if version not in ("1.0", "1.1"):
        raise Rejected("bad_request", "the version of HTTP is 1.0 or 1.1")
    if parsing.hosts != 1 and (parsing.hosts > 1 or version == "1.1"):
        raise Rejected("bad_request", "an HTTP/1.1 request names its host, once")
    if version == "1.0":
        headers.pop("expect", None)  # it would not know what 100 is (RFC 9110, section 10.1.1)
    _require_framing(headers)
    method = parser.get_method().decode("ascii", "replace")
    return method, parsing.target, headers, parsing.keep_alive


def _require_framing(headers: Mapping[str, str]) -> None:
    """A body ends in one way, which every party on the way has to agree about."""
    coding = headers.get("transfer-encoding")
    if coding is not None and (coding.lower() != "chunked" or "content-length" in headers):
        raise Rejected("bad_request", "the body has either a Content-Length or chunked encoding")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > MAX_LENGTH_DIGITS:
        raise Rejected("bad_request", "Content-Length is one whole number")


class _HeadParser:
    """What llhttp calls while it reads a head."""

    def __init__(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.lines = 0
        self.hosts = 0
        self.keep_alive = True
        self.parser = httptools.HttpRequestParser(self)

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines += 1
        key = name.decode("latin-1").lower()
        self.hosts += key == "host"
        text = value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.keep_alive = self.parser.should_keep_alive()  # llhttp forgets it once the message is complete


class Body(Protocol):
    """What takes in a body as it arrives: a ``bytearray``, say."""

    def __len__(self) -> int: ...

    def extend(self, data: bytes, /) -> None: ...


class Chunks:
    """What llhttp calls while it reads a chunked body. Trailers are counted and dropped.

    llhttp reads on behind the body and does not say where it ended, so what a client sent ahead of its answer is lost:
    ``overrun`` tells that there was some.
    """

    HEAD = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"  # the real one may offer an upgrade, or say more

    def __init__(self, body: Body) -> None:
        self.body = body
        self.complete = False
        self.overrun = False
        self._lines = 0
        self._silent_bytes = 0  # since the last byte of the body: the head of a chunk, or trailers
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(self.HEAD)

    def feed(self, data: bytes) -> None:
        """Read on; raises ``Rejected``."""
        before = len(self.body)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # offered by the head of the next request, sent ahead
            self.overrun = True
        except httptools.HttpParserError as error:
            if not self.complete:
                raise Rejected("bad_request", f"not valid chunked encoding: {error}") from None
            self.overrun = True
        self._silent_bytes = 0 if len(self.body) > before else self._silent_bytes + len(data)
        if self._lines > MAX_HEAD_LINES or (self._silent_bytes > MAX_HEAD_BYTES and not self.complete):
            raise Rejected("headers_too_large", "too much stands before, between or behind the chunks")

    def on_message_begin(self) -> None:
        self.overrun = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += not self.complete

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body.extend(body)

    def on_message_complete(self) -> None:
        self.complete = True

"""What is measured: where it is, and its requests as they go over the wire."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from tenfold.errors import UsageError

PORTS = {"http": 80, "https": 443}


class Body(NamedTuple):
    """A request's body, its media type, and how many rows are in it."""

    content: bytes
    media_type: str = "application/json"
    rows: int = 1


class Target(NamedTuple):
    """A URL taken apart. ``authority`` is host and port as they were written, ``path`` has the query."""

    secure: bool
    host: str
    port: int
    authority: str
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Raises ``UsageError`` where requests cannot be sent to a URL."""
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = 0
        if parts.scheme not in PORTS or not parts.hostname or port == 0 or not url.isascii() or " " in url:
            raise UsageError(f"{url!r} is no address of a service", "write http://HOST:PORT/PATH")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        authority = parts.netloc.rpartition("@")[2]
        return cls(parts.scheme == "https", parts.hostname, port or PORTS[parts.scheme], authority, path)

    def context(self) -> ssl.SSLContext | None:
        """How connections are secured; None for http."""
        return ssl.create_default_context() if self.secure else None

    def requests(self, bodies: Iterable[Body], headers: Mapping[str, str]) -> Sequence[bytes]:
        """Whole POST requests; ``headers`` stand in place of ours of the same name, in lower case."""
        return [self._request(body, headers) for body in bodies]

    def _request(self, body: Body, headers: Mapping[str, str]) -> bytes:
        fields = {"host": self.authority, "user-agent": "tenfold-bench", "content-type": body.media_type}
        fields |= {**headers, "content-length": str(len(body.content))}
        lines = [f"POST {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body.content


def header(text: str) -> tuple[str, str]:
    """The name, in lower case, and the value of a header as a person writes it: "Authorization: Bearer KEY"."""
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip()
    plain = value.isprintable() and all(ord(sign) < 256 for sign in value)
    if not colon or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or not plain:
        raise UsageError(f"{text!r} is no header", 'write it as in "Authorization: Bearer KEY"')
    return name, value

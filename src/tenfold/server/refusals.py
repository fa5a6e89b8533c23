"""Handlers that refuse, whatever else a request says."""

from __future__ import annotations

from collections.abc import Sequence

from tenfold.auth import why_unauthorized
from tenfold.server.responses import problem
from tenfold.server.wire import Connection, Handler, Head


def refuse(code: str, detail: str = "", headers: Sequence[tuple[str, str]] = ()) -> Handler:
    """A handler that answers with this problem."""

    def refused(connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(problem(code, detail, headers=headers), head.keep_alive)

    return refused


def refuse_method(*allowed: str) -> Handler:
    """A handler that says which methods a route has."""
    return refuse("method_not_allowed", headers=[("allow", ", ".join(allowed))])


def refuse_key(code: str, head: Head, schemes: Sequence[str] = ("Bearer",)) -> Handler:
    """A handler for a request without a key (``unauthorized``), told how to send one; or with one of other scopes
    (``forbidden``)."""
    if code != "unauthorized":
        return refuse(code)
    challenge = [("www-authenticate", f'{scheme} realm="tenfold"') for scheme in schemes]
    return refuse(code, why_unauthorized(head.headers.get("authorization", "")), challenge)

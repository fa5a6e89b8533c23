"""Two releases of one service at its routes: which of them answers a request, and what the other one would have said.

While shadowing, the old release answers and a copy of the request goes to the new one, whose answer is compared and thrown
away. Only so many copies are under way at a time: a slow release is compared less often, and nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from random import getrandbits
from typing import Any, Protocol, cast

import msgspec

from tenfold.releases.assignment import seed_of, takes_new, threshold
from tenfold.releases.shadow import Comparison
from tenfold.server.lane import Lane
from tenfold.server.metrics import Counters
from tenfold.server.responses import problem
from tenfold.server.wire import Connection, Handler, Head

MOST_COPIES = 8
PATIENCE_S = 30.0  # for an answer, until its client has surely gone
MOST_ROWS = 100  # of a request with many rows are compared
OWN_FAULTS = ("model_failed", "output_invalid", "internal")


class Side(Protocol):
    """What is needed of the routes of a release."""

    lane: Lane

    def predictor(self, head: Head) -> Handler:
        """The handler of a prediction, by the form that its body has."""
        ...


class Parting:
    """The old release and the new one, as long as both answer."""

    def __init__(self, old: Side, new: Side, copies: Counters, compared: Callable[[Comparison], None]) -> None:
        """Copies are counted in ``copies``; ``compared`` is told what comparing has shown so far, whenever there is more."""
        self.old = old
        self.new: Side | None = new
        self.percent = 0.0
        self.shadowing = False
        self.comparison = Comparison()
        self._counters = copies
        self._compared = compared
        self._seed = seed_of(new.lane.release)
        self._below = 0
        self._pairs: dict[_Pair, float] = {}  # that wait for an answer, and since when

    def share(self, percent: float, shadowing: bool) -> None:
        """Give the new release this share of the requests, in percent; or copies alone."""
        self.percent, self.shadowing = percent, shadowing
        self._below = threshold(percent / 100)
        if self.new is not None:
            self.new.lane.answer_copies(self._counters if shadowing else None)

    def end(self) -> None:
        """From now on there is just the old release, or whatever took its place."""
        self.share(0.0, False)
        self.new = None

    def resolve(self, head: Head) -> Handler:
        """Which release answers is decided when the request is whole, and each time anew: heads are remembered."""
        self.old.predictor(head)
        most = head.max_body
        if self.new is not None:
            self.new.predictor(head)
        head.max_body = max(most, head.max_body)
        return self.answer

    def answer(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """Have one of the two answer."""
        side = self._side(head)
        handler = side.predictor(head)
        if len(body) > head.max_body:
            connection.send(problem("too_large", f"the body may have {head.max_body:,} bytes"), head.keep_alive)
        elif self.shadowing and self.new is not None and self.new.lane.links and self._has_room(started):
            self._copy(self.new, handler, connection, head, body, started)
        else:
            handler(connection, head, body, started)

    def _side(self, head: Head) -> Side:
        """By its key, else at random; a release none of whose replicas is there answers nothing."""
        new = self.new
        if new is None or not self._below or not new.lane.links:
            return self.old
        key = head.headers.get("x-request-key")
        if key is None:
            return new if getrandbits(32) < self._below else self.old
        return new if takes_new(key.encode("latin-1", "replace"), self._seed, self._below) else self.old

    def _copy(
        self, new: Side, handler: Handler, connection: Connection, head: Head, body: bytes, started: float
    ) -> None:
        """Ask both. What reads an answer on its way to the client, and what takes the place of a client for the copy, need
        only be what a request uses of its connection."""
        pair = _Pair(self._note)
        self._pairs[pair] = started
        handler(cast(Connection, _Overheard(connection, pair)), head, body, started)
        other = copy(head)
        other.trace, other.keep_alive = None, True
        new.predictor(other)(cast(Connection, _Nobody(pair)), other, body, started)

    def _has_room(self, now: float) -> bool:
        """Whether one more copy may be under way. Clients that went away are never answered, and forgotten here."""
        if len(self._pairs) >= MOST_COPIES:
            self._pairs = {pair: since for pair, since in self._pairs.items() if now - since < PATIENCE_S}
        return len(self._pairs) < MOST_COPIES

    def _note(self, pair: _Pair) -> None:
        """Both answers are there."""
        self._pairs.pop(pair, None)
        before = self.comparison
        for was, now in zip(outputs_of(pair.old), outputs_of(pair.new), strict=False):
            self.comparison = self.comparison.after(was, now)
        if self.comparison is not before:
            self._compared(self.comparison)


class _Pair:
    """Two answers to the same request."""

    __slots__ = ("_both", "new", "old")

    def __init__(self, both: Callable[[_Pair], None]) -> None:
        """``both`` is called once both are there."""
        self.old = self.new = b""
        self._both = both

    def settle(self) -> None:
        """One of them came."""
        if self.old and self.new:
            self._both(self)


class _Overheard:
    """A client's connection; what is sent there is noted."""

    __slots__ = ("_connection", "_pair")

    def __init__(self, connection: Connection, pair: _Pair) -> None:
        self._connection = connection
        self._pair = pair

    @property
    def transport(self) -> Any:
        return self._connection.transport

    @property
    def busy(self) -> bool:
        return self._connection.busy

    def send(self, response: bytes, keep_alive: bool = True) -> None:
        self._connection.send(response, keep_alive)
        self._pair.old = response
        self._pair.settle()


class _Nobody:
    """Where the answer to a copy goes."""

    __slots__ = ("_pair", "busy", "transport")

    def __init__(self, pair: _Pair) -> None:
        self.transport: Any = self
        self.busy = True
        self._pair = pair

    def send(self, response: bytes, keep_alive: bool = True) -> None:
        self.busy, self.transport = False, None
        self._pair.new = response
        self._pair.settle()


def outputs_of(response: bytes) -> list[dict[str, Any] | None]:
    """The outputs of a response, None for one that failed by the service's own fault; empty for one that says nothing about
    the release: a refusal, a fallback answer."""
    head, _, body = response.partition(b"\r\n\r\n")
    status = int(head[9:12])
    document = msgspec.json.decode(body)
    if status == 200 and "output" in document:
        return [] if "fallback" in document else [document["output"]]
    if status == 200 and "fallbacks" not in document and None not in document["outputs"]:
        return list(document["outputs"][:MOST_ROWS])
    return [None] if status == 500 and document.get("code") in OWN_FAULTS else []

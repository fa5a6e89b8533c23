"""The host's end of the load generator: starts it, gives it orders, and does not wait for it for ever."""

from __future__ import annotations

import contextlib
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from tenfold.bench.calibration import speed
from tenfold.bench.load import CONNECT_S, Ammunition
from tenfold.bench.target import Target
from tenfold.capacity.trial import Trial
from tenfold.errors import NotFound, TenfoldError
from tenfold.server.channel import Channel, Message

SLACK_S = 30.0  # that the generator may take beyond what an order asks for; then it is the generator that hangs
MOST_WORDS = 200  # characters of an answer that a message repeats
LEAST_PATIENCE_S = 10.0  # with a single request

Watch = Callable[[int, int], bool]
"""Is told how many requests left and how many of those missed so far; says whether that is enough."""


class Alone(NamedTuple):
    """What one request at a time takes, in seconds."""

    requests: int
    p50_s: float
    p99_s: float


class Unanswered(TenfoldError):
    """A single request that the model did not answer; ``status`` is 0 where nobody did, and ``body`` then says why.
    ``number`` counts from 0 in the order in which the requests were sent."""

    def __init__(self, url: str, number: int, status: int, body: str) -> None:
        became = f"is answered with {status}" if status else "is not answered"
        super().__init__(f"{url}: request {number + 1} alone {became}: {_detail(body)}")
        self.number, self.status, self.body = number, status, body
        if 400 <= status < 500:
            self.exit_code = 3  # it is the input's fault


def _detail(body: str) -> str:
    """What an answer says in words: the detail of a problem (RFC 9457), else how it begins."""
    try:
        return msgspec.json.decode(body, type=_Problem).detail
    except msgspec.MsgspecError:
        return " ".join(body.split())[:MOST_WORDS] or "nothing is said"


class _Problem(msgspec.Struct):
    detail: str


class Generator:
    """A load generator that runs as long as the ``with`` statement does."""

    def __init__(self, url: str, requests: Sequence[bytes], deadline_s: float) -> None:
        """``requests`` are whole HTTP requests to ``url``; an answer is in time within ``deadline_s``."""
        Target.of(url)  # an address that is none is told here
        self._url = url
        self._ammunition = Ammunition(list(requests), deadline_s, max(LEAST_PATIENCE_S, 2 * deadline_s))
        self._messages: deque[Message] = deque()

    def __enter__(self) -> Self:
        self._channel, theirs = Channel.pair()
        command = [sys.executable, "-m", "tenfold", "load", self._url, "--channel", str(theirs.fileno())]
        with theirs:
            # a session of its own, so that Ctrl-C reaches only us
            self._process = subprocess.Popen(
                command, pass_fds=[theirs.fileno()], stdin=subprocess.PIPE, start_new_session=True
            )
        try:
            assert self._process.stdin is not None
            with contextlib.suppress(BrokenPipeError), self._process.stdin as ammunition:
                ammunition.write(msgspec.msgpack.encode(self._ammunition))
            self._done(CONNECT_S)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ask(self, seconds: float) -> Alone:
        """Send each request once, one after the other, and go on for so many seconds.

        Raises ``Unanswered`` where the model does not answer one.
        """
        self._channel.send(do="ask", seconds=seconds)
        patience_s = self._ammunition.patience_s * len(self._ammunition.requests)
        took: list[float] = self._done(seconds + patience_s)["seconds"]
        return Alone(len(took), took[len(took) // 2], took[min(int(0.99 * len(took)), len(took) - 1)])

    def drive(self, rate: float, rows_each: float, seconds: float, seed: int, watch: Watch) -> Trial:
        """Send ``rate`` rows a second on average, in requests of ``rows_each`` rows, at random moments.

        Raises ``Unanswered`` where, before that, not even a single request is answered.
        """
        self._channel.send(do="drive", per_s=rate / rows_each, seconds=seconds, seed=seed)
        ammunition = self._ammunition
        done = self._done(seconds + ammunition.deadline_s + 2 * ammunition.patience_s, watch)
        counts, latency = done["counts"], done["latency"]
        known = {"rate": rate, "rows_each": rows_each, "seconds": done["seconds"], "piled": done["piled"]}
        return msgspec.convert({**known, **counts, "latency": latency}, Trial)

    def speed(self, seconds: float) -> float:
        """How fast the machine is, two of its cores at a time, since a server and its load need as many."""
        self._channel.send(do="calibrate", seconds=seconds)
        ours = speed(seconds)
        theirs: float = self._done(seconds)["speed"]
        return (ours + theirs) / 2

    # The line

    def _done(self, seconds: float, watch: Watch | None = None) -> Message:
        """What the generator says at the end of an order that takes so many seconds."""
        until = time.monotonic() + seconds + SLACK_S
        while True:
            message = self._next(until)
            match message["event"]:
                case "progress" if watch and watch(message["requests"], message["missed"]):
                    self._channel.send(do="stop")
                case "failed":
                    raise NotFound(f"nobody answers at {self._url} ({message['because']})", "is it running?")
                case "done":
                    if bad := message.get("bad"):
                        raise Unanswered(self._url, message.get("asked", 0), bad["status"], bad["body"])
                    return message

    def _next(self, until: float) -> Message:
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            while not self._messages:
                if not selector.select(max(until - time.monotonic(), 0)):
                    raise TenfoldError("the load generator hangs", "please report it")
                messages = self._channel.receive()
                if messages is None:
                    code = self._process.wait()
                    raise TenfoldError(f"the load generator ended with exit code {code}", "its own words are above")
                self._messages.extend(messages)
        return self._messages.popleft()

    def _end(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()

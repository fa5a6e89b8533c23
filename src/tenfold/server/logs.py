"""The log of a server: a line for each request that failed or was refused, and whatever else a process has to say.

Lines go to standard error, as text or as JSON. They name requests by their ids and say what was wrong by its code, and never
what was sent; so JSON, which is meant for machines that keep it, leaves out the text of exceptions, which may quote it.
Nobody waits for the log: a line that the other end does not take at once is lost, and a flood is cut to a few lines a second.
"""

from __future__ import annotations

import logging
import os
import select
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from tenfold.errors import status_of
from tenfold.server.tracing import Trace

MOST_BYTES = select.PIPE_BUF  # what a pipe takes in one piece, if it takes anything
PER_S = 10  # lines about requests of one release
MOST_FRAMES = 12
STDERR = 2

requests = logging.getLogger("tenfold.requests")


class Asked(Protocol):
    """What a line needs of a request."""

    started: float
    due: float

    @property
    def trace_id(self) -> bytes: ...

    @property
    def trace(self) -> Trace | None: ...


class RequestLog:
    """Lines about single requests of one release, at most ``PER_S`` a second."""

    def __init__(self, release: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._release = release
        self._clock = clock
        self._until = 0.0
        self._left = 0
        self._omitted = 0

    def refused(self, request: Asked, code: str) -> None:
        """A request got a problem document."""
        status = status_of(code)
        word = "failed" if status == 500 else "refused"
        self._write(logging.WARNING if status >= 500 else logging.INFO, word, request, {"status": status, "code": code})

    def answered(self, request: Asked, now: float) -> None:
        """A request was answered: worth a line where a tenth of its time was left or less, or where its caller samples it."""
        left_s = request.due - now
        if 10 * left_s < request.due - request.started:
            self._write(logging.INFO, "slow", request, {"left_s": round(left_s, 6)})
        elif request.trace is not None and request.trace.sampled:
            self._write(logging.INFO, "answered", request, {})

    def _write(self, level: int, word: str, request: Asked, more: dict[str, Any]) -> None:
        now = self._clock()
        if now >= self._until:
            self._until, self._left = now + 1.0, PER_S
        if self._left == 0:
            self._omitted += 1
            return
        self._left -= 1
        told = {**more, "release": self._release, "seconds": round(now - request.started, 6)}
        told["id"] = request.trace_id.decode("ascii")
        if request.trace is not None:
            told["trace_id"] = request.trace.id
        if self._omitted:
            told["omitted"], self._omitted = self._omitted, 0
        requests.log(level, word, extra={"told": told})


class Json(logging.Formatter):
    """One object a line."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, Any] = {
            "time": at,
            "level": record.levelname.lower(),
            "role": self._role,
            "pid": record.process,
        }
        told: dict[str, Any] | None = getattr(record, "told", None)
        if told is not None:
            line |= {"event": record.getMessage(), **told}
        else:
            line |= {"event": "log", "logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _raised(record.exc_info[1])
        return msgspec.json.encode(line).decode()


class Text(logging.Formatter):
    """What happened, then its particulars; tracebacks whole, since a person reads them who runs the service."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] | None = getattr(record, "told", None)
        if told is None:
            return super().format(record)
        return f"{record.getMessage():<10} " + " ".join(f"{name}={value}" for name, value in told.items())


class Lines(logging.Handler):
    """Writes whole lines to standard error, and waits for nobody."""

    def __init__(self, fd: int = STDERR) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record in pieces that a pipe takes whole, as long as it takes any."""
        try:
            line = f"{self.format(record)}\n".encode("utf-8", "replace")
            for at in range(0, len(line), MOST_BYTES):
                if not self._poll.poll(0):
                    break
                os.write(self._fd, line[at : at + MOST_BYTES])
        except OSError:  # nobody reads it any more
            pass
        except Exception:
            self.handleError(record)


def begin(role: str, form: str) -> None:
    """Set up the log of this process. As JSON it takes in what libraries and the service's own code log, too; as text these
    are left to what they set up themselves."""
    handler = Lines()
    handler.setFormatter(Json(role) if form == "json" else Text())
    ours = logging.getLogger("tenfold")
    ours.setLevel(logging.INFO)
    if form == "json":
        logging.getLogger().addHandler(handler)
        logging.captureWarnings(True)
    else:
        ours.addHandler(handler)
        ours.propagate = False


def _raised(error: BaseException) -> dict[str, Any]:
    """An exception without its text: its kind, and where it came from, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    at = [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
    found: dict[str, Any] = {"type": f"{type(error).__module__}.{type(error).__qualname__}", "at": at}
    if error.__cause__ is not None:
        found["cause"] = _raised(error.__cause__)
    return found

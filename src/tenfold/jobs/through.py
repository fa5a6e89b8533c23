"""Rows answered by a live service, in the lowest class of its queue: its own requests come first.

What a shard's rows go through stands in ``answering``; only the pipeline is another one, at the other end of a connection.
Whatever the service has no time for is asked again, less of it and later: a job has all night.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
from msgspec.structs import replace

from tenfold.contract.form import Form
from tenfold.errors import Change, Conflict, Flag, TenfoldError, UsageError, Violation
from tenfold.formats.tables import Columns
from tenfold.rows import Answer, Array, Checked, Rows
from tenfold.service import Service
from tenfold.spec import Spec

BACKGROUND = {"priority": "u=7"}  # RFC 9218: the least urgent there is
LATER = ("deadline", "overloaded", "not_ready")  # why a row may be asked again
MOST_ROWS = 10_000  # of one request
GROWS_AFTER = 16  # requests in a row that are answered, once one was not: asking for too much costs a wait
SOON_S, LATEST_S = 0.05, 5.0  # how long to wait before asking again
PATIENCE_S = 60.0  # for a service that does not answer at all: it may be starting anew
ANSWER_S = 120.0  # for one request

log = logging.getLogger("tenfold")
_encode = msgspec.json.Encoder().encode


class Refused(Exception):
    """The service has no time for these rows now; perhaps for fewer, or later."""

    def __init__(self, after_s: float, *, too_many: bool = True) -> None:
        super().__init__(after_s)
        self.after_s = after_s
        self.too_many = too_many


class Through:
    """What ``Answering`` asks of a pipeline, of the service that runs at ``url``. ``alive`` is called while it waits."""

    def __init__(
        self,
        service: Service,
        spec: Spec,
        url: str,
        key: str = "",
        alive: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``service`` need not be started: its contracts are what is used."""
        self.service = service
        self.form: Form = service.input.form
        self._release = f"{spec.name}@{spec.release[:7]}"
        self._line = Line(url, spec.name, key)
        self._columns = Columns(spec.input)
        self._size = spec.batching.max_rows
        self._alive, self._sleep, self._clock = alive, sleep, clock
        self._steady = 0  # requests to be answered before more rows are asked for
        self._was_refused = False
        self._told = clock()  # when rows were answered last, or it was said that none are

    def answer(self, checked: Checked) -> Answer:
        """Answer what validation accepted. It says of some rows here what the service then says again."""
        answer = self.run(checked.rows, checked.index)
        return replace(
            answer,
            total=checked.total,
            violations=sorted([*checked.violations, *answer.violations], key=lambda violation: violation.row),
            changes=[*checked.changes, *answer.changes],
            flags=[*dict.fromkeys([*checked.flags, *answer.flags])],
            put_aside=checked.put_aside,
            fallbacks={**checked.fallbacks, **answer.fallbacks},
            given=checked.rows,
            given_index=checked.index,
        )

    def run(self, rows: Rows, index: Array | None = None) -> Answer:
        """Answer n rows, as ``Pipeline.run`` does."""
        places = np.arange(len(rows)) if index is None else index
        found = Found(places)
        if len(rows):
            records = self._records(rows)
            left = list(range(len(rows)))
            while left:
                some, left = left[: self._size], left[self._size :]
                left = [*self._try(records, some, found), *left]
        return found.answer(self.service)

    def _records(self, rows: Rows) -> list[dict[str, Any]]:
        """Rows as JSON has them; what is missing is left out."""
        columns = {name: column.to_pylist() for name, column in self._columns(rows).items()}
        nested = [(name.split("."), values) for name, values in columns.items()]
        records: list[dict[str, Any]] = [{} for _ in range(len(rows))]
        for path, values in nested:
            for record, value in zip(records, values, strict=True):
                if value is not None:
                    for step in path[:-1]:
                        record = record.setdefault(step, {})  # noqa: PLW2901 -- one level down
                    record[path[-1]] = value
        return records

    def _try(self, records: Sequence[dict[str, Any]], some: Sequence[int], found: Found) -> list[int]:
        """Ask for some rows; those that have to be asked for again."""
        body = _encode([records[row] for row in some])
        try:
            document = self._ask(body)
        except Refused as refused:
            if refused.too_many:
                self._shrink(len(some))
            self._tell()
            self._wait(refused.after_s)
            return list(some)
        if document["release"] != self._release:
            raise Conflict(
                f"{self._line.url} answers with {document['release']}, and the job is one of {self._release}",
                "name what is deployed: its folder, or NAME@current of its store; or answer without --through",
            )
        again = found.take(document, some)
        if len(again) == len(some):
            self._tell()
        else:
            self._told = self._clock()
        if again:
            self._shrink(len(some))
            self._wait(SOON_S)
        else:
            self._grow(len(some))
        return again

    def _shrink(self, rows: int) -> None:
        """So many were too many."""
        self._size = max(rows // 2, 1)
        self._steady, self._was_refused = GROWS_AFTER, True

    def _grow(self, rows: int) -> None:
        """So many were answered: twice as many may be, too, as long as none were ever too many; else after a while."""
        if self._steady:
            self._steady -= 1
        elif 2 * rows > self._size:
            self._size = min(2 * rows, MOST_ROWS)
            self._steady = GROWS_AFTER if self._was_refused else 0

    def _ask(self, body: bytes) -> dict[str, Any]:
        """The answer to a request. Raises ``Refused``, and ``TenfoldError`` where asking again is useless."""
        since = self._clock()
        while True:
            self._alive()
            try:
                status, headers, answer = self._line.post(body)
                break
            except (OSError, HTTPException) as error:
                if self._clock() - since > PATIENCE_S:
                    raise TenfoldError(
                        f"{self._line.url} does not answer: {error}", "start it, and the same command goes on"
                    ) from None
                self._wait(1.0)
        if status in (429, 503, 504):
            raise Refused(_seconds(headers.get("retry-after", "")), too_many=status != 429)
        if status == 413 and self._size > 1:
            raise Refused(0.0)
        document = _document(answer)
        if "outputs" not in document:
            said = document.get("detail") or document.get("title") or f"status {status}"
            access = "--access KEY, or TENFOLD_KEY" if status in (401, 403) else "see to it"
            raise TenfoldError(f"{self._line.url} refuses the rows: {said}", f"{access}; the same command goes on")
        return document

    def _tell(self) -> None:
        """Say so when there has been no room for any row for long."""
        if self._clock() - self._told >= PATIENCE_S:
            self._told = self._clock()
            log.warning("%s had no room for these rows for %.0f s; they wait until it has", self._line.url, PATIENCE_S)

    def _wait(self, seconds: float) -> None:
        self._alive()
        self._sleep(seconds)
        self._alive()

    def validate(self, *_: object) -> Any:
        """A live service validates as it answers."""
        raise UsageError("--through answers rows; it cannot only validate them", "leave --through or --dry-run out")


class Found:
    """What is known of some rows, in whatever order it came."""

    def __init__(self, places: Array) -> None:
        self._places = places.tolist()
        self._outputs: dict[int, Any] = {}
        self._violations: dict[int, list[Violation]] = {}
        self._changes: list[Change] = []
        self._flags: list[Flag] = []
        self._fallbacks: dict[int, str] = {}

    def take(self, document: Mapping[str, Any], asked: Sequence[int]) -> list[int]:
        """Keep an answer to the rows ``asked``; those of which it does not tell enough."""
        reasons: dict[int, list[Mapping[str, Any]]] = {}
        for error in document.get("errors", ()):
            reasons.setdefault(error["row"], []).append(error)
        because = {told["row"]: told["because"] for told in document.get("fallbacks", ())}
        again = set()
        for k, output in enumerate(document["outputs"]):
            row = asked[k]
            codes = [error["code"] for error in reasons.get(k, ())]
            if because.get(k) in LATER or any(code in LATER for code in codes) or (output is None and not codes):
                again.add(k)
            elif k in because:
                self._fallbacks[self._places[row]] = because[k]
            elif output is None:
                self._violations[row] = [
                    Violation(self._places[row], error["pointer"] or "", error["code"], error["detail"])
                    for error in reasons[k]
                ]
            else:
                self._outputs[row] = output
        for change in document.get("changes", ()):
            if change["row"] not in again:
                self._changes.append(Change(**{**change, "row": self._places[asked[change["row"]]]}))
        for flag in document.get("flags", ()):
            if flag["row"] not in again:
                self._flags.append(Flag(**{**flag, "row": self._places[asked[flag["row"]]]}))
        return [asked[k] for k in sorted(again)]

    def answer(self, service: Service) -> Answer:
        """All of it, as a pipeline gives it."""
        rows = sorted(self._outputs)
        return Answer(
            outputs=service.output.read([self._outputs[row] for row in rows]),
            index=np.array([self._places[row] for row in rows], dtype=np.intp),
            total=len(self._places),
            violations=[violation for row in sorted(self._violations) for violation in self._violations[row]],
            changes=sorted(self._changes, key=lambda change: change.row),
            flags=sorted(self._flags, key=lambda flag: flag.row),
            fallbacks=self._fallbacks,
        )


def require_url(url: str) -> None:
    """Raise ``UsageError`` for what is no address of a service over HTTP. A password in it is never repeated."""
    mend = "--through http://HOST:PORT, of a service that runs; its key in TENFOLD_KEY"
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            if parts.username is None and parts.password is None:
                return
            raise UsageError("--through: keys are not told in the URL, where others could read them", mend)
    except ValueError:  # a port out of range, or brackets that nothing closes
        pass
    raise UsageError(f"--through: {shown(url)!r} is not the URL of a service", mend)


def shown(url: str) -> str:
    """A URL as it may be printed: whatever may be a password is left out."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        scheme, rest = "", url
    return f"{scheme}{mark}{'…@' if '@' in rest else ''}{rest.rpartition('@')[2]}".partition("?")[0]


class Line:
    """A connection that is kept, and made anew when it is lost."""

    def __init__(self, url: str, name: str, key: str) -> None:
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        self.url = shown(url)
        self._path = path if path.endswith("/predict") else f"{path.removesuffix(f'/{name}')}/{name}/predict"
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host = parts.netloc
        self._headers = {"content-type": "application/json", **BACKGROUND}
        if key:
            self._headers["authorization"] = f"Bearer {key}"
        self._connection: HTTPConnection | None = None

    def post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """The status, headers (in lower case) and body of an answer."""
        connection = self._connection or self._kind(self._host, timeout=ANSWER_S)
        self._connection = None
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        answer = response.read()
        if not response.will_close:
            self._connection = connection
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer


def _document(answer: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError:
        return {}


def _seconds(text: str) -> float:
    """What Retry-After asks for, within reason."""
    try:
        return min(max(float(text), SOON_S), LATEST_S)
    except ValueError:
        return SOON_S

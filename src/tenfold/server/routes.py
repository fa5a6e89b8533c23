"""The routes of one service: predictions in each form that a body can have, and the pages that describe it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from tenfold.contract.schema import json_schema, openapi, picture_field
from tenfold.deadline import allowed_s, is_background
from tenfold.server.compiled import hot
from tenfold.server.frames import Hello
from tenfold.server.lane import Lane
from tenfold.server.many import Many, Part
from tenfold.server.pages import service_page
from tenfold.server.parting import Parting
from tenfold.server.refusals import refuse_method
from tenfold.server.relay import Relay, ask
from tenfold.server.remarks import Remarks
from tenfold.server.replies import DIGITS, Ids, refusal
from tenfold.server.requests import DECLINED, Single
from tenfold.server.responses import HTML, encode_json, problem, response
from tenfold.server.tables import BINARY, TEXTS, Table, Wanted, in_steps, read, why_not
from tenfold.server.uploads import MOST_BYTES, is_upload
from tenfold.server.wire import Connection, Handler, Head
from tenfold.validation.scalar import Decoder, Outcomes, Slow

MAX_ROWS = 10_000
FEEDBACK_S = 60.0  # for labels to be joined
JOBS_S = 60.0  # for rows to be kept, or a part of the answers to be read
LINES = ("application/x-ndjson", "application/jsonl")
LABELS = ("application/json", *LINES)  # none that a form of another site can send
_ids = Ids()
_now = time.monotonic
_SPACE = b" \t\r\n"


class Site:
    """One service at its routes, answered by the lane of its current release.

    It stays when another release takes over: a request whose body is still on its way then is read by the new one.
    """

    def __init__(self, run: Path, lane: Lane, hello: Hello) -> None:
        """``run`` is where the admin process listens."""
        self._admin = run / "admin.sock"
        self.parting: Parting | None = None  # as long as another release answers some of the requests
        self.take(lane, hello)

    def take(self, lane: Lane, hello: Hello) -> None:
        """Answer with this lane from now on; ``hello`` is what a replica of it said."""
        self.lane = lane
        self.spec = spec = lane.spec
        self._max_body_bytes = hello.max_body_bytes
        self._decoder = Decoder(spec.input)
        plain = self._decoder.plain
        self._one = self._decoder.one if hot is None or plain is None else hot.row_reader(*plain, self._decoder.one)
        self._has_key = spec.input.key is not None
        self._picture = picture_field(spec.input)
        self._static = {
            "": (HTML, service_page(spec, self._row_of(hello.sample))),
            "openapi.json": ("application/json", encode_json(openapi(spec))),
            "contract": ("application/schema+json", encode_json(json_schema(spec.input))),
        }

    def _row_of(self, sample: bytes) -> dict[str, Any] | bytes | None:
        """A sample as the page takes it: a row in wire names, a picture, or nothing."""
        if self._picture or not sample:
            return sample or None
        try:
            return msgspec.json.decode(sample, type=dict[str, Any])
        except msgspec.MsgspecError:
            return None

    def resolve(self, head: Head, what: str) -> Handler:
        """The handler of a route below the service's name."""
        if what == "predict" and head.method == "POST":
            return self.predictor(head) if self.parting is None else self.parting.resolve(head)
        if what == "predict":
            return refuse_method("POST")
        if what == "feedback":
            head.max_body = self._max_body_bytes
            if head.method != "POST":
                return refuse_method("POST")
            if _media_type(head) not in LABELS:
                return self._refuse("unsupported_media_type", f"labels are {LABELS[0]} or {LABELS[1]}")
            return self._feedback
        if what in self._static or what == "answers":
            if head.method not in ("GET", "HEAD"):
                return refuse_method("GET", "HEAD")
            return self._answers if what == "answers" else self._describe
        return self._unknown

    def predictor(self, head: Head) -> Handler:
        """Which form the body has, how large it may be, and how long there is to answer."""
        head.max_body = self._max_body_bytes
        head.background = is_background(head.headers.get("priority", ""))
        head.budget_s = self.lane.budget_s
        if "x-request-timeout-ms" in head.headers:
            try:
                head.budget_s = allowed_s(head.headers["x-request-timeout-ms"], 1e-3, self.lane.budget_s)
            except ValueError:
                return self._refuse("bad_request", "X-Request-Timeout-Ms is a positive number of milliseconds")
        if head.headers.get("content-encoding", "identity").lower() != "identity":
            return self._refuse("unsupported_media_type", "compressed bodies are not read")
        media_type, _, parameters = head.headers.get("content-type", "application/json").partition(";")
        media_type = media_type.strip().lower()
        charset = parameters.strip().lower().removeprefix("charset=").strip('"')
        if media_type in LABELS:
            if charset and charset not in ("utf-8", "utf8"):
                return self._refuse("unsupported_media_type", "JSON is UTF-8 (RFC 8259)")
            return self._predict_lines if media_type in LINES else self._predict
        if media_type in TEXTS or media_type in BINARY:
            return self._table_reader(media_type, parameters)
        if self._picture and (media_type.startswith("image/") or media_type == "application/octet-stream"):
            return self._predict_picture
        accepted = ", ".join(("application/json", LINES[0], *TEXTS, *BINARY)) + (
            ", or a picture as image/*" if self._picture else ""
        )
        return self._refuse("unsupported_media_type", f"this service reads {accepted}")

    def _refuse(self, code: str, detail: str) -> Handler:
        def refuse(connection: Connection, head: Head, body: bytes, started: float) -> None:
            self.lane.counters.refused(code)
            connection.send(problem(code, detail), head.keep_alive)

        return refuse

    # Predictions

    def _predict(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        self._read(connection, head, body, started)

    def _read(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """A JSON body: an object is one row, an array is many."""
        try:
            packed = self._one(body)
        except (msgspec.MsgspecError, Slow):
            self._judge(connection, head, body, started)
            return
        lane = self.lane
        request = Single(
            lane, connection, head, _ids.next(started), started, _now(), started + head.budget_s, body, (packed,)
        )
        if self._has_key:
            request.remarks = Remarks(key=self._decoder.key_of(packed))
        lane.offer(request)

    def _judge(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """A body that is not simply one good row."""
        if body.lstrip(_SPACE)[:1] == b"[":
            self._predict_many(connection, head, body, started)
        else:
            self._predict_slowly(connection, head, body, started)

    def _predict_slowly(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """The second pass: every violation, then the actions."""
        self._proceed(self._decoder.one_slow(body), connection, head, body, started)

    def _predict_picture(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """The body is the picture itself."""
        if not self._picture:  # it was one when the head came
            connection.send(problem("unsupported_media_type", "this service reads application/json"), head.keep_alive)
            return
        self._proceed(self._decoder.picture(body), connection, head, body, started)

    def _proceed(self, checked: Outcomes, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """One row that validation has something to say about."""
        request = Single(
            self.lane,
            connection,
            head,
            _ids.next(started),
            started,
            _now(),
            started + head.budget_s,
            body,
            checked.parts,
        )
        request.remarks = Remarks(
            checked.violations, checked.changes, checked.flags, checked.put_aside, checked.fallbacks, checked.key
        )
        if checked.parts:
            self.lane.offer(request)
        else:
            request.conclude(None)

    def _predict_lines(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """NDJSON: each line is a row."""
        self._predict_many(connection, head, body, started, by_line=True)

    def _predict_many(
        self, connection: Connection, head: Head, body: bytes, started: float, by_line: bool = False
    ) -> None:
        """A JSON array. Valid rows are decoded in one go, some 10 ms for 10,000 of them. Where a row is refused, they are
        judged one by one, which takes long: in steps, between other requests."""
        lane = self.lane
        decode = self._decoder.lines_in_steps if by_line else self._decoder.many_in_steps

        def take(checked: Outcomes) -> None:
            if self.lane is lane:
                self._proceed_many(checked, connection, head, body, started)
            else:  # another release took over meanwhile, and reads in its own way
                self._predict_many(connection, head, body, started, by_line)

        in_steps(decode(body, MAX_ROWS), connection, head, take)

    def _table_reader(self, media_type: str, parameters: str) -> Handler:
        """The handler of a table, or of one that is not read here."""
        why = why_not(media_type, parameters)
        return self._refuse("unsupported_media_type", why) if why else self._predict_table

    def _predict_table(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """CSV, Arrow or Parquet: answered as a JSON array of the same rows."""
        lane = self.lane

        def take(table: Table) -> None:
            if self.lane is lane:
                self._proceed_many(table.outcomes, connection, table.head, table.lines, started)
            else:
                self._predict_table(connection, table.head, body, started)

        def decline(code: str, detail: str) -> None:  # without a fallback: of which rows is not known yet
            request = Many(lane, connection, head, _ids.next(started), started, _now(), started, body)
            if code in DECLINED:
                lane.counters.add(DECLINED[code])
            request.refuse(code, detail, 1.0 if code in ("not_ready", "overloaded") else None)

        wanted = Wanted(connection, head, body, started, _media_type(head), self.spec.input, self._decoder, MAX_ROWS)
        read(wanted, take, decline)

    def _proceed_many(self, checked: Outcomes, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """Rows travel in parts of a batch each and are put together again."""
        lane = self.lane
        request = Many(lane, connection, head, _ids.next(started), started, _now(), started + head.budget_s, body)
        if checked.malformed:
            lane.counters.add("violation::malformed")
            lane.refused(request, "malformed")
            request.finish(refusal(checked.malformed, request.headers()))
            return
        if checked.total > MAX_ROWS:
            request.refuse("too_large", f"one request may carry {MAX_ROWS:,} rows; tenfold batch scores files")
            return
        remarks = Remarks(checked.violations, checked.changes, checked.flags, checked.put_aside, checked.fallbacks)
        strict = "handling=strict" in head.headers.get("prefer", "").replace(" ", "").lower()
        request.begin(checked.total, len(checked.parts), remarks, strict)
        if not checked.parts:
            request.conclude()
        elif lane.admits(request, len(checked.parts)):
            self._queue(lane, request, checked)

    def _queue(self, lane: Lane, request: Many, checked: Outcomes) -> None:
        """Rows that are known to end replicas are refused at sight."""
        is_killer = lane.suspects.is_killer
        killers = [k for k, row in enumerate(checked.parts) if is_killer(row)]
        good = sorted(set(range(len(checked.parts))).difference(killers)) if killers else range(len(checked.parts))
        add = lane.add_background if request.head.background else lane.add
        step = self.spec.batching.max_rows
        for at in range(0, len(good), step):
            some = good[at : at + step]
            add(Part(request, [checked.index[k] for k in some], [checked.parts[k] for k in some]))
        for k in killers:
            lane.came(1)
            Part(request, [checked.index[k]], [checked.parts[k]]).quarantine()

    # Descriptions

    def _describe(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        what = head.path.strip("/").partition("/")[2]
        media_type, content = self._static[what]
        page = response(200, content, media_type, PAGE_HEADERS if not what else ())
        connection.send(page, head.keep_alive)

    def _answers(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """The answer sheet is made by the admin process, which alone may take its time."""
        accept = head.headers.get("accept", "*/*")
        lines = [f"GET /api/answers/{self.spec.name} HTTP/1.1", "host: admin", f"accept: {accept}", "connection: close"]
        ask(connection, self._admin, "\r\n".join((*lines, "", "")).encode(), 2.0)

    def _feedback(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """Labels are joined by the admin process, which has the time to look them up."""
        lines = [f"POST /api/feedback/{self.spec.name} HTTP/1.1", "host: admin", "connection: close"]
        request = "\r\n".join((*lines, f"content-length: {len(body)}", "", "")).encode()
        ask(connection, self._admin, request + body, FEEDBACK_S)

    def jobs(self, head: Head) -> Handler:
        """The handler of whatever is about jobs: all of them, one, or a file of one."""
        head.max_body = self._max_body_bytes
        if is_upload(head):
            head.max_body, head.sink = MOST_BYTES, self._relay
        allowed: tuple[str, ...]
        match head.path.strip("/").split("/")[2:]:
            case []:
                allowed = ("GET", "HEAD", "POST")
            case [_]:
                allowed = ("GET", "HEAD", "DELETE")
            case _:
                allowed = ("GET", "HEAD")
        return self._jobs if head.method in allowed else refuse_method(*allowed)

    def _jobs(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """Files to be answered: the admin process queues them, and starts who answers them."""
        request = f"{self._about_jobs(head)}content-length: {len(body)}\r\n\r\n".encode()
        ask(connection, self._admin, request + body, JOBS_S)

    def _relay(self, connection: Connection, head: Head) -> Relay:
        """Rows that are handed on to it while they arrive."""
        return Relay(connection, head, self._about_jobs(head), self._admin)

    def _about_jobs(self, head: Head) -> str:
        """The first lines of what the admin process is asked."""
        rest = head.path.strip("/").split("/", 2)[2:]
        target = "/".join(("/api/jobs", self.spec.name, *rest)) + (f"?{head.query}" if head.query else "")
        lines = [f"{head.method} {target} HTTP/1.1", "host: admin", "connection: close"]
        if media_type := head.headers.get("content-type"):
            lines.append(f"content-type: {media_type}")
        return "\r\n".join((*lines, ""))

    def _unknown(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        connection.send(problem("not_found", f"predictions are at /{self.spec.name}/predict"), head.keep_alive)


if hot is not None:
    Site._predict = hot.predictor(Site, _ids, DIGITS, (msgspec.MsgspecError, Slow))  # type: ignore[method-assign,assignment]


def _media_type(head: Head) -> str:
    """The media type of a body without its parameters: JSON unless it is said."""
    return head.headers.get("content-type", "application/json").partition(";")[0].strip().lower()


PAGE_HEADERS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
)

"""Bodies that are tables: CSV, which a front reads itself in steps, and Arrow and Parquet, which the reader reads for it.

Both become what validation makes of a JSON array of the same rows; and the rows become lines of JSON, which is what is kept
of one that is put aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Iterator
from copy import copy
from typing import Any, NamedTuple

import msgspec

from tenfold.contract.form import Form
from tenfold.errors import UsageError, Violation
from tenfold.formats.dialect import Dialect
from tenfold.formats.records import Record, Records
from tenfold.server.reading import Order, Read, Task, reader, why_unreadable
from tenfold.server.responses import problem
from tenfold.server.wire import Connection, Head
from tenfold.validation.scalar import Decoder, Outcomes

TEXTS = {"text/csv": Dialect(), "text/tab-separated-values": Dialect(delimiter="\t")}
BINARY = {
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.arrow.file": "arrow",
    "application/vnd.apache.parquet": "parquet",
}

log = logging.getLogger("tenfold")
_tasks: set[asyncio.Task[None]] = set()


class Wanted(NamedTuple):
    """A body whose rows are wanted by whoever sent it: of which kind, by which contract, and how many at most."""

    connection: Connection
    head: Head
    body: bytes
    started: float
    media_type: str
    form: Form
    decoder: Decoder
    most_rows: int


class Table(NamedTuple):
    """A body that was read. ``head`` says how much time there is for it, and ``lines`` are its rows as JSON."""

    outcomes: Outcomes
    head: Head
    lines: bytes


Take = Callable[[Table], None]
Decline = Callable[[str, str], None]


def why_not(media_type: str, parameters: str) -> str:
    """Why tables of a kind are not read here; "" where they are. The ``parameters`` of text/csv are those of RFC 4180."""
    if media_type in BINARY:
        return why_unreadable()
    said = dict(part.strip().lower().partition("=")[::2] for part in parameters.split(";"))
    if said.get("charset", "utf-8").strip('"') not in ("utf-8", "utf8", "us-ascii"):
        return "rows of text are UTF-8"
    return "the first row has to name the columns" if said.get("header", "").strip('"') == "absent" else ""


def read(wanted: Wanted, take: Take, decline: Decline) -> None:
    """Read a table, and have it taken; or decline it, by a code and what is wrong."""
    if wanted.media_type in TEXTS:
        in_steps(_text(wanted), wanted.connection, wanted.head, take)
    else:
        task = asyncio.get_running_loop().create_task(_aside(wanted, take, decline))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


def in_steps(
    steps: Generator[None, None, Any], connection: Connection, head: Head, then: Callable[[Any], None]
) -> None:
    """Do something long between other requests, as long as somebody waits for it; and ``then`` what it leads to."""
    loop = asyncio.get_running_loop()

    def advance() -> None:
        try:
            next(steps)
        except StopIteration as end:
            then(end.value)
        else:
            loop.call_soon(loop.call_soon, step)

    def step() -> None:
        if connection.transport is not None:
            with_care(advance, connection, head)

    step()


def with_care(what: Callable[[], None], connection: Connection, head: Head) -> None:
    """Do it; if that fails, the client hears so, and the log why."""
    try:
        what()
    except Exception:
        log.exception("%s failed", head.path)
        if connection.busy:
            connection.send(problem("internal"), head.keep_alive)


def _text(wanted: Wanted) -> Generator[None, None, Table]:
    """CSV, as the rows that a job finds in it."""
    try:
        records = Records(wanted.body, wanted.form, TEXTS[wanted.media_type])
    except UsageError as error:
        return Table(_malformed(f"{error.message}; {error.hint}"), wanted.head, b"")
    lines: list[bytes] = []

    def kept() -> Iterator[Record]:
        for record in records:
            lines.append(record.line)
            yield record

    outcomes = yield from wanted.decoder.records_in_steps(kept(), wanted.most_rows)
    return Table(outcomes, wanted.head, b"\n".join(lines))


async def _aside(wanted: Wanted, take: Take, decline: Decline) -> None:
    """Arrow or Parquet. A body that waits for the reader to start has so much more time, unless its client waits for less."""
    head, connection = wanted.head, wanted.connection
    try:
        found, held_s = await _found(wanted)
    except Exception:
        log.exception("%s failed", head.path)
        found, held_s = Read("internal"), 0.0
    if connection.transport is None:
        return
    if held_s:
        head = copy(head)  # others may share it
        head.budget_s += held_s

    def settle() -> None:
        if found.code and found.code != "malformed":
            decline(found.code, found.detail)
        else:
            take(Table(_outcomes(found), head, found.lines))

    with_care(settle, connection, head)


async def _found(wanted: Wanted) -> tuple[Read, float]:
    """What the reader found in a body, and how long it took to start."""
    head, connection = wanted.head, wanted.connection
    task = Task(BINARY[wanted.media_type], msgspec.json.encode(wanted.form), wanted.body, wanted.most_rows)
    is_patient = "x-request-timeout-ms" not in head.headers
    order = Order(task, wanted.started + head.budget_s, is_patient, lambda: connection.transport is None)
    return await reader().read(order), order.held_s


def _outcomes(found: Read) -> Outcomes:
    if found.code:
        return _malformed(found.detail)
    return Outcomes(
        found.parts,
        found.index,
        found.total,
        found.violations,
        found.changes,
        found.flags,
        found.put_aside,
        found.fallbacks,
    )


def _malformed(why: str) -> Outcomes:
    reasons = [Violation(0, "", "malformed", why)]
    return Outcomes((), (), 0, reasons, malformed=reasons)

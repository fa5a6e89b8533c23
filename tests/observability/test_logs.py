"""The log: what is written of a request and of anything else, as text and as JSON; and that nobody waits for it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tenfold.server import logs
from tenfold.server.logs import PER_S, Json, Lines, RequestLog, Text
from tenfold.server.tracing import Trace

TRACE = Trace("4bf92f3577b34da6a3ce929d0e0e4736", flags=1)


@dataclass
class Asked:
    """What the log sees of a request."""

    started: float = 100.0
    due: float = 101.0
    trace_id: bytes = b"01a2"
    trace: Trace | None = None


class Clock:
    """A clock that is set by hand."""

    now = 100.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What is logged of requests."""
    kept: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(record)

    handler = Keeping()
    before = logs.requests.level
    logs.requests.addHandler(handler)
    logs.requests.setLevel(logging.INFO)
    yield kept
    logs.requests.removeHandler(handler)
    logs.requests.setLevel(before)


def as_json(record: logging.LogRecord) -> Any:
    """A line as whoever keeps it reads it."""
    return json.loads(Json("front").format(record))


def test_a_request_that_was_refused(records: list[logging.LogRecord]) -> None:
    """A line has the request's id and its caller's trace, the status and the code, how long it took, and nothing sent."""
    RequestLog("f@1", Clock()).refused(Asked(trace=TRACE), "rule:in_order")
    (record,) = records
    line = as_json(record)
    assert line.pop("time").endswith("Z")
    assert line.pop("pid") == os.getpid()
    assert line == {
        "level": "info",
        "role": "front",
        "event": "refused",
        "status": 422,
        "code": "rule:in_order",
        "release": "f@1",
        "seconds": 0.25,
        "id": "01a2",
        "trace_id": TRACE.id,
    }
    text = Text().format(record)
    assert text.startswith("refused    status=422 code=rule:in_order release=f@1 seconds=0.25 id=01a2 trace_id=4bf9")


@pytest.mark.parametrize(
    ("code", "word", "level"),
    [("out_of_range", "refused", "info"), ("overloaded", "refused", "warning"), ("model_failed", "failed", "warning")],
)
def test_what_is_our_fault_is_louder(code: str, word: str, level: str, records: list[logging.LogRecord]) -> None:
    """A client's mistake is information; what the service could not do is a warning."""
    RequestLog("f@1", Clock()).refused(Asked(), code)
    line = as_json(records[0])
    assert (line["event"], line["level"]) == (word, level)


def test_a_flood_is_cut_and_counted(records: list[logging.LogRecord]) -> None:
    """An overload writes a few lines a second, and the next line says how many were left out."""
    clock = Clock()
    log = RequestLog("f@1", clock)
    for _ in range(1000):
        log.refused(Asked(), "overloaded")
    assert len(records) == PER_S
    clock.now += 1
    log.refused(Asked(), "overloaded")
    assert as_json(records[-1])["omitted"] == 1000 - PER_S
    log.refused(Asked(), "overloaded")
    assert "omitted" not in as_json(records[-1])


@pytest.mark.parametrize(
    ("asked", "now", "word"),
    [
        (Asked(), 100.5, None),
        (Asked(trace=Trace(TRACE.id, flags=0)), 100.5, None),
        (Asked(trace=TRACE), 100.5, "answered"),
        (Asked(), 100.95, "slow"),
        (Asked(due=100.01), 100.0095, "slow"),
    ],
)
def test_ordinary_answers_are_not_logged(
    asked: Asked, now: float, word: str | None, records: list[logging.LogRecord]
) -> None:
    """An answer is worth a line where less than a tenth of its time was left, or where its caller samples the trace."""
    RequestLog("f@1", Clock()).answered(asked, now)
    assert [record.getMessage() for record in records] == ([] if word is None else [word])


def test_an_exception_is_told_without_what_it_quotes() -> None:
    """JSON says what was raised, where, and because of what; the text of an exception, which may quote a row, is left out."""
    try:
        try:
            float("a private value")
        except ValueError as error:
            raise RuntimeError("a private value again") from error
    except RuntimeError as error:
        record = logging.LogRecord("tenfold", logging.ERROR, "", 0, "%s raised", ("preprocess",), (None, None, None))
        record.exc_info = (type(error), error, error.__traceback__)
    text = Json("replica").format(record)
    line = json.loads(text)
    assert (line["event"], line["message"]) == ("log", "preprocess raised")
    assert line["exception"]["type"] == "builtins.RuntimeError"
    assert "test_an_exception_is_told_without_what_it_quotes" in line["exception"]["at"][-1]
    assert line["exception"]["cause"]["type"] == "builtins.ValueError"
    assert "private" not in text.replace("test_logs", "")
    assert "a private value again" in Text().format(record)


def test_nobody_waits_for_the_log() -> None:
    """Where the log's reader stands still, lines are lost, and the process goes on."""
    reading, writing = os.pipe()
    try:
        handler = Lines(writing)
        handler.setFormatter(Json("front"))
        record = logging.LogRecord("tenfold", logging.INFO, "", 0, "x" * 1000, (), None)
        for _ in range(1000):
            handler.emit(record)
        os.set_blocking(reading, False)
        taken = os.read(reading, 1 << 20)
        assert len(taken) < 1000 * 1000
        assert json.loads(taken.splitlines()[0])["message"] == "x" * 1000
    finally:
        os.close(reading)
        os.close(writing)


PROGRAM = """
import logging, warnings
from tenfold.server.logs import begin
begin("replica", {form!r})
logging.getLogger("tenfold").info("ours")
logging.getLogger("library").warning("of %s", "a library")
logging.getLogger("library").info("too quiet")
warnings.warn("a warning")
"""


@pytest.mark.slow
def test_json_takes_in_everything_that_a_process_says() -> None:
    """In the JSON of a replica stands what libraries and the service's own code log and warn of, too."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form="json")], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["message"].partition("\n")[0] for line in lines[:2]] == ["ours", "of a library"]
    assert "a warning" in lines[2]["message"]
    assert len(lines) == 3


@pytest.mark.slow
def test_text_leaves_others_alone() -> None:
    """As text, the service's own logging is what it would be without tenfold."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form="text")], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[:2] == ["ours", "of a library"]

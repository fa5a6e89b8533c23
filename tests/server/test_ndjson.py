"""Rows as NDJSON: each line is a row, answered or refused by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import Running, serve, write_service

NDJSON = {"content-type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service of these tests, running."""
    with serve(write_service(tmp_path_factory.mktemp("ndjson") / "echoes")) as running:
        yield running


def lines(*rows: Any) -> bytes:
    """Rows as NDJSON; texts as they are."""
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def test_each_line_is_a_row(server: Running) -> None:
    """The answer is that of an array of the same rows; blank lines and a last line without a newline are no matter."""
    rows = [{"x": float(k), "secret": None} for k in range(100, 120)]
    reply = server.ask("/echoes/predict", lines(*rows[:10]) + b" \r\n\n" + lines(*rows[10:])[:-1], NDJSON)
    assert (reply.status, reply.json["answered"], reply.json["refused"]) == (200, 20, 0)
    assert [output["x"] for output in reply.json["outputs"]] == [row["x"] for row in rows]
    array = server.ask("/echoes/predict", rows).json
    assert [one["level"] for one in reply.json["outputs"]] == [one["level"] for one in array["outputs"]]
    assert server.ask("/echoes/predict", b"\n", NDJSON).json["outputs"] == []


def test_a_line_that_is_no_row_is_refused_alone(server: Running) -> None:
    """Half an object, two on a line, a key twice, a number out of its bounds: each has its reason, the others answers."""
    reply = server.ask(
        "/echoes/predict",
        lines(
            {"x": 1},
            b'{"x": 1',
            b'{"x": 1} {"x": 2}',
            b'{"x":1},{"x":2}',
            b'{"x":1,"x":2}',
            b"\xff",
            {"x": -1},
            {"x": 2},
        ),
        NDJSON,
    )
    assert reply.status == 200, reply.body
    assert [output and output["x"] for output in reply.json["outputs"]] == [1, *[None] * 6, 2]
    codes = [(error["row"], error["code"]) for error in reply.json["errors"]]
    assert codes == [
        *((row, "malformed") for row in (1, 2, 3)),
        (4, "duplicate_key"),
        (5, "malformed"),
        (6, "out_of_range"),
    ]


def test_a_row_that_is_put_aside_is_kept_as_it_was_sent(server: Running) -> None:
    """The dead letters have the line, also where the line before it is none at all."""
    reply = server.ask("/echoes/predict", lines(b"nothing", {"x": 13, "secret": "mine"}), NDJSON)
    assert [error["code"] for error in reply.json["errors"]] == ["malformed", "quarantined"]
    [letters] = Path(server.log.parent, ".tenfold").rglob("????-??-??.ndjson")
    assert json.loads(letters.read_text().splitlines()[-1])["data"] == {"x": 13}


def test_too_many_lines_are_refused(server: Running) -> None:
    """As too many items of an array are."""
    reply = server.ask("/echoes/predict", b'{"x":1}\n' * 10_001, NDJSON)
    assert (reply.status, reply.json["code"]) == (413, "too_large")


def test_lines_are_utf_8(server: Running) -> None:
    """Another encoding is refused when it is announced, as it is for JSON."""
    for charset, status in (("utf-16", 415), ("UTF-8", 200)):
        headers = {"content-type": f"application/x-ndjson; charset={charset}"}
        assert server.ask("/echoes/predict", lines({"x": 1}), headers).status == status

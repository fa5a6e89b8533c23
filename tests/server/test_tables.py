"""Rows as CSV, Arrow and Parquet: whatever the form of a body, the same rows have the same answer."""

from __future__ import annotations

import http.client
import io
import json
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import csv, parquet

from tests.server.running import Reply, Running, serve, until, write_service

CSV, ARROW, PARQUET = "text/csv", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet"
SCHEMA = pa.schema({"x": pa.float64(), "wish": pa.string(), "level": pa.float64(), "secret": pa.string()})
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "x": st.sampled_from([0.0, 1.5, 13.0, 600_000.0, -1.0, 1e9, None]),
            "wish": st.sampled_from(["echo", "nan", "fly", None]),
            "level": st.sampled_from([0.25, 7.0, None]),
            "secret": st.sampled_from(["a, b", 'say "x"', "mine", None]),
        }
    ),
    max_size=40,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service of these tests, running."""
    with serve(write_service(tmp_path_factory.mktemp("tables") / "echoes")) as running:
        yield running


def written(table: Any, media_type: str) -> bytes:
    """A table as a body of this type."""
    sink = io.BytesIO()
    if media_type == PARQUET:
        parquet.write_table(table, sink)
    elif media_type == CSV:
        csv.write_csv(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
    return sink.getvalue()


def send(server: Running, body: bytes, media_type: str, headers: dict[str, str] | None = None) -> Reply:
    """Ask for predictions."""
    return server.ask("/echoes/predict", body, {"content-type": media_type, **(headers or {})})


def told(reply: Reply) -> Any:
    """What an answer says, but for what differs each time."""
    document = reply.json
    for output in document.get("outputs", ()):
        if output:
            del output["pid"]
    return reply.status, {name: value for name, value in document.items() if name != "id"}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_form_of_the_same_rows_has_the_same_answer(server: Running, rows: list[dict[str, Any]]) -> None:
    """A JSON array, CSV, an Arrow stream and Parquet: outputs, errors with row and pointer, changes and flags."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    expected = told(server.ask("/echoes/predict", rows))
    for media_type in (CSV, ARROW, PARQUET):
        assert told(send(server, written(table, media_type), media_type)) == expected, media_type


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_a_column_that_is_unknown_or_missing_refuses_each_row(server: Running, media_type: str) -> None:
    """As a key of an object does; a column of numbers that are whole is as good as one of floats."""
    for table in (pa.table({"x": [1, 2], "y": [1, 2]}), pa.table({"level": [0.5, 0.5]})):
        rows = table.to_pylist()
        expected = told(server.ask("/echoes/predict", rows))
        assert expected[0] == 422
        assert told(send(server, written(table, media_type), media_type)) == expected


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_so_many_columns_are_named_and_no_more(server: Running, media_type: str) -> None:
    """What is said about a row stays as short as it is about an object, however many columns are unknown or stand twice."""
    names = ["x", *(f"unknown{k}" for k in range(40))]
    row = "{" + ",".join(f'"{name}":1' for name in (*names, *names, "x")) + "}"
    status, answer = told(server.ask("/echoes/predict", f"[{row},{row}]".encode()))
    assert (status, len(answer["errors"])) == (422, 2 * 2 * 16)
    table = pa.Table.from_arrays([pa.array([1, 1])] * (2 * len(names) + 1), [*names, *names, "x"])
    assert told(send(server, written(table, media_type), media_type)) == (status, answer)


@pytest.mark.parametrize("media_type", [ARROW, PARQUET])
def test_numbers_that_json_cannot_say(server: Running, media_type: str) -> None:
    """NaN stands for nothing where the field may be missing, and else is refused, as infinity is."""
    table = pa.table({"x": [1.0, float("nan"), float("inf")], "level": [float("nan"), 0.5, 0.5]})
    status, answer = told(send(server, written(table, media_type), media_type))
    assert (status, answer["outputs"]) == (200, [{"x": 1.0, "level": 0.5}, None, None])
    assert [(error["row"], error["code"]) for error in answer["errors"]] == [(1, "non_finite"), (2, "non_finite")]


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_what_cannot_be_read_is_malformed(server: Running, media_type: str) -> None:
    """400, whether it is nothing, something else or cut short; and the next body is read."""
    whole = written(pa.table({"x": [1.0, 2.0] * 500}), media_type)
    broken = (
        [b"", b'"', b"x," * 10_000 + b"x\n"]
        if media_type == CSV
        else [b"", b"nothing of the sort", whole[: len(whole) // 2]]
    )
    for body in broken:
        reply = send(server, body, media_type)
        assert (reply.status, reply.json["code"]) == (400, "malformed"), body
    assert send(server, whole, media_type).json["answered"] == 1000


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_too_many_rows_are_refused(server: Running, media_type: str) -> None:
    """As too many items of an array are; a body beyond the limit is refused before it is read."""
    reply = send(server, written(pa.table({"x": [1.0] * 10_001}), media_type), media_type)
    assert (reply.status, reply.json["code"]) == (413, "too_large")
    assert send(server, b"x" * (8 * 2**20 + 1), media_type).status == 413
    reply = send(server, written(pa.table({"x": [1.0] * 10_000}), media_type), media_type)
    assert (reply.status, reply.json["answered"]) == (200, 10_000)


def test_a_few_bytes_that_say_gigabytes_are_refused(server: Running) -> None:
    """Whoever decodes them has little memory; the service goes on."""
    note = pa.DictionaryArray.from_arrays(pa.array([0] * 40, pa.int8()), pa.array(["x" * 50_000_000]))
    sink = io.BytesIO()
    parquet.write_table(pa.table({"secret": note}), sink, compression="zstd", store_schema=False)
    reply = send(server, sink.getvalue(), PARQUET)
    assert (reply.status, reply.json["code"]) == (413, "too_large")
    assert send(server, written(pa.table({"x": [1.0]}), PARQUET), PARQUET).status == 200


@pytest.mark.parametrize("media_type", [CSV, ARROW, PARQUET])
def test_a_row_that_is_put_aside_is_kept(server: Running, media_type: str) -> None:
    """The dead letters have its values as they were sent, without the private ones."""
    table = pa.table({"x": [1.0, 13.0], "secret": ["theirs", "mine"]})
    reply = send(server, written(table, media_type), media_type)
    assert [error["code"] for error in reply.json["errors"]] == ["quarantined"]
    [letters] = Path(server.log.parent, ".tenfold").rglob("????-??-??.ndjson")
    letter = json.loads(letters.read_text().splitlines()[-1])
    assert (letter["row"], letter["data"]) == (1, {"x": 13})


def test_a_deadline_holds(server: Running) -> None:
    """The time that a client gives is that for reading, too."""
    body = written(pa.table({"x": [1.0] * 9000}), PARQUET)
    reply = send(server, body, PARQUET, {"x-request-timeout-ms": "0.5"})
    assert reply.json["code"] in ("deadline", "not_ready", "overloaded")
    assert send(server, body, PARQUET).status == 200


def test_a_reader_that_ends_is_started_anew(server: Running) -> None:
    """Nobody who sends something else hears of it."""
    body = written(pa.table({"x": [1.0]}), ARROW)
    assert send(server, body, ARROW).status == 200
    [front] = server.pids("front")
    [reader] = readers(front)
    os.kill(reader, signal.SIGKILL)
    until(lambda: reader not in readers(front), "the end of the reader")
    assert send(server, body, ARROW).status == 200


def test_a_reader_that_cannot_be_started_is_told(server: Running) -> None:
    """503, as where a front has no file descriptor left for the line to it; and whoever comes later has it tried again."""
    body = written(pa.table({"x": [1.0]}), ARROW)
    [front] = server.pids("front")
    for reader in readers(front):
        os.kill(reader, signal.SIGKILL)
    until(lambda: not readers(front), "the end of the reader")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.connect()
    connection.request("GET", "/echoes/contract")
    connection.getresponse().read()
    limits = resource.prlimit(front, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(front, resource.RLIMIT_NOFILE, (3, limits[1]))
        connection.request("POST", "/echoes/predict", body, {"content-type": ARROW})
        response = connection.getresponse()
        assert (response.status, json.loads(response.read())["code"]) == (503, "not_ready")
    finally:
        resource.prlimit(front, resource.RLIMIT_NOFILE, limits)
        connection.close()
    assert send(server, body, ARROW).status == 200


def readers(front: int) -> list[int]:
    """The processes that a front started."""
    children = Path(f"/proc/{front}/task/{front}/children").read_text().split()
    return [int(child) for child in children if b"reader" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_another_encoding_is_refused_when_it_says_so(server: Running) -> None:
    """As JSON's is."""
    said = {
        "charset=utf-16": 415,
        "charset=UTF-8": 200,
        'header=present; charset="utf-8"': 200,
        "header=absent": 415,
        'header="absent"': 415,
    }
    for parameters, status in said.items():
        assert send(server, b"x\n1\n", f"text/csv; {parameters}").status == status
    assert send(server, b"x\tlevel\n1\t0.5\n", "text/tab-separated-values").json["answered"] == 1


def test_the_forms_of_a_body_are_listed(server: Running) -> None:
    """In the OpenAPI document, and where another one is refused."""
    document = server.ask("/echoes/openapi.json").json
    content = document["paths"]["/echoes/predict"]["post"]["requestBody"]["content"]
    assert {CSV, ARROW, PARQUET} <= content.keys()
    assert PARQUET in send(server, b"", "text/weird").json["detail"]

"""What becomes of requests is counted, logged and traced: once each, in a real server."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from tests.server.running import SERVICE, Running, serve, until, write_service

pytestmark = pytest.mark.slow

ROW = {"x": 1.5, "wish": "echo", "level": 0.5, "secret": None}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
UNMEASURED = {"good": 0, "overdue": 0, "fallback": 0, "refused": 0, "failed": 0, "shed": 0, "unready": 0, "late": 0}
FALLBACK = SERVICE.replace(
    'Deadline("10 s")', 'Deadline("10 s", otherwise={"x": 0.0, "level": 0.0, "pid": 0})'
).replace("class Echoes", "class Spares")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that logs as JSON, of a service that refuses, and of one with a fallback."""
    folder = tmp_path_factory.mktemp("services")
    spares = write_service(folder / "spares", FALLBACK)
    with serve(write_service(folder / "echoes"), str(spares), "--log", "json") as running:
        yield running


def outcomes(server: Running, unit: str, service: str = "echoes") -> dict[str, int]:
    """How many rows or requests had each outcome so far."""
    text = server.ask("/metrics", port=server.admin_port).body.decode()
    sample = rf'^tenfold_{unit}_total\{{service="{service}",release="[^"]+",outcome="(\w+)"\}} (\d+)$'
    return {outcome: int(count) for outcome, count in re.findall(sample, text, re.MULTILINE)}


def counted(server: Running, start: str) -> float:
    """The sum of the samples that begin like this."""
    text = server.ask("/metrics", port=server.admin_port).body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(start))


@pytest.mark.parametrize(
    ("service", "body", "headers", "rows", "requests"),
    [
        ("echoes", ROW, {}, {"good": 1}, {"good": 1}),
        ("echoes", ROW, {"traceparent": TRACEPARENT}, {"good": 1}, {"good": 1}),
        ("echoes", {**ROW, "level": 7}, {}, {"good": 1}, {"good": 1}),
        ("echoes", {**ROW, "x": -1}, {}, {"refused": 1}, {"refused": 1}),
        ("echoes", {**ROW, "x": 13}, {}, {"refused": 1}, {"refused": 1}),
        ("echoes", {**ROW, "wish": "raise"}, {}, {"failed": 1}, {"failed": 1}),
        ("echoes", {**ROW, "wish": "sleep"}, {"x-request-timeout-ms": "30"}, {"late": 1}, {"late": 1}),
        ("echoes", [ROW, ROW, {**ROW, "x": -1}], {}, {"good": 2, "refused": 1}, {"good": 1}),
        ("echoes", [ROW, {**ROW, "x": -1}], {"prefer": "handling=strict"}, {"refused": 2}, {"refused": 1}),
        ("echoes", [{**ROW, "x": -1}] * 2, {}, {"refused": 2}, {"refused": 1}),
        ("echoes", [ROW, {**ROW, "wish": "raise"}], {}, {"good": 1, "failed": 1}, {"good": 1}),
        ("echoes", [{**ROW, "wish": "sleep"}] * 2, {"x-request-timeout-ms": "30"}, {"late": 2}, {"late": 1}),
        ("echoes", [], {}, {}, {"good": 1}),
        ("echoes", b"[", {}, {}, {"refused": 1}),
        ("echoes", b"x", {"content-type": "text/x"}, {}, {"refused": 1}),
        ("spares", {**ROW, "wish": "sleep"}, {"x-request-timeout-ms": "30"}, {"fallback": 1}, {"fallback": 1}),
        ("spares", [{**ROW, "wish": "sleep"}] * 2, {"x-request-timeout-ms": "30"}, {"fallback": 2}, {"fallback": 1}),
    ],
)  # fmt: skip
def test_each_row_and_each_request_has_one_outcome(
    server: Running,
    service: str,
    body: Any,
    headers: dict[str, str],
    rows: dict[str, int],
    requests: dict[str, int],
) -> None:
    """Whatever is sent, the sums rise by one request and by its rows, under what became of them."""
    before = {unit: outcomes(server, unit, service) for unit in ("rows", "requests")}
    assert before["rows"].keys() == UNMEASURED.keys()
    server.ask(f"/{service}/predict", body, headers)
    for unit, expected in (("rows", rows), ("requests", requests)):  # counted just after the answer left
        due = {name: before[unit][name] + (UNMEASURED | expected)[name] for name in before[unit]}
        until(lambda unit=unit, due=due: outcomes(server, unit, service) == due, f"{expected} {unit} more")  # type: ignore[misc]


def test_requests_for_nobody_are_counted_by_code(server: Running) -> None:
    """A wrong route, and bytes that are no HTTP, are seen without a service to blame."""
    before = {
        code: counted(server, f'tenfold_http_refusals_total{{code="{code}"}}') for code in ("not_found", "bad_request")
    }
    server.ask("/nowhere")
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(b"no HTTP at all\r\n\r\n")
        client.recv(1000)
    for code, count in before.items():
        start = f'tenfold_http_refusals_total{{code="{code}"}}'
        until(lambda start=start, count=count: counted(server, start) == count + 1, f"counting {code}")  # type: ignore[misc]


def test_batches_are_held_against_their_prediction(server: Running) -> None:
    """Each batch that was answered is compared with what was expected of it."""
    start = 'tenfold_prediction_ratio_count{service="echoes"'
    before = counted(server, start)
    server.ask("/echoes/predict", ROW)
    until(lambda: counted(server, start) > before, "a batch more that is held against its prediction")


def test_what_waits_and_runs_is_seen(server: Running) -> None:
    """While a batch is being answered, the gauge says so; afterwards it is back at nothing."""
    start = 'tenfold_running_batches{service="echoes"'
    asking = Thread(target=server.ask, args=("/echoes/predict", {**ROW, "wish": "sleep"}))
    asking.start()
    until(lambda: counted(server, start) == 1, "a batch that runs")
    asking.join()
    until(lambda: counted(server, start) == 0, "nothing running")


def test_a_trace_is_answered(server: Running) -> None:
    """The caller's trace comes back with our part of it, beside an answer and beside a refusal; without one, nothing does."""
    for body, status in ((ROW, 200), ({**ROW, "x": -1}, 422), ([ROW], 200)):
        reply = server.ask("/echoes/predict", body, {"traceparent": TRACEPARENT})
        assert reply.status == status
        answered = r"00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01"
        assert re.fullmatch(answered, reply.headers["traceresponse"])
    assert "traceresponse" not in server.ask("/echoes/predict", ROW).headers
    assert "traceresponse" not in server.ask("/echoes/predict", ROW, {"traceparent": TRACEPARENT + "-"}).headers


def lines(server: Running, request_id: str) -> list[dict[str, Any]]:
    """What the log says of a request."""
    return [event for event in server.events() if event.get("id") == request_id]


@pytest.mark.parametrize(
    ("change", "headers", "word", "status", "code"),
    [
        ({"x": -123456.5}, {}, "refused", 422, "out_of_range"),
        ({"wish": "raise"}, {}, "failed", 500, "model_failed"),
        ({"wish": "sleep"}, {"x-request-timeout-ms": "30"}, "refused", 504, "deadline"),
    ],
)
def test_the_log_names_the_request(
    server: Running, change: dict[str, Any], headers: dict[str, str], word: str, status: int, code: str
) -> None:
    """What failed or was refused has one line of JSON, under the id that the client knows, without what was sent."""
    body = {**ROW, "secret": "a private value", **change}
    request_id = f"my-{code}"
    reply = server.ask("/echoes/predict", body, {"x-request-id": request_id, "traceparent": TRACEPARENT, **headers})
    assert reply.headers["x-request-id"] == request_id
    (line,) = until(lambda: lines(server, request_id), "a line in the log")
    assert (line["event"], line["status"], line["code"]) == (word, status, code)
    assert (line["role"], line["release"].partition("@")[0]) == ("front", "echoes")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    text = server.log.read_text()
    assert "a private value" not in text
    assert "123456.5" not in text
    assert all("text" not in event for event in server.events())  # everything is JSON, the replica's traceback too


def test_ordinary_answers_are_not_in_the_log(server: Running) -> None:
    """An answer is logged only where its caller samples the trace."""
    server.ask("/echoes/predict", ROW, {"x-request-id": "plain"})
    server.ask("/echoes/predict", ROW, {"x-request-id": "traced", "traceparent": TRACEPARENT[:-1] + "0"})
    server.ask("/echoes/predict", ROW, {"x-request-id": "sampled", "traceparent": TRACEPARENT})
    (line,) = until(lambda: lines(server, "sampled"), "a line in the log")
    assert line["event"] == "answered"
    assert lines(server, "plain") == lines(server, "traced") == []

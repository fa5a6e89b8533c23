"""What a client gets from a running server, row by row."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import Running

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
GOOD = {"x": 1.5, "level": 0.25, "wish": "echo"}


def test_one_row(server: Running) -> None:
    """A JSON object is one row; its answer says who answered and how long each stage took."""
    reply = server.ask("/echoes/predict", GOOD)
    assert reply.status == 200
    assert list(reply.json) == ["id", "release", "output"]
    assert UUID7.fullmatch(reply.json["id"])
    assert re.fullmatch(r"echoes@[0-9a-f]{7}", reply.json["release"])
    assert reply.json["output"]["x"] == 1.5
    assert reply.headers["x-request-id"] == reply.json["id"]
    stages = [part.partition(";")[0].strip() for part in reply.headers["server-timing"].split(",")]
    assert stages == ["decode", "queue", "validate", "preprocess", "model", "postprocess"]


def test_predict_without_a_name(server: Running) -> None:
    """Where one service is served, its name may be left out."""
    assert server.ask("/predict", GOOD).status == 200


def test_request_id_is_passed_on(server: Running) -> None:
    """The client's own request id comes back, whatever the answer."""
    for body in (GOOD, {"x": "text"}):
        assert server.ask("/predict", body, {"X-Request-Id": "mine-7"}).headers["x-request-id"] == "mine-7"


def test_changes_and_flags_are_told(server: Running) -> None:
    """What a rule of the contract altered or flagged stands in the answer."""
    reply = server.ask("/predict", {"x": 600_000, "level": 7})
    assert reply.status == 200
    assert reply.json["changes"] == [
        {"pointer": "/wish", "action": "impute", "code": "missing", "value": "echo"},
        {"pointer": "/level", "action": "clamp", "code": "out_of_range", "value": 1.0},
    ]
    assert reply.json["flags"] == [{"pointer": None, "code": "rule:small"}]
    assert reply.json["output"]["level"] == 1.0


def test_many_rows(server: Running) -> None:
    """An array is many rows: the good ones are answered in order beside the bad, whatever the batches were."""
    rows: list[Any] = [{**GOOD, "x": float(k)} for k in range(100)]
    rows[3] = {"x": -1, "wish": "echo", "level": 0.5}
    rows[50] = {**GOOD, "wish": "raise"}
    rows[51] = {**GOOD, "wish": "nan"}
    rows[99] = 7
    reply = server.ask("/predict", rows)
    assert reply.status == 200
    assert (reply.json["answered"], reply.json["refused"]) == (95, 5)
    assert [error["row"] for error in reply.json["errors"]] == [3, 13, 50, 51, 99]
    codes = [error["code"] for error in reply.json["errors"]]
    assert codes == ["out_of_range", "quarantined", "model_failed", "output_invalid", "wrong_type"]
    for row, output in enumerate(reply.json["outputs"]):
        assert (output is None) == (row in (3, 13, 50, 51, 99))
        assert output is None or output["x"] == row


def test_no_rows(server: Running) -> None:
    """An empty array is answered with no outputs."""
    reply = server.ask("/predict", [])
    assert (reply.status, reply.json["outputs"]) == (200, [])


def test_no_good_row(server: Running) -> None:
    """Many rows of which none can be answered are 422, with every violation."""
    reply = server.ask("/predict", [{"x": -1}, {"x": "text", "more": 1}])
    assert (reply.status, reply.headers["content-type"]) == (422, "application/problem+json")
    assert [(e["row"], e["pointer"], e["code"]) for e in reply.json["errors"]] == [
        (0, "/x", "out_of_range"),
        (1, "/x", "wrong_type"),
        (1, "/more", "unknown_field"),
    ]


def test_strict(server: Running) -> None:
    """With ``Prefer: handling=strict`` one bad row refuses all."""
    assert server.ask("/predict", [GOOD, {"x": -1}], {"Prefer": "handling=strict"}).status == 422
    assert server.ask("/predict", [GOOD], {"Prefer": "handling=strict"}).status == 200


def test_the_service_fails(server: Running) -> None:
    """An exception in the user's code is 500, says where, and repeats nothing of it."""
    reply = server.ask("/predict", {**GOOD, "wish": "raise"})
    assert (reply.status, reply.json["code"]) == (500, "model_failed")
    assert reply.json["errors"][0]["detail"] == "preprocess raised ValueError"
    assert b"as wished" not in reply.body


def test_an_answer_that_is_none(server: Running) -> None:
    """A number that is not finite is an error of the service's, not an answer."""
    reply = server.ask("/predict", {**GOOD, "wish": "nan"})
    assert (reply.status, reply.json["code"]) == (500, "output_invalid")


def test_quarantine(server: Running) -> None:
    """A quarantined row is refused and kept aside with its reason, without what is private."""
    reply = server.ask("/predict", {**GOOD, "x": 13, "secret": "hush"})
    assert (reply.status, reply.json["code"]) == (422, "quarantined")
    folder = Path(server.log.parent) / ".tenfold" / "dead-letters"
    letters = [json.loads(line) for file in folder.iterdir() for line in file.read_text().splitlines()]
    letter = next(letter for letter in letters if letter["id"] == reply.headers["x-request-id"])
    assert letter["data"] == {"x": 13, "level": 0.25, "wish": "echo"}
    assert letter["reasons"][0]["code"] == "rule:not_unlucky"


def test_nobody_gets_another_answer(server: Running) -> None:
    """Each of many clients at once gets the answer to its own rows."""

    def client(number: int) -> None:
        for k in range(20):
            x = number * 1000.0 + k + 0.5
            assert server.ask("/predict", {**GOOD, "x": x}).json["output"]["x"] == x
            several = server.ask("/predict", [{**GOOD, "x": x + j} for j in range(3)]).json["outputs"]
            assert [output["x"] for output in several] == [x, x + 1, x + 2]

    with ThreadPoolExecutor(16) as clients:
        list(clients.map(client, range(16)))


BAD: list[tuple[bytes, Mapping[str, str], int, str]] = [
    (b"", {}, 400, "malformed"),
    (b"{", {}, 400, "malformed"),
    (b'{"x": 1,}', {}, 400, "malformed"),
    (b'{"x": NaN}', {}, 400, "malformed"),
    (b'{"x": Infinity}', {}, 400, "malformed"),
    (b'\xff{"x": 1}', {}, 400, "malformed"),
    (b'{"x": "\xff"}', {}, 400, "malformed"),
    (b"[" * 100_000, {}, 400, "malformed"),
    (b'{"x":' * 100_000, {}, 400, "malformed"),
    (b'{"x": 1e999}', {}, 422, "non_finite"),
    (b'{"x": 1, "x": 2}', {}, 422, "duplicate_key"),
    (b'{"x": null}', {}, 422, "missing"),
    (b"{}", {}, 422, "missing"),
    (b'{"x": true}', {}, 422, "wrong_type"),
    (b'{"x": "1"}', {}, 422, "wrong_type"),
    (b'{"x": [1]}', {}, 422, "wrong_type"),
    (b'{"x": 123456789012345678901234567890}', {}, 422, "out_of_range"),
    (b'{"x": 1, "y": 2}', {}, 422, "unknown_field"),
    (b'{"x": 1, "wish": "dance"}', {}, 422, "unseen"),
    (b"1", {}, 422, "wrong_type"),
    (b"null", {}, 422, "wrong_type"),
    (b'"text"', {}, 422, "wrong_type"),
    (b'{"x": 1}', {"Content-Type": "text/csv"}, 415, "unsupported_media_type"),
    (b'{"x": 1}', {"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    (b'{"x": 1}', {"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
    (b'{"x": 1}', {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
    (b'{"x": 1}', {"X-Request-Timeout-Ms": "soon"}, 400, "bad_request"),
    (b'{"x": 1}', {"X-Request-Timeout-Ms": "-5"}, 400, "bad_request"),
    (b'{"x": 1}', {"X-Request-Timeout-Ms": "nan"}, 400, "bad_request"),
    (b"[" + b"{}," * 10_000 + b"{}]", {}, 413, "too_large"),
    (b" " * (8 * 2**20 + 1), {}, 413, "too_large"),
]


@pytest.mark.parametrize(("body", "headers", "status", "code"), BAD)
def test_bad_input(server: Running, body: bytes, headers: Mapping[str, str], status: int, code: str) -> None:
    """Whatever is wrong with a body, the answer is a problem document with its code, and the server goes on."""
    reply = server.ask("/predict", body, headers)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    assert reply.json["code"] == code
    assert reply.json["status"] == status
    assert server.ask("/predict", GOOD).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/echoes/nowhere", 404, "not_found"),
        ("GET", "/echoes/predict", 405, "method_not_allowed"),
        ("DELETE", "/echoes", 405, "method_not_allowed"),
        ("PUT", "/healthz", 405, "method_not_allowed"),
        ("GET", "/../../etc/passwd", 404, "not_found"),
        ("GET", "/%2e%2e/x", 404, "not_found"),
    ],
)
def test_unknown_routes(server: Running, method: str, path: str, status: int, code: str) -> None:
    """A route that is none, or not for this method, says so."""
    reply = server.ask(path, method=method)
    assert (reply.status, reply.json["code"]) == (status, code)


def test_descriptions(server: Running) -> None:
    """The page, the contract, the OpenAPI document and the answer sheet are there, for HEAD as well."""
    assert b"<!doctype html>" in server.ask("/echoes").body.lower()
    assert server.ask("/echoes/contract").json["properties"]["x"]["maximum"] == 1e6
    assert server.ask("/echoes/openapi.json").json["openapi"].startswith("3.1")
    sheet = server.ask("/echoes/answers").json
    assert (sheet["schema"], len(sheet["answers"])) == (1, 10)
    assert b"<!doctype html>" in server.ask("/", headers={"Accept": "text/html"}).body.lower()
    assert server.ask("/").json["services"][0]["name"] == "echoes"
    head = server.ask("/echoes", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 1000


def test_health(server: Running) -> None:
    """Liveness and readiness are plain to probes."""
    assert server.ask("/healthz").status == 200
    assert server.ask("/readyz").json["ready"] is True


def test_admin(server: Running) -> None:
    """The admin port has the status of each service and its counters."""
    server.ask("/predict", GOOD)
    (service,) = server.ask("/api/status", port=server.admin_port).json["services"]
    assert (service["name"], service["ready"], len(service["answers"])) == ("echoes", True, 10)
    metrics = server.ask("/metrics", port=server.admin_port).body.decode()
    assert re.search(r'tenfold_received_rows_total\{service="echoes",release="echoes@\w+"\} [1-9]', metrics)
    assert b"<!doctype html>" in server.ask("/", port=server.admin_port).body.lower()
    assert server.ask("/nowhere", port=server.admin_port).status == 404


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("arguments", [[], ["-H", "Transfer-Encoding: chunked"], ["--http1.0"], ["--http2"]])
def test_curl(server: Running, arguments: list[str]) -> None:
    """curl, unmodified, gets its answer in each way that it may send."""
    url = f"http://127.0.0.1:{server.port}/predict"
    command = ["curl", "-sS", *arguments, "-H", "Content-Type: application/json", "-d", json.dumps(GOOD), url]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert answer["output"]["x"] == 1.5

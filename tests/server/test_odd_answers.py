"""Answers that a front could not write, or that a service should not have given: the row is told, the service goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.server.running import Running, serve, write_service

SERVICE = '''
"""Gives moments and texts as its rows ask for."""

from datetime import datetime
from typing import Annotated, Any

import numpy as np

from tenfold import Contract, Rows, Service, Timezone

MOMENTS = ["NaT", "2024-02-29T12:00:00", "20000-01-01T00:00:00"]
TEXTS = ["fine", "h\\u00fcbsch", "\\ud800"]


class Choice(Contract):
    moment: int
    text: int


class Odd(Contract):
    moment: datetime | None
    naive: Annotated[datetime | None, Timezone(None)]
    text: str


class OddOnes(Service):
    """Odd ones."""

    input, output = Choice, Odd
    model = staticmethod(lambda choices: choices)

    def preprocess(self, rows: Rows) -> Any:
        return rows.moment, rows.text

    def postprocess(self, scores: Any) -> dict[str, Any]:
        moments = np.array([np.datetime64(MOMENTS[k], "us") for k in scores[0]])
        return {"moment": moments, "naive": moments, "text": [TEXTS[k] for k in scores[1]]}
'''


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the service above."""
    with serve(write_service(tmp_path_factory.mktemp("odd"), SERVICE)) as running:
        yield running


def test_moments(odd: Running) -> None:
    """A missing moment is null; a naive one has no offset, any other does."""
    missing, whole = odd.ask("/predict", [{"moment": 0, "text": 0}, {"moment": 1, "text": 1}]).json["outputs"]
    assert missing == {"moment": None, "naive": None, "text": "fine"}
    assert whole == {"moment": "2024-02-29T12:00:00Z", "naive": "2024-02-29T12:00:00", "text": "hübsch"}


@pytest.mark.parametrize("row", [{"moment": 2, "text": 0}, {"moment": 1, "text": 2}])
def test_what_cannot_be_written(odd: Running, row: dict[str, int]) -> None:
    """A year that ISO 8601 does not know, or half a surrogate pair, is the service's error; the row beside it is answered."""
    good = {"moment": 1, "text": 1}
    reply = odd.ask("/predict", [good, row, good])
    assert {(error["row"], error["code"]) for error in reply.json["errors"]} == {(1, "output_invalid")}
    assert reply.json["answered"] == 2
    assert odd.ask("/predict", row).status == 500
    assert odd.ask("/predict", good).status == 200


def test_a_replica_that_was_stopped(odd: Running) -> None:
    """Rows that wait for a replica beyond their deadline are late, and nobody hears of an error of ours."""
    (replica,) = odd.pids("replica")
    os.kill(replica, signal.SIGSTOP)
    late = odd.ask("/predict", {"moment": 1, "text": 1}, {"X-Request-Timeout-Ms": "50"})
    assert (late.status, late.json["code"]) == (504, "deadline")
    until = time.monotonic() + 20
    while odd.ask("/predict", {"moment": 1, "text": 1}).status != 200:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert odd.pids("replica") != [replica]
    log = odd.log.read_text()
    assert "Traceback" not in log, log


def test_failures_are_counted_apart(odd: Running) -> None:
    """What the service failed at is not counted as refused input, and what came in is counted once."""
    before = odd.ask("/metrics", port=odd.admin_port).body.decode()
    odd.ask("/predict", [{"moment": 2, "text": 0}] * 3)
    odd.ask("/predict", {"moment": "x", "text": 0})
    after = odd.ask("/metrics", port=odd.admin_port).body.decode()
    assert counted(after, "received_rows") - counted(before, "received_rows") == 4
    assert counted(after, "rows", "failed") - counted(before, "rows", "failed") == 3
    assert counted(after, "rows", "refused") - counted(before, "rows", "refused") == 1


def counted(metrics: str, name: str, outcome: str = "") -> float:
    """A counter from Prometheus' text."""
    found = [line for line in metrics.splitlines() if line.startswith(f"tenfold_{name}_total{{")]
    return next(float(line.split()[-1]) for line in found if not outcome or f'outcome="{outcome}"' in line)

"""A running server follows its traffic, a person, and its machine."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.cli import main
from tests.server.running import Running, meanwhile, serve, until, write_service

pytestmark = pytest.mark.slow

SERVICE = '''
"""Doubles numbers, and takes its time."""

import time
from typing import Annotated, Any

from tenfold import Batching, Contract, Deadline, Ge, Rows, Scaling, Service


class Number(Contract):
    x: Annotated[float, Ge(0)]


class Twice(Contract):
    y: float


class Doubles(Service):
    input, output = Number, Twice
    model = staticmethod(lambda x: x * 2)
    batching = Batching(max_rows=4)
    deadline = Deadline("10 s")
    scaling = SCALING

    def preprocess(self, rows: Rows) -> Any:
        time.sleep(0.02)
        return rows.x

    def postprocess(self, y: Any) -> dict[str, Any]:
        return {"y": y}
'''


def written(folder: Path, scaling: str) -> Path:
    """A service folder with these criteria."""
    return write_service(folder, SERVICE.replace("SCALING", scaling))


def replicas(server: Running) -> int:
    """How many answer."""
    found: int = server.ask("/api/scaling/doubles", port=server.admin_port).json["replicas"]
    return found


def scaled(server: Running) -> list[tuple[int, int, str]]:
    """The decisions that were printed."""
    events = (event for event in server.events() if event.get("event") == "scaled")
    return [(event["from"], event["to"], event["because"]) for event in events]


@contextmanager
def asked(server: Running, clients: int) -> Iterator[Counter[object]]:
    """Clients that ask without a pause; what they were answered, "wrong" where it was another's answer."""
    found: Counter[object] = Counter()

    def ask(number: int, over: threading.Event) -> None:
        while not over.is_set():
            number += clients
            reply = server.ask("/predict", {"x": number})
            right = reply.status != 200 or reply.json["output"]["y"] == 2 * number
            found[reply.status if right else "wrong"] += 1

    with meanwhile(ask, clients):
        yield found


def test_replicas_come_and_go_under_load_and_no_request_is_lost(tmp_path: Path) -> None:
    """A person asks for three, they come beside the one that answers, and go again; every client gets its own answer."""
    folder = written(tmp_path / "doubles", 'Scaling(1, 2, scale_in_after="2 s", cores=0.0)')
    with serve(folder) as server, asked(server, 4) as answers:
        until(lambda: answers[200] > 20, "an answer")
        for _ in range(2):
            assert main(["scale", str(folder), "--min", "3", "--for", "1 h", "--why", "a launch"]) == 0
            until(lambda: replicas(server) == 3, "three replicas")
            assert main(["scale", str(folder), "--clear"]) == 0
            until(lambda: replicas(server) < 3, "fewer replicas")
        assert any("asked for 3 until" in because and "(a launch)" in because for _, _, because in scaled(server))
    assert set(answers) == {200}


def test_traffic_starts_replicas(tmp_path: Path) -> None:
    """More comes than one carries: another is started, and the reason has the figures."""
    folder = written(tmp_path / "doubles", 'Scaling(1, 2, scale_in_after="1 min", cores=0.0)')
    with serve(folder) as server, asked(server, 12) as answers:
        until(lambda: replicas(server) == 2, "a second replica")
        before, after, because = scaled(server)[0]
        assert (before, after) == (1, 2)
        assert "rows/s forecast" in because
        assert "rows/s each at p99 ≤ 10 s" in because
    assert set(answers) == {200}


def test_an_idle_service_stops_and_whoever_asks_waits_for_it(tmp_path: Path) -> None:
    """Nothing runs while nobody asks, not even what replicas are forked of; the first request is answered after the start."""
    folder = written(tmp_path / "doubles", 'Scaling(0, 2, scale_in_after="1 s")')
    with serve(folder) as server:
        until(lambda: replicas(server) == 0 and not server.pids("replica") and not server.pids("template"), "a stop")
        assert server.ask("/readyz").json["ready"]
        hasty = server.ask("/predict", {"x": 1}, {"X-Request-Timeout-Ms": "50"})
        assert (hasty.status, hasty.json["code"]) in ((503, "not_ready"), (504, "deadline"))
        with asked(server, 3) as answers:
            until(lambda: answers[200] >= 3, "answers")
        assert set(answers) == {200}
        assert (0, 1) in [decision[:2] for decision in scaled(server)]


def test_the_machine_limits_and_that_is_said(tmp_path: Path) -> None:
    """Where the machine has no core for another replica, the wish is not granted, and status and console say why."""
    folder = written(tmp_path / "doubles", "Scaling(1, 64, cores=1000.0)")
    with serve(folder) as server, asked(server, 12):
        until(lambda: scaled(server), "a decision")
        _, after, because = scaled(server)[0]
        assert after == 1
        assert "leave it 1" in because
        known = server.ask("/api/status", port=server.admin_port).json["services"][0]["scaling"]
        assert known["limit"] == "cores"
        assert known["wanted"] > 1

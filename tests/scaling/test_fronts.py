"""Several processes that speak HTTP, and what clients notice when they are replaced: nothing."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scaling.test_live import written
from tests.server.running import Running, meanwhile, serve, until

pytestmark = pytest.mark.slow


@contextmanager
def connected(server: Running, clients: int) -> Iterator[Counter[object]]:
    """Clients that keep their connections, and ask without a pause; what they were answered, or how a request was lost."""
    found: Counter[object] = Counter()

    def ask(_: int, over: threading.Event) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not over.is_set():
            try:
                connection.request("POST", "/predict", json.dumps({"x": 1}), {"content-type": "application/json"})
                reply = connection.getresponse()
                reply.read()
                found[reply.status] += 1
            except (OSError, http.client.HTTPException) as error:
                found[type(error).__name__] += 1
                connection.close()
        connection.close()

    with meanwhile(ask, clients):
        yield found


def renewed(server: Running, before: set[int], fronts: int) -> bool:
    """Whether so many fronts run, none of which did before."""
    now = set(server.pids("front"))
    return len(now) == fronts and not now & before


def replace(server: Running, answers: Counter[object]) -> None:
    """Replace two fronts, and have the new ones answer for a while."""
    before, seen = set(server.pids("front")), answers[200]
    assert len(before) == 2
    os.kill(server.process.pid, signal.SIGHUP)
    until(lambda: renewed(server, before, 2), "two new fronts")
    until(lambda: answers[200] > seen + 20, "answers of the new ones")


def test_fronts_are_replaced_and_no_connection_is_lost(tmp_path: Path) -> None:
    """On SIGHUP new fronts take over, twice in a row; clients that keep their connections are all answered meanwhile."""
    folder = written(tmp_path / "doubles", "Scaling(2)")
    with serve(folder, "--fronts", "2") as server, connected(server, 6) as answers:
        replace(server, answers)
        replace(server, answers)
        assert [event["fronts"] for event in server.events() if event.get("event") == "renewed"] == [2, 2]
    assert set(answers) == {200}


def test_a_front_that_dies_while_it_is_replaced_is_not_replaced_twice(tmp_path: Path) -> None:
    """Whatever happens meanwhile, there are as many fronts in the end as were asked for."""
    folder = written(tmp_path / "doubles", "Scaling(1)")
    with serve(folder, "--fronts", "2") as server:
        before = server.pids("front")
        os.kill(server.process.pid, signal.SIGHUP)
        os.kill(before[0], signal.SIGKILL)
        until(lambda: renewed(server, set(before), 2), "two new fronts")
        assert server.ask("/predict", {"x": 2}).json["output"]["y"] == 4

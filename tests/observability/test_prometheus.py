"""A real Prometheus scrapes a real server, computes from what it found, and evaluates the rules that were rendered for it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tenfold.console.metrics import FAMILIES
from tenfold.control.renders import render
from tests.observability.prometheus import MISSING, Prometheus, prometheus
from tests.server.running import Running, kill, serve, until, write_service

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} on this machine; Debian: make debian"),
]

ROW = {"x": 1.5, "secret": None}
RECEIVED = "sum(tenfold_received_rows_total)"


class Watched(NamedTuple):
    """A server, the Prometheus that scrapes it, and what was rendered for it."""

    server: Running
    prometheus: Prometheus
    rules: Path
    dashboard: Any


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server that has answered 200 rows and refused one, scraped on the port that has metrics alone."""
    folder = tmp_path_factory.mktemp("watched")
    service = write_service(folder / "echoes")
    dashboard, rules = render("grafana", str(service), folder / "rendered")
    with serve(service, "--metrics", "127.0.0.1:0", "--fronts", "2") as server:
        host, port = next(event for event in server.events() if event.get("event") == "serving")["metrics"]
        for _ in range(10):
            assert server.ask("/predict", [ROW] * 20).status == 200
        assert server.ask("/predict", {"x": -1}).status == 422
        with prometheus(folder, f"{host}:{port}", [rules]) as running:
            until(lambda: running.value(RECEIVED) == 201, "scraping what was answered")
            yield Watched(server, running, rules, json.loads(dashboard.read_text("utf-8")))


def test_the_target_is_up(watched: Watched) -> None:
    """Prometheus reads /metrics on the port of its own, in OpenMetrics, and loses no sample."""
    assert watched.prometheus.value("up") == 1
    (target,) = watched.prometheus.api("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    units = {name: found[0]["unit"] for name, found in watched.prometheus.api("metadata").items()}
    assert units["tenfold_request_seconds"] == "seconds"


def test_rows_and_quantiles(watched: Watched) -> None:
    """What was sent is what is counted, by service and field; a quantile lies where the answers were."""
    found = watched.prometheus
    assert found.value('sum(tenfold_violations_total{service="echoes",field="/x",code="out_of_range"})') == 1
    assert found.value('sum(tenfold_rows_total{outcome="refused"})') == 1
    assert found.value("sum(tenfold_request_seconds_count)") == 10
    p99_s = found.value("histogram_quantile(0.99, sum by (le) (tenfold_request_seconds_bucket))")
    assert 50e-6 < p99_s < 10
    assert found.value("sum(tenfold_batch_rows_sum)") == 200
    assert found.value('tenfold_ready_replicas{service="echoes"}') == 1
    assert found.value('tenfold_processes{role="front"}') == 2
    assert found.value('tenfold_resident_memory_bytes{role="replica",service="echoes"}') > 10e6
    assert found.value('tenfold_cpu_seconds_total{role="front"}') > 0


def test_every_rule_and_panel_can_be_evaluated(watched: Watched) -> None:
    """No alert and no panel asks what Prometheus does not understand, or for a metric that is not there."""
    checked = subprocess.run(["promtool", "check", "rules", watched.rules], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr

    def evaluated() -> Any:
        (group,) = watched.prometheus.api("rules")["groups"]
        rules = group["rules"]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = until(evaluated, "evaluating every rule")
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
    queries = [target["expr"] for panel in watched.dashboard["panels"] for target in panel.get("targets", [])]
    for query in queries:
        watched.prometheus.query(query.replace("$__rate_interval", "1m"))
    asked = set(re.findall(r"tenfold_\w+", " ".join([*queries, *(rule["query"] for rule in rules)])))
    exported = {family.exported for family in FAMILIES}
    histograms = {family.name for family in FAMILIES if family.kind == "histogram"}
    exported |= {f"{name}_{suffix}" for name in histograms for suffix in ("bucket", "sum", "count")}
    assert asked <= exported
    unseen = {family.exported for family in FAMILIES if not any(name.startswith(family.name) for name in asked)}
    assert unseen == set()


def test_a_counter_outlives_its_processes(watched: Watched) -> None:
    """Fronts and the admin process are killed under the eyes of Prometheus: no counter is ever seen to be reset."""
    found = watched.prometheus
    for role, rows in (("front", 5), ("admin", 6), ("front", 7)):
        before = found.value(RECEIVED)
        replace_one(watched.server, role)
        send(watched.server, rows)
        until(partial(received, found, before + rows), "counting on")
    assert found.value(RECEIVED) == 201 + 18
    for counter in ("received_rows_total", "cpu_seconds_total", "request_seconds_count"):
        assert [resets for _, resets in found.query(f"max(resets(tenfold_{counter}[5m]))")] == [0]
    assert found.value('tenfold_deaths_total{role="front"}') == 2
    assert found.value('tenfold_restarts_total{role="admin"}') == 1


def received(found: Prometheus, rows: float) -> bool:
    """Whether Prometheus has seen so many rows."""
    return found.value(RECEIVED) >= rows


def replace_one(server: Running, role: str) -> None:
    """Kill a process, and wait for the one that takes its place."""
    before = set(server.pids(role))
    kill(min(before))
    until(lambda: set(server.pids(role)) - before, f"another {role}")


def send(server: Running, rows: int) -> None:
    """Send so many rows, one at a time; a connection that a dying front had taken is tried again."""
    while rows:
        try:
            rows -= server.ask("/predict", [ROW]).status == 200
        except (OSError, HTTPException):
            continue

"""A dashboard for Grafana about exactly the metrics that a server exports of one service.

The panels follow the questions of whoever is on call: is it answering, where does the time go, what came in, what do the
processes do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from tenfold.control.alerts import MISSED, quantile, rules_file, selector, share
from tenfold.spec import Spec

WIDTH = 24  # columns of a dashboard
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RATE = "$__rate_interval"


def files(spec: Spec) -> dict[str, str]:
    """The files for one service, by name."""
    return {
        f"{spec.name}-dashboard.json": json.dumps(dashboard(spec), indent=2, ensure_ascii=False) + "\n",
        f"{spec.name}-rules.yml": rules_file(spec),
    }


class Panel(NamedTuple):
    """A panel: its title, what it is good for, its queries by legend, its unit, and how much room it takes."""

    title: str
    about: str
    queries: Mapping[str, str]
    unit: str = "short"
    width: int = 12
    kind: str = "timeseries"
    stacked: bool = False


def dashboard(spec: Spec) -> dict[str, Any]:
    """What Grafana imports; it asks for the data source."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, group in _rows(selector(spec)):
        panels.append({"id": len(panels) + 1, "type": "row", "title": title, "gridPos": _place(0, y, WIDTH, 1)})
        y += 1
        for line in _lines(group):
            x, height = 0, 4 if all(panel.kind == "stat" for panel in line) else 8
            for panel in line:
                panels.append(_panel(panel, len(panels) + 1) | {"gridPos": _place(x, y, panel.width, height)})
                x += panel.width
            y += height
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    return {
        "uid": _uid(spec.name),
        "title": f"{spec.name} · tenfold",
        "description": spec.doc,
        "tags": ["tenfold"],
        "schemaVersion": 39,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "panels": panels,
    }


def _lines(panels: Iterable[Panel]) -> Iterator[list[Panel]]:
    """As many panels as stand beside each other, again and again."""
    line: list[Panel] = []
    for panel in panels:
        line.append(panel)
        if sum(one.width for one in line) >= WIDTH:
            yield line
            line = []
    if line:
        yield line


def _uid(name: str) -> str:
    """What Grafana knows the dashboard by when it is imported again; it may have 40 characters."""
    uid = f"tenfold-{name}"
    return uid if len(uid) <= 40 else f"tenfold-{sha256(name.encode()).hexdigest()[:32]}"


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _panel(panel: Panel, number: int) -> dict[str, Any]:
    custom = {"fillOpacity": 20, "stacking": {"mode": "normal"}} if panel.stacked else {}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + k), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for k, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def _rows(of: str) -> Iterator[tuple[str, Iterable[Panel]]]:
    """The panels, a question each row. ``of`` selects the service."""
    yield "Is it answering?", [*_at_a_glance(of), *_outcomes(of)]
    yield "Where does the time go?", _times(of)
    yield "What came in?", _input(of)
    yield "Does the model need an update?", _drift(of)
    yield "What do the processes do?", _processes(of)


def _at_a_glance(of: str) -> Iterator[Panel]:
    good = f'sum(rate(tenfold_rows_total{{{of},outcome="good"}}[{RATE}]))'
    yield Panel("Goodput", "Rows that the model answered within the deadline.", {"rows/s": good}, "cps", 6, "stat")
    about = "The share of rows that were too late, refused for lack of time, or found no replica."
    yield Panel("Missed", about, {"share": share(of, MISSED, RATE)}, "percentunit", 6, "stat")
    p99 = quantile(0.99, "request_seconds", of, RATE)
    yield Panel("p99", "99 of 100 answers are faster.", {"p99": p99}, "s", 6, "stat")
    ready = f"sum by (release) (tenfold_ready_replicas{{{of}}}) > 0"
    wanted = f"sum(tenfold_wanted_replicas{{{of}}})"
    about = "Loaded and warmed, by release; and as many as the traffic calls for."
    yield Panel("Ready replicas", about, {"{{release}}": ready, "wanted": wanted}, "short", 6, "stat")


def _outcomes(of: str) -> Iterator[Panel]:
    about = "What became of each row that came in; good is goodput."
    yield Panel("Rows", about, {"{{outcome}}": _rate("rows_total", of, "outcome")}, "cps", stacked=True)
    queries = {name: quantile(k, "request_seconds", of, RATE) for name, k in (("p50", 0.5), ("p99", 0.99))}
    queries["deadline"] = f"max(tenfold_deadline_seconds{{{of}}})"
    yield Panel("Latency", "From complete headers to the answer, and the time that is allowed for it.", queries, "s")
    about = "A request with many rows is what its best row is."
    yield Panel("Requests", about, {"{{outcome}}": _rate("requests_total", of, "outcome")}, "reqps", stacked=True)
    queries = {"{{code}}": _rate("refusals_total", of, "code")}
    queries["{{code}}, for no service"] = _rate("http_refusals_total", "", "code")
    yield Panel("Refusals", "Requests without an answer; tenfold explain CODE says what to do.", queries, "reqps")


def _times(of: str) -> Iterator[Panel]:
    per_row = f"/ ignoring (stage) group_left () sum(rate(tenfold_batch_rows_sum{{{of}}}[{RATE}]))"
    queries = {"{{stage}}": f"{_rate('stage_seconds_total', of, 'stage')} {per_row}"}
    yield Panel("Seconds per row, by stage", "Rows of a batch share what it takes.", queries, "s", stacked=True)
    queries = {"waiting rows": f"sum(tenfold_waiting_rows{{{of}}})"}
    queries["running batches"] = f"sum(tenfold_running_batches{{{of}}})"
    queries["blocked replicas"] = _rate("blocked_seconds_total", of)
    about = (
        "Rows that wait for a replica, batches that replicas hold, and replicas whose own code waits, mostly for I/O."
    )
    yield Panel("Waiting and running", about, queries)
    queries = {name: quantile(k, "batch_rows", of, RATE) for name, k in (("p50", 0.5), ("p99", 0.99))}
    about = "Batches grow by themselves under load; where they are full for long, more replicas help."
    yield Panel("Rows per batch", about, queries)
    about = "What 99 of 100 batches took at most, over what was predicted: 1 is right; above 1, too much is admitted."
    yield Panel("Actual over predicted", about, {"p99": quantile(0.99, "prediction_ratio", of, RATE)})


def _input(of: str) -> Iterator[Panel]:
    queries = {"received": _rate("received_rows_total", of), "changed": _rate("changed_rows_total", of)}
    queries["not in the journal"] = _rate("journal_dropped_rows_total", of)
    about = "All of them, those that validation changed, and those whose answers the journal could not keep."
    yield Panel("Rows that came", about, queries, "cps", 8)
    about = "Why rows were refused. A field that rises alone is a broken feed more often than a changed world."
    queries = {"{{field}}{{rule}} {{code}}": f"topk(12, {_rate('violations_total', of, 'field, rule, code')})"}
    yield Panel("Violations", about, queries, "cps", 8)
    about = "What validation altered or flagged, by the rules that the contract states."
    queries = {"{{field}}{{rule}} {{action}}": f"topk(12, {_rate('changes_total', of, 'field, rule, action')})"}
    yield Panel("Changes", about, queries, "cps", 8)


def _drift(of: str) -> Iterator[Panel]:
    verdict = f"max by (verdict) (tenfold_drift_verdicts{{{of}}}) > 0"
    about = "Of the last window; tenfold drift says since when, and why."
    yield Panel("Verdict", about, {"{{verdict}}": verdict}, "short", 6, "stat")
    queries = {"{{field}}": f'topk(8, max by (field) (tenfold_drift_moved_ratio{{{of},field!=""}}))'}
    yield Panel("Moved", "The share of rows that are elsewhere than on the reference.", queries, "percentunit", 6)
    queries = {"{{kind}}": f"max by (kind) (tenfold_model_loss{{{of}}})"}
    queries["labelled rows/s"] = _rate("labelled_rows_total", of)
    yield Panel("Loss", "What is lost on the reference, by estimate, and by labels.", queries, width=6)
    queries = {"{{channel}}": f"max by (channel) (tenfold_drift_evidence_ratio{{{of}}})"}
    yield Panel("Evidence", "That something changed, over what an alarm needs: 1 is one.", queries, width=6)


def _processes(of: str) -> Iterator[Panel]:
    also = of.replace('="', '=~"').removesuffix('"') + '|"'  # and those that work for all services
    memory = f"sum by (role) (tenfold_resident_memory_bytes{{{also}}})"
    yield Panel("Resident memory", "By role; a line that only rises is a leak.", {"{{role}}": memory}, "bytes", 8)
    about = "By role. Where fronts need a whole one each, --fronts helps; where replicas do, --replicas."
    yield Panel("Processors in use", about, {"{{role}}": _rate("cpu_seconds_total", also, "role")}, width=8)
    queries = {
        "{{role}} running": f"sum by (role) (tenfold_processes{{{also}}})",
        "{{role}} died": f"sum by (role) (increase(tenfold_deaths_total{{{also}}}[{RATE}]))",
        "{{role}} started again": f"sum by (role) (increase(tenfold_restarts_total{{{also}}}[{RATE}]))",
        "batches lost": f"sum(increase(tenfold_lost_batches_total{{{of}}}[{RATE}]))",
        "tenfold {{version}}": "count by (version) (tenfold_build_info)",
    }
    yield Panel("Deaths", "Processes that ended without being told to, and who came instead.", queries, width=8)


def _rate(name: str, of: str, by: str = "") -> str:
    return f"sum {f'by ({by}) ' if by else ''}(rate(tenfold_{name}{{{of}}}[{RATE}]))"

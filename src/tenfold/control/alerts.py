"""Alert rules for Prometheus, about one service: what is worth waking somebody for, and what can wait until the morning.

They know what the service declares, so that "slow" is measured by its own deadline and "too much" by its own promise.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from tenfold.spec import Spec
from tenfold.units import duration

MISSED = "shed|late|unready|overdue"


class Rule(NamedTuple):
    """An alert: when it is raised, after how long, how loud, and what a person reads and does."""

    name: str
    when: str
    after: str
    severity: str
    summary: str
    fix: str


def rules_file(spec: Spec) -> str:
    """The rules of one service, as Prometheus loads them. Its YAML takes a JSON text as a text."""
    lines = [
        f"# Alert rules for {spec.name}, written by tenfold render grafana. Name this file in rule_files of prometheus.yml.",
        f"groups:\n  - name: tenfold-{spec.name}\n    rules:",
    ]
    for rule in (*_gone(spec), *_missed(spec), *_wrong(spec), *_drifted(spec), *_dying(spec)):
        texts = {"summary": rule.summary, "description": f"fix: {rule.fix}"}
        lines += [
            f"      - alert: {rule.name}",
            f"        expr: '{rule.when}'",
            f"        for: {rule.after}",
            f"        labels: {json.dumps({'severity': rule.severity, 'service': spec.name})}",
            "        annotations:",
            *(f"          {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in texts.items()),
        ]
    return "\n".join(lines) + "\n"


def selector(spec: Spec) -> str:
    """What selects the series of one service."""
    return f'service="{spec.name}"'


def share(of: str, outcomes: str, window: str) -> str:
    """The share of rows with one of these outcomes; nothing while no row comes."""
    of_all = f"sum(rate(tenfold_rows_total{{{of}}}[{window}]))"
    return f'sum(rate(tenfold_rows_total{{{of},outcome=~"{outcomes}"}}[{window}])) / ({of_all} > 0)'


def quantile(level: float, name: str, of: str, window: str) -> str:
    """A quantile of a histogram."""
    return f"histogram_quantile({level}, sum by (le) (rate(tenfold_{name}_bucket{{{of}}}[{window}])))"


def _gone(spec: Spec) -> Iterator[Rule]:
    ready, name = f"tenfold_ready_replicas{{{selector(spec)}}}", spec.name
    summary = f"nobody serves {name}: its server is gone, or Prometheus does not reach it"
    yield Rule("TenfoldGone", f"absent({ready})", "2m", "page", summary, "tenfold serve; curl HOST:PORT/metrics")
    fewest, _ = spec.scaling.bounds
    if fewest:
        summary, fix = f"{name} has no replica that is loaded", "the log of tenfold serve says why; tenfold check"
        yield Rule("TenfoldNoReplica", f"sum({ready}) == 0", "1m", "page", summary, fix)
    if fewest > 1:
        summary = f"{name} has {{{{ $value }}}} of at least {fewest} replicas"
        fix = f"tenfold serve --replicas {fewest}"
        yield Rule("TenfoldFewReplicas", f"sum({ready}) < {fewest}", "10m", "ticket", summary, fix)


def _missed(spec: Spec) -> Iterator[Rule]:
    of, name, budget_s = selector(spec), spec.name, spec.deadline.budget_s
    summary = f"{name}: {{{{ $value | humanizePercentage }}}} of the rows get no answer within their time"
    fix = "more replicas, or less traffic; tenfold status shows the rate"
    yield Rule("TenfoldMissed", f"{share(of, MISSED, '5m')} > 0.01", "5m", "page", summary, fix)
    # What is later than the deadline has no answer and no latency: it is missed. This comes before that.
    slow = f"{quantile(0.99, 'request_seconds', of, '5m')} > {0.9 * budget_s:.6g}"
    summary = f"{name}: p99 is {{{{ $value | humanizeDuration }}}} of {duration(budget_s)}"
    fix = "Server-Timing and the panel of stages show where the time goes"
    yield Rule("TenfoldSlow", slow, "10m", "ticket", summary, fix)
    summary = f"{name}: {{{{ $value | humanizePercentage }}}} of the rows are answered with the fallback"
    fix = "it stands in for the model where there is no time; look at the replicas and at what is missed"
    yield Rule("TenfoldFallingBack", f"{share(of, 'fallback', '5m')} > 0.05", "10m", "ticket", summary, fix)
    promised = spec.capacity.rows_per_s
    if promised is not None:
        more = f"sum(rate(tenfold_received_rows_total{{{of}}}[15m])) > {promised:g}"
        summary = f"{name} gets {{{{ $value | humanize }}}} rows/s and promises {promised:g}"
        fix = "add replicas, then raise Capacity(at_least=…) to what was measured"
        yield Rule("TenfoldBeyondPromise", more, "15m", "ticket", summary, fix)


def _drifted(spec: Spec) -> Iterator[Rule]:
    of, name = selector(spec), spec.name
    wrong = f'max by (verdict) (tenfold_drift_verdicts{{{of},verdict=~"FIX_DATA|UPDATE_.*|ROLLBACK"}}) > 0'
    summary = f"{name}: {{{{ $labels.verdict }}}}"
    yield Rule("TenfoldDrift", wrong, "0m", "ticket", summary, f"tenfold drift {name} says since when, and why")


def _wrong(spec: Spec) -> Iterator[Rule]:
    of, name = selector(spec), spec.name
    summary = f"{name}: its own code fails for {{{{ $value | humanizePercentage }}}} of the rows"
    fix = "the log has the traceback; tenfold explain model_failed"
    yield Rule("TenfoldFailing", f"{share(of, 'failed', '5m')} > 0.001", "5m", "page", summary, fix)
    summary = f"{name} refuses {{{{ $value | humanizePercentage }}}} of the rows"
    fix = "a broken feed, mostly: the panel of violations names the field and the code; tenfold explain CODE"
    yield Rule("TenfoldRefusing", f"{share(of, 'refused', '30m')} > 0.5", "30m", "ticket", summary, fix)
    lost = f"sum(increase(tenfold_journal_dropped_rows_total{{{of}}}[15m])) > 0"
    summary = f"{name}: the journal could not keep {{{{ $value | humanize }}}} answers; they were given all the same"
    yield Rule("TenfoldJournalFull", lost, "5m", "ticket", summary, "free the disk, or lower Drift(keep_at_most=…)")
    stages = f'sum(rate(tenfold_stage_seconds_total{{{of},stage=~"preprocess|postprocess"}}[15m]))'
    blocked = f"sum(rate(tenfold_blocked_seconds_total{{{of}}}[15m])) / {stages} > 0.5"
    summary = f"{name}: preprocess and postprocess wait for {{{{ $value | humanizePercentage }}}} of their time"
    fix = "they do I/O for each batch: read tables once, in load(), or send what is looked up with the row"
    yield Rule("TenfoldBlocked", blocked, "15m", "ticket", summary, fix)
    off = f"abs({quantile(0.99, 'prediction_ratio', of, '1h')} - 1) > 0.5"
    enough = f"sum(increase(tenfold_prediction_ratio_count{{{of}}}[1h])) > 10000"
    summary = f"{name}: batches take {{{{ $value | humanizePercentage }}}} more or less time than predicted"
    fix = "too much or too little is admitted: something else uses the machine, or rows differ much in cost"
    yield Rule("TenfoldMisjudging", f"{off} and {enough}", "1h", "ticket", summary, fix)


def _dying(spec: Spec) -> Iterator[Rule]:
    ended = f'sum by (role) (increase(tenfold_deaths_total{{service=~"{spec.name}|"}}[15m])) > 3'
    summary = f"{spec.name}: {{{{ $labels.role }}}} processes end again and again"
    fix = "the log says how; a row that kills is in .tenfold/dead-letters/"
    yield Rule("TenfoldDying", ended, "0m", "ticket", summary, fix)

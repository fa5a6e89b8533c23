"""What is exported of a server: each metric once, with what it means, in base units and with few labels.

``docs/observability.md`` lists them, ``tenfold render grafana`` draws them; tests hold the three together.
"""

from __future__ import annotations

import platform
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Any, NamedTuple

from tenfold.console import drifting
from tenfold.console.exposition import Family, Measured, Sample
from tenfold.server.metrics import BATCH_BUCKETS, BOUNDS_US, PREDICTION_BUCKETS, PREDICTION_STEP, STAGES
from tenfold.server.outcomes import requests_by_outcome, rows_by_outcome
from tenfold.server.usage import Used, Whose

LATENCY_BOUNDS_S = [round(k * 10.0**e, 7) for e in range(-5, 2) for k in (1, 1.5, 2, 3, 5, 7.5)][4:]  # 50 µs to 75 s
LONGEST_S = 10.0  # what is slower than this is told apart only where the deadline is later
PREDICTION_BOUNDS = (0.5, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 3.0, 4.0)


class Counted(NamedTuple):
    """A release: its labels, its deadline and how many rows a batch may have, its ready replicas, its counters, and what is
    known of its drift and of its scaling."""

    labels: Mapping[str, str]
    deadline_s: float
    max_rows: int
    replicas: int
    counters: Counter[str]
    drift: Mapping[str, Any] = {}
    scaling: Mapping[str, Any] = {}


Read = Callable[[Counted], Iterator[Sample]]


def _plain(name: str) -> Read:
    """A counter or gauge as it is."""

    def read(of: Counted) -> Iterator[Sample]:
        yield Sample(of.labels, of.counters[name])

    return read


def _requests(of: Counted) -> Iterator[Sample]:
    for outcome, count in requests_by_outcome(of.counters).items():
        yield Sample({**of.labels, "outcome": outcome}, count)


def _rows(of: Counted) -> Iterator[Sample]:
    for outcome, count in rows_by_outcome(of.counters).items():
        yield Sample({**of.labels, "outcome": outcome}, count)


def _refusals(of: Counted) -> Iterator[Sample]:
    for code, count in _by_code(of.counters):
        yield Sample({**of.labels, "code": code}, count)


def _by_code(counters: Counter[str]) -> Iterator[tuple[str, int]]:
    for name, count in sorted(counters.items()):
        if name.startswith("refusal:"):
            yield name.removeprefix("refusal:"), count


def _violations(of: Counted) -> Iterator[Sample]:
    for field, rule, code, count in _by_field(of.counters, "violation:"):
        yield Sample({**of.labels, "field": field, "rule": rule, "code": code or "rule"}, count)


def _changes(of: Counted) -> Iterator[Sample]:
    for field, rule, action, count in _by_field(of.counters, "change:"):
        yield Sample({**of.labels, "field": field, "rule": rule, "action": action or "flag"}, count)


def _by_field(counters: Counter[str], prefix: str) -> Iterator[tuple[str, str, str, int]]:
    """Counters such as "violation:/mean radius:missing" and "violation::rule:NAME": field, rule, word, count."""
    for name, count in sorted(counters.items()):
        if name.startswith(f"{prefix}:rule:"):
            yield "", name.removeprefix(f"{prefix}:rule:"), "", count
        elif name.startswith(prefix):
            field, _, word = name.removeprefix(prefix).rpartition(":")
            yield field, "", word, count


def _stages(of: Counted) -> Iterator[Sample]:
    for stage in STAGES:
        yield Sample({**of.labels, "stage": stage}, of.counters[f"stage_ns:{stage}"] / 1e9)


def _blocked(of: Counted) -> Iterator[Sample]:
    yield Sample(of.labels, of.counters["waited_ns"] / 1e9)


def _deadline(of: Counted) -> Iterator[Sample]:
    yield Sample(of.labels, of.deadline_s)


def _replicas(of: Counted) -> Iterator[Sample]:
    yield Sample(of.labels, of.replicas)


def _wanted(of: Counted) -> Iterator[Sample]:
    yield Sample(of.labels, of.scaling.get("wanted", of.replicas))


def _latency(of: Counted) -> Iterator[Sample]:
    """The sum is taken from the middle of each bucket, which is right to 3 % and costs the front nothing."""
    ends_s = [us / 1e6 for us in BOUNDS_US]
    counts = [of.counters[f"latency:{k}"] for k in range(len(ends_s) + 1)]
    middles_s = [(begin + end) / 2 for begin, end in zip([0.0, *ends_s], [*ends_s, ends_s[-1]], strict=True)]
    total_s = sum(middle_s * count for middle_s, count in zip(middles_s, counts, strict=True))
    bounds_s = [bound_s for bound_s in LATENCY_BOUNDS_S if bound_s <= max(LONGEST_S, of.deadline_s)]
    yield from _histogram(of.labels, ends_s, counts, bounds_s, round(total_s, 6))


def _batch_rows(of: Counted) -> Iterator[Sample]:
    ends = [float(1 << k) for k in range(BATCH_BUCKETS - 1)]
    counts = [of.counters[f"batch_rows:{k}"] for k in range(BATCH_BUCKETS)]
    bounds = ends[: (of.max_rows - 1).bit_length() + 1]
    yield from _histogram(of.labels, ends, counts, bounds, of.counters["rows"])


def _prediction(of: Counted) -> Iterator[Sample]:
    ends = [(k + 1) / PREDICTION_STEP for k in range(PREDICTION_BUCKETS - 1)]
    counts = [of.counters[f"prediction:{k}"] for k in range(PREDICTION_BUCKETS)]
    total = sum((end - 0.5 / PREDICTION_STEP) * count for end, count in zip([*ends, ends[-1]], counts, strict=True))
    yield from _histogram(of.labels, ends, counts, PREDICTION_BOUNDS, round(total, 6))


def _histogram(
    labels: Mapping[str, str], ends: Sequence[float], counts: Sequence[int], bounds: Sequence[float], total: float
) -> Iterator[Sample]:
    """Cumulated counts at some ``bounds`` of finer buckets; the last of ``counts`` lies above all ``ends``."""
    cumulated = [0, *accumulate(counts)]
    for bound in bounds:
        within = cumulated[bisect_right(ends, bound * (1 + 1e-9))]
        yield Sample({**labels, "le": repr(bound)}, within, "_bucket")
    yield Sample({**labels, "le": "+Inf"}, cumulated[-1], "_bucket")
    yield Sample(labels, total, "_sum")
    yield Sample(labels, cumulated[-1], "_count")


BY_RELEASE: dict[Family, Read] = {
    Family("tenfold_received_rows", "counter", "rows", "Rows that came in."): _plain("came"),
    Family("tenfold_rows", "counter", "rows", "Rows by what became of them; good ones are goodput."): _rows,
    Family("tenfold_requests", "counter", "requests", "Requests by what became of them."): _requests,
    Family("tenfold_refusals", "counter", "refusals", "Requests that got a problem document, by its code."): _refusals,
    Family("tenfold_changed_rows", "counter", "rows", "Rows that validation changed."): _plain("changed"),
    Family("tenfold_violations", "counter", "violations", "Why rows were refused, by field or rule."): _violations,
    Family("tenfold_changes", "counter", "changes", "What was changed or flagged, by field or rule."): _changes,
    Family("tenfold_request_seconds", "histogram", "seconds", "From complete headers to the answer."): _latency,
    Family("tenfold_stage_seconds", "counter", "seconds", "Time spent in each stage, by all requests."): _stages,
    Family("tenfold_blocked_seconds", "counter", "seconds", "Time that preprocess and postprocess waited."): _blocked,
    Family("tenfold_batch_rows", "histogram", "rows", "Rows in each batch that a replica answered."): _batch_rows,
    Family(
        "tenfold_prediction_ratio", "histogram", "ratio", "Time that a batch took, over its predicted 99th percentile."
    ): _prediction,
    Family("tenfold_waiting_rows", "gauge", "rows", "Rows that wait for a replica now."): _plain("gauge:waiting_rows"),
    Family("tenfold_running_batches", "gauge", "batches", "Batches that replicas hold now."): _plain(
        "gauge:running_batches"
    ),
    Family("tenfold_lost_batches", "counter", "batches", "Batches whose replica died over them."): _plain("deaths"),
    Family("tenfold_journal_dropped_rows", "counter", "rows", "Answers that the journal could not keep."): _plain(
        "journal_dropped"
    ),
    Family("tenfold_ready_replicas", "gauge", "replicas", "Replicas that are loaded and warmed."): _replicas,
    Family("tenfold_wanted_replicas", "gauge", "replicas", "Replicas that the traffic calls for."): _wanted,
    Family(
        "tenfold_deadline_seconds", "gauge", "seconds", "The time that the service allows for an answer."
    ): _deadline,
}
HTTP = Family("tenfold_http_refusals", "counter", "refusals", "Requests for no service in particular, by problem code.")
PROCESSES = Family("tenfold_processes", "gauge", "processes", "Processes that run, by role.")
MEMORY = Family(
    "tenfold_resident_memory_bytes", "gauge", "bytes", "Resident memory of the processes of a role (Linux)."
)
CPU = Family(
    "tenfold_cpu_seconds", "counter", "seconds", "Processor time of a role, also of processes that are gone (Linux)."
)
DEATHS = Family("tenfold_deaths", "counter", "deaths", "Processes that ended without being told to, by role.")
RESTARTS = Family("tenfold_restarts", "counter", "restarts", "Processes that were started in place of dead ones.")
BUILD = Family("tenfold_build", "info", "", "The version of tenfold, and of Python.")
FAMILIES = [*BY_RELEASE, *drifting.FAMILIES, HTTP, PROCESSES, MEMORY, CPU, DEATHS, RESTARTS, BUILD]


def measured(
    releases: Sequence[Counted], others: Counter[str], usage: Mapping[Whose, Used], toll: Sequence[Mapping[str, Any]]
) -> Iterator[Measured]:
    """Every metric with its samples. ``others`` counts requests for no service in particular; ``toll`` is the supervisor's
    count of deaths and restarts, by role and service."""
    for family, read in BY_RELEASE.items():
        yield family, [sample for of in releases for sample in read(of)]
    for family, samples in drifting.FAMILIES.items():
        yield family, [sample for of in releases for sample in samples(of.labels, of.drift)]
    yield HTTP, [Sample({"code": code}, count) for code, count in _by_code(others)]
    roles = [({"role": role, "service": service}, used) for (role, service), used in sorted(usage.items())]
    yield PROCESSES, [Sample(labels, used.processes) for labels, used in roles]
    yield MEMORY, [Sample(labels, used.resident_bytes) for labels, used in roles]
    yield CPU, [Sample(labels, round(used.cpu_s, 2)) for labels, used in roles]
    ended = [({"role": one["role"], "service": one["service"]}, one) for one in toll]
    yield DEATHS, [Sample(labels, one["deaths"]) for labels, one in ended]
    yield RESTARTS, [Sample(labels, one["restarts"]) for labels, one in ended]
    yield BUILD, [Sample({"version": version("tenfold"), "python": platform.python_version()}, 1)]

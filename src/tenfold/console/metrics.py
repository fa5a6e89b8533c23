"""The counters as Prometheus reads them: base units, few labels (text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tenfold.server.metrics import LATENCY_BUCKETS, STAGES, bucket_end_us

Counted = tuple[str, str, Mapping[str, int]]  # service, release, counters

TOTALS = {
    "came": "Rows that came in.",
    "rows": "Rows that reached a replica.",
    "refused": "Rows that validation refused.",
    "changed": "Rows that validation changed.",
    "failed": "Rows that the service's own code failed at.",
    "unready": "Requests refused while no replica was ready.",
    "shed": "Requests refused at once for lack of time.",
    "late": "Requests whose deadline passed.",
    "fallback": "Rows that got the fallback answer.",
    "batches": "Batches.",
    "deaths": "Replicas that died with a batch in hand.",
}
BOUNDS_S = (50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def exposition(services: Sequence[Counted]) -> Iterator[str]:
    """Every metric of every service, line by line."""
    for name, meaning in TOTALS.items():
        yield f"# HELP tenfold_{name}_total {meaning}\n# TYPE tenfold_{name}_total counter\n"
        for service, release, counters in services:
            yield f"tenfold_{name}_total{_labels(service, release)} {counters.get(name, 0)}\n"
    yield "# HELP tenfold_stage_seconds_total Time spent in each stage.\n# TYPE tenfold_stage_seconds_total counter\n"
    for service, release, counters in services:
        for stage in STAGES:
            spent_s = counters.get(f"stage_ns:{stage}", 0) / 1e9
            yield f"tenfold_stage_seconds_total{_labels(service, release, stage=stage)} {spent_s}\n"
    yield "# HELP tenfold_violations_total Why rows were refused.\n# TYPE tenfold_violations_total counter\n"
    for service, release, counters in services:
        for name, count in sorted(counters.items()):
            if count and name.startswith("violation:"):
                pointer, _, code = name.removeprefix("violation:").partition(":")
                yield f"tenfold_violations_total{_labels(service, release, field=pointer, code=code)} {count}\n"
    yield "# HELP tenfold_request_seconds From complete headers to the answer.\n# TYPE tenfold_request_seconds histogram\n"
    for service, release, counters in services:
        yield from _histogram(service, release, counters)


def _histogram(service: str, release: str, counters: Mapping[str, int]) -> Iterator[str]:
    ends = [(bucket_end_us(k) / 1e6, counters.get(f"latency:{k}", 0)) for k in range(LATENCY_BUCKETS)]
    for bound_s in BOUNDS_S:
        count = sum(n for end_s, n in ends if end_s <= bound_s)
        yield f"tenfold_request_seconds_bucket{_labels(service, release, le=f'{bound_s:g}')} {count}\n"
    total = sum(n for _, n in ends)
    yield f"tenfold_request_seconds_bucket{_labels(service, release, le='+Inf')} {total}\n"
    yield f"tenfold_request_seconds_sum{_labels(service, release)} {sum(end_s * n for end_s, n in ends)}\n"
    yield f"tenfold_request_seconds_count{_labels(service, release)} {total}\n"


def _labels(service: str, release: str, **more: str) -> str:
    labels = {"service": service, "release": release, **more}
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

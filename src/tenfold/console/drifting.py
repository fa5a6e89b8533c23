"""The metrics of drift, of which each has samples for every release, whether it is watched yet or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import nan
from typing import Any

from tenfold.console.exposition import Family, Sample

VERDICTS = ("HEALTHY", "WATCH", "NEED_LABELS", "UPDATE_WONT_HELP", "UPDATE_RECOMMENDED", "FIX_DATA", "ROLLBACK")
CHANNELS = ("realised", "estimated", "answers", "fields", "rules", "volume")
KINDS = ("reference", "estimated", "realised")

Labels = Mapping[str, str]
Known = Mapping[str, Any]


def _verdicts(of: Labels, drift: Known) -> Iterator[Sample]:
    for verdict in VERDICTS:
        yield Sample({**of, "verdict": verdict}, int(drift.get("verdict") == verdict))


def _moved(of: Labels, drift: Known) -> Iterator[Sample]:
    moved = drift.get("moved", {})
    yield Sample({**of, "field": ""}, max(moved.values(), default=0.0))
    for field, share in moved.items():
        yield Sample({**of, "field": field}, share)


def _evidence(of: Labels, drift: Known) -> Iterator[Sample]:
    for channel in CHANNELS:
        yield Sample({**of, "channel": channel}, drift.get("evidence", {}).get(channel, 0.0))


def _loss(of: Labels, drift: Known) -> Iterator[Sample]:
    for kind in KINDS:
        loss = drift.get("losses", {}).get(kind)
        yield Sample({**of, "kind": kind}, nan if loss is None else loss)


def _labelled(of: Labels, drift: Known) -> Iterator[Sample]:
    yield Sample(of, drift.get("labelled", 0))


FAMILIES: dict[Family, Callable[[Labels, Known], Iterator[Sample]]] = {
    Family(
        "tenfold_drift_verdicts", "gauge", "verdicts", "1 for the verdict on a release, 0 for the others."
    ): _verdicts,
    Family(
        "tenfold_drift_moved_ratio",
        "gauge",
        "ratio",
        "Share of rows that are elsewhere than on the reference; without a field, the largest.",
    ): _moved,
    Family(
        "tenfold_drift_evidence_ratio",
        "gauge",
        "ratio",
        "Evidence that something changed, over what an alarm needs, by channel.",
    ): _evidence,
    Family(
        "tenfold_model_loss",
        "gauge",
        "loss",
        "The loss of the model: on the reference, estimated, and realised on labels.",
    ): _loss,
    Family("tenfold_labelled_rows", "counter", "rows", "Rows whose label came by the time that it was due."): _labelled,
}

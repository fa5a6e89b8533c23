"""The criteria of ``Scaling`` in the words of two autoscalers: Kubernetes' own (HPA), and KEDA, which asks Prometheus itself.

Both keep the mean over all pods near a target and take the largest number that any metric asks for. What they count is what
tenfold exports: rows that came, whatever became of them, and rows that wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tenfold.render.asked import Asked, whole
from tenfold.render.pods import Document, metadata
from tenfold.render.sizes import rows_per_pod, waiting_per_pod
from tenfold.scaling.schedule import Entry

LOOK_S = 15
CAME, WAITING = "tenfold_received_rows", "tenfold_waiting_rows"  # without _total, a rate for the HPA's adapter
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment"}


def hpa(asked: Asked) -> Document:
    """A HorizontalPodAutoscaler on two metrics of the pods, as prometheus-adapter serves them."""
    low, high = asked.spec.scaling.bounds
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(asked),
        "spec": {
            "scaleTargetRef": {**TARGET, "name": asked.name},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [_pods(CAME, rows_per_pod(asked)), _pods(WAITING, waiting_per_pod(asked))],
            "behavior": behaviour(asked),
        },
    }


def scaled_object(asked: Asked) -> Document:
    """A ScaledObject of KEDA, with the hours of the schedule."""
    low, high = asked.spec.scaling.bounds
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(asked),
        "spec": {
            "scaleTargetRef": {**TARGET, "name": asked.name},
            "pollingInterval": LOOK_S,
            "minReplicaCount": low,
            "maxReplicaCount": high,
            # where Prometheus cannot be asked: what there is, and no fewer than the least
            "fallback": {"failureThreshold": 3, "replicas": low, "behavior": "currentReplicasIfHigher"},
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behaviour(asked)}},
            "triggers": [*_asked_of_prometheus(asked), *map(_cron, asked.spec.scaling.entries)],
        },
    }


def queries(asked: Asked) -> list[tuple[str, str, float]]:
    """What is asked of Prometheus: a name, the query, and how much of it each pod is for."""
    of = f'service="{asked.name}"'
    if asked.wanted.namespace:
        of += f',namespace="{asked.wanted.namespace}"'
    return [
        ("rows", f"sum(rate({CAME}_total{{{of}}}[1m]))", rows_per_pod(asked)),
        ("waiting", f"sum({WAITING}{{{of}}})", waiting_per_pod(asked)),
    ]


def behaviour(asked: Asked) -> Document:
    """Out at once, doubling or by four; in after the time that the service says, by half in a minute at most."""
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": LOOK_S},
                {"type": "Pods", "value": 4, "periodSeconds": LOOK_S},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": whole(asked.spec.scaling.scale_in_after_s),
            "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
        },
    }


def quantity(value: float) -> str:
    """A number as Kubernetes writes it: thousandths where it is small."""
    return f"{round(value)}" if value >= 100 else f"{max(1, round(value * 1000))}m"


def _pods(metric: str, each: float) -> Document:
    target = {"type": "AverageValue", "averageValue": quantity(each)}
    return {"type": "Pods", "pods": {"metric": {"name": metric}, "target": target}}


def _asked_of_prometheus(asked: Asked) -> Iterator[Document]:
    for name, query, each in queries(asked):
        told = {"serverAddress": asked.wanted.prometheus, "query": query, "threshold": f"{each:.6g}"}
        yield {"type": "prometheus", "name": name, "metricType": "AverageValue", "metadata": told}


def _cron(entry: Entry) -> dict[str, Any]:
    """An entry of the schedule. Hours that end before they begin end on the next day."""
    overnight = entry.end <= entry.begin
    ends_on = frozenset((day + overnight) % 7 for day in entry.days)
    told = {
        "timezone": str(entry.zone),
        "start": f"{entry.begin.minute} {entry.begin.hour} * * {_days(entry.days)}",
        "end": f"{entry.end.minute} {entry.end.hour} * * {_days(ends_on)}",
        "desiredReplicas": str(entry.replicas),
    }
    return {"type": "cron", "metadata": told}


def _days(days: frozenset[int]) -> str:
    """Days of the week as cron counts them: from 0 for Sunday on."""
    return "*" if len(days) == 7 else ",".join(str(day) for day in sorted((day + 1) % 7 for day in days))

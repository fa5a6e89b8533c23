"""A service as an InferenceService of KServe, which makes Deployment, Service and route of it.

In its Standard mode, on KEDA or without an autoscaler: there the pods are plain ones, whose draining holds. Its field for
canaries is left out silently in that mode, so a service that declares one is refused.
"""

from __future__ import annotations

from tenfold.errors import UsageError
from tenfold.render import yaml
from tenfold.render.asked import Asked, whole
from tenfold.render.autoscaling import behaviour, quantity, queries
from tenfold.render.pods import Document, metadata, pod
from tenfold.render.refusals import (
    require_capacity,
    require_draining,
    require_releases,
    require_scaling,
    require_training,
)
from tenfold.render.sizes import gateway_timeout_s

KSERVE = "KServe"
CONTAINER = "kserve-container"  # the name by which it knows the container that answers


def files(asked: Asked) -> dict[str, str]:
    """The file by name. Raises for what KServe cannot do, and for numbers that nobody measured."""
    if asked.spec.scaling.schedule:
        raise UsageError(
            "Scaling(schedule=…): an InferenceService knows no hours",
            "tenfold render kubernetes --prometheus http://ADDRESS:9090 writes a ScaledObject, which does",
        )
    require_scaling(asked, KSERVE)
    require_releases(asked, KSERVE)
    require_capacity(asked)
    require_draining(asked)
    require_training(asked)
    if asked.scales and not asked.wanted.prometheus:
        raise UsageError(
            "an InferenceService that scales by what tenfold counts does it through KEDA, which asks Prometheus",
            "--prometheus http://ADDRESS:9090; or let the number of replicas be fixed",
        )
    documents = [("Who the pods are: nobody, to Kubernetes itself.", _account(asked))]
    documents.append(
        (f"{asked.spec.title}, release {asked.version}, written by tenfold render kserve.", _service(asked))
    )
    return {f"{asked.name}-kserve.yaml": yaml.text(documents)}


def _account(asked: Asked) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(asked),
        "automountServiceAccountToken": False,
    }


def _service(asked: Asked) -> Document:
    named = metadata(asked)
    scaler = "keda" if asked.scales else "none"
    named["annotations"] = {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": scaler,
        "tenfold/release": asked.spec.release,
    }
    low, high = asked.spec.scaling.bounds
    predictor: Document = {
        "annotations": {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(asked.metrics_port),
            "prometheus.io/path": "/metrics",
        },
        "minReplicas": low,
        "maxReplicas": high,
        "timeout": whole(gateway_timeout_s(asked)),
        "deploymentStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        **({"autoScaling": _autoscaling(asked)} if asked.scales else {}),
        **pod(asked, CONTAINER),
    }
    for constraint in predictor["topologySpreadConstraints"]:
        # the labels of its pods are KServe's own
        constraint["labelSelector"] = {"matchLabels": {"serving.kserve.io/inferenceservice": asked.name}}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": named,
        "spec": {"predictor": predictor},
    }


def _autoscaling(asked: Asked) -> Document:
    metrics = [
        {
            "type": "External",
            "external": {
                "metric": {"backend": "prometheus", "serverAddress": asked.wanted.prometheus, "query": query},
                "target": {"type": "Value", "value": quantity(each)},  # of each pod: what KEDA makes of it by itself
            },
        }
        for _, query, each in queries(asked)
    ]
    return {"metrics": metrics, "behavior": behaviour(asked)}

"""A service as Kubernetes knows it: two files, one of what every cluster has, one of what others add to it.

The pods are one release; another release is another image, and takes over pod by pod, none going before its successor is
ready. The number of pods stands either in the Deployment or with an autoscaler, since two who set it would fight.
"""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.render import yaml
from tenfold.render.asked import Asked
from tenfold.render.autoscaling import hpa, scaled_object
from tenfold.render.pods import STORE_PORTS, Document, all_labels, labels, metadata, pod
from tenfold.render.refusals import (
    require_capacity,
    require_draining,
    require_gateway,
    require_releases,
    require_scaling,
    require_training,
    require_way_out,
)
from tenfold.render.sizes import gateway_timeout_s, progress_s

KUBERNETES = "Kubernetes"
PROMETHEUS = {"app.kubernetes.io/name": "prometheus"}  # the label of its pods, as its operator and its chart set it

Documents = Iterator[tuple[str, Document]]


def files(asked: Asked) -> dict[str, str]:
    """The files by name. Raises for what Kubernetes cannot do, and for numbers that nobody measured."""
    require_scaling(asked, KUBERNETES)
    require_releases(asked, KUBERNETES)
    require_capacity(asked)
    require_draining(asked)
    require_training(asked)
    require_way_out(asked, STORE_PORTS if asked.wanted.store_secret else ())
    require_gateway(asked)
    return {f"{asked.name}.yaml": yaml.text(_plain(asked)), f"{asked.name}-custom.yaml": yaml.text(_custom(asked))}


def _plain(asked: Asked) -> Documents:
    """What every cluster has."""
    yield "Who the pods are: nobody, to Kubernetes itself.", _account(asked)
    yield f"{asked.spec.title}, release {asked.version}, written by tenfold render kubernetes.", _deployment(asked)
    yield "One name for all pods that are ready.", _service(asked)
    yield "Nodes that are emptied take one pod at a time.", _disruption(asked)
    yield "Who may ask it, and whom it may ask.", _network(asked)
    if asked.scales and not asked.wanted.prometheus:
        yield "How many pods: of the metrics that tenfold exports, through prometheus-adapter.", hpa(asked)


def _custom(asked: Asked) -> Documents:
    """What an operator of Prometheus, KEDA or a gateway adds."""
    yield "Prometheus scrapes the port that has metrics and nothing else.", _monitor(asked)
    if asked.scales and asked.wanted.prometheus:
        yield "How many pods: KEDA asks Prometheus.", scaled_object(asked)
    if asked.wanted.gateway:
        yield "From outside, through a gateway.", _route(asked)


def _account(asked: Asked) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(asked),
        "automountServiceAccountToken": False,
    }


def _deployment(asked: Asked) -> Document:
    fixed = {} if asked.scales else {"replicas": asked.spec.scaling.bounds[0]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(asked),
        "spec": {
            **fixed,
            "revisionHistoryLimit": 5,
            "minReadySeconds": 5,
            "progressDeadlineSeconds": progress_s(asked),
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "selector": {"matchLabels": labels(asked)},
            "template": {
                "metadata": {"labels": all_labels(asked), "annotations": {"tenfold/release": asked.spec.release}},
                "spec": pod(asked, asked.name),
            },
        },
    }


def _service(asked: Asked) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(asked),
        "spec": {
            "type": "ClusterIP",
            "selector": labels(asked),
            "ports": [
                {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP", "appProtocol": "http"},
                {"name": "metrics", "port": asked.metrics_port, "targetPort": "metrics", "protocol": "TCP"},
            ],
        },
    }


def _disruption(asked: Asked) -> Document:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(asked),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": labels(asked)},
        },
    }


def _network(asked: Asked) -> Document:
    """Pods of the same namespace and the gateway may ask for predictions; Prometheus, wherever it is, for metrics."""
    askers: list[Document] = [{"podSelector": {}}]
    where, slash, _ = asked.wanted.gateway.partition("/")
    if slash:
        askers.append({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": where}}})
    scrapers = [{"namespaceSelector": {}, "podSelector": {"matchLabels": PROMETHEUS}}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(asked),
        "spec": {
            "podSelector": {"matchLabels": labels(asked)},
            "policyTypes": ["Ingress"] if asked.wanted.egress else ["Ingress", "Egress"],
            "ingress": [
                {"from": askers, "ports": [{"port": "http", "protocol": "TCP"}]},
                {"from": scrapers, "ports": [{"port": "metrics", "protocol": "TCP"}]},
            ],
            **({} if asked.wanted.egress else {"egress": _egress(asked)}),
        },
    }


def _egress(asked: Asked) -> list[Document]:
    """A service by itself asks nobody; one with a store finds that by name, and asks it."""
    if not asked.wanted.store_secret:
        return []
    names = {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]}
    return [names, {"ports": [{"port": port, "protocol": "TCP"} for port in STORE_PORTS]}]


def _monitor(asked: Asked) -> Document:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": metadata(asked),
        "spec": {
            "selector": {"matchLabels": labels(asked)},
            # "service" is a label of ours: that of Kubernetes has to make way
            "endpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s", "honorLabels": True}],
        },
    }


def _route(asked: Asked) -> Document:
    namespace, slash, name = asked.wanted.gateway.rpartition("/")
    gateway = {"name": name, **({"namespace": namespace} if slash else {})}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata(asked),
        "spec": {
            "parentRefs": [gateway],
            "hostnames": [asked.wanted.hostname],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": f"/{asked.name}"}}],
                    "backendRefs": [{"name": asked.name, "port": 80}],
                    "timeouts": {"request": f"{round(1000 * gateway_timeout_s(asked))}ms"},
                }
            ],
        },
    }

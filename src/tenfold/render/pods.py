"""A pod: one replica and its front, as a user without rights, on a file system that it cannot write to."""

from __future__ import annotations

from typing import Any

from tenfold.render.asked import Asked, whole
from tenfold.render.sizes import (
    PRE_STOP_S,
    PROBE_S,
    drain_delay_s,
    grace_s,
    resources,
    room,
    scratch_bytes,
    startup_failures,
)
from tenfold.units import duration

USER = 10001  # of the image; no user of any node
SERVICE = "/srv/service"  # the folder of the service in the image
NOTES = f"{SERVICE}/.tenfold"  # journal and dead letters, for as long as the pod lives
STORE_PORTS = (5432, 443)  # PostgreSQL, and objects

Document = dict[str, Any]


def labels(asked: Asked) -> dict[str, str]:
    """What selects the pods of a service, of whatever release."""
    return {"app.kubernetes.io/name": asked.name, "app.kubernetes.io/component": "model"}


def all_labels(asked: Asked) -> dict[str, str]:
    """The same, with what may change."""
    return {**labels(asked), "app.kubernetes.io/version": asked.version, "app.kubernetes.io/managed-by": "tenfold"}


def metadata(asked: Asked) -> Document:
    """How every document of a service is named."""
    where = {"namespace": asked.wanted.namespace} if asked.wanted.namespace else {}
    return {"name": asked.name, **where, "labels": all_labels(asked)}


def command(asked: Asked) -> list[str]:
    """What follows ``tenfold`` in a container: the service in the image, or what the store deploys under its name."""
    shared = bool(asked.wanted.store_secret)
    return [
        *("serve", asked.name if shared else asked.target),
        *("--host", "0.0.0.0", "--port", str(asked.port), "--admin-port", str(asked.admin_port)),
        *("--metrics", f"0.0.0.0:{asked.metrics_port}", "--replicas", "1"),  # their number is that of the pods
        *("--drain-delay", duration(drain_delay_s(asked)), "--log", "json"),
        *(("--env", asked.env) if asked.env else ()),
        *(() if shared else ("--anonymous",)),
    ]


def pod(asked: Asked, container: str) -> Document:
    """The specification of a pod with one container of that name."""
    return {
        "serviceAccountName": asked.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": grace_s(asked),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels(asked)},
                "matchLabelKeys": ["pod-template-hash"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [_container(asked, container)],
        "volumes": [
            {"name": "scratch", "emptyDir": {"sizeLimit": room(scratch_bytes(asked))}},
            {"name": "notes", "emptyDir": {"sizeLimit": room(asked.spec.drift.keep_at_most_bytes)}},
        ],
    }


def _container(asked: Asked, name: str) -> Document:
    secrets = [*filter(None, [asked.wanted.store_secret]), *asked.wanted.secret]
    variables = {"HOME": "/tmp", "PYTHONUNBUFFERED": "1"}
    return {
        "name": name,
        "image": asked.image,
        "imagePullPolicy": "IfNotPresent",
        "args": command(asked),
        "workingDir": SERVICE,
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        **({"envFrom": [{"secretRef": {"name": secret}} for secret in secrets]} if secrets else {}),
        "ports": [
            {"name": "http", "containerPort": asked.port, "protocol": "TCP"},
            {"name": "metrics", "containerPort": asked.metrics_port, "protocol": "TCP"},
        ],
        "resources": resources(asked),
        **_probes(asked),
        "lifecycle": {"preStop": {"sleep": {"seconds": whole(PRE_STOP_S)}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}, {"name": "notes", "mountPath": NOTES}],
    }


def _probes(asked: Asked) -> Document:
    """Ready is loaded, warmed, and not told to stop. Alive is the front alone: a model that is overloaded, or being replaced,
    is no reason to end the pod."""
    ready = {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": PROBE_S, "timeoutSeconds": PROBE_S}
    return {
        "startupProbe": {**ready, "failureThreshold": startup_failures(asked)},
        "readinessProbe": {**ready, "failureThreshold": 2},
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }

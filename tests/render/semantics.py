"""What no schema says: whether documents that belong together agree with each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from tenfold.console.metrics import FAMILIES

Document = dict[str, Any]
EXPORTED = {family.exported for family in FAMILIES} | {family.name for family in FAMILIES}


def documents(files: Mapping[str, str]) -> list[Document]:
    """Every document of some files."""
    return [document for text in files.values() for document in yaml.safe_load_all(text)]


def of_kind(found: Sequence[Document], kind: str) -> Document | None:
    """The one document of a kind; None where there is none."""
    alike = [document for document in found if document["kind"] == kind]
    assert len(alike) <= 1, f"{kind} is there {len(alike)} times"
    return alike[0] if alike else None


def faults(found: Sequence[Document], deadline_s: float, start_s: float, stop_limit_s: float) -> Iterator[str]:
    """What does not fit together in what was rendered for Kubernetes."""
    deployment, service = of_kind(found, "Deployment"), of_kind(found, "Service")
    if deployment is None or service is None:
        yield "there is no Deployment or no Service"
        return
    template = deployment["spec"]["template"]
    yield from _names(found)
    yield from _selectors(found, template["metadata"]["labels"], service)
    yield from _ports(found, template["spec"]["containers"][0], service)
    yield from _times(found, template["spec"], deadline_s, start_s, stop_limit_s)
    yield from _numbers(found, deployment)
    yield from _rights(template["spec"])


def _names(found: Sequence[Document]) -> Iterator[str]:
    if len({(document["metadata"]["name"], document["metadata"].get("namespace")) for document in found}) > 1:
        yield "documents have different names or namespaces"
    if len({(document["kind"]) for document in found}) < len(found):
        yield "a kind is there twice"


def _selectors(found: Sequence[Document], labels: Mapping[str, str], service: Document) -> Iterator[str]:
    """Every selector finds what it is about."""
    selectors = {
        "Deployment": lambda spec: spec["selector"]["matchLabels"],
        "Service": lambda spec: spec["selector"],
        "PodDisruptionBudget": lambda spec: spec["selector"]["matchLabels"],
        "NetworkPolicy": lambda spec: spec["podSelector"]["matchLabels"],
    }
    for document in found:
        if (select := selectors.get(document["kind"])) and not select(document["spec"]).items() <= labels.items():
            yield f"the selector of {document['kind']} does not find the pods"
        if document["kind"] == "ServiceMonitor":
            wanted = document["spec"]["selector"]["matchLabels"]
            if not wanted.items() <= service["metadata"]["labels"].items():
                yield "the ServiceMonitor does not find the Service"
        if document["kind"] == "Deployment":
            if document["spec"]["selector"]["matchLabels"].keys() & {"app.kubernetes.io/version"}:
                yield "a selector, which never changes, has what changes with each release"
            for spread in document["spec"]["template"]["spec"]["topologySpreadConstraints"]:
                if not spread["labelSelector"]["matchLabels"].items() <= labels.items():
                    yield "the pods are not spread by their own labels"


def _ports(found: Sequence[Document], container: Document, service: Document) -> Iterator[str]:
    """Every port that is named is there."""
    of_pod = {port["name"]: port["containerPort"] for port in container["ports"]}
    said = " ".join(container["args"])
    if f"--port {of_pod['http']} " not in said or f":{of_pod['metrics']} " not in said:
        yield "the container is not told to listen where its ports are"
    used = [port["targetPort"] for port in service["spec"]["ports"]]
    used += [container[f"{probe}Probe"]["httpGet"]["port"] for probe in ("startup", "readiness", "liveness")]
    if policy := of_kind(found, "NetworkPolicy"):
        used += [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
    yield from (f"the pods have no port {name}" for name in used if name not in of_pod)
    of_service = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    if (monitor := of_kind(found, "ServiceMonitor")) and monitor["spec"]["endpoints"][0]["port"] not in of_service:
        yield "what is scraped is no port of the Service"
    if route := of_kind(found, "HTTPRoute"):
        for backend in route["spec"]["rules"][0]["backendRefs"]:
            if backend["name"] != service["metadata"]["name"] or backend["port"] not in of_service.values():
                yield "the route leads nowhere"


def _times(
    found: Sequence[Document], pod: Document, deadline_s: float, start_s: float, stop_limit_s: float
) -> Iterator[str]:
    """Whoever asks gives up before the pod is killed, and a start has the time that it takes."""
    container = pod["containers"][0]
    words = container["args"]
    drain_s = float(words[words.index("--drain-delay") + 1].removesuffix(" s"))
    before_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    if not before_s + drain_s + stop_limit_s < pod["terminationGracePeriodSeconds"]:
        yield "a pod is killed before it is done"
    if route := of_kind(found, "HTTPRoute"):
        gateway_s = float(route["spec"]["rules"][0]["timeouts"]["request"].removesuffix("ms")) / 1000
        if not deadline_s <= gateway_s <= stop_limit_s:
            yield "the gateway gives up before the server, or after it is gone"
    startup = container["startupProbe"]
    if startup["periodSeconds"] * startup["failureThreshold"] < 2 * start_s:
        yield "a slow start is taken for a dead one"
    deployment = of_kind(found, "Deployment")
    assert deployment is not None
    if deployment["spec"]["progressDeadlineSeconds"] <= startup["periodSeconds"] * startup["failureThreshold"]:
        yield "a rollout is given up before a start is"


def _numbers(found: Sequence[Document], deployment: Document) -> Iterator[str]:
    """The number of pods is set in one place, and whoever sets it finds the Deployment and the metrics."""
    scalers = [document for document in found if document["kind"] in ("HorizontalPodAutoscaler", "ScaledObject")]
    if len(scalers) + ("replicas" in deployment["spec"]) != 1:
        yield "the number of pods is set by nobody, or by two"
    for scaler in scalers:
        spec = scaler["spec"]
        target = spec["scaleTargetRef"]
        if (target["kind"], target["name"]) != ("Deployment", deployment["metadata"]["name"]):
            yield "what scales has no target"
        low, high = (
            spec.get(name, spec.get(other))
            for name, other in (("minReplicas", "minReplicaCount"), ("maxReplicas", "maxReplicaCount"))
        )
        if not 1 <= low < high:
            yield "there is nothing to scale"
        asked = re.findall(r"tenfold_\w+", str(spec))
        yield from (f"nobody exports {name}" for name in asked if name not in EXPORTED)
    budget = of_kind(found, "PodDisruptionBudget")
    if budget and budget["spec"]["maxUnavailable"] < 1:
        yield "no node can ever be emptied"


def _rights(pod: Document) -> Iterator[str]:
    """Nobody runs as root, writes where the image is, or mounts what is not there."""
    container = pod["containers"][0]
    own, whole = container["securityContext"], pod["securityContext"]
    if not (whole["runAsNonRoot"] and whole["runAsUser"] > 0 and own["readOnlyRootFilesystem"]):
        yield "the pod has more rights than it needs"
    if own["allowPrivilegeEscalation"] or own["capabilities"]["drop"] != ["ALL"]:
        yield "the pod may get more rights than it needs"
    if {mount["name"] for mount in container["volumeMounts"]} != {volume["name"] for volume in pod["volumes"]}:
        yield "a volume is missing, or mounted nowhere"
    if container["image"].endswith(":latest") or not re.search("[:@]", container["image"]):
        yield "the image may be another one tomorrow"

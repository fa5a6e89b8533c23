"""What is rendered for Kubernetes is valid, fits together, and says all of what was declared or nothing at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tenfold.capacity import Capacity
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.errors import GateFailed, ServiceError, TenfoldError, UsageError
from tenfold.releases import Releases
from tenfold.render import Asked, Measured, Wanted, kserve, kubernetes
from tenfold.scaling import Scaling
from tests.answers.examples import spec
from tests.render.semantics import Document, documents, faults, of_kind

NEWEST = [f"1.{int(kubernetes_validate.latest_version().split('.')[1]) - k}" for k in range(3)]
CUSTOM = {
    "ServiceMonitor": "servicemonitor_v1.json",
    "ScaledObject": "scaledobject_v1alpha1.json",
    "HTTPRoute": "httproute_v1.json",
    "InferenceService": "inferenceservice_v1beta1.json",
}  # the files of their schemas, as catalogues of custom resources name them
SCHEMAS = os.environ.get("TENFOLD_CRD_SCHEMAS", "")
PINNED = "registry.example/tumour@sha256:" + "0" * 64
PROMETHEUS = "http://prometheus.monitoring:9090"


def asked(declared: Mapping[str, Any] | None = None, **changes: Any) -> Asked:
    """A service on its way, with everything measured and nothing left to a canary."""
    stated = {"deadline": Deadline("200 ms"), "releases": Releases("external"), "release": "3f9c2a1d5e6f" * 5}
    values: dict[str, Any] = {"spec": spec(**(stated | dict(declared or {}))), "measured": Measured(240.0, 4.0, 10**6)}
    return Asked(**(values | changes))


WAYS = {
    "hpa": asked(),
    "keda": asked(wanted=Wanted(prometheus=PROMETHEUS)),
    "hours": asked(
        {"scaling": Scaling(1, 8, schedule=("Mon-Fri 08:00-18:00 Europe/Berlin: 4", "22:00-06:00: 2"))},
        wanted=Wanted(prometheus=PROMETHEUS, namespace="models"),
    ),
    "fixed": asked({"scaling": Scaling(3), "capacity": Capacity()}, measured=Measured(None, 40.0)),
    "route": asked(wanted=Wanted(namespace="models", hostname="models.example", gateway="infra/public", egress=True)),
    "store": asked({"releases": Releases()}, wanted=Wanted(store_secret="tenfold", secret=("lab",), image=PINNED)),
    "slow": asked({"deadline": Deadline("30 s")}, wanted=Wanted(start=300.0, memory=2**31), drain_delay_s=20.0, env="prod"),
}  # fmt: skip


def rendered(one: Asked) -> list[Document]:
    """Every document that is written for Kubernetes."""
    return documents(kubernetes.files(one))


def check_valid(document: Document, version: str) -> None:
    """Raise unless a document satisfies the schema of its kind, with no field that the schema does not know."""
    if document["kind"] not in CUSTOM:
        kubernetes_validate.validate(document, version, strict=True)
    elif SCHEMAS:
        schema = json.loads((Path(SCHEMAS) / CUSTOM[document["kind"]]).read_text("utf-8"))
        jsonschema.Draft202012Validator(schema).validate(document)


@pytest.mark.parametrize("version", NEWEST)
@pytest.mark.parametrize("way", WAYS)
def test_schemas_hold(way: str, version: str) -> None:
    """Each of the three newest versions of Kubernetes takes every document, and knows every field in it."""
    for document in rendered(WAYS[way]):
        if document["kind"] not in CUSTOM:
            check_valid(document, version)


@pytest.mark.skipif(not SCHEMAS, reason="TENFOLD_CRD_SCHEMAS names no folder with the schemas of custom resources")
@pytest.mark.parametrize("way", WAYS)
def test_schemas_of_custom_resources_hold(way: str) -> None:
    """What others add to a cluster takes its documents, too."""
    for document in rendered(WAYS[way]):
        check_valid(document, NEWEST[0])


@pytest.mark.parametrize("way", WAYS)
def test_documents_fit_together(way: str) -> None:
    """Selectors find their pods, ports exist, time-outs keep their order, and one alone sets the number of pods."""
    one = WAYS[way]
    found = rendered(one)
    assert list(faults(found, one.spec.deadline.budget_s, one.start_s, one.stop_limit_s)) == []


SPECS = st.builds(
    lambda low, more, headroom, after, cores, budget, hours, rate, start: asked(
        {
            "scaling": Scaling(low, low + more, f"{headroom}%", f"{after} min", schedule=hours, cores=cores),
            "deadline": Deadline(f"{budget} ms"),
            "capacity": Capacity(),
        },
        measured=Measured(rate, start),
        wanted=Wanted(prometheus=PROMETHEUS if hours else "", hostname="a.example", gateway="public"),
    ),
    st.integers(1, 3),
    st.integers(0, 9),
    st.integers(0, 200),
    st.integers(0, 60),
    st.sampled_from([0.0, 0.5, 1.0, 4.0]),
    st.integers(1, 30_000),
    st.lists(st.sampled_from(["Sat-Mon 23:30-01:00: 1", "07:15-19:45 Asia/Tokyo: 1"]), max_size=2).map(tuple),
    st.floats(0.01, 1e5),
    st.floats(0.1, 900),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(SPECS)
def test_whatever_is_declared_is_valid(one: Asked) -> None:
    """For any numbers, what is written holds and fits together."""
    found = rendered(one)
    assert list(faults(found, one.spec.deadline.budget_s, one.start_s, one.stop_limit_s)) == []
    for document in found:
        if document["kind"] in ("Deployment", "HorizontalPodAutoscaler"):
            check_valid(document, NEWEST[0])


def test_it_is_the_same_every_time() -> None:
    """What is kept in git changes when the service does, and not by itself."""
    assert kubernetes.files(WAYS["hours"]) == kubernetes.files(WAYS["hours"])


def break_selector(found: list[Document]) -> None:
    """Somebody renames the pods alone."""
    found[1]["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] = "another"


def break_port(found: list[Document]) -> None:
    """Somebody moves the port alone."""
    found[1]["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"] = 80


def break_grace(found: list[Document]) -> None:
    """Somebody thinks that half a minute is usual."""
    found[1]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 30


def break_replicas(found: list[Document]) -> None:
    """Somebody fixes the number beside an autoscaler."""
    found[1]["spec"]["replicas"] = 2


def break_metric(found: list[Document]) -> None:
    """Somebody renames a metric."""
    found[5]["spec"]["metrics"][0]["pods"]["metric"]["name"] = "tenfold_rows_in"


@pytest.mark.parametrize("harm", [break_selector, break_port, break_grace, break_replicas, break_metric])
def test_what_does_not_fit_is_found(harm: Callable[[list[Document]], None]) -> None:
    """The checks of these tests see what would go wrong in a cluster."""
    found = rendered(WAYS["hpa"])
    harm(found)
    assert list(faults(found, 0.2, 4.0, 35.0))


def test_unknown_fields_are_found() -> None:
    """The schemas are strict: a misspelt field is no field."""
    deployment = rendered(WAYS["hpa"])[1]
    deployment["spec"]["template"]["spec"]["terminationGracePeriod"] = 50
    with pytest.raises(kubernetes_validate.ValidationError):
        check_valid(deployment, NEWEST[0])


# -- what the numbers mean -------------------------------------------------------------------------------------------------


def test_the_criteria_are_those_of_the_service() -> None:
    """The target is what one replica was measured to carry, less the headroom; the window is the service's own."""
    criteria = Scaling(2, 6, headroom="20%", scale_in_after="10 min", drain_backlog_in="3 s")
    scaler = of_kind(rendered(asked({"scaling": criteria})), "HorizontalPodAutoscaler")
    assert scaler is not None
    spec_ = scaler["spec"]
    assert (spec_["minReplicas"], spec_["maxReplicas"]) == (2, 6)
    targets = {each["pods"]["metric"]["name"]: each["pods"]["target"]["averageValue"] for each in spec_["metrics"]}
    assert targets == {"tenfold_received_rows": "150", "tenfold_waiting_rows": "720"}
    assert spec_["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 600


def test_hours_become_cron() -> None:
    """Days are counted from Sunday, and a night ends on the next day."""
    nightly = Scaling(1, 8, schedule=("Sat-Mon 22:00-06:30 Europe/Berlin: 3",))
    scaler = of_kind(rendered(asked({"scaling": nightly}, wanted=Wanted(prometheus=PROMETHEUS))), "ScaledObject")
    assert scaler is not None
    assert scaler["spec"]["triggers"][-1]["metadata"] == {
        "timezone": "Europe/Berlin",
        "start": "0 22 * * 0,1,6",
        "end": "30 6 * * 0,1,2",
        "desiredReplicas": "3",
    }


def test_memory_and_processors_are_asked_for() -> None:
    """A pod asks for what a replica takes, and for its front by what that has to read."""

    def asks(one: Asked) -> Any:
        deployment = of_kind(rendered(one), "Deployment")
        assert deployment is not None
        return deployment["spec"]["template"]["spec"]["containers"][0]["resources"]

    guessed = asks(asked(measured=Measured(5000.0, 4.0, 100 * 2**20)))
    assert guessed == {"requests": {"cpu": "1300m", "memory": "912Mi"}, "limits": {"memory": "912Mi"}}
    assert asks(asked(memory_bytes=2**30))["limits"] == {"memory": "3584Mi"}
    assert asks(asked(wanted=Wanted(memory=3 * 2**30)))["limits"] == {"memory": "3072Mi"}
    waits = asked({"scaling": Scaling(1, 8, cores=0.0)})
    assert asks(waits)["requests"]["cpu"] == "110m"


def test_a_shared_store_decides_by_itself() -> None:
    """Servers on one store serve what it deploys, step by step, with its keys; the URL comes from the secret."""
    found = rendered(replace(WAYS["store"], measured=Measured(240.0, 4.0, 2**30)))
    deployment, policy = of_kind(found, "Deployment"), of_kind(found, "NetworkPolicy")
    assert deployment is not None
    assert policy is not None
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    volumes = {one["name"]: one["emptyDir"]["sizeLimit"] for one in deployment["spec"]["template"]["spec"]["volumes"]}
    assert volumes == {"scratch": "4570Mi", "notes": "1191Mi"}, "three releases of a gigabyte are served from there"
    assert container["args"][:2] == ["serve", "tumour-check"]
    assert "--anonymous" not in container["args"]
    assert [one["secretRef"]["name"] for one in container["envFrom"]] == ["tenfold", "lab"]
    assert {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]} == {53, 443, 5432}


# -- what is refused -------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Asked, type[TenfoldError], str, str]] = {
    "canary steps": (asked({"releases": Releases()}), ServiceError, "Releases(steps=", "external"),
    "steps by traffic": (asked({"releases": Releases("auto")}), ServiceError, "Releases(steps='auto')", "external"),
    "scale to zero": (asked({"scaling": Scaling(0, 4)}), ServiceError, "nobody holds a request", "min_replicas=1"),
    "hours without KEDA": (
        asked({"scaling": Scaling(1, 4, schedule=("08:00-18:00: 2",))}),
        ServiceError,
        "needs KEDA",
        "--prometheus",
    ),
    "a share of a machine": (asked({"scaling": Scaling(1, 4, share=2.0)}), ServiceError, "share=2.0", "leave it out"),
    "what a Ray cluster has": (
        asked({"scaling": Scaling(1, 4, resources=("GPU: 1",))}),
        ServiceError,
        "no resources of such names",
        "nvidia.com/gpu",
    ),
    "a hold": (asked({"scaling": Scaling(1, 4, hold="5 s")}), ServiceError, "Scaling(hold='5 s')", "leave it out"),
    "a long window": (asked({"scaling": Scaling(1, 4, scale_in_after="2 h")}), ServiceError, "waits for an hour", "1 h"),
    "a promise beyond all pods": (
        asked({"capacity": Capacity("9000 rows/s")}),
        ServiceError,
        "8 replicas carry 1,920 rows/s",
        "max_replicas=38",
    ),
    "a deadline beyond the drain": (asked({"deadline": Deadline("2 min")}), ServiceError, "within 30 s", "tenfold batch"),
    "a webhook without a way": (asked({"drift": Drift(webhook="https://a.b/x")}), UsageError, "no pod ask a.b", "--egress"),
    "a webhook by another port": (
        asked({"drift": Drift(webhook="http://a:8080"), "releases": Releases()}, wanted=Wanted(store_secret="tenfold")),
        UsageError,
        "lets no pod ask",
        "--egress",
    ),
    "training in a pod": (asked({"drift": Drift(retrain="python t.py")}), ServiceError, "gone with the pod", "--store-"),
    "half of a route": (asked(wanted=Wanted(hostname="a.example")), UsageError, "both", "--gateway"),
    "an unmeasured start": (asked(measured=Measured(240.0)), GateFailed, "takes to start", "tenfold check"),
    "an unmeasured capacity": (asked(measured=Measured(None, 4.0)), GateFailed, "carries", "tenfold bench"),
    "latest": (asked(wanted=Wanted(image="tumour:latest")), UsageError, "does not say which one", "sha256"),
    "no tag": (asked(wanted=Wanted(image="tumour")), UsageError, "does not say which one", "sha256"),
    "a name that is none": (asked({"name": "8-bit"}), ServiceError, "cannot be a name", "name ="),
}  # fmt: skip


OF_KUBERNETES = {"half of a route", "hours without KEDA", "a webhook without a way", "a webhook by another port"}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_is_refused(case: str) -> None:
    """Nothing that was declared is left out: it is named, with what to do."""
    one, kind, said, mend = REFUSED[case]
    with pytest.raises(kind) as caught:
        kubernetes.files(one)
    assert said in caught.value.message
    assert mend in caught.value.hint


@pytest.mark.parametrize("case", sorted(REFUSED.keys() - OF_KUBERNETES))
def test_what_an_inference_service_cannot_do_either_is_refused(case: str) -> None:
    """KServe's pods can do no more than others."""
    one, kind, said, _ = REFUSED[case]
    with pytest.raises(kind) as caught:
        kserve.files(replace(one, wanted=replace(one.wanted, prometheus=PROMETHEUS)))
    assert said in caught.value.message


def test_a_webhook_with_a_way_is_no_reason_to_refuse() -> None:
    """With --egress, or by a port that a store opens, pods reach it."""
    told = {"drift": Drift(webhook="https://a.example/x")}
    assert kubernetes.files(asked(told, wanted=Wanted(egress=True)))
    assert kubernetes.files(asked(told, wanted=Wanted(store_secret="tenfold")))


def test_every_criterion_is_known_or_refused() -> None:
    """A new field of Scaling or Releases is refused until somebody thinks of what it means here."""
    changed = {"share": 2.0, "hold": "1 s", "hold_rows": 5, "resources": ("GPU: 1",)}
    known = {"min_replicas", "max_replicas", "headroom", "scale_in_after", "drain_backlog_in", "schedule", "cores"}
    assert known | changed.keys() == set(Scaling.__struct_fields__)
    for field, value in changed.items():
        with pytest.raises(ServiceError, match=rf"^Scaling\({field}="):
            kubernetes.files(asked({"scaling": Scaling(1, 4, **{field: value})}))  # type: ignore[arg-type]


# -- KServe ----------------------------------------------------------------------------------------------------------------


def test_an_inference_service_is_the_same_pod() -> None:
    """KServe runs the container that Kubernetes would, with the same times, probes and rights."""
    plain, other = WAYS["keda"], documents(kserve.files(WAYS["keda"]))
    deployment, service = of_kind(rendered(plain), "Deployment"), of_kind(other, "InferenceService")
    assert deployment is not None
    assert service is not None
    pod, predictor = deployment["spec"]["template"]["spec"], service["spec"]["predictor"]
    assert predictor["containers"] == [{**pod["containers"][0], "name": "kserve-container"}]
    for field in ("terminationGracePeriodSeconds", "securityContext", "volumes", "serviceAccountName"):
        assert predictor[field] == pod[field]
    assert [each["external"]["target"]["value"] for each in predictor["autoScaling"]["metrics"]] == [
        "180",
        "1200",
    ]
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "keda"
    for document in other:
        check_valid(document, NEWEST[0])


def test_an_inference_service_of_a_fixed_number() -> None:
    """Without an autoscaler the number is what the service says."""
    service = of_kind(documents(kserve.files(WAYS["fixed"])), "InferenceService")
    assert service is not None
    check_valid(service, NEWEST[0])
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], "autoScaling" in predictor) == (3, 3, False)
    assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "none"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (WAYS["hpa"], "KEDA"),
        (WAYS["hours"], "no hours"),
        (REFUSED["hours without KEDA"][0], "InferenceService knows no hours"),
    ],
)
def test_what_an_inference_service_cannot_do(one: Asked, said: str) -> None:
    """What tenfold counts is asked through KEDA, and hours not at all: said rather than left out."""
    with pytest.raises(UsageError, match=said):
        kserve.files(one)

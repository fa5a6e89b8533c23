"""A service with ten declared answers, as the tests of the sheet and of the pages look at it."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tenfold.answers import Evidence, Fit, Golden, Latency, Startup
from tenfold.capacity import Capacity
from tenfold.contract.form import Action, Field, Form, ImageForm, Rule
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.model import Facts
from tenfold.scaling import Scaling
from tenfold.spec import Spec

TUMOUR = Form(
    name="Tumour",
    doc="One biopsy, as the laboratory sends it.",
    fields=(
        Field(name="sample", wire="sample", kind="text", key=True, max_len=40),
        Field(name="mean_radius", wire="mean radius", kind="float", gt=0, le=60, unit="mm"),
        Field(name="mean_texture", wire="mean texture", kind="float", ge=0, on_missing=Action("impute", 18.84)),
        Field(name="smoothness", wire="smoothness", kind="float", ge=0, le=0.3, on_invalid=Action("clamp")),
        Field(name="scanner", wire="scanner", kind="category", categories=("A", "B"), on_unseen=Action("flag")),
    ),
    rules=(Rule("big_tumours_are_rough", on_invalid=Action("flag")),),
)
DIAGNOSIS = Form(
    name="Diagnosis",
    fields=(
        Field(name="label", wire="label", kind="category", categories=("benign", "malignant")),
        Field(name="probability", wire="probability", kind="float", ge=0, le=1),
    ),
)
DIGIT = Form(
    name="Digit",
    fields=(Field(name="picture", wire="picture", kind="image", image=ImageForm(formats=("PNG",), size=(8, 8))),),
)
PARTS = {"code": "c0de", "model": "81aa", "contract": "c047", "golden": "901d"}


def spec(**changes: Any) -> Spec:
    """The declared answers, some of them changed."""
    values: dict[str, Any] = {
        "name": "tumour-check",
        "title": "TumourCheck",
        "doc": "Is it malignant?",
        "input": TUMOUR,
        "output": DIAGNOSIS,
        "model": "model.skops",
        "preprocess": "the model's fields in the model's order",
        "postprocess": "label, probability",
        "deadline": Deadline("50 ms"),
        "capacity": Capacity("500 rows/s"),
        "scaling": Scaling(1, 8),
        "drift": Drift("30 days"),
        "defaults": (3, 4, 5, 9),
        "parts": PARTS,
        "release": "3f9c2a1" + "0" * 57,
    }
    return Spec(**values | changes)


def facts(**changes: Any) -> Facts:
    """A model that fits the contract."""
    features = ("mean radius", "mean texture", "smoothness", "scanner")
    return Facts(**{"format": "skops", "name": "Pipeline", "task": "classifier", "features": features} | changes)


def startup(**changes: Any) -> Startup:
    """That model, loaded; some of its facts changed."""
    at = "2026-11-14T09:30:00+00:00"
    return Startup(at=at, of=without_golden(), seconds=0.2, facts=facts(**changes))


def without_golden() -> dict[str, str]:
    """The parts that evidence other than golden records is about."""
    return {part: digest for part, digest in PARTS.items() if part != "golden"}


def fit(**changes: Any) -> Fit:
    """A table of 891 rows of which 888 fit, all of them answered as the model does."""
    at = "2026-11-14T09:30:00+00:00"
    table = Fit(at=at, of=without_golden(), source="train.parquet", rows=891, refused=3, changed=12, equal=888)
    return replace(table, **changes)


def golden(**changes: Any) -> Golden:
    """Twenty golden records from training, all of them equal."""
    at = "2026-11-13T09:30:00+00:00"
    return replace(Golden(at=at, of=PARTS, records=20, equal=20, valid=20, provenance="training"), **changes)


def latency(**changes: Any) -> Latency:
    """A fast model."""
    at = "2026-11-14T09:31:00+00:00"
    fast = Latency(at=at, of=without_golden(), one_s=0.0004, one_p99_s=0.0009, many_rows=64, many_s=0.0005)
    return replace(fast, **changes)


def evidence(**changes: Any) -> Evidence:
    """All of it."""
    return Evidence(**{"fit": fit(), "golden": golden(), "latency": latency(), "startup": startup()} | changes)


def live(**changes: Any) -> dict[str, Any]:
    """The counters of a healthy server."""
    counters = {
        "rows": 41020,
        "answered": 40938,
        "refused": 82,
        "late": 0,
        "shed": 0,
        "failed": 0,
        "deaths": 0,
        "rows_per_s": 11.4,
        "latency_s": {"p50": 0.0011, "p99": 0.0038},
        "batch_rows": {"p50": 6},
        "stage_s": {"preprocess": 0.00011},
        "violations": {"/mean radius:out_of_range": 82},
        "changes": {"/mean texture:impute": 1270},
        "replicas": 1,
    }
    return counters | changes

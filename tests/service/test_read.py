"""What a service class declares, and what cannot be meant."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tenfold import (
    Batching,
    Capacity,
    Contract,
    Deadline,
    Ge,
    Le,
    Releases,
    Rows,
    Scaling,
    Service,
    ServiceError,
    fallback,
    on_invalid,
    trust,
)
from tenfold.service.read import kebab, spec
from tenfold.spec import Spec


class Tumour(Contract):
    """One biopsy."""

    radius: Annotated[float, Ge(0), Le(60)]


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class Check(Service):
    """Is it malignant?"""

    input, output, model = Tumour, Diagnosis, "model.skops"


class Careful(Check):
    batching = Batching(max_rows=8)
    deadline = Deadline("50 ms")

    def postprocess(self, scores: Any, rows: Rows) -> Any:
        return {"label": ["benign"] * len(rows), "probability": scores}


def _service(**stated: Any) -> type[Service]:
    return type("Probe", (Check,), stated)


def test_two_lines_are_a_service() -> None:
    """Input, output and model are enough; everything else has a default, and the sheet says so."""
    read = spec(Check)
    assert (read.name, read.title, read.doc, read.model) == ("check", "Check", "Is it malignant?", "model.skops")
    assert (read.input.name, read.output.name) == ("Tumour", "Diagnosis")
    assert read.defaults == (3, 4, 5, 6, 7, 8, 9, 10)
    assert read.batching == Batching(max_rows=64)
    assert read.preprocess == "the model's fields in its order"
    assert read.postprocess == "label, probability"


def test_a_base_class_answers_for_several_services() -> None:
    """What a base class states, its services state; where, the spec says."""
    read = spec(Careful)
    assert read.defaults == (3, 7, 8, 9, 10)
    assert read.deadline.budget_s == 0.05
    file, line = read.places["deadline"].split(":")
    assert (file, read.places["input"].split(":")[0]) == ("test_read.py", "test_read.py")
    assert read.postprocess == f"postprocess, test_read.py:{int(line) + 2}"


def test_a_spec_travels() -> None:
    """The front knows of a service what its author wrote, without its code."""
    assert msgspec.json.decode(msgspec.json.encode(spec(Careful)), type=Spec) == spec(Careful)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("TumourCheck", "tumour-check"),
        ("MNISTDigits", "mnist-digits"),
        ("HTTPServer2", "http-server2"),
        ("Resnet50Small", "resnet50-small"),
        ("Titanic", "titanic"),
        ("Old_Model", "old-model"),
        ("ABTest", "ab-test"),
    ],
)
def test_names_are_kebab_case(title: str, name: str) -> None:
    """The class name is the route, with a hyphen at aB and ABc."""
    assert kebab(title) == name


@pytest.mark.parametrize("title", ["Predict", "V1", "Healthz", "Ping", "V2"])
def test_reserved_names_are_refused(title: str) -> None:
    """A service never hides a route that every server has."""
    with pytest.raises(ServiceError, match="is taken by a route"):
        spec(type(title, (Check,), {}))
    assert spec(type(title, (Check,), {"name": "mine"})).name == "mine"


@pytest.mark.parametrize("name", ["Mine", "a b", "-a", "a/b", "x" * 64, 5])
def test_names_that_cannot_stand_in_a_route_are_refused(name: Any) -> None:
    """A name is what a route, a file and a label in Kubernetes can hold."""
    with pytest.raises(ServiceError, match="cannot be the name of a service"):
        spec(_service(name=name))


@pytest.mark.parametrize(
    ("stated", "message", "hint"),
    [
        ({"input": None}, "Probe has no input", "add input"),
        ({"model": None}, "Probe has no model", "add model"),
        ({"output": dict}, "Probe.output is not a contract", "derive a class"),
        ({"deadline": "50 ms"}, "Probe.deadline is '50 ms'", r"write deadline = Deadline\("),
        ({"batching": Scaling()}, "Probe.batching is Scaling", r"Batching\("),
        ({"batchings": Batching()}, "Probe.batchings is none of the ten answers", "did you mean batching"),
        ({"speed": Capacity()}, "Probe.speed is none of the ten answers", "did you mean capacity"),
        ({"preproces": lambda self, rows: rows}, "Probe.preproces is none", "did you mean preprocess"),
        ({"preprocess": lambda self: 1}, "Probe.preprocess takes other arguments", r"def preprocess\(self, rows\)"),
        ({"postprocess": lambda self, a, b, c: 1}, "Probe.postprocess takes other", r"scores\[, rows\]"),
        ({"preprocess": 5}, "Probe.preprocess takes other arguments", "def preprocess"),
        ({"folder": "here"}, "Probe.folder hides what Service has", "another name"),
    ],
)
def test_what_cannot_be_meant_is_one_message_with_the_mend(stated: dict[str, Any], message: str, hint: str) -> None:
    """A slip in the class is named, with what to write instead."""
    with pytest.raises(ServiceError, match=message) as caught:
        spec(_service(**stated))
    assert re.search(hint, caught.value.hint)


def test_an_async_transform_is_refused() -> None:
    """The answer path is synchronous, so a coroutine would never be awaited."""

    async def preprocess(self: Service, rows: Rows) -> Any:
        return rows

    with pytest.raises(ServiceError, match="is not a plain function"):
        spec(_service(preprocess=preprocess))


def test_a_fallback_answer_has_to_be_an_answer() -> None:
    """The answer given in need satisfies the same contract as every other."""
    fits = Deadline("1 s", otherwise={"label": "benign", "probability": 0.5})
    assert spec(_service(deadline=fits)).deadline.fallback == {"label": "benign", "probability": 0.5}
    with pytest.raises(ServiceError, match="the fallback answer does not fit Diagnosis: probability must be at most 1"):
        spec(_service(deadline=Deadline("1 s", otherwise={"label": "benign", "probability": 5})))


def test_an_action_that_falls_back_needs_an_answer_to_fall_back_to() -> None:
    """A contract that says fallback is not left without one in production."""

    class Row(Contract):
        radius: Annotated[float, Ge(0), on_invalid(fallback)]

    with pytest.raises(ServiceError, match="radius of Row says fallback, and Probe has none"):
        spec(_service(input=Row))


def test_the_model_is_named_in_words() -> None:
    """The sheet says what model it is, and whether it is trusted to run code."""
    assert spec(_service(model=trust("model.joblib"))).model == "model.joblib (trusted)"
    assert spec(_service(model=len)).model == "len"
    assert spec(_service(releases=Releases("external"))).releases.external

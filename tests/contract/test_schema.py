"""The contract as others read it: JSON Schema and OpenAPI say what the decoder does."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tenfold.contract.form import REJECT, Action, Field, Form, ImageForm, Rule
from tenfold.contract.schema import example, json_schema, openapi, picture_field
from tenfold.contract.schema.specimen import specimen
from tenfold.validation.scalar import Decoder, Slow
from tests.validation.forms import forms, mostly, rows, to_json

IMAGE = Field(name="image", wire="image", kind="image", image=ImageForm(formats=("PNG", "JPEG")))
NOTE = Field(name="note", wire="note", kind="text", nullable=True)


def plain(field: Field) -> Field:
    """The field without actions, and without what JSON Schema says otherwise: text of dates, base64, dtypes of arrays."""
    return msgspec.structs.replace(
        field,
        on_invalid=REJECT,
        on_missing=None,
        on_unseen=None,
        item=plain(field.item) if field.item else None,
        fields=tuple(map(plain, field.fields)),
    )


def roomy(field: Field) -> Field:
    """The field with room for an example, if it is a picture."""
    image = ImageForm() if field.image else None
    return msgspec.structs.replace(field, image=image, fields=tuple(map(roomy, field.fields)))


def has_words(field: Field) -> bool:
    """Whether JSON Schema has words for all that the field says."""
    inner = (*field.fields, *((field.item,) if field.item else ()))
    fuzzy = (
        field.kind in ("date", "datetime", "image", "tensor")
        or isinstance(field.multiple_of, float)
        or "?" in field.pattern
    )
    return not fuzzy and all(map(has_words, inner))


def is_exact(value: Any) -> bool:
    """Whether a value means the same to both: jsonschema takes 1e300 for an integer, and lets $ stand before a newline."""
    if isinstance(value, dict | list):
        return all(map(is_exact, value.values() if isinstance(value, dict) else value))
    if isinstance(value, str):
        return "\n" not in value
    return not (isinstance(value, float) and abs(value) > 2**53) and not (isinstance(value, int) and abs(value) > 2**63)


@given(st.data())
@settings(
    max_examples=2 * settings().max_examples, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
def test_a_row_is_valid_by_json_schema_if_and_only_if_it_is_decoded(data: st.DataObject) -> None:
    """A client that checks its rows against the published schema is never surprised."""
    fields = tuple(plain(field) for field in data.draw(forms()).fields if has_words(field))
    assume(fields)
    form = Form(name="Row", fields=fields)
    row = data.draw(rows(fields))
    if data.draw(mostly(st.just(False), st.just(True))):
        row["unknown"] = 1
    assume(is_exact(row))
    valid = Draft202012Validator(json_schema(form)).is_valid(row)
    outcomes = Decoder(form).one_slow(to_json(row))
    assert bool(outcomes.parts) == valid, outcomes.violations


@given(forms())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_example_is_a_row_that_the_contract_accepts(form: Form) -> None:
    """The row on the page can be sent as it is."""
    form = Form(name="Row", fields=tuple(map(roomy, form.fields)))
    row = example(form)
    Decoder(form).one(json.dumps(row).encode())
    schema = json_schema(form)
    Draft202012Validator.check_schema(schema)
    assert schema["examples"] == [row]


@pytest.mark.parametrize(
    "field",
    [
        Field(name="x", wire="x", kind="float", gt=0.0, lt=1e-300),
        Field(name="x", wire="x", kind="float", ge=1 / 3, le=1 / 3),
        Field(name="x", wire="x", kind="float", ge=0.25, le=0.9, multiple_of=0.3),
        Field(name="x", wire="x", kind="int", ge=2**63 - 1),
        Field(name="x", wire="x", kind="int", ge=4, le=9, multiple_of=4),
        Field(name="x", wire="x", kind="date", lt="2000-01-01"),
        Field(name="x", wire="x", kind="text", pattern=r"[A-Z]{2}-\d{4}", max_len=7),
        Field(name="x", wire="x", kind="text", pattern="[a-z]+", min_len=30),
        Field(name="x", wire="x", kind="tensor", shape=(-1, 2), dtype="uint8", ge=3, le=4),
        Field(name="x", wire="x", kind="float", on_missing=Action("impute", 18.84)),
    ],
    ids=str,
)
def test_examples_respect_narrow_bounds(field: Field) -> None:
    """However narrow the bounds, the example lies within."""
    form = Form(name="Row", fields=(field,))
    row = example(form)
    Decoder(form).one(json.dumps(row).encode())
    assert not field.on_missing or row == {"x": 18.84}


@pytest.mark.parametrize(
    "pattern",
    [r"\w+@\w+\.(com|org)", r"(?i:ab)c*", r"[^a-z]+", r"\S{3,}", r"(a|b)\1", r"\d{4}-\d\d", r"(?>x+)y?", r"^a.b$"],
)
def test_a_specimen_matches_its_pattern(pattern: str) -> None:
    """Text is made up from the regular expression itself."""
    assert re.fullmatch(pattern, specimen(pattern, 3))


def test_what_json_schema_has_no_word_for_is_said_beside_it() -> None:
    """Actions, units, keys and rules are in the published contract, too."""
    form = Form(
        name="Tumour",
        doc="One biopsy.",
        fields=(
            Field(name="sample", wire="sample", kind="text", key=True, private=True),
            Field(name="mean_radius", wire="mean radius", kind="float", le=60.0, unit="mm", on_invalid=Action("clamp")),
            Field(name="seen", wire="seen", kind="date", ge="2020-01-01", on_missing=Action("impute", of="median")),
        ),
        rules=(Rule("rough", "Large is rough.", Action("flag")),),
    )
    schema = json_schema(form)
    assert schema["required"] == ["sample", "mean radius"]
    assert schema["properties"]["sample"] == {"type": "string", "x-tenfold-key": True, "x-tenfold-private": True}
    assert schema["properties"]["mean radius"] == {
        "type": "number",
        "maximum": 60.0,
        "x-tenfold-name": "mean_radius",
        "x-tenfold-unit": "mm",
        "x-tenfold-on-invalid": {"action": "clamp"},
    }
    assert schema["properties"]["seen"]["x-tenfold-on-missing"] == {"action": "impute", "of": "median"}
    assert schema["x-tenfold-rules"] == [
        {"name": "rough", "on-invalid": {"action": "flag"}, "description": "Large is rough."}
    ]


@dataclass(frozen=True)
class Service:
    input: Form
    output: Form
    name: str = "tumour-check"
    title: str = "TumourCheck"
    doc: str = "Is it malignant?"
    release: str = ""


@given(forms(), forms())
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
def test_the_openapi_document_is_valid(one: Form, other: Form) -> None:
    """Clients can be generated from it, whatever the contracts hold."""
    document = json.loads(json.dumps(openapi(Service(one, other))))
    validate(document)
    responses = document["paths"]["/tumour-check/predict"]["post"]["responses"]
    assert {"200", "400", "413", "415", "422", "500", "503", "504"} <= responses.keys()


def test_a_picture_can_be_the_body_where_nothing_else_has_to_be_sent() -> None:
    """The media types of pictures are offered exactly where a picture is a whole row."""
    assert picture_field(Form(name="Row", fields=(IMAGE, NOTE))) == IMAGE
    assert picture_field(Form(name="Row", fields=(IMAGE, msgspec.structs.replace(NOTE, nullable=False)))) is None
    assert picture_field(Form(name="Row", fields=(NOTE,))) is None
    form = Form(name="Row", fields=(IMAGE,))
    post = openapi(Service(form, form))["paths"]["/tumour-check/predict"]["post"]
    assert list(post["requestBody"]["content"]) == [
        "application/json",
        "application/x-ndjson",
        "text/csv",
        "text/tab-separated-values",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.file",
        "application/vnd.apache.parquet",
        "image/png",
        "image/jpeg",
    ]


def test_what_the_decoder_cannot_hold_takes_the_second_pass() -> None:
    """Bounds of dates are checked as bounds of numbers are."""
    form = Form(name="Row", fields=(Field(name="d", wire="d", kind="date", ge="2020-01-01"),))
    with pytest.raises(Slow):
        Decoder(form).one(b'{"d": "2019-12-31"}')
    assert (
        Decoder(form).one_slow(b'{"d": "2019-12-31"}').violations[0].detail
        == "d must be at least 2020-01-01, found less"
    )


def test_labels_are_described() -> None:
    """A client that reads the description can send what turned out to be true."""
    form = Form(name="Tumour", fields=(Field(name="x", wire="x", kind="float"),))
    document = openapi(Service(form, form))
    post = document["paths"]["/tumour-check/feedback"]["post"]
    assert "202" in post["responses"]
    schema = document["components"]["schemas"]["Label"]
    checker = Draft202012Validator(schema)
    assert checker.is_valid({"id": "a", "label": {"label": "benign"}})
    assert not checker.is_valid({"label": {"label": "benign"}})
    assert not checker.is_valid({"id": "a", "key": "b", "label": {}})

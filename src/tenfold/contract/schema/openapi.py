"""The interface of a service as OpenAPI 3.1: what it takes, what it answers, and every way in which it refuses."""

from __future__ import annotations

from typing import Any, Protocol

from tenfold.contract.form import Field, Form
from tenfold.contract.schema.row import json_schema, may_be_absent
from tenfold.errors import CODES

JSON = "application/json"
NDJSON = "application/x-ndjson"
TABLES = (
    "text/csv",
    "text/tab-separated-values",
    "application/vnd.apache.arrow.stream",
    "application/vnd.apache.arrow.file",
    "application/vnd.apache.parquet",
)
PROBLEM = "application/problem+json"
REFUSALS = {  # status: the codes that it is refused with
    400: ("malformed", "bad_request"),
    404: ("not_found",),
    405: ("method_not_allowed",),
    408: ("request_timeout",),
    413: ("too_large", "image_too_large"),
    415: ("unsupported_media_type", "image_format"),
    422: (
        "missing",
        "wrong_type",
        "out_of_range",
        "unknown_field",
        "duplicate_key",
        "pattern",
        "unseen",
        "non_finite",
        "predicate",
        "rule",
        "quarantined",
        "image_broken",
        "image_mode",
    ),
    500: ("model_failed", "output_invalid", "internal"),
    503: ("overloaded", "not_ready"),
    504: ("deadline",),
}


class Described(Protocol):
    """What has to be known of a service: its place in routes, its class and doc, its release and its two contracts."""

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def release(self) -> str: ...
    @property
    def input(self) -> Form: ...
    @property
    def output(self) -> Form: ...


def openapi(service: Described) -> dict[str, Any]:
    """The OpenAPI 3.1 document of one service."""
    return {
        "openapi": "3.1.0",
        "info": {"title": service.title, "version": service.release or "0", "description": service.doc},
        "paths": {
            f"/{service.name}/predict": {"post": _predict(service)},
            f"/{service.name}/feedback": {"post": _feedback()},
            f"/{service.name}/contract": {"get": _contract()},
        },
        "components": {"schemas": _schemas(service)},
    }


def _predict(service: Described) -> dict[str, Any]:
    rows = {"oneOf": [_ref("Input"), {"type": "array", "items": _ref("Input")}]}
    answers = {"oneOf": [_ref("Answer"), _ref("Answers")]}
    content: dict[str, Any] = {JSON: {"schema": rows}}
    content |= {media_type: {} for media_type in (NDJSON, *TABLES)}  # which are no single JSON text, and have no schema
    picture = picture_field(service.input)
    if picture is not None and picture.image is not None:
        # OpenAPI describes a binary body by its media type alone, without a schema.
        content |= {f"image/{known.lower()}": {} for known in picture.image.formats}
    refusals = {str(status): _refusal(status, codes) for status, codes in REFUSALS.items()}
    return {
        "operationId": "predict",
        "summary": "One row, or many: one bad row never fails the others",
        "parameters": [
            _header(
                "X-Request-Timeout-Ms",
                "How long the client waits; it may only shorten the service's deadline.",
                "number",
            ),
            _header("Prefer", "handling=strict refuses many rows with 422 if any of them is refused.", "string"),
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "At least one row is answered.", "content": {JSON: {"schema": answers}}}}
        | refusals,
    }


def _feedback() -> dict[str, Any]:
    labels = {"oneOf": [_ref("Label"), {"type": "array", "items": _ref("Label")}]}
    refusals = {str(status): _refusal(status, REFUSALS[status]) for status in (400, 422) if status in REFUSALS}
    joined = {"description": "How many labels were joined, and how many are of no prediction that is known."}
    return {
        "operationId": "feedback",
        "summary": "What turned out to be true, by the id of the answer or the key of its row",
        "requestBody": {"required": True, "content": {JSON: {"schema": labels}}},
        "responses": {"202": joined | {"content": {JSON: {"schema": _ref("Joined")}}}} | refusals,
    }


def picture_field(form: Form) -> Field | None:
    """The field that a request whose body is a picture fills: the only picture, where no other field has to be sent."""
    pictures = [field for field in form.fields if field.kind == "image"]
    others = [field for field in form.fields if field.kind != "image" and not may_be_absent(field)]
    return pictures[0] if len(pictures) == 1 and not others else None


def _contract() -> dict[str, Any]:
    schema = {
        "description": "JSON Schema 2020-12 of one row.",
        "content": {"application/schema+json": {"schema": True}},
    }
    return {"operationId": "contract", "summary": "The contract of a row", "responses": {"200": schema}}


def _refusal(status: int, codes: tuple[str, ...]) -> dict[str, Any]:
    said = "; ".join(f"{code}: {CODES[code].title.lower()}" for code in codes)
    response: dict[str, Any] = {"description": said, "content": {PROBLEM: {"schema": _ref("Problem")}}}
    if status == 503:
        response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return response


def _header(name: str, description: str, kind: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": kind}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(service: Described) -> dict[str, Any]:
    text, whole = {"type": "string"}, {"type": "integer", "minimum": 0}
    pointer = {"type": "string", "description": "RFC 6901 within the row, in names on the wire."}
    change = {"pointer": pointer, "action": {"enum": ["clamp", "impute"]}, "code": text, "value": True}
    flag = {"pointer": {"type": ["string", "null"]}, "code": text}
    output = _ref("Output")
    return {
        "Input": _without_dialect(json_schema(service.input)),
        "Output": _without_dialect(json_schema(service.output)),
        "Change": _object(change, optional={"row": whole}),
        "Flag": _object(flag, optional={"row": whole}),
        "Violation": _object({"row": whole, "pointer": pointer, "code": text, "detail": text}),
        "Answer": _object(
            {"id": text, "release": text, "output": output},
            optional={
                "key": {"type": ["string", "integer"]},
                "changes": _list("Change"),
                "flags": _list("Flag"),
                "fallback": _object({"because": text, "by": text}),
            },
        ),
        "Answers": _object(
            {
                "id": text,
                "release": text,
                "answered": whole,
                "refused": whole,
                "outputs": {"type": "array", "items": {"anyOf": [output, {"type": "null"}]}},
                "errors": _list("Violation"),
            },
            optional={
                "changes": _list("Change"),
                "flags": _list("Flag"),
                "fallbacks": {"type": "array", "items": _object({"row": whole, "because": text, "by": text})},
            },
        ),
        "Label": {
            **_object(
                {"label": {"type": "object", "description": "What is true, by field of the output; some are enough."}},
                optional={"id": text, "key": {"type": ["string", "integer"]}},
            ),
            "oneOf": [{"required": ["id"]}, {"required": ["key"]}],
        },
        "Joined": _object({"accepted": whole, "unknown": whole}),
        "Problem": _object(
            {"type": text, "title": text, "status": whole, "detail": text, "code": text, "errors": _list("Violation")},
            optional={"hint": text},
        ),
    }


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": required | (optional or {}), "required": list(required)}


def _list(name: str) -> dict[str, Any]:
    return {"type": "array", "items": _ref(name)}


def _without_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    """The dialect is that of the whole document."""
    return {word: value for word, value in schema.items() if word != "$schema"}

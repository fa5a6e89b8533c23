"""The contract as others read it: JSON Schema 2020-12 for a row, OpenAPI 3.1 for a service.

What JSON Schema has no word for (actions, units, keys, bounds of dates, pictures) stands under ``x-tenfold-…``.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from tenfold.contract.example import example
from tenfold.contract.form import Action, Field, Form, Rule
from tenfold.contract.reading import DTYPES, INT64

__all__ = ["example", "json_schema", "openapi"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
X = "x-tenfold-"
LIMITS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf"}
TYPES = {"float": "number", "int": "integer", "bool": "boolean", "text": "string", "list": "array", "object": "object"}


class Described(Protocol):
    """What OpenAPI needs to know of a service."""

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


def json_schema(form: Form) -> dict[str, Any]:
    """The JSON Schema of one row. Bounds are those that the contract states, whatever it does about values beyond them."""
    schema: dict[str, Any] = {"$schema": DIALECT, "title": form.name}
    if form.doc:
        schema["description"] = form.doc
    schema |= _object(form.fields)
    if form.rules:
        schema[X + "rules"] = [_rule(rule) for rule in form.rules]
    schema[X + "digest"] = form.digest
    schema["examples"] = [example(form)]
    return schema


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {field.wire: _field(field) for field in fields},
        "required": [field.wire for field in fields if not may_be_absent(field)],
        "additionalProperties": False,
    }


def may_be_absent(field: Field) -> bool:
    """True if a row without the field is answered: it may be None, or a value is put in its place."""
    if field.on_missing is not None:
        return field.on_missing.name in ("impute", "flag")
    return field.nullable


def _field(field: Field) -> dict[str, Any]:
    schema = _value(field)
    if may_be_absent(field):
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        else:
            schema["type"] = [schema["type"], "null"]
    if field.doc:
        schema["description"] = field.doc
    if field.name != field.wire:
        schema[X + "name"] = field.name
    for word in ("unit", "key", "private", "predicates"):
        if value := getattr(field, word):
            schema[X + word] = value
    for word in ("on_invalid", "on_missing", "on_unseen"):
        action: Action | None = getattr(field, word)
        if action is not None and action.name != "reject":
            schema[X + word.replace("_", "-")] = _action(action)
    return schema


def _value(field: Field) -> dict[str, Any]:
    """The schema of a value that is there."""
    limits = {word: value for word in LIMITS if (value := getattr(field, word)) is not None}
    match field.kind:
        case "category":
            return {"enum": list(field.categories)}
        case "object":
            return _object(field.fields)
        case "date" | "datetime":
            schema = {"type": "string", "format": "date-time" if field.kind == "datetime" else "date"}
            return schema | {X + word: value for word, value in limits.items()}
        case "image":
            return _image(field)
        case "tensor":
            return _tensor(field, limits)
        case "list":
            assert field.item is not None  # the declaration gives every list its items
            return _lengths({"type": "array", "items": _field(field.item)}, field, "Items")
        case "text":
            schema = _lengths({"type": "string"}, field, "Length")
            return schema | ({"pattern": f"^(?:{field.pattern})$"} if field.pattern else {})
        case _:
            schema = {"type": TYPES[field.kind]}
            if field.kind == "int":
                schema |= {"minimum": INT64[0], "maximum": INT64[1]}
            return schema | _limits(limits)

"""The contract as others read it: JSON Schema 2020-12 of one row.

What JSON Schema has no word for (actions, units, keys, bounds of dates, pictures) stands under ``x-tenfold-…``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tenfold.contract.form import Action, Field, Form, Rule
from tenfold.contract.reading import DTYPES, INT64
from tenfold.contract.schema.example import example

DIALECT = "https://json-schema.org/draft/2020-12/schema"
X = "x-tenfold-"
LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
TYPES = {"float": "number", "int": "integer", "bool": "boolean", "text": "string", "list": "array", "object": "object"}


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
            return _date(field) | {X + word: value for word, value in limits.items()}
        case "image":
            return _image(field)
        case "tensor":
            return _tensor(field, limits)
        case "list":
            assert field.item is not None  # the declaration gives every list its items
            return _lengths({"type": "array", "items": _field(field.item)}, field, "Items")
        case "text":
            pattern = {"pattern": f"^(?:{field.pattern})$"} if field.pattern else {}
            return _lengths({"type": "string"}, field, "Length") | pattern
        case _:
            schema: dict[str, Any] = {"type": TYPES[field.kind]}
            if field.kind == "int":
                schema |= {"minimum": INT64[0], "maximum": INT64[1]}
            return schema | _limits(limits)


def _date(field: Field) -> dict[str, Any]:
    """``date-time`` is RFC 3339, which asks for an offset; moments that need none are ISO 8601 all the same."""
    if field.kind == "date":
        return {"type": "string", "format": "date"}
    return {"type": "string"} | (
        {"format": "date-time"} if field.timezone == "aware" else {X + "timezone": field.timezone or "any"}
    )


def _limits(limits: dict[str, Any]) -> dict[str, Any]:
    return {LIMITS[word]: value for word, value in limits.items()}


def _lengths(schema: dict[str, Any], field: Field, of: str) -> dict[str, Any]:
    lengths = {f"min{of}": field.min_len, f"max{of}": field.max_len}
    return schema | {word: length for word, length in lengths.items() if length is not None}


def _image(field: Field) -> dict[str, Any]:
    assert field.image is not None  # the declaration gives every picture its choices
    formats = field.image.formats
    schema: dict[str, Any] = {"type": "string", "contentEncoding": "base64"}
    if len(formats) == 1:
        schema["contentMediaType"] = f"image/{formats[0].lower()}"
    schema["maxLength"] = 4 * -(-field.image.max_bytes // 3)
    return schema | {X + "image": msgspec.to_builtins(field.image)}


def _tensor(field: Field, limits: dict[str, Any]) -> dict[str, Any]:
    _, least, greatest = DTYPES[field.dtype]
    schema: dict[str, Any]
    if field.dtype == "bool":
        schema = {"type": "boolean"}
    elif field.dtype.startswith("float"):
        schema = {"type": "number"}
    else:
        schema = {"type": "integer", "minimum": least, "maximum": greatest}
    schema |= _limits(limits)
    for size in reversed(field.shape):
        exactly = {"minItems": size, "maxItems": size} if size >= 0 else {}
        schema = {"type": "array", "items": schema} | exactly
    return schema | {X + "dtype": field.dtype}


def _action(action: Action) -> dict[str, Any]:
    said: dict[str, Any] = {"action": action.name}
    if action.of:
        said["of"] = action.of
    elif action.name == "impute":
        said["value"] = action.value
    return said


def _rule(rule: Rule) -> dict[str, Any]:
    said: dict[str, Any] = {"name": rule.name, "on-invalid": _action(rule.on_invalid)}
    return said | ({"description": rule.doc} if rule.doc else {})

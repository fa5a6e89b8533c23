"""The sentences of violations: what was wanted and what kind of thing was found, never the value itself."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from tenfold.contract.form import Field, show

NOUNS = {
    "float": "a number",
    "int": "an integer",
    "bool": "true or false",
    "text": "text",
    "datetime": "a date and time (ISO 8601)",
    "date": "a date (YYYY-MM-DD)",
    "list": "a list",
    "object": "an object",
    "tensor": "an array of numbers",
    "image": "a picture as base64 text",
}
LISTED = 8  # categories that a sentence names before it only counts them


def wanted(field: Field) -> str:
    """What the field holds, as a noun: "a number", "one of A, B", "an array of shape 8 x 8"."""
    if field.kind == "category":
        return one_of(field.categories)
    if field.kind == "tensor":
        return f"an array of shape {shape(field.shape)}"
    if field.kind == "datetime" and field.timezone == "aware":
        return "a date and time with a UTC offset (ISO 8601)"
    if field.kind == "datetime" and field.timezone == "naive":
        return "a date and time without a UTC offset (ISO 8601)"
    return NOUNS[field.kind]


def found(value: Any) -> str:
    """The kind of a value, as a noun. Values are never quoted: an error must not leak what was sent."""
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case bytes():
            return "bytes"
        case dict():
            return "an object"
        case list() | tuple():
            return "a list"
        case datetime():
            return "a date and time"
        case date():
            return "a date"
        case None:
            return "nothing"
        case _:
            return f"a {type(value).__name__}"


def one_of(categories: tuple[str | int, ...]) -> str:
    """The categories in words; a long list is cut, since the contract has it all."""
    listed = ", ".join(str(label) for label in categories[:LISTED])
    more = f" and {len(categories) - LISTED} more" if len(categories) > LISTED else ""
    return f"one of {listed}{more}"


def shape(sizes: tuple[int, ...]) -> str:
    """A shape as a person writes it: 8 x 8, or n x 3 where any length is allowed."""
    return " x ".join("n" if size < 0 else str(size) for size in sizes) or "no dimensions"


def bound(word: str, limit: Any) -> tuple[str, str]:
    """What a bound asks for, and what was found instead."""
    asked, instead = {
        "ge": ("at least", "less"),
        "gt": ("more than", "that or less"),
        "le": ("at most", "more"),
        "lt": ("less than", "that or more"),
    }[word]
    return f"must be {asked} {show(limit)}", instead


def count(size: int, noun: str) -> str:
    """A number of things: "1 item", "3 characters"."""
    return f"{size} {noun}" if size == 1 else f"{size} {noun}s"

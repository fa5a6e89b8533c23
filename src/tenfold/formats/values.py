"""What a cell of CSV means to a field: by the contract's types, never by what it looks like.

Fronts read with it, too, so it needs neither NumPy nor pyarrow.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form, leaves
from tenfold.formats.dialect import Dialect

NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
TRUE, FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")
TRUTH = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)
LONGEST_INTEGER = 400  # digits; no field holds as many, and Python refuses to convert thousands of them
PLAIN = Dialect()


def kind_of(field: Field) -> str:
    """What a field is to a text file: "float", "int", "bool", "json" or "text"."""
    match field.kind:
        case "float" | "int" | "bool":
            return field.kind
        case "category":
            return "text" if isinstance(field.categories[0], str) else "int"
        case "list" | "tensor" | "object":
            return "json"
        case _:
            return "text"


def kinds_of(form: Form) -> dict[str, str]:
    """The kind of each column that the contract knows, by its name on the wire."""
    return {wire: kind_of(field) for _, wire, _, field in leaves(form.fields)}


def value_of(cell: str | None, kind: str, dialect: Dialect = PLAIN) -> Any:
    """A cell as the nearest that its kind allows; the text itself, where it is nothing of the sort. None for an empty cell
    that is not quoted, which is what ``cell`` is then, and for a quoted one where no text is meant."""
    if cell is None or kind == "text":
        return cell
    if kind == "json":
        return _parsed(cell)
    cell = cell.strip(" \t")
    if not cell or cell in dialect.nulls:  # quoted, or else it would have been none already
        return None
    if kind == "bool":
        return TRUTH.get(cell, cell)
    number = cell
    if dialect.decimal != ".":
        number = cell.replace(".", " ").replace(dialect.decimal, ".")
    if kind == "int" and WHOLE.fullmatch(number) and len(number) <= LONGEST_INTEGER:
        return int(number)
    return float(number) if NUMBER.fullmatch(number) else cell


def is_long(value: Any) -> bool:
    """Whether an integer has more than 64 bits."""
    return type(value) is int and not -(2**63) <= value < 2**63


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text

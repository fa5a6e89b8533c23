"""Hypothesis strategies: contracts of every kind with every action, and rows that keep and break them in every way."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tenfold.contract.consistency import require_consistent
from tenfold.contract.form import Action, Field, Form, ImageForm, Kind
from tenfold.errors import ContractError

REFUSALS = [Action("reject"), Action("quarantine"), Action("fallback")]
WIRES = ["a", "mean radius", "b/c~d", "é", "0", "x.y"]
LABELS = ["A", "B", "with space", "é"]
PATTERNS = ["[a-z]*", r"\d{2,4}", "a|bb", r"(?i:q)+", ".+"]
SCALARS: list[Kind] = ["float", "int", "bool", "text", "category", "datetime", "date"]
DTYPES = ["float32", "float64", "int8", "int64", "uint8", "bool"]
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6)
A_MOMENT = datetime(2026, 1, 15, 9, 30)
A_DAY = date(2026, 1, 15)


@st.composite
def mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], seldom: st.SearchStrategy[Any], share: int = 8) -> Any:
    """The usual, but for one case in ``share``: a union would give each of its branches the same weight."""
    return draw(seldom if draw(st.integers(1, share)) == share else usual)


def _moments(field: Field) -> st.SearchStrategy[str]:
    near = st.integers(-1, 3).map(lambda n: A_MOMENT + timedelta(seconds=n / 2))
    zones = {"aware": ["Z", "+00:00"], "naive": [""], "": ["", "Z"]}[field.timezone]
    odd = st.sampled_from(["", "Z", "+05:30", "-23:59"])
    return st.builds(
        lambda moment, zone: moment.isoformat() + zone,
        mostly(near, st.datetimes()),
        mostly(st.sampled_from(zones), odd),
    )


def _days() -> st.SearchStrategy[str]:
    near = st.integers(-3, 3).map(lambda n: A_DAY + timedelta(days=n))
    return mostly(near, st.dates()).map(date.isoformat)


def _numbers(field: Field) -> st.SearchStrategy[float | int]:
    """Numbers near the bounds that the fields have, and at the limits of what is representable."""
    near: st.SearchStrategy[float | int] = st.integers(-4, 4)
    if field.kind == "float":
        edges = [0.5, 0.1, 0.3, 3.0, -0.0, 2.5, -2.5, math.nextafter(3, 4), math.nextafter(-3, 0)]
        near = near | st.sampled_from(edges) | st.floats(-4, 4)
    limits = [2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**53 + 1, float(2**53), 1e16, 10**400, 3.0, 2.5, math.inf]
    return mostly(near, st.sampled_from(limits) | st.floats(allow_nan=False) | st.integers(-(2**70), 2**70), 10)


@st.composite
def bounds(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Some bounds for a field of the kind, in the types that a declaration gives them."""
    if kind in ("float", "int"):
        low, high = draw(st.integers(-3, 0)), draw(st.integers(1, 3))
        chosen: list[Any] = [float(low), float(high)] if kind == "float" else [low, high]
    elif kind == "date":
        chosen = [date(2026, 1, 13).isoformat(), date(2026, 1, 17).isoformat()]
    else:
        chosen = [A_MOMENT.isoformat(), (A_MOMENT + timedelta(seconds=1)).isoformat()]
    result = {}
    if draw(st.booleans()):
        result[draw(st.sampled_from(["ge", "gt"]))] = chosen[0]
    if draw(st.booleans()):
        result[draw(st.sampled_from(["le", "lt"]))] = chosen[1]
    if kind in ("float", "int") and draw(st.integers(0, 4)) == 0:
        result["multiple_of"] = (
            draw(st.sampled_from([0.5, 0.1, 1.0])) if kind == "float" else draw(st.sampled_from([1, 2, 3]))
        )
    return result


@st.composite
def constraints(draw: st.DrawFn, kind: Kind) -> dict[str, Any]:
    """What a value of the kind has to hold, other than its type."""
    said: dict[str, Any] = {}
    match kind:
        case "float" | "int" | "date" | "datetime":
            said = draw(bounds(kind))
        case "text" | "list" if draw(st.booleans()):
            said = {"min_len": draw(st.integers(0, 2)), "max_len": draw(st.integers(2, 4))}
        case "category":
            many = st.sampled_from([tuple(LABELS), ("A",), (1, 2, 3), (0,)])
            said = {"categories": draw(many)}
        case "tensor":
            shape = draw(st.sampled_from([(2,), (2, 2), (-1,), (-1, 2), (2, -1), (-1, -1)]))
            said = {"shape": shape, "dtype": draw(st.sampled_from(DTYPES))}
        case "image":
            said = {"image": ImageForm(max_bytes=6)}
        case _:
            pass
    if kind == "text" and draw(st.booleans()):
        said["pattern"] = draw(st.sampled_from(PATTERNS))
    if kind == "datetime":
        said["timezone"] = draw(st.sampled_from(["", "aware", "naive"]))
        suffix = "Z" if said["timezone"] == "aware" else ""
        said |= {word: said[word] + suffix for word in ("ge", "gt", "le", "lt") if word in said}
    return said


@st.composite
def fields(draw: st.DrawFn, wire: str, depth: int = 1) -> Field:
    """One field with its constraints and actions; not every one of them makes sense."""
    kinds: list[Kind] = [*SCALARS, "list", "tensor", "image"]
    kind: Kind = draw(st.sampled_from([*kinds, *(["object"] if depth else [])]))
    said = draw(constraints(kind))
    if kind == "list":
        inner = draw(st.sampled_from(SCALARS))
        said["item"] = Field(name="item", wire="item", kind=inner, **draw(constraints(inner)))
    if kind == "object":
        wires = draw(st.lists(st.sampled_from(WIRES), min_size=1, max_size=3, unique=True))
        said["fields"] = tuple(draw(fields(name, depth - 1)) for name in wires)
    said["nullable"] = draw(st.booleans())
    if kind != "object":
        said |= draw(actions(kind, said))
    name = "f_" + "_".join(str(ord(letter)) for letter in wire)
    return Field(name=name, wire=wire, kind=kind, **said)


@st.composite
def actions(draw: st.DrawFn, kind: Kind, said: dict[str, Any]) -> dict[str, Any]:
    """Actions for the misfortunes that the field can have."""
    samples: dict[str, list[Any]] = {
        "float": [0.5, 1.0],
        "int": [0, 1],
        "bool": [True],
        "text": ["aa", "12", "q"],
        "category": list(said.get("categories", [])),
        "date": ["2026-01-15"],
        "datetime": ["2026-01-15T09:30:00.5Z", "2026-01-15T09:30:00.5"],
    }
    impute = [Action("impute", value) for value in samples.get(kind, [])]
    flag = [Action("flag")]
    clamp = [Action("clamp")] if {"ge", "gt", "le", "lt"} & said.keys() else []
    result: dict[str, Any] = {"on_invalid": draw(st.sampled_from(REFUSALS + impute + flag + clamp))}
    if draw(st.booleans()):
        result["on_missing"] = draw(st.sampled_from([*REFUSALS, *impute, *(flag if said["nullable"] else [])]))
    if kind == "category" and draw(st.booleans()):
        result["on_unseen"] = draw(st.sampled_from(REFUSALS + impute + flag))
    return result


def is_consistent(form: Form) -> bool:
    """Whether a class could say this."""
    try:
        require_consistent(form)
    except ContractError:
        return False
    return True


@st.composite
def forms(draw: st.DrawFn) -> Form:
    """A whole contract that makes sense: fields that don't are left out."""
    wires = draw(st.lists(st.sampled_from(WIRES), min_size=1, max_size=4, unique=True))
    drawn = [draw(fields(wire)) for wire in wires]
    sound = [field for field in drawn if is_consistent(Form(name="Row", fields=(field,)))]
    form = Form(name="Row", fields=tuple(sound) or (Field(name="f", wire="f", kind="float"),))
    return form if is_consistent(form) else Form(name="Row", fields=form.fields[:1])


NOTHINGS: list[Any] = [None, None, "", [], {}]
NUMBERS = [True, False, 0, 1, -5, 2.5, 1e300, math.inf, 2**65]
WORDS = ["text", "2026-01-15", "2026-01-15T09:30:00Z", "2026-01-15T00:00:00.000", "2026-02-30"]
ODD = st.sampled_from([*NOTHINGS, *NUMBERS, *WORDS, [1], ["a"], [[1, 2], [3, 4]]])


def likely(field: Field) -> st.SearchStrategy[Any]:
    """Values that are mostly right, and often just beyond a bound."""
    match field.kind:
        case "float" | "int":
            return _numbers(field)
        case "datetime":
            return _moments(field)
        case "list":
            assert field.item is not None
            return st.lists(mostly(likely(field.item), ODD, 20), max_size=4)
        case "tensor":
            return _tensors(field)
        case "object":
            return rows(field.fields)
        case "category":
            return mostly(st.sampled_from(field.categories), st.sampled_from(["C", 7]), 4)
        case _:
            return SIMPLE[field.kind]


SIMPLE: dict[str, st.SearchStrategy[Any]] = {
    "bool": st.booleans(),
    "date": mostly(
        _days(), st.sampled_from(["2026-01-15T00:00:00.000", "2026-01-15T00:00:01", "2026-01-15T00:00:00Z"]), 8
    ),
    "text": mostly(st.sampled_from(["aa", "12", "qQ", "bb", "a", "aaaaa", "Z", "123"]), TEXT | st.just('"a"\n'), 4),
    "image": mostly(
        st.sampled_from(["aGk=", "aGVsbG8h"]), st.sampled_from(["aGVsbG8hIQ==", "aGk", "a-_=", "", "é"]), 4
    ),
}


def _tensors(field: Field) -> st.SearchStrategy[Any]:
    element = st.booleans() if field.dtype == "bool" else st.sampled_from([0, 1, 2, 127])
    odd = st.sampled_from([2.0, 2.5, 200, 1e300, -1, 2**40, True, "a", []])
    values: st.SearchStrategy[Any] = mostly(element, odd, 30)
    for size in reversed(field.shape):
        exact = st.lists(values, min_size=max(size, 0), max_size=2 if size < 0 else size)
        values = mostly(exact, st.lists(values, max_size=3), 20)
    return values


@st.composite
def rows(draw: st.DrawFn, members: tuple[Field, ...]) -> dict[str, Any]:
    """A row of these fields: now and then a value is missing, or of any type at all. No field is unknown."""
    row = {}
    for field in members:
        fate = draw(st.integers(0, 15))
        if fate > 0:
            row[field.wire] = None if fate == 1 else draw(ODD) if fate == 2 else draw(likely(field))
    return row


@st.composite
def forms_and_rows(draw: st.DrawFn, most: int = 4) -> tuple[Form, list[Any]]:
    """A contract and some rows for it, among them what is no row at all."""
    form = draw(forms())
    return form, draw(st.lists(mostly(rows(form.fields), ODD, 20), min_size=1, max_size=most))


def to_json(value: Any) -> bytes:
    """A JSON text; an infinite number is one that is too large."""
    return json.dumps(value, ensure_ascii=False).replace("Infinity", "1e999").encode()

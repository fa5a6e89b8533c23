"""The intermediate form: what a contract says, as plain immutable values that travel, compare and hash.

Declaring (``declare``) produces it and everything else reads it: the decoder of the front, the block checks, JSON Schema,
OpenAPI, the page for people and the drift profile. It never holds user code: predicates and rules are named here and run
in the replica.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tenfold.layout import ITEM_DTYPES, Layout, Plan

VERSION = 1

Kind = Literal["float", "int", "bool", "text", "category", "datetime", "date", "list", "object", "tensor", "image"]
ActionName = Literal["reject", "clamp", "impute", "flag", "quarantine", "fallback"]
Scalar = float | int | bool | str | None


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is done about an invalid, missing or unseen value.

    ``value`` is what ``impute`` puts in; ``of`` is "median" or "mode" where the value comes from the reference data.
    """

    name: ActionName
    value: Scalar = None
    of: Literal["", "median", "mode"] = ""


REJECT = Action("reject")


class ImageForm(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How a picture becomes an array: every choice that training and serving have to share.

    Limits hold before decoding. ``size`` is (height, width) in pixels or None for "as it comes"; the array has the given
    ``layout`` and ``dtype``: ``(value / 255 * (high - low) + low - mean) / std`` with ``range`` = (low, high), per channel.
    """

    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP")
    max_bytes: int = 8 * 2**20
    max_pixels: int = 25_000_000
    max_side: int = 8192
    exif: Literal["apply", "ignore", "reject"] = "apply"
    alpha: str = "white"  # the colour put behind transparent pixels, or "drop" or "reject"
    cmyk: Literal["convert", "reject"] = "convert"
    palette: Literal["convert", "reject"] = "convert"
    deep: Literal["scale", "reject"] = "scale"  # 16 bits a channel: scaled to 8
    frames: Literal["first", "reject"] = "reject"
    order: Literal["RGB", "BGR", "gray"] = "RGB"
    size: tuple[int, int] | None = None
    fit: Literal["stretch", "contain", "cover"] = "stretch"
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] = "bilinear"
    antialias: bool = True
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Literal["HWC", "CHW", "HW"] = "HWC"
    dtype: str = "uint8"


class Field(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One field: its two names, its kind, its bounds and what is done when they do not hold.

    ``name`` is the attribute in Python and ``wire`` the name in requests, files and errors. Bounds of dates are ISO 8601
    text. ``nullable`` is ``X | None``. ``shape`` has -1 where any length is allowed.
    """

    name: str
    wire: str
    kind: Kind
    doc: str = ""
    nullable: bool = False
    key: bool = False
    private: bool = False
    unit: str = ""
    ge: float | int | str | None = None
    gt: float | int | str | None = None
    le: float | int | str | None = None
    lt: float | int | str | None = None
    multiple_of: float | int | None = None
    min_len: int | None = None
    max_len: int | None = None
    pattern: str = ""
    timezone: Literal["", "aware", "naive"] | str = ""
    categories: tuple[str | int, ...] = ()
    predicates: tuple[str, ...] = ()
    item: Field | None = None
    fields: tuple[Field, ...] = ()
    shape: tuple[int, ...] = ()
    dtype: str = ""
    image: ImageForm | None = None
    on_invalid: Action = REJECT
    on_missing: Action | None = None
    on_unseen: Action | None = None


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A condition over several columns, by name; the code of its violation is ``rule:NAME``."""

    name: str
    doc: str = ""
    on_invalid: Action = REJECT


class Form(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole contract: its fields in the order of the class, and its rules."""

    version: int = VERSION
    name: str
    doc: str = ""
    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()

    def to_json(self) -> bytes:
        """Canonical JSON: sorted keys, defaults left out, so that equal contracts are equal bytes."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @property
    def key(self) -> Field | None:
        """The field that joins labels and files, if the contract has one."""
        return next((field for field in self.fields if field.key), None)


def from_json(data: bytes) -> Form:
    """Read a form that ``Form.to_json`` wrote."""
    return msgspec.json.decode(data, type=Form)


def leaves(
    fields: tuple[Field, ...], name: str = "", wire: str = "", pointer: str = "", nullable: bool = False
) -> Iterator[tuple[str, str, str, Field]]:
    """Every field that holds values, nested contracts flattened: (dotted name, dotted wire name, JSON Pointer, field).

    A field within an optional contract (``Address | None``) is optional itself.
    """
    for field in fields:
        here, there = f"{name}{field.name}", f"{wire}{field.wire}"
        at = f"{pointer}/{escape(field.wire)}"
        if field.kind == "object":
            yield from leaves(field.fields, here + ".", there + ".", at, nullable or field.nullable)
        else:
            yield here, there, at, msgspec.structs.replace(field, nullable=True) if nullable else field


def layout_of(form: Form) -> Layout:
    """Where each leaf of the contract stands in a batch (see ``tenfold.layout``)."""
    plan = Plan()
    for name, wire, pointer, field in leaves(form.fields):
        kind = "ragged" if field.kind == "tensor" and -1 in field.shape else field.kind
        plan.add(
            name=name,
            wire=wire,
            pointer=pointer,
            kind=kind,
            optional=field.nullable,
            categories=field.categories,
            shape=field.shape,
            dtype=_item_dtype(field.item) if field.item else field.dtype,
        )
    return plan.layout()


def _item_dtype(item: Field) -> str:
    """What the items of a list are stored as; categories as their labels."""
    is_number = item.kind == "category" and not isinstance(item.categories[0], str)
    return "i8" if is_number else ITEM_DTYPES[item.kind]


def escape(name: str) -> str:
    """One reference token of a JSON Pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def show(value: Any) -> str:
    """A bound or category as a person writes it: 60 rather than 60.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)

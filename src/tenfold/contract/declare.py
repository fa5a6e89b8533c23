"""Contracts as classes: annotations are fields, functions marked with ``@rule`` are rules, and the class knows its form.

class Tumour(Contract):
\"\"\"One biopsy, as the laboratory sends it.\"\"\"
sample: Annotated[str, Key()]
mean_radius: Annotated[float, Alias("mean radius"), Gt(0), Le(60)]

@rule(on_invalid=flag)
def big_tumours_are_rough(rows): return (rows.mean_radius < 25) | (rows.mean_texture > 10)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

import annotated_types as at
import msgspec

from tenfold.contract.consistency import require_consistent
from tenfold.contract.form import Action, Field, Form, ImageForm, Rule, layout_of
from tenfold.contract.vocabulary import Alias, Key, Otherwise, Pattern, Private, RuleFunction, Tensor, plain
from tenfold.errors import ContractError
from tenfold.layout import Layout
from tenfold.rows import Rows

Predicates = Mapping[str, tuple[Callable[[Any], Any], ...]]
SCALARS: dict[Any, str] = {float: "float", int: "int", bool: "bool", str: "text", datetime: "datetime", date: "date"}
TYPES = "float, int, bool, str, datetime, date, Literal, an Enum, list[...], a Contract, Tensor(...) and Image(...)"


class Contract:
    """The typed description of one row, in or out. Derive from it, and annotate a field for each value of the row.

    ``form`` is what the class says, as plain values; ``layout`` is where each column stands in a batch; ``predicates`` and
    ``rules`` are the user's functions that the form names.
    """

    form: ClassVar[Form]
    layout: ClassVar[Layout]
    predicates: ClassVar[Predicates]
    rules: ClassVar[Mapping[str, Callable[[Rows], Any]]]
    _own_hints: ClassVar[dict[str, Any]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A contract declared in a function may name another one that is local to it, too.
        cls._own_hints = _own_hints(cls, sys._getframe(1).f_locals)
        hints: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            hints |= vars(base).get("_own_hints", {})
        fields = tuple(_field(cls.__name__, name, hint) for name, hint in hints.items())
        rules = _rules(cls)
        cls.form = Form(
            name=cls.__name__,
            doc=inspect.cleandoc(cls.__doc__ or ""),
            fields=fields,
            rules=tuple(Rule(name, inspect.getdoc(rule.function) or "", rule.action) for name, rule in rules.items()),
        )
        require_consistent(cls.form)
        cls.layout = layout_of(cls.form)
        cls.rules = {name: rule.function for name, rule in rules.items()}
        cls.predicates = dict(_predicates(hints, ""))

    @classmethod
    def read(cls, data: Any) -> Rows:
        """Rows of a DataFrame, an Arrow table, a mapping of columns or a list of mappings, by type: no bounds, no rules.

        Raises InvalidInput with every value that has another type. Columns that the contract does not know are ignored,
        since tables hold targets, too.
        """
        from tenfold.contract.tables import read_rows

        return read_rows(cls.form, data)


def _own_hints(cls: type[Contract], local: Mapping[str, Any]) -> dict[str, Any]:
    """The annotations of the class itself; those that are text are evaluated, where the class stands."""
    try:
        hints = inspect.get_annotations(cls, locals=local, eval_str=True)
    except NameError as error:
        raise ContractError(
            f"{cls.__name__} has an annotation with the name {error.name!r}, which is not known there.",
            f"import {error.name}, or define it above the class",
        ) from None
    hints = {name: hint for name, hint in hints.items() if not _is_class_variable(hint)}
    for name in hints.keys() & vars(cls).keys():
        default = vars(cls)[name]
        raise ContractError(
            f"{cls.__name__}.{name} has a default, {default!r}; contracts state what is done about a missing value.",
            f"write {name}: Annotated[..., on_missing({default!r})]",
        )
    return hints


def _rules(cls: type[Contract]) -> dict[str, RuleFunction]:
    """The rules of the class and its bases, those of the bases first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found |= vars(base)
    return {name: value for name, value in found.items() if isinstance(value, RuleFunction)}


def _predicates(hints: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, tuple[Callable[[Any], Any], ...]]]:
    """The predicates of each field that has any, by its dotted name."""
    for name, hint in hints.items():
        base, metadata, _ = _parts(hint)
        if _is_contract(base):
            for inner, functions in base.predicates.items():
                yield f"{prefix}{name}.{inner}", functions
        if functions := tuple(item.func for item in metadata if isinstance(item, at.Predicate)):
            yield f"{prefix}{name}", functions


def _parts(hint: Any) -> tuple[Any, list[Any], bool]:
    """An annotation taken apart: the bare type, what ``Annotated`` says about it, and whether None is allowed."""
    if get_origin(hint) is Annotated:
        base, metadata, nullable = _parts(hint.__origin__)
        for item in hint.__metadata__:
            metadata.extend(item if isinstance(item, at.GroupedMetadata) else [item])
        return base, metadata, nullable
    if get_origin(hint) in (Union, UnionType):
        others = [option for option in get_args(hint) if option is not NoneType]
        if len(others) == 1 and len(others) < len(get_args(hint)):
            base, metadata, _ = _parts(others[0])
            return base, metadata, True
    return hint, [], False


def _field(where: str, name: str, hint: Any) -> Field:
    """The field that an annotation declares."""
    base, metadata, nullable = _parts(hint)
    said: dict[str, Any] = {"name": name, "wire": name, "nullable": nullable}
    kinds = [item for item in (base, *metadata) if isinstance(item, ImageForm | Tensor)]
    said |= _kind(where, name, kinds[0] if kinds else base)
    for word, value in filter(None, (_said(where, name, item) for item in metadata)):
        if word in said and word not in ("wire", "predicates"):
            raise ContractError(f"{where}.{name} states {word} twice.", "keep one of the two")
        said[word] = (*said.get(word, ()), *value) if word == "predicates" else _number(said["kind"], value)
    return Field(**said)


def _number(kind: str, value: Any) -> Any:
    """A bound or an imputed value in the type of its field: Ge(0) and Ge(0.0) on a float are the same contract."""
    if isinstance(value, Action):
        return msgspec.structs.replace(value, value=_number(kind, value.value))
    if kind == "float" and type(value) is int:
        return float(value)
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _kind(where: str, name: str, base: Any) -> dict[str, Any]:
    """The part of a field that its bare type decides."""
    if isinstance(base, ImageForm):
        return {"kind": "image", "image": base}
    if isinstance(base, Tensor):
        return {
            "kind": "tensor",
            "shape": tuple(-1 if size is None else size for size in base.shape),
            "dtype": base.dtype,
        }
    if get_origin(base) is Literal:
        return {"kind": "category", "categories": tuple(map(plain, get_args(base)))}
    if get_origin(base) is list and get_args(base):
        return {"kind": "list", "item": _field(f"{where}.{name}", "item", get_args(base)[0])}
    if isinstance(base, type) and issubclass(base, Enum):
        return {"kind": "category", "categories": tuple(plain(member) for member in base)}
    if _is_contract(base):
        if base.form.rules:
            raise ContractError(
                f"{where}.{name} is a {base.__name__}, which has rules; the rules of a nested contract are not run.",
                f"state them in {where}, where rows.{name} has the nested fields",
            )
        return {"kind": "object", "fields": base.form.fields}
    if base in SCALARS:
        return {"kind": SCALARS[base]}
    raise ContractError(
        f"{where}.{name} is of a type that no contract can hold: {_typename(base)}.", f"use one of {TYPES}"
    )


def _said(where: str, name: str, item: Any) -> tuple[str, Any] | None:
    """What one word within ``Annotated`` says, as an attribute of ``Field``; None for what says the type itself."""
    if isinstance(item, ImageForm | Tensor):
        return None
    for word, said in WORDS.items():
        if isinstance(item, word):
            return said(item)
    raise ContractError(
        f"{where}.{name} says {item!r}, which contracts do not know.",
        "bounds and lengths are those of annotated_types; the other words are imported from tenfold",
    )


WORDS: dict[type, Callable[[Any], tuple[str, Any]]] = {
    Alias: lambda item: ("wire", item.name),
    Key: lambda _: ("key", True),
    Private: lambda _: ("private", True),
    Pattern: lambda item: ("pattern", item.regex),
    Otherwise: lambda item: (item.word, item.action),
    at.Ge: lambda item: ("ge", plain(item.ge)),
    at.Gt: lambda item: ("gt", plain(item.gt)),
    at.Le: lambda item: ("le", plain(item.le)),
    at.Lt: lambda item: ("lt", plain(item.lt)),
    at.MultipleOf: lambda item: ("multiple_of", plain(item.multiple_of)),
    at.MinLen: lambda item: ("min_len", item.min_length),
    at.MaxLen: lambda item: ("max_len", item.max_length),
    at.Timezone: lambda item: ("timezone", "naive" if item.tz is None else "aware"),
    at.Unit: lambda item: ("unit", item.unit),
    at.Predicate: lambda item: ("predicates", (getattr(item.func, "__name__", type(item.func).__name__),)),
    at.DocInfo: lambda item: ("doc", item.documentation),
    str: lambda item: ("doc", item),
}


def _is_class_variable(hint: Any) -> bool:
    origin: Any = get_origin(hint)
    return hint is ClassVar or origin is ClassVar


def _is_contract(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, Contract) and base is not Contract


def _typename(base: Any) -> str:
    return base.__name__ if isinstance(base, type) else str(base)

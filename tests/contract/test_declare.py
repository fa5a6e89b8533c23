"""Contracts as classes: what an annotation says, the form has."""

from __future__ import annotations

from datetime import UTC, date, datetime
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, Optional

import numpy as np
import pytest
from annotated_types import Ge, Gt, Interval, Le, Len, Lt, MaxLen, MinLen, MultipleOf, Predicate, Timezone, Unit, doc

from tenfold.contract.declare import Contract
from tenfold.contract.form import Action, Field, Form, ImageForm, Rule, from_json
from tenfold.contract.vocabulary import (
    Alias,
    Image,
    Key,
    Pattern,
    Private,
    Tensor,
    clamp,
    fallback,
    flag,
    impute,
    on_invalid,
    on_missing,
    on_unseen,
    quarantine,
    reject,
    rule,
)
from tenfold.errors import ContractError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Address(Contract):
    city: Annotated[str, Predicate(str.istitle)]


class Tumour(Contract):
    """One biopsy, as the laboratory sends it."""

    units: ClassVar[str] = "mm"
    sample: Annotated[str, Key()]
    mean_radius: Annotated[float, Alias("mean radius"), Gt(0), Le(60), Unit("mm"), doc("measured twice")]
    mean_texture: Annotated[float, Alias("mean texture"), on_missing(18.84)]
    smoothness: Annotated[float, Ge(0), Le(0.3), on_invalid(clamp)]
    scanner: Annotated[Literal["A", "B"], on_unseen(impute("A"))]

    @rule(on_invalid=flag)
    def big_tumours_are_rough(rows: Any) -> Any:
        """A large tumour is not smooth."""
        return (rows.mean_radius < 25) | (rows.mean_texture > 10)


def test_the_contract_of_the_readme_has_the_form_that_it_says() -> None:
    """Every word of a declaration is in the form, under the name that it has on the wire."""
    assert Tumour.form == Form(
        name="Tumour",
        doc="One biopsy, as the laboratory sends it.",
        fields=(
            Field(name="sample", wire="sample", kind="text", key=True),
            Field(
                name="mean_radius", wire="mean radius", kind="float", gt=0.0, le=60.0, unit="mm", doc="measured twice"
            ),
            Field(name="mean_texture", wire="mean texture", kind="float", on_missing=Action("impute", 18.84)),
            Field(name="smoothness", wire="smoothness", kind="float", ge=0.0, le=0.3, on_invalid=Action("clamp")),
            Field(
                name="scanner",
                wire="scanner",
                kind="category",
                categories=("A", "B"),
                on_unseen=Action("impute", "A"),
            ),
        ),
        rules=(Rule("big_tumours_are_rough", "A large tumour is not smooth.", Action("flag")),),
    )
    assert from_json(Tumour.form.to_json()) == Tumour.form
    assert [column.wire for column in Tumour.layout.columns] == [field.wire for field in Tumour.form.fields]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (float, {"kind": "float"}),
        (int, {"kind": "int"}),
        (bool, {"kind": "bool"}),
        (str, {"kind": "text"}),
        (date, {"kind": "date"}),
        (datetime, {"kind": "datetime"}),
        (float | None, {"kind": "float", "nullable": True}),
        (Optional[int], {"kind": "int", "nullable": True}),  # noqa: UP045  people write it
        (Annotated[float, Ge(0)] | None, {"kind": "float", "nullable": True, "ge": 0.0}),
        (Annotated[Annotated[float | None, Ge(0)], Lt(1)], {"kind": "float", "nullable": True, "ge": 0.0, "lt": 1.0}),
        (Annotated[int, Interval(ge=0, lt=10), MultipleOf(2)], {"kind": "int", "ge": 0, "lt": 10, "multiple_of": 2}),
        (Annotated[int, Ge(np.int64(3))], {"kind": "int", "ge": 3}),  # type: ignore[arg-type]
        (
            Annotated[str, Len(1, 5), Pattern("[a-z]+")],
            {"kind": "text", "min_len": 1, "max_len": 5, "pattern": "[a-z]+"},
        ),
        (Annotated[str, MinLen(1), Private()], {"kind": "text", "min_len": 1, "private": True}),
        (Annotated[date, Ge(date(2020, 1, 1))], {"kind": "date", "ge": "2020-01-01"}),
        (
            Annotated[datetime, Timezone(...), Lt(datetime(2030, 1, 1, tzinfo=UTC))],
            {"kind": "datetime", "timezone": "aware", "lt": "2030-01-01T00:00:00+00:00"},
        ),
        (Annotated[datetime, Timezone(None)], {"kind": "datetime", "timezone": "naive"}),
        (Literal[1, 2], {"kind": "category", "categories": (1, 2)}),
        (Colour, {"kind": "category", "categories": ("red", "blue")}),
        (Annotated[Colour, on_unseen(impute(Colour.RED))], {"kind": "category", "on_unseen": Action("impute", "red")}),
        (Annotated[float, "the radius"], {"kind": "float", "doc": "the radius"}),
        (
            Annotated[float, on_missing(impute("median"))],
            {"kind": "float", "on_missing": Action("impute", of="median")},
        ),
        (Annotated[float, on_missing(3)], {"kind": "float", "on_missing": Action("impute", 3.0)}),
        (Annotated[float | None, on_missing(flag)], {"kind": "float", "on_missing": Action("flag")}),
        (Annotated[float, on_invalid(quarantine)], {"kind": "float", "on_invalid": Action("quarantine")}),
        (Annotated[float, on_invalid(fallback)], {"kind": "float", "on_invalid": Action("fallback")}),
        (Annotated[float, on_invalid(reject)], {"kind": "float", "on_invalid": Action("reject")}),
        (
            Annotated[list[Annotated[int, Ge(0)]], MaxLen(3)],
            {"kind": "list", "max_len": 3, "item": Field(name="item", wire="item", kind="int", ge=0)},
        ),
        (Annotated[Any, Tensor((None, 3), "float32")], {"kind": "tensor", "shape": (-1, 3), "dtype": "float32"}),
        (Tensor((2,)), {"kind": "tensor", "shape": (2,), "dtype": "float64"}),
        (
            Annotated[bytes, Image(size=(28, 28), order="gray")],
            {"kind": "image", "image": ImageForm(size=(28, 28), order="gray")},
        ),
        (Address, {"kind": "object", "fields": Address.form.fields}),
    ],
)
def test_an_annotation_is_a_field(annotation: Any, expected: dict[str, Any]) -> None:
    """Each type and each word means one thing, however it is written."""
    (field,) = declare(x=annotation).form.fields
    assert {name: getattr(field, name) for name in expected} == expected


def test_a_contract_inherits_fields_and_rules() -> None:
    """A base class shared by several contracts gives its fields first, and a derived class may restate them."""

    class Detailed(Tumour):
        smoothness: Annotated[float, Ge(0)]
        area: float

        @rule
        def area_is_there(rows: Any) -> Any:
            return rows.area > 0

    assert [field.name for field in Detailed.form.fields][-2:] == ["scanner", "area"]
    assert Detailed.form.fields[3].le is None
    assert [known.name for known in Detailed.form.rules] == ["big_tumours_are_rough", "area_is_there"]
    assert len(Tumour.form.fields) == 5


def test_users_functions_are_named_in_the_form_and_kept_by_the_class() -> None:
    """The front knows that there is a predicate; only the replica has it."""

    class Row(Contract):
        code: Annotated[str, Predicate(str.isupper), Predicate(str.isalpha)]
        address: Address | None

    assert Row.form.fields[0].predicates == ("isupper", "isalpha")
    assert Row.predicates == {"code": (str.isupper, str.isalpha), "address.city": (str.istitle,)}
    assert Tumour.rules.keys() == {"big_tumours_are_rough"}


def declare(**annotations: Any) -> type[Contract]:
    """A contract with these fields."""
    return type("Row", (Contract,), {"__annotations__": annotations})


# -- what cannot be meant ----------------------------------------------------------------------------------------------


class Ruled(Contract):
    x: float

    @rule
    def positive(rows: Any) -> Any:
        return rows.x > 0


CONTRADICTIONS: list[tuple[Any, str]] = [
    (Literal["a", None], "has None as a category"),
    (Contract, "a type that no contract can hold: Contract"),
    (list[Contract], "a type that no contract can hold: Contract"),
    (Annotated[float, Ge(5), Le(3)], "bounds that no value can meet"),
    (Annotated[int, Gt(1), Lt(2)], "bounds that no value can meet"),
    (Annotated[float, Ge(1), Gt(2)], "both ge and gt"),
    (Annotated[float, Ge(1), Ge(2)], "states ge twice"),
    (Annotated[float, Ge(float("nan"))], "not a finite number"),
    (Annotated[int, Ge(0.5)], "is an int, but has the bound ge 0.5"),
    (Annotated[int, Le(2**70)], "beyond 64 bits"),
    (Annotated[date, Ge("soon")], "not a value of the field"),
    (Annotated[datetime, Timezone(...), Ge(datetime(2020, 1, 1))], "not a value of the field"),
    (Annotated[str, Ge("a")], "ge, which means nothing for text fields"),
    (Annotated[float, MinLen(1)], "min_len, which means nothing for float fields"),
    (Annotated[float, Pattern("x")], "pattern, which means nothing"),
    (Annotated[float, on_unseen(flag)], "on_unseen, which means nothing for float fields"),
    (Annotated[int, MultipleOf(0)], "multiple_of 0"),
    (Annotated[int, MultipleOf(0.5)], "multiple_of 0.5"),
    (Annotated[str, MinLen(3), MaxLen(2)], "lengths that no value can meet"),
    (Annotated[str, Pattern("(")], "not a regular expression"),
    (Literal["A", 1], "not all text, or all integers"),
    (Literal[True, False], "declare a bool|true and false as categories"),
    (Annotated[float, on_invalid(clamp)], "no bound to move a value to"),
    (Annotated[str, on_invalid(clamp)], "values of kind text have no nearest bound"),
    (Annotated[int, Ge(1), MultipleOf(2), on_invalid(clamp)], "not one of its multiples"),
    (Annotated[float, on_missing(clamp)], r"on_missing\(clamp\)"),
    (Annotated[float, on_missing(flag)], "its type does not allow None"),
    (Annotated[float | None, on_missing(reject)], "may be None, but has"),
    (Annotated[Literal["A"], on_unseen(clamp)], r"on_unseen\(clamp\)"),
    (Annotated[float, Le(3), on_invalid(impute(5))], "imputes 5.0, which breaks the field itself"),
    (Annotated[float, on_missing("much")], "breaks the field itself"),
    (Annotated[Literal["A"], on_unseen(impute("B"))], "breaks the field itself"),
    (Annotated[str, on_missing(impute("median"))], r"impute\(\"median\"\)"),
    (Annotated[list[int], on_missing(3)], "has impute, which fields of kind list cannot"),
    (Annotated[Address, on_invalid(flag)], "give the action|an action of its own"),
    (Annotated[float, Key()], "a Key of kind float"),
    (Annotated[str | None, Key()], "a Key that may be missing"),
    (Annotated[str, Key(), on_missing("x")], "a Key with impute"),
    (list[Address], "is of kind object"),
    (list[int | None], "may be None"),
    (list[Annotated[int, Ge(0), on_invalid(clamp)]], "has an action"),
    (Annotated[Any, Tensor((0,))], "Tensor of shape"),
    (Annotated[Any, Tensor((2,), "complex64")], "Tensor of 'complex64'"),
    (Annotated[bytes, Image(order="gray", mean=(0.5, 0.5, 0.5))], "3 values of mean"),
    (Annotated[bytes, Image(resample="magic")], "choice that does not exist"),  # type: ignore[arg-type]
    (Annotated[bytes, Image(mean=(0.5,) * 3, std=(0.5,) * 3)], "of dtype uint8"),
    (Annotated[float, Alias('a "quoted" name')], "name on the wire"),
    (complex, "a type that no contract can hold: complex"),
    (float | int, "a type that no contract can hold"),
    (list, "a type that no contract can hold"),
    (Annotated[float, 5], "says 5, which contracts do not know"),
    (Ruled, "which has rules"),
]


@pytest.mark.parametrize(
    ("annotation", "message"), CONTRADICTIONS, ids=[f"{k} {said}" for k, (_, said) in enumerate(CONTRADICTIONS)]
)
def test_a_contradiction_is_told_with_class_field_and_mend(annotation: Any, message: str) -> None:
    """A contract that cannot be meant is refused when it is written, not when it is used."""
    with pytest.raises(ContractError, match=message) as caught:
        declare(x=annotation)
    assert "Row.x" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("annotations", "message"),
    [
        ({}, "has no fields"),
        ({"matrix": float}, "hides an attribute"),
        ({"layout": float}, "hides an attribute"),
        ({"_x": float}, "begins with an underscore"),
        ({"x": float, "y": Annotated[float, Alias("x")]}, "two fields that are called 'x': x and y"),
        ({"x": Annotated[str, Key()], "y": Annotated[str, Key()]}, "two keys, x and y"),
        ({"x": "Unknown"}, "the name 'Unknown', which is not known there"),
    ],
)
def test_fields_do_not_get_into_each_others_way(annotations: dict[str, Any], message: str) -> None:
    """A name means one field, and a field's name means nothing else."""
    with pytest.raises(ContractError, match=message):
        declare(**annotations)


def test_a_nested_key_is_told() -> None:
    """The key of a row is a field of the row itself."""
    with pytest.raises(ContractError, match=r"Row\.inner\.sample is a Key within a nested contract"):
        declare(inner=declare(sample=Annotated[str, Key()]))


def test_a_default_is_not_silently_ignored() -> None:
    """Whoever writes x: float = 3 is told which word says that."""
    with pytest.raises(ContractError, match="has a default, 3") as caught:
        type("Row", (Contract,), {"__annotations__": {"x": float}, "x": 3})
    assert "on_missing(3)" in caught.value.hint


@pytest.mark.parametrize(
    ("say", "message"),
    [
        (lambda: on_invalid(5), "is not an action"),  # type: ignore[arg-type]
        (lambda: on_unseen(impute), "does not say what to impute"),  # type: ignore[arg-type]
        (lambda: rule(on_invalid="flag"), r"rule\(.flag.\) is not"),  # type: ignore[call-overload]
    ],
)
def test_an_action_that_is_none_is_told(say: Any, message: str) -> None:
    """The words that can stand there are in the message."""
    with pytest.raises(ContractError, match=message):
        say()


def test_a_rule_cannot_change_a_value() -> None:
    """A rule is about several fields; which of them should be clamped?"""
    with pytest.raises(ContractError, match="positive of Row says clamp"):

        class Row(Contract):
            x: Annotated[float, Ge(0)]

            @rule(on_invalid=clamp)
            def positive(rows: Any) -> Any:
                return rows.x > 0


def test_equal_contracts_have_equal_digests() -> None:
    """Ge(0) and Ge(0.0) are the same contract, to the byte."""
    one, other = (declare(x=Annotated[float, Ge(zero)]) for zero in (0, 0.0))
    assert one.form.digest == other.form.digest

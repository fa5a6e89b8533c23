"""What a model's own facts say about a service: its output, its transforms in words, and its fields without a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tenfold.contract.form import Field, Kind, show
from tenfold.contract.infer import Guess, Inferred
from tenfold.contract.naming import identifiers
from tenfold.errors import ContractError

if TYPE_CHECKING:
    from tenfold.model import Facts
    from tenfold.scaffold.proof import Direct

LISTED_CLASSES = 50  # a longer list of classes stays text or int


def describe(facts: Facts) -> tuple[str, str]:
    """The default transforms of questions 3 and 4, in words."""
    shapes = {
        "matrix": f"as a matrix of {facts.dtype}",
        "frame": "as a DataFrame, since a step selects columns by name",
        "named": "each as an array of its own",
        "column": "as an array of texts",
    }
    gives = {
        "probabilities": "the likeliest class, and its probability",
        "labels": "the class",
        "values": "what the model gives",
    }
    before = f"the default, the fields in the model's order, {shapes[facts.wants]}"
    return before, f"the default, {gives[facts.gives]}"


def outputs_of(facts: Facts, direct: Direct | None) -> list[Guess]:
    """The fields of the output contract: label and probability of a classifier, the values of anything else."""
    if facts.gives == "probabilities":
        probability = Field(name="probability", wire="probability", kind="float", ge=0, le=1)
        return [Guess(_label(facts.classes)), Guess(probability, "of that label")]
    if facts.gives == "labels":
        return [Guess(_label(facts.classes))]
    width, kind = 1, "float"
    if direct is not None and direct.values is not None:
        width = direct.values.reshape(len(direct.values), -1).shape[1] if direct.values.size else 1
        kind = {"i": "int", "u": "int", "b": "bool", "f": "float"}.get(direct.values.dtype.kind, "text")
    names = ["value"] if width == 1 else [f"value_{k}" for k in range(1, width + 1)]
    return [Guess(Field(name=name, wire=name, kind=kind)) for name in names]  # type: ignore[arg-type]


def _label(classes: Sequence[str | int | float | bool]) -> Field:
    """The field of a label: a list of the classes where a person would read it, else of their type."""
    kind: Kind
    whole: tuple[int, ...] = ()
    if all(isinstance(value, bool) for value in classes):
        kind = "bool"
    elif all(not isinstance(value, str) and value == int(value) for value in classes):
        kind, whole = "int", tuple(int(value) for value in classes)
    else:
        kind = "text"
    if kind == "bool" or len(classes) > LISTED_CLASSES:
        return Field(name="label", wire="label", kind=kind)
    return Field(name="label", wire="label", kind="category", categories=whole or tuple(map(show, classes)))


def guesses_of(facts: Facts) -> Inferred:
    """The fields of a model without a table: numbers by the names that it knows, nothing guessed about them."""
    if facts.wants in ("frame", "column") or not facts.features:
        raise ContractError(
            f"{facts.name} does not say what its columns are" + ("" if facts.features else ", not even their names"),
            "give the table that it was trained on: --data FILE --target COL",
        )
    names = identifiers(facts.features)
    guesses = tuple(Guess(Field(name=names[wire], wire=wire, kind="float")) for wire in facts.features)
    return Inferred(guesses, 0, None, (), ())

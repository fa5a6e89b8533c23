"""Question 4, the default: a classifier's label and probabilities, a regressor's value, as columns of the output
contract."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tenfold.contract.form import Field, Form, leaves, show
from tenfold.errors import ContractError

if TYPE_CHECKING:
    from tenfold.model import Facts
    from tenfold.rows import Array

Postprocess = Callable[[Any], dict[str, "Array"]]

WRITE_ONE = "write postprocess(self, scores) in the service, which returns a mapping of field to array"
ROUNDING = 1e-6  # a sum of float32 probabilities ends up to this much above 1; that is rounding, not an invalid answer


def postprocessor(form: Form, facts: Facts) -> Postprocess:
    """The default postprocess of an output contract for a model: what ``predict`` gave -> columns by attribute name.

    - Probabilities: the field that is no float gets the class with the highest one (the first among equals); a float
      field with the name of a class gets that class's probability; one further float field gets the probability of
      the label, or, where there is no label, that of the last of two classes.
    - Labels: the field that is no float gets them.
    - Values: (n,) or (n, 1) go to the one field, (n, m) to m fields in the order of the class; where the one field is
      a category, the columns are scores of its listed values in their order.

    Raises ``ContractError`` where they do not fit, naming the contract's field and the model's classes.
    """
    fields = {name: field for name, _, _, field in leaves(form.fields)}
    match facts.gives:
        case "probabilities":
            return _probabilities(form, fields, facts)
        case "labels":
            return _labels(form, fields, facts)
        case _:
            return _values(form, fields, facts)


def _probabilities(form: Form, fields: dict[str, Field], facts: Facts) -> Postprocess:
    floats = [name for name, field in fields.items() if field.kind == "float"]
    label = _label_field(form, fields, facts)
    of_class = {name: k for name in floats if (k := _class_named(name, fields[name], facts)) is not None}
    rest = [name for name in floats if name not in of_class]
    if len(rest) > 1 or (rest and label is None and len(facts.classes) != 2):
        raise ContractError(
            f"{facts.name} gives probabilities of {_listed(facts.classes)}, and it is not clear which of them "
            f"{form.name}.{rest[-1]} is",
            f"name the field after its class (Alias); or {WRITE_ONE}",
        )
    names = _as_listed(form, label, fields[label], facts) if label else np.array([], dtype=object)

    def postprocess(scores: Any) -> dict[str, Array]:
        shares = _rounded(np.asarray(scores))
        columns = {name: shares[:, k] for name, k in of_class.items()}
        if label:
            columns[label] = names[shares.argmax(axis=1)]
        for name in rest:
            columns[name] = shares.max(axis=1) if label else shares[:, -1]
        return columns

    return postprocess


def _rounded(shares: Array) -> Array:
    """Probabilities that rounding carried a hair above 1, back at 1."""
    above = shares > 1
    return np.where(above & (shares <= 1 + ROUNDING), 1, shares) if above.any() else shares


def _label_field(form: Form, fields: dict[str, Field], facts: Facts) -> str | None:
    names = [name for name, field in fields.items() if field.kind != "float"]
    if len(names) > 1:
        raise ContractError(
            f"{facts.name} gives one label, and {form.name} has several fields that could be it: {', '.join(names)}",
            WRITE_ONE,
        )
    return names[0] if names else None


def _class_named(name: str, field: Field, facts: Facts) -> int | None:
    """The class whose probability a float field is, by its name on the wire or in Python."""
    spelled = [_spelled(value) for value in facts.classes]
    return next((spelled.index(word) for word in (field.wire, name) if word in spelled), None)


def _as_listed(form: Form, name: str, field: Field, facts: Facts) -> Array:
    """The model's classes as values of the label's field, in the model's order; an error names both where they
    differ."""
    listed = [_as_field(value, field) for value in facts.classes]
    if not listed or None in listed:
        what = f"lists {_listed(field.categories)}" if field.categories else f"is declared as {field.kind}"
        raise ContractError(
            f"the model's classes are {_listed(facts.classes) or 'unknown'}, and {form.name}.{name} {what}",
            f"train on the listed names, or list the model's classes in {form.name}.{name}; or {WRITE_ONE}",
        )
    values = np.empty(len(listed), dtype=object)
    values[:] = listed
    return values


def _as_field(value: Any, field: Field) -> Any:
    """The value of the field that a class is: the same, or as text where it is listed as text; None where there is
    none."""
    match field.kind:
        case "category":
            return next((item for item in field.categories if item in (value, _spelled(value))), None)
        case "text":
            return _spelled(value)
        case "bool":
            return {0: False, 1: True}.get(value)
        case "int" if not isinstance(value, str) and value == int(value):
            return int(value)
        case _:
            return None


def _spelled(value: Any) -> str:
    """A class as text: 3 for 3.0, true for neither Python's nor NumPy's True but the word that JSON has."""
    return str(value).lower() if isinstance(value, bool) else show(value)


def _listed(values: Sequence[Any]) -> str:
    shown = [repr(value) for value in values[:8]]
    return ", ".join(shown) + (", …" if len(values) > 8 else "")


def _labels(form: Form, fields: dict[str, Field], facts: Facts) -> Postprocess:
    floats = [name for name, field in fields.items() if field.kind == "float"]
    if floats:
        raise ContractError(
            f"{facts.name} gives labels and no probabilities, which {form.name}.{floats[0]} asks for",
            f"leave {floats[0]} out, or fit the model within CalibratedClassifierCV; or {WRITE_ONE}",
        )
    label = _label_field(form, fields, facts)
    assert label is not None  # a contract has at least one field
    listed = dict(zip(facts.classes, _as_listed(form, label, fields[label], facts), strict=True))

    def postprocess(scores: Any) -> dict[str, Array]:
        values = np.empty(len(scores), dtype=object)
        values[:] = [listed[value] for value in np.asarray(scores).tolist()]
        return {label: values}

    return postprocess


def _values(form: Form, fields: dict[str, Field], facts: Facts) -> Postprocess:
    names = list(fields)
    if facts.task == "regressor" and any(field.kind not in ("float", "int") for field in fields.values()):
        odd = next(name for name, field in fields.items() if field.kind not in ("float", "int"))
        raise ContractError(
            f"{facts.name} gives numbers, and {form.name}.{odd} is declared as {fields[odd].kind}",
            f"declare {odd} as float; or {WRITE_ONE}",
        )
    categories = [name for name, field in fields.items() if field.kind == "category"]
    if len(categories) == 1 and facts.task == "other":
        return _scored(form, fields, categories[0])

    def postprocess(scores: Any) -> dict[str, Array]:
        values = np.asarray(scores)
        columns = values.reshape(len(values), -1).T if values.size else np.empty((len(names), 0))
        if len(columns) != len(names):
            raise ValueError(f"the model gives {len(columns)} values a row, and {form.name} has {len(names)} fields")
        return dict(zip(names, columns, strict=True))

    return postprocess


def _scored(form: Form, fields: dict[str, Field], label: str) -> Postprocess:
    """Scores (n, k) of the k listed values, as networks give them, or the values (n,) themselves."""
    listed = np.array(fields[label].categories, dtype=object)
    floats = [name for name in fields if name != label]
    if len(floats) > 1 or any(fields[name].kind != "float" for name in floats):
        raise ContractError(
            f"it is not clear what the model's scores are in {form.name}: {', '.join(floats)}", WRITE_ONE
        )

    def postprocess(scores: Any) -> dict[str, Array]:
        values = np.asarray(scores)
        if values.ndim == 1:
            return {label: values}
        if values.shape[1:] != listed.shape:
            raise ValueError(
                f"the model gives {values.shape[1]} scores a row, and {form.name}.{label} lists {len(listed)}"
            )
        columns: dict[str, Array] = {label: listed[values.argmax(axis=1)]}
        return columns | {name: _rounded(values.max(axis=1)) for name in floats}

    return postprocess

"""How a column of answers is read: at once, by a few comparisons, or value by value where these do not accept it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tenfold.contract.form import REJECT, Form
from tenfold.contract.leaf import Leaf
from tenfold.contract.reading import INT64, Elements, Unfit
from tenfold.errors import ContractError
from tenfold.layout import Column
from tenfold.rows import Array

DTYPES = {"f8": np.float64, "i8": np.int64, "i4": np.int32, "u1": np.uint8}
YEARS = ("0001-01-01T00:00:00", "9999-12-31T23:59:59")  # what ISO 8601 can write, and Python read
MISSING = ("NAType", "NaTType")  # pandas' words for missing, known by name, since pandas need not be here

FEW = 48  # numbers that Python compares sooner than NumPy begins to

AtOnce = Callable[[Array], "Array | None"]


class Stored(NamedTuple):
    """A column as the batch keeps it, which rows lack a value, and what is wrong with which row."""

    values: Array
    missing: Sequence[int] = ()
    faults: Mapping[int, str] = {}


def column_reader(form: Form, leaf: Leaf) -> Callable[[Array], Stored]:
    """How a column is read: at once where that suffices to accept it, else value by value."""
    field = leaf.field
    if any(action not in (None, REJECT) for action in (field.on_invalid, field.on_missing, field.on_unseen)):
        raise ContractError(
            f"{form.name}.{field.name} has an action; answers are only ever accepted or refused",
            "leave the action out, and let postprocess give what is valid",
        )
    if field.kind == "image":
        raise ContractError(f"{form.name}.{field.name} is a picture, which no answer can hold", "declare a Tensor")
    assert leaf.column is not None
    column, accept = leaf.column, acceptor(leaf)

    def read(values: Array) -> Stored:
        accepted = accept(values)
        return Stored(accepted) if accepted is not None else _one_by_one(values, leaf, column)

    return read


def acceptor(leaf: Leaf) -> AtOnce:
    """How a column is accepted as a whole: as the batch keeps it, or None where it has to be read value by value."""
    return _AT_ONCE.get(leaf.field.kind, _never)(leaf)


def _never(_leaf: Leaf) -> AtOnce:
    return lambda _: None


def _numbers(leaf: Leaf) -> AtOnce:
    """Numbers within their bounds, all of them; NaN is within none. Floats are never taken for integers here."""
    is_float = leaf.field.kind == "float"
    dtype, kinds = (np.dtype(np.float64), "fiu") if is_float else (np.dtype(np.int64), "i")
    widest = (-np.finfo(np.float64).max, np.finfo(np.float64).max) if is_float else INT64
    low = leaf.low.limit if leaf.low else widest[0]
    high = leaf.high.limit if leaf.high else widest[1]
    if leaf.field.multiple_of is not None:
        return _never(leaf)

    def at_once(values: Array) -> Array | None:
        if values.dtype.kind not in kinds:
            return None
        numbers = np.asarray(values, dtype)
        if len(numbers) > FEW:
            return numbers if low <= np.minimum.reduce(numbers) and np.maximum.reduce(numbers) <= high else None
        for number in numbers.tolist():
            if not low <= number <= high:
                return None
        return numbers

    return at_once


def _tensors(leaf: Leaf) -> AtOnce:
    """Arrays of the declared shape, of a dtype that the declared one can hold, within their bounds."""
    dtype, shape = np.dtype(leaf.field.dtype), leaf.field.shape
    widest: Any = (False, True) if dtype.kind == "b" else np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    low, high = widest if isinstance(widest, tuple) else (widest.min, widest.max)
    low, high = leaf.low.limit if leaf.low else low, leaf.high.limit if leaf.high else high
    if leaf.field.multiple_of is not None:
        return _never(leaf)

    def at_once(values: Array) -> Array | None:
        rounds = values.dtype.kind == dtype.kind == "f"  # to float32, say; every other conversion has to be exact
        if values.shape[1:] != shape or not (rounds or np.can_cast(values.dtype, dtype)):
            return None
        return values.astype(dtype) if not values.size or (low <= values.min() and values.max() <= high) else None

    return at_once


def _moments(leaf: Leaf) -> AtOnce:
    """Dates and times as NumPy has them (in UTC), where that loses nothing."""
    unit = "datetime64[D]" if leaf.field.kind == "date" else "datetime64[us]"
    first, last = (np.datetime64(edge).astype(unit).astype(np.int64).item() for edge in YEARS)
    low = leaf.low.limit if leaf.low else first  # NaT is less
    high = leaf.high.limit if leaf.high else last

    def at_once(values: Array) -> Array | None:
        if values.dtype.kind != "M":
            return None
        moments = values.astype(unit)
        stored = moments.astype(np.int64)
        whole = not len(stored) or (low <= stored.min() and stored.max() <= high)
        return stored if whole and np.array_equal(moments.astype(values.dtype), values) else None

    return at_once


def _booleans(_leaf: Leaf) -> AtOnce:
    return lambda values: values if values.dtype == bool else None


def _labels(leaf: Leaf) -> AtOnce:
    """Codes of labels that are all listed."""
    code_of = {label: code for code, label in enumerate(leaf.field.categories)}

    def at_once(values: Array) -> Array | None:
        try:
            codes = [code_of[label] for label in values.tolist()]
        except (KeyError, TypeError):  # not listed, or not even hashable
            return None
        return np.array(codes, dtype=np.int32)

    return at_once


_AT_ONCE: dict[str, Callable[[Leaf], AtOnce]] = {
    "float": _numbers,
    "int": _numbers,
    "bool": _booleans,
    "category": _labels,
    "datetime": _moments,
    "tensor": _tensors,
    "date": _moments,
}


def _one_by_one(values: Array, leaf: Leaf, column: Column) -> Stored:
    """Each value read as JSON's would be, so that each fault has its row and its sentence."""
    stored: list[Any] = [_blank(column)] * len(values)
    missing: list[int] = []
    faults: dict[int, str] = {}
    for row, value in enumerate(_plain(values, leaf)):
        if leaf.field.nullable and _is_missing(value):
            missing.append(row)
            continue
        try:
            if isinstance(value, str):
                value.encode()
            stored[row] = leaf.read(None if type(value).__name__ in MISSING else value)
        except Unfit as unfit:
            faults[row] = unfit.detail
        except UnicodeEncodeError:
            faults[row] = f"{leaf.name} must be text that UTF-8 can write, found half of a surrogate pair"
    return Stored(_packed(stored, column), missing, faults)


def _plain(values: Array, leaf: Leaf) -> list[Any]:
    """Python's own values, which is what contracts are about."""
    if values.dtype.kind == "M":
        values = values.astype("datetime64[D]" if leaf.field.kind == "date" else "datetime64[us]")
    return [_plain_one(value) for value in values.tolist()]


def _plain_one(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value) or type(value).__name__ in MISSING


def _blank(column: Column) -> Any:
    """What stands where there is no value."""
    match column.kind:
        case "float":
            return np.nan
        case "datetime" | "date":
            return INT64[0]  # NaT
        case "tensor":
            return Elements(column.shape, [0] * int(np.prod(column.shape)))
        case "list" | "ragged" | "text" | "category":
            return None
        case _:
            return 0


def _packed(stored: list[Any], column: Column) -> Array:
    """The column as ``Rows`` keeps it."""
    match column.kind:
        case "category":
            code_of: dict[Any, int] = {label: code for code, label in enumerate(column.categories)}
            return np.array([code_of.get(label, -1) for label in stored], dtype=np.int32)
        case "tensor":
            flat = [np.array(item.flat, dtype=column.dtype).reshape(column.shape) for item in stored]
            return np.array(flat, dtype=column.dtype).reshape(len(stored), *column.shape)
        case _ if column.block:
            return np.array(stored, dtype=DTYPES[column.block])
        case _:
            packed = np.empty(len(stored), dtype=object)
            for k, value in enumerate(stored):
                packed[k] = _own(value, column)
            return packed


def _own(value: Any, column: Column) -> Any:
    if isinstance(value, Elements):
        return np.array(value.flat, dtype=column.dtype).reshape(value.shape)
    if isinstance(value, list):
        return np.array(value, dtype=object if column.dtype == "text" else column.dtype)
    return value

"""A column of whatever a table holds, as the batch stores it: at once where the dtype allows it, else cell by cell.

Tables are read as tables are written: a whole float is an integer (pandas has no other way to leave a gap), midnight is
a date, NaN stands for nothing where the field may be missing, and a number in a column of text is its digits. All of that
loses nothing; what would is Unfit, for just that cell.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal
from itertools import repeat
from typing import Any

import numpy as np

from tenfold.contract.cells import Cells, element_of, empty_column, may_miss
from tenfold.contract.columns import Array, Column, Mask, as_objects
from tenfold.contract.leaf import Leaf
from tenfold.contract.reading import BLANKS, DTYPES, EXACT, INT64, Unfit


def cells_of(leaf: Leaf, column: Column, table: bool = True) -> Cells:
    """The column of a field. Without ``table`` the values are those of single records, which are read like JSON's."""
    cells = _AT_ONCE.get(leaf.field.kind, _never)(leaf, column)
    return cells if cells is not None else _one_by_one(leaf, column, table)


# -- at once: a whole column of a suitable dtype; None where the cells have to be looked at ---------------------


def _never(_leaf: Leaf, _column: Column) -> Cells | None:
    return None


def _floats(leaf: Leaf, column: Column) -> Cells | None:
    numbers = _numbers(column, {float, int}, "fiu")
    if numbers is None:
        return None
    numbers = numbers.astype(np.float64, copy=False)
    if not column.null.any() and _are_finite(numbers):
        return Cells(numbers, column.null)
    numbers = np.where(column.null, np.nan, numbers)
    missing = column.null | (np.isnan(numbers) if may_miss(leaf) else False)
    return Cells(numbers, missing, _refusals(leaf, numbers, ~(np.isfinite(numbers) | missing)))


def _are_finite(numbers: Array) -> bool:
    """True only if all are; of very large ones perhaps not even then. A sum is finite only if every term is."""
    with np.errstate(invalid="ignore", over="ignore"):
        return bool(np.isfinite(numbers.sum()))


def _ints(leaf: Leaf, column: Column) -> Cells | None:
    numbers = _numbers(column, {int}, "fiu")
    if numbers is None or (numbers.dtype == np.uint64 and len(numbers) and numbers.max() > INT64[1]):
        return None
    if numbers.dtype.kind != "f":
        return Cells(numbers.astype(np.int64), column.null)
    missing = column.null | np.isnan(numbers)
    whole = (np.floor(numbers) == numbers) & (np.abs(numbers) <= EXACT)
    stored = np.where(whole & ~missing, numbers, 0).astype(np.int64)
    return Cells(stored, missing, _refusals(leaf, numbers, ~(whole | missing)))


def _numbers(column: Column, types: set[type], kinds: str) -> Array | None:
    """The column as numbers, 0 where null, if that is what it holds."""
    values = column.values
    if values.ndim != 1:
        return None
    if values.dtype == object and _types(column) <= types:
        dtype = np.float64 if float in types else np.int64
        try:
            return np.where(column.null, 0, values).astype(dtype)
        except OverflowError:  # an integer too large for the dtype
            return None
    return values if values.dtype.kind in kinds else None


def _types(column: Column) -> set[type]:
    return set(map(type, column.values[~column.null]))


def _refusals(leaf: Leaf, values: Array, refused: Mask) -> dict[int, Unfit]:
    """Why the field refuses the values of these rows."""
    return {row: unfit for row in np.flatnonzero(refused).tolist() if (unfit := _refusal(leaf, values[row].item()))}


def _refusal(leaf: Leaf, value: Any) -> Unfit | None:
    try:
        leaf.convert(value)
    except Unfit as unfit:
        return unfit
    return None


def _bools(_leaf: Leaf, column: Column) -> Cells | None:
    values = column.values
    if values.dtype == object and values.ndim == 1 and _types(column) <= {bool}:
        values = np.where(column.null, False, values).astype(bool)
    return Cells(values, column.null) if values.dtype == bool and values.ndim == 1 else None


def _moments(leaf: Leaf, column: Column) -> Cells | None:
    zone = leaf.field.timezone
    if column.values.dtype.kind != "M" or (zone and column.aware != (zone == "aware")):
        return None
    stored = _microseconds(column.values)
    stored[column.null] = BLANKS["date"]
    return Cells(stored, column.null | np.isnat(column.values))


def _microseconds(moments: Array) -> Array:
    """Finer units are rounded half up, as the decoder of JSON rounds."""
    unit, step = np.datetime_data(moments.dtype)
    if unit != "ns":
        return moments.astype("datetime64[us]").astype(np.int64)
    nanoseconds = moments.astype(np.int64) * step
    micro, rest = nanoseconds // 1000, nanoseconds % 1000
    return np.asarray(micro + (rest >= 500))


def _days(_leaf: Leaf, column: Column) -> Cells | None:
    if column.values.dtype.kind != "M" or column.aware:
        return None
    days = column.values.astype("datetime64[D]")
    if not np.array_equal(days[~column.null], column.values[~column.null]):
        return None
    stored = days.astype(np.int64)
    stored[column.null] = BLANKS["date"]
    return Cells(stored, column.null)


def _labels(leaf: Leaf, column: Column) -> Cells | None:
    code_of: dict[Any, int] = {label: code for code, label in enumerate(leaf.field.categories)}
    unfit: dict[int, Unfit] = {}
    if isinstance(leaf.field.categories[0], str):
        if column.values.dtype != object or column.values.ndim != 1:
            return None
        values, missing = column.values, column.null
    else:
        numbers = _ints(leaf, column)
        if numbers is None:
            return None
        values, missing, unfit = numbers.values, numbers.missing, dict(numbers.unfit)
    try:
        codes = np.fromiter(map(code_of.get, values.tolist(), repeat(-1)), np.int32, len(values))
    except TypeError:  # a list, say, which cannot even be looked up
        return None
    codes[missing] = -1
    missing = missing.copy()
    for row in np.flatnonzero((codes < 0) & ~missing).tolist():
        if _is_nan(values[row]):
            missing[row] = True
        elif row not in unfit:
            unfit[row] = _unlisted(leaf, values[row])
    return Cells(codes, missing, unfit)


def _unlisted(leaf: Leaf, label: Any) -> Unfit:
    """Why the field refuses what is not one of its labels."""
    try:
        leaf.read(plain(label))
    except Unfit as unfit:
        return unfit
    raise AssertionError(f"{leaf.name} knows its own categories")


def _texts(_leaf: Leaf, column: Column) -> Cells | None:
    if column.values.dtype != object or column.values.ndim != 1 or not _types(column) <= {str}:
        return None
    values = column.values.copy()
    values[column.null] = None
    return Cells(values, column.null)


def _tensors(leaf: Leaf, column: Column) -> Cells | None:
    field, values = leaf.field, column.values
    kinds = {"f": "fiu", "b": "b"}.get(np.dtype(field.dtype).kind, "iu")
    if values.dtype.kind not in kinds or values.ndim != 1 + len(field.shape):
        return None
    if any(expected not in (-1, size) for expected, size in zip(field.shape, values.shape[1:], strict=True)):
        return None
    _, low, high = DTYPES[field.dtype]
    if values.size and not (low <= values.min() and values.max() <= high):  # NaN is not, either
        return None
    stored = values.astype(field.dtype)
    return Cells(as_objects(list(stored)) if -1 in field.shape else stored, column.null)


_AT_ONCE: dict[str, Callable[[Leaf, Column], Cells | None]] = {
    "float": _floats,
    "int": _ints,
    "bool": _bools,
    "datetime": _moments,
    "date": _days,
    "category": _labels,
    "text": _texts,
    "tensor": _tensors,
}


# -- one by one: whatever the cells hold -----------------------------------------------------------------------


def _one_by_one(leaf: Leaf, column: Column, table: bool) -> Cells:
    values, missing, unfit = empty_column(leaf, len(column.values)), column.null.copy(), {}
    gap_is_nan = leaf.field.kind != "float" or may_miss(leaf)
    for row in np.flatnonzero(~column.null).tolist():
        value = plain(column.values[row], column.aware)
        if gap_is_nan and _is_nan(value):
            missing[row] = True
            continue
        try:
            stored = leaf.convert(_as_written(leaf, value) if table else value)
            if leaf.field.kind == "category":
                leaf.check(stored)
        except Unfit as refusal:
            unfit[row] = refusal
        else:
            values[row] = element_of(leaf, stored)
    return Cells(values, missing, unfit)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def plain(value: Any, aware: bool = False) -> Any:
    """Python's own value for one of another library; ``aware`` puts a moment into UTC."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    elif hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime(warn=False)
    elif isinstance(value, Decimal):
        value = float(value)
    if aware and isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def _as_written(leaf: Leaf, value: Any) -> Any:
    """What a table's cell means to the field, where tables have no way to write it."""
    if leaf.field.kind == "text" and isinstance(value, int | float):
        return str(value)
    if leaf.field.kind == "date" and isinstance(value, datetime) and value.tzinfo is None:
        day = value.date()
        return day if value == datetime.combine(day, time()) else value
    return value

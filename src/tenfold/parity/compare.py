"""Whether two stage values are the same: bit for bit, within the tolerance of their dtype, or how they differ.

A number may differ by the tolerance of its dtype times the largest magnitude of its column, since BLAS adds up a row
in another order in a batch of another size; a label may not differ at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tenfold.parity.diagnose import diagnose
from tenfold.rows import Array

RTOL = {8: 1e-12, 4: 1e-5, 2: 1e-2}  # by the bytes of a float
THERE, HERE = "in the record", "here"


@dataclass(slots=True)
class Difference:
    """What ``compare`` found for n rows: which of them differ, and by how much at most.

    ``bits`` is true where nothing differs by a single bit, ``labels`` marks rows with another text, integer or truth
    value, ``detail`` says in words what differs.
    """

    rows: Array
    labels: Array
    bits: bool = True
    largest: float = 0.0
    detail: str = ""
    notes: list[str] = field(default_factory=list)


def compare(expected: Any, found: Any, n: int, exact: bool = False) -> Difference:
    """Two canonical values of the same n rows."""
    difference = Difference(np.zeros(n, dtype=bool), np.zeros(n, dtype=bool))
    _compare(expected, found, "", exact, difference)
    return difference


def _compare(expected: Any, found: Any, at: str, exact: bool, difference: Difference) -> None:
    expected, found = _alike(expected, found, difference)
    match expected, found:
        case dict(), dict():
            _compare_dicts(expected, found, at, exact, difference)
        case list(), list():
            _compare_lists(expected, found, at, exact, difference)
        case np.ndarray(), np.ndarray():
            _compare_arrays(expected, found, at, exact, difference)
        case _ if hasattr(expected, "tocsr") and hasattr(found, "tocsr"):
            _compare_arrays(expected.toarray(), found.toarray(), at, exact, difference)
        case _:
            _all_differ(difference, f"{_named(at)}{_kind(expected)} {THERE}, {_kind(found)} {HERE}")


def _alike(expected: Any, found: Any, difference: Difference) -> tuple[Any, Any]:
    """A frame and a matrix of the same columns, or a sparse and a dense one, hold the same values."""
    if isinstance(expected, dict) != isinstance(found, dict):
        matrix = _as_matrix(expected if isinstance(expected, dict) else found)
        if matrix is not None:
            difference.notes.append(f"{_kind(expected)} {THERE}, {_kind(found)} {HERE}")
            return (matrix, found) if isinstance(expected, dict) else (expected, matrix)
    if hasattr(expected, "tocsr") != hasattr(found, "tocsr"):
        difference.notes.append(f"{_kind(expected)} {THERE}, {_kind(found)} {HERE}")
        return _dense(expected), _dense(found)
    return expected, found


def _dense(value: Any) -> Any:
    return value.toarray() if hasattr(value, "tocsr") else value


def _as_matrix(columns: dict[str, Any]) -> Array | None:
    arrays = list(columns.values())
    flat = arrays and all(isinstance(array, np.ndarray) and array.ndim == 1 for array in arrays)
    return np.column_stack(arrays) if flat and len({len(array) for array in arrays}) == 1 else None


def _compare_dicts(
    expected: dict[str, Any], found: dict[str, Any], at: str, exact: bool, difference: Difference
) -> None:
    if list(expected) != list(found):
        _all_differ(difference, _named(at) + _names_differ(list(expected), list(found)))
    for name, there in expected.items():
        if name in found:
            _compare(there, found[name], f"{at}.{name}" if at else name, exact, difference)


def _names_differ(expected: list[str], found: list[str]) -> str:
    absent = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    if not absent and not extra:
        moved = next(there for there, here in zip(expected, found, strict=True) if there != here)
        return f"the columns stand in another order: {moved} is number {expected.index(moved) + 1} {THERE}, number " + (
            f"{found.index(moved) + 1} {HERE}"
        )
    said = [f"no {', '.join(absent[:3])} {HERE}"] if absent else []
    said += [f"no {', '.join(extra[:3])} {THERE}"] if extra else []
    return "; ".join(said)


def _compare_lists(expected: list[Any], found: list[Any], at: str, exact: bool, difference: Difference) -> None:
    if len(expected) != len(found):
        _all_differ(difference, f"{_named(at)}{len(expected)} items {THERE}, {len(found)} {HERE}")
        return
    by_row = len(expected) == len(difference.rows)
    for k, (there, here) in enumerate(zip(expected, found, strict=True)):
        if not by_row:
            _compare(there, here, f"{at}[{k}]", exact, difference)
            continue
        one = Difference(np.zeros(1, dtype=bool), np.zeros(1, dtype=bool))
        _compare(there, here, f"{at}[{k}]", exact, one)
        difference.rows[k] |= one.rows[0]
        difference.labels[k] |= one.labels[0]
        _merge(difference, one.bits, one.largest, one.detail)


def _compare_arrays(expected: Array, found: Array, at: str, exact: bool, difference: Difference) -> None:
    if expected.shape != found.shape:
        one_column = expected.size == found.size and {expected.ndim, found.ndim} == {1, 2}
        if not one_column:
            shapes = f"shape {_shape(expected)} {THERE}, {_shape(found)} {HERE}"
            _all_differ(difference, _named(at) + (diagnose(expected, found) or shapes))
            return
        expected, found = expected.reshape(-1), found.reshape(-1)
    if expected.dtype != found.dtype:
        difference.notes.append(f"{_named(at)}{expected.dtype} {THERE}, {found.dtype} {HERE}")
    numbers = expected.dtype.kind in "fiubc" and found.dtype.kind in "fiubc"
    if not numbers:
        differ = _differ(expected, found)
        _mark(difference, differ, labels=True)
        _merge(difference, not differ.any(), 0.0, _first_differing(expected, found, differ, at) if differ.any() else "")
        return
    away = _distance(expected, found)
    differ = away > (0.0 if exact else _allowed(expected, found))
    _mark(difference, differ, labels=expected.dtype.kind in "iub")
    detail = ""
    if differ.any():
        detail = _named(at) + (diagnose(expected, found) or _first_differing(expected, found, differ, ""))
    bits = expected.dtype == found.dtype and expected.tobytes() == found.tobytes()
    _merge(difference, bits, float(away.max(initial=0.0)), detail)


def _distance(expected: Array, found: Array) -> Array:
    """How far apart two numbers are; infinitely, where only one of them is NaN or infinite."""
    there, here = expected.astype(np.float64), found.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        away = np.abs(there - here)
    same = (there == here) | (np.isnan(there) & np.isnan(here))
    return np.where(same, 0.0, np.where(np.isnan(away), np.inf, away))


def _allowed(expected: Array, found: Array) -> Array:
    """The tolerance of each value: that of the coarser dtype, times the largest magnitude of its column."""
    sizes = [array.dtype.itemsize for array in (expected, found) if array.dtype.kind == "f"]
    if not sizes:
        return np.zeros(())
    magnitudes = np.abs(np.where(np.isfinite(expected), expected, 0).astype(np.float64))
    if magnitudes.ndim > 2:  # pictures: one scale for all pixels
        return np.asarray(RTOL.get(min(sizes), 1e-12) * magnitudes.max(initial=0.0))
    return np.asarray(RTOL.get(min(sizes), 1e-12) * magnitudes.max(axis=0, initial=0.0))


def _differ(expected: Array, found: Array) -> Array:
    return np.asarray(np.not_equal(expected.astype(object), found.astype(object)), dtype=bool)


def _mark(difference: Difference, differ: Array, labels: bool) -> None:
    by_row: Array = np.asarray(np.atleast_1d(differ).any(axis=tuple(range(1, differ.ndim))))
    if len(by_row) != len(difference.rows):
        by_row = np.full(len(difference.rows), bool(by_row.any()))
    difference.rows |= by_row
    if labels:
        difference.labels |= by_row


def _merge(difference: Difference, bits: bool, largest: float, detail: str) -> None:
    difference.bits &= bits
    difference.largest = max(difference.largest, largest)
    difference.detail = difference.detail or detail


def _all_differ(difference: Difference, detail: str) -> None:
    difference.rows[:] = True
    difference.labels[:] = True
    _merge(difference, bits=False, largest=0.0, detail=detail)


def _first_differing(expected: Array, found: Array, differ: Array, at: str) -> str:
    place = tuple(int(k) for k in np.argwhere(differ)[0]) if differ.ndim else ()
    where = (
        f"row {place[0]}" + (f", column {', '.join(map(str, place[1:]))}" if len(place) > 1 else "") if place else ""
    )
    return f"{_named(at)}{where}: {_value(expected[place])} {THERE}, {_value(found[place])} {HERE}"


def _value(value: Any) -> str:
    return f"{float(value):.6g}" if isinstance(value, np.number) else repr(value)


def _named(at: str) -> str:
    return f"{at}: " if at else ""


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "columns by name"
    if isinstance(value, list):
        return "a list"
    if hasattr(value, "tocsr"):
        return "a sparse matrix"
    return f"an array of {value.dtype}" if value.dtype != object else "texts"


def _shape(array: Array) -> str:
    return " x ".join(map(str, array.shape)) or "no dimensions"

"""A column as the batch stores it, and the ways from a single stored value to an element of it and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tenfold.contract.columns import Array, Mask
from tenfold.contract.leaf import Leaf
from tenfold.contract.reading import BLANKS, Elements, Unfit


class Cells(NamedTuple):
    """One column as stored, the rows that have no value, and those whose value has not the type of the field.

    Categories are codes, -1 where there is none. Rows that ``missing`` or ``unfit`` name are blank.
    """

    values: Array
    missing: Mask
    unfit: Mapping[int, Unfit] = {}


def element_of(leaf: Leaf, stored: Any) -> Any:
    """A stored value as an element of its column; None is a blank."""
    column = leaf.column
    assert column is not None  # only the items of a list have none
    if stored is None:
        return _blank(leaf)
    if column.kind == "category":
        return leaf.field.categories.index(stored)
    if isinstance(stored, Elements):
        return np.array(stored.flat, dtype=column.dtype).reshape(stored.shape)
    if isinstance(stored, list):
        return _items(column.dtype, stored)
    return stored


def stored_of(leaf: Leaf, element: Any) -> Any:
    """The stored value of an element of a column, other than a category's; the inverse of ``element_of``."""
    if leaf.field.kind == "tensor":
        return Elements(element.shape, element.ravel().tolist())
    return element.tolist() if isinstance(element, np.ndarray | np.generic) else element


def empty_column(leaf: Leaf, n: int) -> Array:
    """A column of n blanks."""
    column = leaf.column
    assert column is not None  # only the items of a list have none
    if column.kind == "tensor":
        return np.zeros((n, *column.shape), dtype=column.dtype)
    values = np.empty(n, dtype=column.block or object)
    values[:] = _blank(leaf)
    return values


def _blank(leaf: Leaf) -> Any:
    assert leaf.column is not None  # only the items of a list have none
    return 0 if leaf.column.kind == "tensor" else BLANKS.get(leaf.column.kind)


def _items(dtype: str, stored: list[Any]) -> Array:
    if dtype != "text":
        return np.array(stored, dtype=bool if dtype == "u1" else dtype)
    items = np.empty(len(stored), dtype=object)
    items[:] = stored
    return items


def may_miss(leaf: Leaf) -> bool:
    """True if a gap means something: the field, or a contract around it, may be None, or the field has on_missing."""
    assert leaf.column is not None
    return leaf.column.bit >= 0 or leaf.field.on_missing is not None

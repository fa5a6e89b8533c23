"""The same contract over whole blocks: what a table, a file or a DataFrame of rows is checked with.

Comparisons over blocks find the cells that break a bound; each such cell is then treated by the very functions that treat a
single row, so that both compilers say and do the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tenfold.contract.cells import stored_of
from tenfold.contract.columns import Array, Mask
from tenfold.contract.draft import Draft
from tenfold.contract.form import Form, layout_of
from tenfold.contract.leaf import WHOLE, Leaf, compile_form
from tenfold.contract.reading import EXACT, INT64, Unfit
from tenfold.contract.tables import Fault, read_table
from tenfold.rows import Checked
from tenfold.validation.actions import Ledger, require_usable

NUMERIC = ("float", "int", "datetime", "date")


def check(form: Form, data: Any) -> Checked:
    """Every row of a table (see ``contract.tables``): types, bounds, actions. Predicates and rules come after (``rules``).

    Raises ContractError where an action cannot be carried out, as an ``impute("median")`` of nothing.
    """
    root, layout = compile_form(form), layout_of(form)
    for leaf in root.leaves:
        require_usable(leaf, form.name)
    draft, faults = read_table(root, layout, data)
    faults = sorted([*faults, *_broken(draft)], key=lambda fault: fault[:2])
    ledger = Ledger()
    for row, k, unfit, group in faults:
        leaf = root.leaves[k]
        if group is not None:
            ledger.refuse(row, group.pointer, unfit.code, unfit.detail)
        elif unfit.code == "missing":
            draft.put(k, row, ledger.missing(leaf, row))
        else:
            draft.put(k, row, ledger.unfit(leaf, row, unfit))
    refused = ledger.close()
    kept = (
        np.array([row for row in range(draft.size) if row not in refused], dtype=np.intp)
        if refused
        else np.arange(draft.size)
    )
    rows = draft.rows()
    return Checked(
        rows.take(kept) if refused else rows,
        kept,
        draft.size,
        ledger.violations,
        ledger.changes,
        ledger.flags,
        ledger.put_aside,
        ledger.fallbacks,
    )


def _broken(draft: Draft) -> Iterator[Fault]:
    """The cells that hold a value of the right type which breaks a check."""
    for row, k in set(_suspects(draft)):
        leaf = draft.leaves[k]
        if not draft.blank[k][row]:
            try:
                leaf.check(stored_of(leaf, draft.columns[k][row]))
            except Unfit as unfit:
                yield Fault(row, k, unfit)


def _suspects(draft: Draft) -> Iterator[tuple[int, int]]:
    """Row and leaf of each cell that may break a check; among them the blanks of those that have no value."""
    for name, block in draft.blocks.items():
        ks = [k for k, column in enumerate(draft.layout.columns) if column.block == name]
        bounds = _limits([draft.leaves[k] for k in ks], block.dtype)
        if bounds is not None:
            low, high = bounds
            outside = (block < low) | (block > high)
            if outside.any():
                yield from ((row, ks[index]) for row, index in np.argwhere(outside).tolist())
    for k, leaf in enumerate(draft.leaves):
        if leaf.field.kind in NUMERIC:
            if leaf.field.multiple_of is not None:
                off = ~_divided(leaf.field.multiple_of, draft.columns[k])
                yield from ((row, k) for row in np.flatnonzero(off).tolist())
        elif leaf.field.kind != "category" and (leaf.checks or leaf.item is not None):
            yield from ((row, k) for row in range(draft.size))


def _limits(leaves: list[Leaf], dtype: Any) -> tuple[Array, Array] | None:
    """The least and the greatest value of each column of a block; None where no column has a bound."""
    if not any(leaf.low or leaf.high for leaf in leaves):
        return None
    least, greatest = (-np.inf, np.inf) if dtype.kind == "f" else INT64
    low = np.array([leaf.low.limit if leaf.low else least for leaf in leaves], dtype=dtype)
    high = np.array([leaf.high.limit if leaf.high else greatest for leaf in leaves], dtype=dtype)
    return low, high


def _divided(step: float, values: Array) -> Mask:
    """``leaf.divides`` for a column."""
    if isinstance(step, int) and values.dtype.kind == "i":
        return np.asarray(values % step == 0)
    with np.errstate(over="ignore", invalid="ignore"):  # infinite quotients are whole, blanks are not looked at
        quotient = values / step
        nearest = np.abs(quotient - np.rint(quotient)) <= WHOLE * np.maximum(1.0, np.abs(quotient))
    return np.asarray(nearest | (np.abs(quotient) >= EXACT))

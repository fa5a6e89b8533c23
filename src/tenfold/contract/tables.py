"""Rows of a table: DataFrames, Arrow tables, mappings of columns and lists of mappings, read by the types of a contract.

Columns that the contract does not know are ignored: tables hold targets, too. (In a request they are refused.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tenfold.contract.cells import Cells
from tenfold.contract.columns import Column, Mask, as_objects, column_of, is_null
from tenfold.contract.conversion import cells_of
from tenfold.contract.draft import Draft
from tenfold.contract.form import Action, Form, escape, layout_of
from tenfold.contract.leaf import Group, Leaf, compile_form, missing, not_an_object
from tenfold.contract.reading import Unfit
from tenfold.errors import InvalidInput, Violation
from tenfold.layout import Layout
from tenfold.rows import Rows

SKIPPED = object()  # stands in a row whose enclosing object is not there


class Fault(NamedTuple):
    """What is wrong with one row: its leaf k, or the group that begins with leaf k, is missing or of another type."""

    row: int
    k: int
    unfit: Unfit
    group: Group | None = None


class Read(NamedTuple):
    """A table as far as it can be read: what is not there or not of the right type is blank, and a fault."""

    draft: Draft
    faults: list[Fault]


def read_rows(form: Form, data: Any) -> Rows:
    """Rows by type alone: bounds and rules are not looked at.

    A gap is imputed where the contract says so; a category that it does not list is imputed, or missing where it is only
    flagged. Raises InvalidInput with everything else that is no value of its field.
    """
    draft, faults = read_table(compile_form(form), layout_of(form), data)
    violations = []
    for row, k, unfit, group in faults:
        action = None if group else _answer(draft.leaves[k], unfit)
        if action is None or action.name not in ("impute", "flag") or action.of:
            place = group or draft.leaves[k]
            violations.append(Violation(row, place.pointer + unfit.at, unfit.code, unfit.detail))
        elif action.name == "impute":
            draft.put(k, row, draft.leaves[k].read(action.value))
    if violations:
        raise InvalidInput(violations)
    return draft.rows()


def _answer(leaf: Leaf, unfit: Unfit) -> Action | None:
    """The action for what a batch cannot hold, other than a value of the wrong type."""
    match unfit.code:
        case "missing":
            return leaf.field.on_missing
        case "unseen":
            return leaf.field.on_unseen or leaf.field.on_invalid
        case _:
            return None


def read_table(root: Group, layout: Layout, data: Any) -> Read:
    """Every column that the contract knows, by its name on the wire (nested ones as ``address.city``, or as they nest)."""
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _read_records(root, layout, data)
    columns = dict(_columns_of(data))
    sizes = {len(values) for values in columns.values()}
    if len(sizes) > 1:
        raise InvalidInput([Violation(0, "", "wrong_type", "the columns of the table differ in length")])
    return _read_columns(root, layout, columns, sizes.pop() if sizes else 0)


def _columns_of(data: Any) -> Iterator[tuple[str, Any]]:
    """The columns of a table by name; names that are numbers are read as text, which they are on the wire."""
    library = type(data).__module__.partition(".")[0]
    pairs: Iterable[tuple[Any, Any]]
    if library == "pandas":
        pairs = ((label, data.iloc[:, k]) for k, label in enumerate(data.columns))
    elif library == "pyarrow":
        pairs = _flat_arrow(data)
    elif isinstance(data, Mapping):
        pairs = _flat_mapping(data, "")
    else:
        raise TypeError(
            f"rows cannot be read from a {type(data).__name__}; give a DataFrame, an Arrow table, a mapping of columns, or a "
            "list of mappings"
        )
    seen = set()
    for label, values in pairs:
        name = str(label)
        if name in seen:
            raise InvalidInput(
                [Violation(0, f"/{escape(name)}", "duplicate_key", f"the table has two columns named {name}")]
            )
        seen.add(name)
        yield name, values


def _flat_arrow(table: Any) -> Iterator[tuple[str, Any]]:
    """The columns of an Arrow table, structs taken apart (which names their fields ``address.city``)."""
    import pyarrow as pa

    table = pa.table(table)
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.flatten()
    return zip(table.column_names, table.columns, strict=True)


def _flat_mapping(columns: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for label, values in columns.items():
        if isinstance(values, Mapping):
            yield from _flat_mapping(values, f"{prefix}{label}.")
        else:
            yield f"{prefix}{label}", values


def _read_columns(root: Group, layout: Layout, columns: Mapping[str, Any], size: int) -> Read:
    nothing = Column(np.empty(size, dtype=object), np.ones(size, dtype=bool))
    cells = [cells_of(leaf, column_of(columns[leaf.name]) if leaf.name in columns else nothing) for leaf in root.leaves]
    skipped = [np.zeros(size, dtype=bool) for _ in root.leaves]
    for group, first in _groups(root, 0):
        if group.field.nullable:
            inside = range(first, first + len(group.leaves))
            absent = np.logical_and.reduce([cells[k].missing for k in inside])
            for k in inside:
                skipped[k] |= absent
    return _assembled(root, layout, cells, skipped, [])


def _groups(group: Group, first: int) -> Iterator[tuple[Group, int]]:
    """The nested groups and the number of the first leaf of each."""
    for member in group.members:
        if isinstance(member, Group):
            yield member, first
            yield from _groups(member, first)
        first += len(member.leaves) if isinstance(member, Group) else 1


def _read_records(root: Group, layout: Layout, records: Sequence[Any]) -> Read:
    """Rows as JSON has them: what is said of a nested object that is missing is said of it, not of the fields within."""
    faults: list[Fault] = []
    cells: list[Cells] = []
    skipped: list[Mask] = []

    def read_group(group: Group, values: Sequence[Any]) -> None:
        first = len(cells)
        for row, value in enumerate(values):
            if value is not SKIPPED and not isinstance(value, Mapping):
                faults.append(Fault(row, first, not_an_object(group, value), group))
        for member in group.members:
            wire = member.field.wire
            inner = [value.get(wire) if isinstance(value, Mapping) else SKIPPED for value in values]
            if isinstance(member, Leaf):
                absent = np.fromiter((value is SKIPPED for value in inner), bool, len(inner))
                present = [None if value is SKIPPED else value for value in inner]
                cells.append(cells_of(member, column_of(as_objects(present)), table=False))
                skipped.append(absent)
                continue
            for row, value in enumerate(inner):
                if value is not SKIPPED and is_null(value):
                    inner[row] = SKIPPED
                    if not member.field.nullable:
                        faults.append(Fault(row, len(cells), missing(member), member))
            read_group(member, inner)

    read_group(root, records)
    return _assembled(root, layout, cells, skipped, faults)


def _assembled(
    root: Group, layout: Layout, cells: Sequence[Cells], skipped: Sequence[Mask], faults: list[Fault]
) -> Read:
    size = len(skipped[0])
    draft = Draft(root.leaves, layout, size)
    for k, (leaf, (values, gaps, unfit)) in enumerate(zip(root.leaves, cells, strict=True)):
        draft.fill(k, Cells(values, gaps, unfit))
        if not leaf.field.nullable or leaf.field.on_missing is not None:
            faults += [Fault(row, k, missing(leaf)) for row in np.flatnonzero(gaps & ~skipped[k]).tolist()]
        faults += [Fault(row, k, why) for row, why in unfit.items()]
    faults.sort(key=lambda fault: (fault.row, fault.k, fault.group is None))
    return Read(draft, faults)

"""Question 4, the promise: what postprocess produced, held against the output contract and made into rows.

Like the decoder of the front it has two passes: whole columns of numbers and labels are accepted by a few
comparisons, and only a column that these do not accept is read value by value, to say which rows are at fault and
why. Those rows fail with ``output_invalid``, which is never the input's fault; the others are answered.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tenfold.contract.form import Form, layout_of
from tenfold.contract.leaf import Leaf, compile_form
from tenfold.errors import Violation
from tenfold.rows import NO_BITS, Array, Rows
from tenfold.transforms.columns import DTYPES, Stored, acceptor, column_reader


class Shapeless(Exception):
    """What postprocess produced has not the shape of the contract; no row can be answered."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.pointer = pointer


class OutputCheck:
    """The check of one output contract, made ready: ``check(produced, n)`` gives the rows and what is wrong with
    them.

    ``produced`` is a mapping of field to n values (by either name; nested contracts as nested mappings or dotted
    names), a DataFrame, n mappings, or, where the contract has one field, n values. The rows are always n; those that
    a violation names hold nothing of use. A column that is absent, unknown or of another length fails every row.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.layout = layout_of(form)
        self._leaves = compile_form(form).leaves
        self._names = {name: leaf for leaf in self._leaves for name in _names(leaf)}
        self._nested = any(field.kind == "object" for field in form.fields)
        self._readers = [(leaf, _names(leaf), column_reader(form, leaf)) for leaf in self._leaves]
        self._acceptors = {
            name: (1 << k, acceptor(leaf), leaf.column.block, leaf.column.index, self.layout.widths[leaf.column.block])
            for k, leaf in enumerate(self._leaves)
            if leaf.column is not None and leaf.column.block
            for name in _names(leaf)
        }
        self._all = (1 << len(self._leaves)) - 1

    def __call__(self, produced: Any, n: int) -> tuple[Rows, list[Violation]]:
        """Rows of the output contract, and a violation ``output_invalid`` for each row and field that breaks it."""
        rows = self.accept(produced, n)
        return (rows, []) if rows is not None else self._examine(produced, n)

    def accept(self, produced: Any, n: int) -> Rows | None:
        """What nearly every batch is: an array of n valid numbers or labels for each field. None for anything else."""
        if type(produced) is not dict:
            return None
        blocks: dict[str, Array] = {}
        found = 0
        for name, values in produced.items():
            known = self._acceptors.get(name)
            if known is None or type(values) is not np.ndarray or values.shape != (n,):
                return None
            bit, accept, block, index, width = known
            accepted = accept(values)
            if accepted is None:
                return None
            found |= bit
            if width == 1 and accepted is not values:
                blocks[block] = accepted.reshape(n, 1)
                continue
            if block not in blocks:
                blocks[block] = np.empty((n, width), DTYPES[block])
            blocks[block][:, index] = accepted
        if found != self._all or len(produced) != len(self._leaves):
            return None
        bits = np.zeros((n, self.layout.optional), dtype=bool) if self.layout.optional else NO_BITS
        return Rows(self.layout, n, blocks, bits)

    def _examine(self, produced: Any, n: int) -> tuple[Rows, list[Violation]]:
        """What was not accepted as a whole, value by value."""
        try:
            columns = self._by_name(produced)
            stored = [read(self._column(columns, leaf, names, n)) for leaf, names, read in self._readers]
        except Shapeless as error:
            return self._rows([read(np.full(n, None)) for _, _, read in self._readers], n), [
                Violation(row, error.pointer, "output_invalid", str(error)) for row in range(n)
            ]
        faults = [
            Violation(row, leaf.pointer, "output_invalid", detail)
            for leaf, column in zip(self._leaves, stored, strict=True)
            for row, detail in column.faults.items()
        ]
        return self._rows(stored, n), sorted(faults, key=lambda fault: fault.row) if faults else faults

    def _by_name(self, produced: Any) -> Mapping[str, Any]:
        columns = _columns(produced, self._leaves[0].name if len(self._leaves) == 1 else "", self.form)
        if len(columns) != len(self._leaves) or self._nested:
            columns = _flat(columns, self._names)
            for name in columns:
                if name not in self._names:
                    near = difflib.get_close_matches(name, self._names, n=1)
                    mend = f"; is it {near[0]}?" if near else ""
                    raise Shapeless(f"postprocess gave a column {name!r}, which {self.form.name} does not have{mend}")
        return columns

    def _column(self, columns: Mapping[str, Any], leaf: Leaf, names: Sequence[str], n: int) -> Array:
        for name in names:
            if name in columns:
                break
        else:
            raise Shapeless(f"postprocess gave no {leaf.name}; it gave {', '.join(columns) or 'nothing'}", leaf.pointer)
        values = _as_array(columns[name])
        if len(values) != n or (values.ndim > 1 and leaf.field.kind not in ("list", "tensor")):
            shape = " x ".join(map(str, values.shape))
            raise Shapeless(f"postprocess gave {leaf.name} in the shape {shape} for {n} rows", leaf.pointer)
        return values

    def _rows(self, stored: Sequence[Stored], n: int) -> Rows:
        widths = self.layout.widths
        blocks: dict[str, Array] = {name: np.empty((n, widths[name]), DTYPES[name]) for name in self.layout.blocks}
        bits = np.zeros((n, self.layout.optional), dtype=bool) if self.layout.optional else NO_BITS
        own: list[Array] = []
        for column, (values, missing, _) in zip(self.layout.columns, stored, strict=True):
            if column.block:
                blocks[column.block][:, column.index] = values
            else:
                own.append(values)
            if column.bit >= 0 and len(missing):
                bits[missing, column.bit] = True
        return Rows(self.layout, n, blocks, bits, own)


def _names(leaf: Leaf) -> tuple[str, ...]:
    assert leaf.column is not None  # only the items of a list have none
    return (leaf.column.name, leaf.column.wire)


def _as_array(values: Any) -> Array:
    """An array of what was given. A list of several types is one of objects: NumPy would make all of them text."""
    if isinstance(values, np.ndarray) and values.ndim:
        return values
    if not isinstance(values, list | tuple):
        return np.atleast_1d(np.asarray(values))
    types = set(map(type, values))
    if len(types) == 1 and issubclass(types.pop(), int | float | np.generic):
        return np.asarray(values)
    array = np.empty(len(values), dtype=object)
    for k, value in enumerate(values):
        array[k] = value
    return array


def _columns(produced: Any, only: str, form: Form) -> Mapping[str, Any]:
    """What postprocess gave as columns by name; ``only`` is the name of the one field, where there is just one."""
    if type(produced) is dict:  # nearly always, and asked much faster than whether it is a Mapping
        return produced
    match produced:
        case Mapping():
            return produced
        case Rows():
            return produced.columns()
        case [Mapping(), *_]:
            names = dict.fromkeys(name for row in produced for name in row)
            return {name: [row.get(name) for row in produced] for name in names}
    if hasattr(produced, "columns") and hasattr(produced, "to_numpy"):
        return {str(name): produced[name].to_numpy() for name in produced.columns}
    if only and hasattr(produced, "__len__"):
        return {only: produced}
    raise Shapeless(
        f"postprocess gave a {type(produced).__name__}; {form.name} needs a mapping of field to values, "
        f"since it has {len(form.fields)} fields"
    )


def _flat(columns: Mapping[str, Any], known: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings with dotted names."""
    flat: dict[str, Any] = {}
    for name, values in columns.items():
        if isinstance(values, Mapping) and f"{prefix}{name}" not in known:
            flat |= _flat(values, known, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = values
    return flat

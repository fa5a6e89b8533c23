"""Rows: a columnar batch, one row-major block per dtype, of which each field is a view; and what becomes of it.

A single request and a million rows of a file are the same thing here. ``Checked`` is what validation makes of rows,
``Answer`` what the pipeline makes of them. All three are frozen.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tenfold.layout import Column, Layout

if TYPE_CHECKING:
    from tenfold.errors import Change, Flag, Violation

Array = NDArray[Any]
NO_BITS: Array = np.zeros((0, 0), dtype=bool)


class Declaration(Protocol):
    """What ``Rows.of`` needs of a contract: it knows how to read a table."""

    @classmethod
    def read(cls, data: Any) -> Rows:
        """Rows of a frame, table or list of mappings."""
        ...


class Rows:
    """A batch of typed rows.

    ``rows.mean_radius`` and ``rows["mean radius"]`` (either name) are arrays of shape (n,): numbers as NumPy numbers, dates
    as ``datetime64``, text and categories as object arrays of ``str`` (None where missing), lists as object arrays of
    arrays, tensors and decoded pictures as one array of shape (n, ...). A missing float is NaN, a missing date NaT; a
    missing int or bool is 0, and only ``missing(name)`` tells it from a zero. Arrays are views: do not write to them.
    """

    __slots__ = ("_bits", "_blocks", "_own", "_size", "layout")

    def __init__(
        self,
        layout: Layout,
        size: int,
        blocks: Mapping[str, Array],
        bits: Array = NO_BITS,
        own: Sequence[Array] = (),
    ) -> None:
        """``blocks`` maps "f8", "i8", "i4", "u1" to (n, k) arrays; ``bits`` is (n, m) bool, True where missing; ``own`` has
        one array of length n for each column of ``layout.own``."""
        self.layout = layout
        self._size = size
        self._blocks = dict(blocks)
        self._bits = bits
        self._own = tuple(own)

    @classmethod
    def of(cls, data: Any, contract: type[Declaration] | Declaration) -> Rows:
        """Rows of a DataFrame, an Arrow table, a mapping of columns or a list of mappings, typed by the contract.

        Types are converted where that loses nothing; a value that cannot be raises ``InvalidInput`` with every violation.
        Bounds and rules are not applied: training data may break rules that only flag.
        """
        return contract.read(data)

    def __len__(self) -> int:
        return self._size

    def __reduce__(self) -> tuple[Any, ...]:
        return Rows, (self.layout, self._size, self._blocks, self._bits, self._own)

    def __repr__(self) -> str:
        return f"<Rows {self._size} x {len(self.layout.columns)}>"

    def __contains__(self, name: str) -> bool:
        return name in self.layout.by_name

    def __getitem__(self, name: str) -> Array:
        column = self.layout.by_name.get(name)
        if column is None:
            raise KeyError(f"no field {name!r}; the fields are {', '.join(c.name for c in self.layout.columns)}")
        return self._column(column)

    def __getattr__(self, name: str) -> Any:
        column = self.layout.by_name.get(name)
        if column is not None:
            return self._column(column)
        if any(c.name.startswith(name + ".") for c in self.layout.columns):
            return Nested(self, name)
        raise AttributeError(f"no field {name!r}; the fields are {', '.join(c.name for c in self.layout.columns)}")

    def _column(self, column: Column) -> Array:
        if not column.block:
            return self._own[column.index]
        values = self._blocks[column.block][:, column.index]
        match column.kind:
            case "float":
                return values
            case "category":
                return _labels(column)[values]
            case "bool":
                return values.view(bool)
            case "datetime":
                return values.view("datetime64[us]")
            case "date":
                return values.view("datetime64[D]")
            case _:
                return values

    def codes(self, name: str) -> Array:
        """The int32 codes of a categorical column into its declared list, -1 where missing."""
        column = self.layout.by_name[name]
        return self._blocks["i4"][:, column.index]

    def missing(self, name: str) -> NDArray[np.bool_]:
        """True where the value is missing, shape (n,)."""
        column = self.layout.by_name[name]
        if column.bit < 0:
            return np.zeros(self._size, dtype=bool)
        return self._bits[:, column.bit]

    def matrix(self, *names: str, dtype: Any = np.float64) -> Array:
        """The named columns (all that are numbers, if none is named) side by side: (n, k), missing values as NaN.

        A view where the columns are neighbours of one block in this order and the dtype is theirs, else a copy.
        """
        by_name = self.layout.by_name
        chosen = [by_name[name] for name in names] if names else [c for c in self.layout.columns if _is_number(c)]
        first = chosen[0] if chosen else None
        if (
            first is not None
            and np.dtype(dtype) == np.float64
            and all(c.block == "f8" and c.index == first.index + k for k, c in enumerate(chosen))
        ):
            return self._blocks["f8"][:, first.index : first.index + len(chosen)]
        result = np.empty((self._size, len(chosen)), dtype=dtype)
        for k, column in enumerate(chosen):
            result[:, k] = self._column(column)
            if column.bit >= 0 and column.block in ("i8", "u1") and np.issubdtype(result.dtype, np.floating):
                result[self._bits[:, column.bit], k] = np.nan
        return result

    def columns(self) -> dict[str, Array]:
        """Every column by its name on the wire."""
        return {column.wire: self._column(column) for column in self.layout.columns}

    def frame(self) -> Any:
        """A pandas DataFrame with the names on the wire; missing values as pandas writes them (NaN, NaT, <NA>, None)."""
        import pandas as pd

        frame = {}
        for column in self.layout.columns:
            values: Any = self._column(column)
            if column.bit >= 0 and column.kind in ("int", "bool"):
                values = pd.array(values, dtype="Int64" if column.kind == "int" else "boolean")
                values[self._bits[:, column.bit]] = pd.NA
            frame[column.wire] = list(values) if values.ndim > 1 else values
        return pd.DataFrame(frame)

    def take(self, index: Array | Sequence[int]) -> Rows:
        """The rows at these positions (integers or a mask of length n), as new Rows."""
        at = np.asarray(index)
        if at.dtype != bool:
            at = at.astype(np.intp)
        bits = self._bits[at] if self._bits.size else self._bits
        size = int(at.sum()) if at.dtype == bool else len(at)
        blocks = {name: block[at] for name, block in self._blocks.items()}
        return Rows(self.layout, size, blocks, bits, [column[at] for column in self._own])

    def parts(self) -> tuple[dict[str, Array], Array, tuple[Array, ...]]:
        """The blocks, the missing-value mask (n, m) and the columns of their own, as stored."""
        return self._blocks, self._bits, self._own

    def replacing(self, arrays: Mapping[str, Array]) -> Rows:
        """The same rows with columns of their own replaced by name, as pictures are once they are decoded."""
        own = list(self._own)
        for name, values in arrays.items():
            own[self.layout.by_name[name].index] = values
        return Rows(self.layout, self._size, self._blocks, self._bits, own)

    @staticmethod
    def concatenate(batches: Sequence[Rows]) -> Rows:
        """One batch of several of the same layout, in order."""
        first = batches[0]
        blocks = {name: np.concatenate([b._blocks[name] for b in batches]) for name in first._blocks}
        bits = np.concatenate([b._bits for b in batches]) if first._bits.size else first._bits
        own = [np.concatenate([b._own[k] for b in batches]) for k in range(len(first._own))]
        return Rows(first.layout, sum(map(len, batches)), blocks, bits, own)


class Nested:
    """The columns of a nested contract: ``rows.address.city`` is ``rows["address.city"]``."""

    __slots__ = ("_prefix", "_rows")

    def __init__(self, rows: Rows, prefix: str) -> None:
        self._rows = rows
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._rows, f"{self._prefix}.{name}")


def _labels(column: Column) -> Array:
    """The declared categories as objects, with None last, so that the code -1 finds it."""
    labels = np.empty(len(column.categories) + 1, dtype=object)
    labels[:-1] = column.categories
    return labels


def _is_number(column: Column) -> bool:
    return column.kind in ("float", "int", "bool")


class Checked(Struct, frozen=True, gc=False, eq=False):
    """What validation made of ``total`` rows: those it accepts, and every reason for those it doesn't.

    ``index[k]`` is where accepted row k stood in what came. ``put_aside`` maps quarantined rows to their reasons, and
    ``fallbacks`` maps rows that get the service's fallback answer to the code that caused it.
    """

    rows: Rows
    index: Array
    total: int
    violations: Sequence[Violation] = ()
    changes: Sequence[Change] = ()
    flags: Sequence[Flag] = ()
    put_aside: Mapping[int, Sequence[Violation]] = {}
    fallbacks: Mapping[int, str] = {}


class Answer(Struct, frozen=True, gc=False, eq=False):
    """What the pipeline made of ``total`` rows. ``outputs`` row k answers row ``index[k]``; the rest is in ``violations``.

    ``given`` are the rows as the model got them, pictures decoded, and ``given_index`` where these stood; None where nobody
    kept them. ``violations`` may carry the codes ``model_failed`` and ``output_invalid``, which are the service's own fault.
    ``seconds`` is the time of each stage (validate, preprocess, model, postprocess); ``waited_s`` is how much of that the
    service's own code spent waiting for a file, a network or a lock.
    """

    outputs: Rows
    index: Array
    total: int
    violations: Sequence[Violation] = ()
    changes: Sequence[Change] = ()
    flags: Sequence[Flag] = ()
    put_aside: Mapping[int, Sequence[Violation]] = {}
    fallbacks: Mapping[int, str] = {}
    seconds: Mapping[str, float] = {}
    waited_s: float = 0.0
    given: Rows | None = None
    given_index: Array | None = None


def refused(violations: Iterable[Violation], total: int) -> NDArray[np.bool_]:
    """A mask of the rows that have a violation."""
    mask = np.zeros(total, dtype=bool)
    for violation in violations:
        mask[violation.row] = True
    return mask

"""Columns of a table as they come, made into what is counted: numbers, and the codes of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any, Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from tenfold.drift.columns import SCORE_BINS, Column, Floats, Ints, Role, category_column, number_column

Mask = NDArray[np.bool_]

MOST_DISTINCT = 0.5  # of the rows: text that differs more often is no category
FEWEST_ROWS = 100  # before a column may be taken for a key
STRANGERS = 16  # categories without a name in the reference that are kept as examples, by their hash


class Raw(NamedTuple):
    """One column of a block of n rows: ``numbers`` (n,), or ``codes`` (n,) into ``names`` with -1 where missing.

    Times are numbers: seconds since 1970 in UTC. ``missing`` (n,) is where nothing came, which is not where NaN came.
    """

    kind: Literal["number", "time", "text"]
    numbers: Floats
    codes: Ints
    names: tuple[str, ...]
    missing: Mask

    @classmethod
    def of_numbers(
        cls, numbers: Floats, missing: Mask | None = None, kind: Literal["number", "time"] = "number"
    ) -> Raw:
        """A column of numbers; NaN is missing where no mask says otherwise."""
        return cls(kind, numbers, np.zeros(0, dtype=np.int64), (), np.isnan(numbers) if missing is None else missing)

    @classmethod
    def of_names(cls, codes: Ints, names: Sequence[str]) -> Raw:
        """A column of text."""
        return cls("text", np.zeros(0), codes, tuple(names), codes < 0)

    def take(self, index: NDArray[np.intp] | Mask) -> Raw:
        """The rows at these positions, or where the mask is true."""
        if self.kind == "text":
            return self._replace(codes=self.codes[index], missing=self.missing[index])
        return self._replace(numbers=self.numbers[index], missing=self.missing[index])

    def plain(self) -> NDArray[Any]:
        """The values as one array (n,): floats, or ``str`` and None."""
        return np.array([*self.names, None], dtype=object)[self.codes] if self.kind == "text" else self.numbers


class Facts:
    """What is noticed of a column while a whole table passes: whether it only ever rises."""

    def __init__(self) -> None:
        self.rows = 0
        self.rising = True
        self.kind = ""
        self._last = -np.inf

    def see(self, raw: Raw) -> None:
        """Look at the next block."""
        self.rows += len(raw.missing)
        self.kind = self.kind or raw.kind
        if raw.kind == "text" or not len(raw.numbers):
            self.rising = False
        elif self.rising:
            self.rising = bool(raw.numbers[0] >= self._last and (raw.numbers[1:] >= raw.numbers[:-1]).all())
            self._last = float(raw.numbers[-1])


def describe(name: str, values: NDArray[Any], facts: Facts, role: Role) -> Column | str:
    """The column that a sample of the reference makes of ``values`` (n,), or why it is left out."""
    if values.dtype == object:
        known = [value for value in values if value is not None]
        if role == "input" and len(known) >= FEWEST_ROWS and len(set(known)) > MOST_DISTINCT * len(known):
            return "nearly every row has a text of its own: a key, or free text"
        return category_column(name, values.tolist(), role)
    if role == "input" and facts.rows >= FEWEST_ROWS:
        finite = values[np.isfinite(values)]
        whole = bool(len(finite)) and bool((finite == np.rint(finite)).all())
        distinct = len(np.unique(finite)) if whole or facts.rising else 0
        if facts.rising and (facts.kind == "time" or distinct == len(finite)):
            return "it only ever rises: a row number or a clock"
        if whole and distinct == len(finite) >= 10 * FEWEST_ROWS:
            return "every row has a whole number of its own: a key"
    return number_column(name, values, role, SCORE_BINS) if role == "score" else number_column(name, values, role)


class Encoder:
    """Makes values and codes of one column's blocks, whatever type they come in, and remembers names that have no code."""

    def __init__(self, column: Column) -> None:
        self.column = column
        self._codes = column.codes()
        self.unreadable = 0
        """Rows of text where the reference has numbers; they count as NaN."""

    def encode(self, raw: Raw) -> Floats:
        """The values (n,) that a column's block is counted by, NaN where missing."""
        if self.column.kind == "number":
            return raw.numbers if raw.kind != "text" else self._parsed(raw)
        named = raw if raw.kind == "text" else named_numbers(raw)
        unseen = self.column.unseen
        codes = np.array([*(self._codes.get(name, unseen) for name in named.names), np.nan], dtype=np.float64)
        return codes[named.codes]

    def strangers(self, raw: Raw, known: Mapping[str, int]) -> dict[str, int]:
        """Examples of names without a code, or of text that is no number, with their rows, added to those known. The same
        ones, in whatever order."""
        named = raw if raw.kind == "text" else named_numbers(raw)
        rows = np.bincount(named.codes[named.codes >= 0], minlength=len(named.names)).tolist()
        return add_strangers(known, {n: c for n, c in zip(named.names, rows, strict=True) if c and self._is_strange(n)})

    def _is_strange(self, name: str) -> bool:
        return isnan(_number(name)) if self.column.kind == "number" else name not in self._codes

    def _parsed(self, raw: Raw) -> Floats:
        values = parsed(raw)
        self.unreadable += int(np.isnan(values[~raw.missing]).sum())
        return values


def add_strangers(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The examples of both, those with the smallest hash of their name where there are too many."""
    together = {name: known.get(name, 0) + more.get(name, 0) for name in known.keys() | more.keys()}
    kept = sorted(together, key=lambda name: (crc32(name.encode()), name))[:STRANGERS]
    return {name: together[name] for name in kept}


def named_numbers(raw: Raw) -> Raw:
    """A column of numbers as text: 3.0 is "3", as it is in a table whose column is of whole numbers."""
    present = ~raw.missing & ~np.isnan(raw.numbers)
    levels, index = np.unique(raw.numbers[present], return_inverse=True)
    codes = np.full(len(raw.numbers), -1, dtype=np.int64)
    codes[present] = index
    return Raw.of_names(codes, [number_name(level) for level in levels.tolist()])


def number_name(value: float) -> str:
    """A number as the name of a category."""
    return str(int(value)) if value.is_integer() else str(value)


def parsed(raw: Raw) -> Floats:
    """A column of text as numbers (n,); NaN where it is none."""
    return np.array([*map(_number, raw.names), np.nan])[raw.codes]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

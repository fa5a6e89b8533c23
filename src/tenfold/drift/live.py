"""Answered rows as the blocks that are counted: the bridge from a contract's columns to those of a profile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.contract.form import Field as Declared
from tenfold.contract.form import Form, ImageForm, leaves
from tenfold.drift.columns import Column, Floats, Role, named_column
from tenfold.drift.pictures import names_of, numbers_of
from tenfold.layout import Column as Field
from tenfold.layout import Layout
from tenfold.rows import Array, Rows

SECONDS = {"datetime": 1e-6, "date": 86400.0}  # of a unit of what a block holds
NUMBERS, NAMES = ("float", "int", "date", "datetime"), ("category", "bool")
TRUTHS = ("false", "true")


def watched(given: Form, answered: Form) -> list[Column]:
    """The columns that rows are compared by, before a reference has given bins to those of numbers.

    Keys, and what is Private, are left out; so are text, lists and tensors, which have no bins. A picture is watched by how
    bright its channels are.
    """
    asked = [_column(wire, field, "input") for wire, field in _comparable(given)]
    for wire, image in pictures_of(given).items():
        asked += [Column(name=name, kind="number", edges=(0.0,)) for name in names_of(wire, image)]
    names = {column.name for column in asked}
    said = [(wire, field) for wire, field in _comparable(answered) if wire not in names]
    score = _score(said)
    return asked + [_column(wire, field, "score" if wire == score else "prediction") for wire, field in said]


def pictures_of(form: Form) -> dict[str, ImageForm]:
    """The pictures of a contract, and how each becomes an array, by wire name."""
    found = ((wire, field) for _, wire, _, field in leaves(form.fields))
    return {wire: field.image for wire, field in found if field.image is not None and not field.private}


def _comparable(form: Form) -> list[tuple[str, Declared]]:
    found = ((wire, field) for _, wire, _, field in leaves(form.fields))
    return [
        (wire, field) for wire, field in found if field.kind in NUMBERS + NAMES and not (field.key or field.private)
    ]


def _column(wire: str, field: Declared, role: Role) -> Column:
    if field.kind in NAMES:
        return named_column(wire, TRUTHS if field.kind == "bool" else tuple(map(str, field.categories)), (), role)
    return Column(name=wire, kind="number", role=role, edges=(0.0,))


def _score(said: Sequence[tuple[str, Declared]]) -> str | None:
    """The probability that goes with an answer: the first number between 0 and 1, beside a label or alone."""
    return next((wire for wire, field in said if field.kind == "float" and (field.ge, field.le) == (0, 1)), None)


class Block(NamedTuple):
    """What a ``Counter`` takes: values (n, k) in the order of the profile's columns, and where they are missing."""

    values: Floats
    missing: NDArray[np.bool_]


class Numbers(NamedTuple):
    """Columns of numbers that stand in one block: their places among the profile's columns, and in the block."""

    block: str
    places: slice | list[int]
    within: slice | list[int]
    factors: Floats | None


class Named(NamedTuple):
    """A column of categories: where its values come from, and how they become codes."""

    place: int
    field: Field
    read: Callable[[Array], Floats]


class Side:
    """The columns of a profile that one side of a contract has: what was asked, or what was answered."""

    def __init__(self, columns: Sequence[Column], layout: Layout, answers: bool) -> None:
        found = [
            (place, column, layout.by_name[column.name])
            for place, column in enumerate(columns)
            if (column.role in ("prediction", "score")) == answers and column.name in layout.by_name
        ]
        self.places = [place for place, _, _ in found]
        self._numbers = list(_numbers([(place, field) for place, column, field in found if column.kind == "number"]))
        self._named = [
            Named(p, field, _codes(column, field)) for p, column, field in found if column.kind == "category"
        ]
        self._optional = [place for place, _, field in found if field.bit >= 0]
        self._bits = [field.bit for _, _, field in found if field.bit >= 0]

    def fill(self, block: Block, rows: Rows) -> None:
        """Put the values of rows into a block."""
        blocks, bits, own = rows.parts()
        values, missing = block
        for name, places, within, factors in self._numbers:
            stored = blocks[name][:, within]
            values[:, places] = stored if factors is None else stored * factors
        for place, field, read in self._named:
            values[:, place] = read(blocks[field.block][:, field.index] if field.block else own[field.index])
        if self._optional:
            missing[:, self._optional] = bits[:, self._bits]
            np.copyto(values, np.nan, where=missing)  # a missing whole number is 0 in its block


def values_of(columns: Sequence[Column], rows: Rows) -> Floats:
    """The values (n, k) of rows that came in, NaN where missing."""
    values = np.full((len(rows), len(columns)), np.nan)
    Side(columns, rows.layout, answers=False).fill(Block(values, np.zeros(values.shape, dtype=bool)), rows)
    return values


class Reader:
    """Reads rows and the answers to them; made once for a profile and the layouts of a contract's two sides.

    Columns that the contract does not have stay missing: a profile may know more than is served.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        given: Layout,
        answered: Layout,
        pictures: Mapping[str, ImageForm] | None = None,
    ) -> None:
        """``pictures`` are those of the contract (see ``pictures_of``)."""
        places = {column.name: k for k, column in enumerate(columns)}
        self._pictures = pictures or {}
        names = [name for wire, image in self._pictures.items() for name in names_of(wire, image)]
        self._picture_columns = [k for k, name in enumerate(names) if name in places]
        self._picture_places = [places[name] for name in names if name in places]
        self.has_pictures = bool(self._picture_places)
        self._given = Side(columns, given, answers=False)
        self._answered = Side(columns, answered, answers=True)
        self._absent = np.ones(len(columns), dtype=bool)
        self._absent[[*self._given.places, *self._answered.places]] = False

    def pictures(self, rows: Rows) -> Floats:
        """What is watched of the decoded pictures of rows (n, p), which need not be kept."""
        found = [numbers_of(rows[wire], wire, image) for wire, image in self._pictures.items()]
        return np.concatenate(found, axis=1) if found else np.zeros((len(rows), 0))

    def block(self, rows: Rows, answers: Rows, pictures: Floats | None = None) -> Block:
        """The block of rows and their answers, which are as many; and of what ``pictures`` said of them before."""
        values = np.full((len(rows), len(self._absent)), np.nan)
        missing = np.empty(values.shape, dtype=bool)
        missing[:] = self._absent
        block = Block(values, missing)
        self._given.fill(block, rows)
        self._answered.fill(block, answers)
        if pictures is not None and self.has_pictures:
            values[:, self._picture_places] = pictures[:, self._picture_columns]
            missing[:, self._picture_places] = np.isnan(pictures[:, self._picture_columns])
        return block


def _numbers(columns: Sequence[tuple[int, Field]]) -> Iterator[Numbers]:
    for block in dict.fromkeys(field.block for _, field in columns if field.block):
        here = [(place, field) for place, field in columns if field.block == block]
        factors = np.array([SECONDS.get(field.kind, 1.0) for _, field in here])
        plain = bool((factors == 1).all())
        places, within = _run([place for place, _ in here]), _run([field.index for _, field in here])
        yield Numbers(block, places, within, None if plain else factors)


def _run(places: list[int]) -> slice | list[int]:
    """Neighbours as a slice, which is copied several times as fast."""
    run = list(range(places[0], places[0] + len(places)))
    return slice(run[0], run[-1] + 1) if places == run else places


def _codes(column: Column, field: Field) -> Callable[[Array], Floats]:
    """How the stored values of a field become the codes of a category."""
    codes, unseen = column.codes(), column.unseen
    if field.kind in ("category", "bool"):
        names = TRUTHS if field.kind == "bool" else tuple(map(str, field.categories))
        table = np.array([*(codes.get(name, unseen) for name in names), np.nan])  # a missing category is -1
        return lambda stored: table[stored]
    return lambda stored: np.array([np.nan if text is None else codes.get(text, unseen) for text in stored])

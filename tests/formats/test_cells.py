"""Cells of CSV: typed by the contract, never by what they look like."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold import Contract, Key
from tenfold.contract.vocabulary import Tensor
from tenfold.formats.batches import Batch, CsvText, Reading
from tenfold.formats.cells import CellReader
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Layout
from tenfold.rows import Checked
from tenfold.validation import block

KINDS = {"f": "float", "i": "int", "b": "bool", "t": "text"}
NUMBERS = [
    "1.5",
    "1",
    " 2 ",
    "+3",
    "-.5e-3",
    "1E5",
    "1_0",
    "0x1F",
    "nan",
    "inf",
    "1e400",
    "",
    "wide",
    "1.2.3",
    "9" * 30,
]


class Things(Contract):
    code: Annotated[str, Key()]
    price: float | None
    count: int | None
    sold: bool | None
    colour: Literal["red", "blue"] | None
    sides: Literal[2, 4] | None
    tags: list[str] | None
    grid: Annotated[Any, Tensor((2,), "float64")] | None


def batch(text: str, dialect: Dialect | None = None, keep: tuple[str, ...] = ()) -> Batch:
    """The rows of a CSV text with its header."""
    header, _, rest = text.partition("\n")
    layout = Layout("csv", tuple(header.split((dialect or Dialect()).delimiter)))
    content = CsvText(rest.encode(), layout, Reading(Things.form, keep, dialect or Dialect()))
    return content.batch(range(content.rows))


def checked(text: str, dialect: Dialect | None = None) -> Checked:
    """The same, validated."""
    return block.check(Things.form, batch(text, dialect).data)


def column(name: str, *cells: str) -> Checked:
    """A column of cells, beside codes."""
    return checked(f"code,{name}\n" + "".join(f"x,{cell}\n" for cell in cells))


@given(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=4))
def test_a_cell_means_the_same_beside_any_other(cells: list[str]) -> None:
    """Columns that pyarrow reads at once and those that are read cell by cell have the same values."""
    read = CellReader(("f", "i"), {"f": "float", "i": "int"}, Dialect())
    alone = [read(f"{cell},{cell}\n".encode()) for cell in cells]
    together = read("".join(f"{cell},{cell}\n" for cell in cells).encode())
    for name in ("f", "i"):
        assert repr(together[name].values.to_pylist()) == repr([one[name].values[0].as_py() for one in alone])
        odd = {k: one[name].odd[0] for k, one in enumerate(alone) if one[name].odd}
        assert repr(dict(together[name].odd)) == repr(odd)


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("price", "1.5", 1.5),
        ("price", '"1.5"', 1.5),
        ("price", " 2", 2.0),
        ("count", "9007199254740993", 9007199254740993),
        ("count", "3.0", 3),
        ("sold", "True", True),
        ("sold", "0", False),
        ("colour", "red", "red"),
        ("sides", "4", 4),
    ],
)
def test_cells_have_the_type_of_their_field(name: str, cell: str, value: object) -> None:
    """A number is a number because the contract says so."""
    rows = column(name, cell).rows
    assert rows[name].tolist() == [value]
    assert not rows.missing(name).any()


@pytest.mark.parametrize(
    ("name", "cell", "code"),
    [
        ("price", "wide", "wrong_type"),
        ("price", "1_000", "wrong_type"),
        ("price", "inf", "non_finite"),
        ("count", "3.5", "wrong_type"),
        ("count", "0x1F", "wrong_type"),
        ("count", "9" * 30, "out_of_range"),
        ("sold", "yes", "wrong_type"),
        ("colour", "green", "unseen"),
        ("sides", "3", "unseen"),
        ("tags", "red", "wrong_type"),
    ],
)
def test_a_cell_that_is_no_value_of_its_field_is_named(name: str, cell: str, code: str) -> None:
    """Whatever is no value is a violation of its row and field; the rows beside it are read."""
    good = {"price": "1", "count": "1", "sold": "1", "colour": "red", "sides": "2", "tags": '"[""a""]"'}[name]
    found = column(name, good, cell, good)
    assert [(v.row, v.pointer, v.code) for v in found.violations] == [(1, f"/{name}", code)]
    assert found.index.tolist() == [0, 2]


@pytest.mark.parametrize("name", ["price", "count", "sold", "colour", "sides", "tags", "grid"])
def test_an_empty_cell_is_missing(name: str) -> None:
    """Nothing is nothing, in every type."""
    assert column(name, "").rows.missing(name).tolist() == [True]


def test_a_quoted_empty_cell_is_an_empty_text_and_no_number() -> None:
    """Pandas quotes what is missing, too; only a text can tell the two apart."""
    found = checked('code,price\n"",""\nx,1\n')
    assert found.rows["code"].tolist() == ["", "x"]
    assert found.rows.missing("price").tolist() == [True, False]


def test_text_stays_as_it_is_written() -> None:
    """Leading zeros, spaces and NULL are text where text belongs."""
    assert checked("code\n007\n a \nNULL\nnan\n").rows["code"].tolist() == ["007", " a ", "NULL", "nan"]


def test_lists_and_tensors_are_json() -> None:
    """A cell has room for a list."""
    found = checked('code,tags,grid\nx,"[""a"",""b""]","[1, 2]"\n').rows
    assert found["tags"][0].tolist() == ["a", "b"]
    assert found["grid"].tolist() == [[1.0, 2.0]]


def test_dialects_are_told() -> None:
    """Semicolons, decimal commas and words for nothing are read where they are said to be meant."""
    dialect = Dialect(delimiter=";", decimal=",", nulls=("NA",))
    found = checked("code;price;count\na;1,5;2\nb;NA;NA\nc;1.5;1\n", dialect)
    assert found.rows["price"].tolist()[0] == 1.5
    assert found.rows.missing("price").tolist() == [False, True]
    assert [(v.row, v.pointer) for v in found.violations] == [(2, "/price")]


def test_kept_columns_are_typed_by_the_contract_else_text() -> None:
    """What stands beside an answer has one type in all parts, whatever its cells are."""
    kept = batch("code,price,note\nx,1.5,7\ny,wide,8\n", keep=("price", "note")).kept
    assert kept.to_pydict() == {"price": [1.5, None], "note": ["7", "8"]}


def test_rows_that_are_not_text_are_named_alone() -> None:
    """One row in another encoding does not make its file unreadable."""
    layout = Layout("csv", ("code", "price"))
    content = CsvText(b"caf\xe9,1\nx,2\n", layout, Reading(Things.form, (), Dialect()))
    read = content.batch(range(2))
    assert read.index.tolist() == [1]
    assert [(v.row, v.code) for v in read.refused] == [(0, "malformed")]
    assert content.raw([0, 1]) == ["caf\\xe9,1", {"code": "x", "price": "2"}]
    assert np.array_equal(content.batch([0]).index, [])

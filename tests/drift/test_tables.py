"""Columns as they come: what is compared, what is left out and why, and how types that changed are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.drift.columns import Column, category_column, number_column
from tenfold.drift.tables import Encoder, Facts, Raw, add_strangers, describe, named_numbers, number_name

NUMBERS = np.arange(2000, dtype=np.float64)


def facts_of(*raws: Raw) -> Facts:
    """What is noticed of a column that comes in blocks."""
    facts = Facts()
    for raw in raws:
        facts.see(raw)
    return facts


def text(*values: str | None) -> Raw:
    """A column of text."""
    names = sorted({value for value in values if value is not None})
    return Raw.of_names(np.array([-1 if value is None else names.index(value) for value in values]), names)


def described(raw: Raw) -> Column | str:
    """What becomes of a column of the reference."""
    return describe("x", raw.plain(), facts_of(raw), "input")


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (Raw.of_numbers(NUMBERS), "it only ever rises: a row number or a clock"),
        (Raw.of_numbers(NUMBERS + 0.5, kind="time"), "it only ever rises: a row number or a clock"),
        (
            Raw.of_numbers(np.random.default_rng(1).permutation(NUMBERS)),
            "every row has a whole number of its own: a key",
        ),
        (text(*(f"id-{k}" for k in range(200))), "nearly every row has a text of its own: a key, or free text"),
    ],
    ids=["number", "clock", "key", "text"],
)
def test_what_says_nothing_about_the_world_is_left_out(raw: Raw, why: str) -> None:
    """Row numbers and ids always drift; it is said that nobody looks at them."""
    assert described(raw) == why


@pytest.mark.parametrize(
    "raw",
    [
        Raw.of_numbers(np.random.default_rng(1).normal(size=2000)),
        Raw.of_numbers(np.repeat(np.arange(20.0), 100)),
        Raw.of_numbers(np.full(2000, np.nan)),
        Raw.of_numbers(np.arange(30.0)),
        text(*"abcab" * 40),
        text(*[None] * 300),
        text("only one row"),
    ],
    ids=["normal", "steps", "nothing", "few", "categories", "no text", "one"],
)
def test_what_a_model_may_be_given_is_compared(raw: Raw) -> None:
    """Anything else is a field."""
    assert isinstance(described(raw), Column)


def test_a_column_that_rises_in_blocks_rises() -> None:
    """A table that is read in parts is one table."""
    assert facts_of(Raw.of_numbers(NUMBERS[:10]), Raw.of_numbers(NUMBERS[10:])).rising
    assert not facts_of(Raw.of_numbers(NUMBERS[10:]), Raw.of_numbers(NUMBERS[:10])).rising


def test_numbers_that_come_as_text_are_numbers() -> None:
    """A column that was written as text is read; what is no number is counted, and NaN."""
    encoder = Encoder(number_column("x", NUMBERS))
    values = encoder.encode(text("1.5", None, "wide", "2"))
    assert values.tolist()[0::3] == [1.5, 2.0]
    assert np.isnan(values[1:3]).all()
    assert encoder.unreadable == 1


def test_categories_that_come_as_numbers_are_categories() -> None:
    """A class 3 is the class 3, as a whole number, as 3.0 in a column with gaps, or as text."""
    encoder = Encoder(category_column("class", ["3", "3", "1"]))
    assert encoder.encode(Raw.of_numbers(np.array([3.0, 1.0, 2.0, np.nan]))).tolist()[:3] == [0.0, 1.0, 3.0]
    assert encoder.encode(text("3", "1", "2")).tolist() == [0.0, 1.0, 3.0]
    assert named_numbers(Raw.of_numbers(np.array([3.0, np.inf]))).names == ("3", "inf")
    assert number_name(0.5) == "0.5"


names = st.dictionaries(st.text(max_size=3), st.integers(1, 9), max_size=30)


@settings(max_examples=40)
@given(one=names, other=names, third=names)
def test_examples_of_strangers_do_not_depend_on_order(
    one: dict[str, int], other: dict[str, int], third: dict[str, int]
) -> None:
    """Whichever replica met a name, the same sixteen are remembered, and those with all their rows."""
    forwards = add_strangers(add_strangers(one, other), third)
    backwards = add_strangers(add_strangers(third, other), one)
    assert forwards == backwards
    assert len(forwards) <= 16
    assert all(count == one.get(n, 0) + other.get(n, 0) + third.get(n, 0) for n, count in forwards.items())


def test_only_names_without_a_code_are_strangers() -> None:
    """What the reference had, often or rarely, is no stranger; among numbers, text is one."""
    encoder = Encoder(category_column("port", ["S", "S", "C"], most=1))
    assert encoder.strangers(text("S", "C", "Q", "Q", None), {"X": 1}) == {"Q": 2, "X": 1}
    assert Encoder(number_column("x", NUMBERS)).strangers(text("a", "2.5"), {}) == {"a": 1}

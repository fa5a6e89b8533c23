"""What a table says about its contract: types, names, gaps, ranges and lists."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field
from tenfold.contract.infer import infer, widened
from tenfold.contract.naming import identifiers
from tenfold.errors import ContractError
from tenfold.rows import Rows


def field_of(values: Any) -> Field:
    """The field inferred for one column."""
    inferred = infer(pd.DataFrame({"x": values}))
    return inferred.guesses[0].field


@pytest.mark.parametrize(
    ("values", "kind", "nullable"),
    [
        ([1.5, 2.0], "float", False),
        ([1.5, None], "float", True),
        (np.array([1, 2], dtype=np.int32), "int", False),
        (pd.array([1, None], dtype="Int64"), "int", True),
        ([1344800117571260417, 1344800117571260418], "int", False),
        ([True, False], "bool", False),
        (np.array([True, None], dtype=object), "bool", True),
        (["a", "b"], "text", False),
        (["a", None], "text", True),
        (np.array([1, "a"], dtype=object), "text", False),
        ([datetime(2024, 1, 1, 9), datetime(2024, 1, 2)], "datetime", False),
        ([datetime(2024, 1, 1), datetime(2024, 1, 2)], "date", False),
        ([datetime(2024, 1, 1, tzinfo=UTC)], "datetime", False),
        (np.array([date(2024, 1, 1), None], dtype=object), "date", True),
        ([[1.0, 2.0], [3.0]], "list", False),
        ([None, None], "float", True),
        (pd.Categorical([3, 1, 3]), "int", False),
    ],
)
def test_types_are_read_from_the_values(values: Any, kind: str, nullable: bool) -> None:
    """A column's type is what its values are, and it is optional where some are missing."""
    field = field_of(values)
    assert (field.kind, field.nullable) == (kind, nullable)


def test_time_zones_are_kept_apart() -> None:
    """A column with time zones asks for them, one without refuses them."""
    assert field_of([datetime(2024, 1, 1, tzinfo=UTC)]).timezone == "aware"
    assert field_of([datetime(2024, 1, 1, 9)]).timezone == "naive"


def test_ranges_only_flag() -> None:
    """A number outside the range that was seen in the table is answered all the same."""
    field = field_of([1.0, 3.0, 7.0])
    assert (field.ge, field.le, field.on_invalid.name) == (0, 10, "flag")


def test_small_scales_keep_their_range() -> None:
    """A column of 1, 2 and 3 is a scale, whose guessed range is not widened."""
    field = field_of([1, 2, 3, 3, 1])
    assert (field.ge, field.le) == (1, 3)


def test_values_that_return_are_categories() -> None:
    """A few words that return again and again become a list, of which another word is flagged."""
    field = field_of(["S", "C", "Q", "S", "S"] * 5)
    assert field.categories == ("C", "Q", "S")
    assert field.on_unseen is not None
    assert field.on_unseen.name == "flag"


def test_many_words_stay_text() -> None:
    """Text that hardly repeats is not turned into a list that nobody would read."""
    assert field_of([f"street {k}" for k in range(40)]).kind == "text"


def test_names_that_python_cannot_hold_get_an_alias() -> None:
    """Every column gets an attribute of its own, whatever it is called."""
    names = ["mean radius", "mean_radius", "class", "0", "größe", "matrix", "__x", "", "a b", "a-b"]
    attributes = identifiers(names)
    assert attributes == {
        "mean radius": "mean_radius_2",
        "mean_radius": "mean_radius",
        "class": "class_",
        "0": "column_0",
        "größe": "größe",
        "matrix": "matrix_",
        "__x": "x",
        "": "column",
        "a b": "a_b",
        "a-b": "a_b_2",
    }


@given(st.lists(st.text(max_size=6), unique=True, max_size=12))
def test_attributes_are_always_usable(names: list[str]) -> None:
    """Whatever the columns are called, attributes are distinct and shadow nothing of Rows."""
    attributes = list(identifiers(names).values())
    assert len(set(attributes)) == len(names)
    assert all(name.isidentifier() and not hasattr(Rows, name) for name in attributes)


def test_integer_column_names_are_names() -> None:
    """A frame without names, whose columns are 0, 1, 2, can be served."""
    inferred = infer(pd.DataFrame(np.arange(6.0).reshape(2, 3)))
    assert [(guess.field.name, guess.field.wire) for guess in inferred.guesses] == [
        ("column_0", "0"),
        ("column_1", "1"),
        ("column_2", "2"),
    ]


def test_the_model_says_order_and_choice() -> None:
    """Fields stand in the model's order; what it does not take, and the target, are left out and said."""
    table = pd.DataFrame({"a": [1.0], "b": [2.0], "c": [3.0], "y": [0]})
    inferred = infer(table, features=["c", "a"], target="y")
    assert [guess.field.wire for guess in inferred.guesses] == ["c", "a"]
    assert inferred.unused == ("b",)


def test_keys_are_suggested() -> None:
    """Columns that differ in every row are named as possible keys; measurements are not."""
    table = pd.DataFrame({"ticket": list("abcdef"), "fare": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5], "pclass": [1] * 6})
    assert infer(table, features=["pclass"]).keys == ("ticket",)


@pytest.mark.parametrize(
    ("table", "word"),
    [
        (pd.DataFrame({"x": [pd.Timedelta(1, "s")]}), "x"),
        (pd.DataFrame({"x": [1j]}), "x"),
        (pd.DataFrame({"x": [{"a": 1}]}), "x"),
        (pd.DataFrame([[1, 2]], columns=["x", "x"]), "x"),
        (pd.DataFrame({'x"': [1]}), 'x"'),
        (pd.DataFrame({"x": [1.0, np.inf]}), "x"),
        (pd.DataFrame({"x": pd.Series([datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)], dtype=object)}), "x"),
    ],
)
def test_what_no_contract_can_describe_is_named(table: pd.DataFrame, word: str) -> None:
    """A column that cannot be served is named, with what to do."""
    with pytest.raises(ContractError, match=repr(word)) as raised:
        infer(table)
    assert raised.value.hint


def test_a_misspelt_target_finds_its_column() -> None:
    """A target that is not in the table is told the nearest column."""
    with pytest.raises(ContractError) as raised:
        infer(pd.DataFrame({"survived": [1]}), target="survivd")
    assert "survived" in raised.value.hint


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
)
def test_guessed_ranges_hold_what_was_seen(one: float, two: float) -> None:
    """Whatever two values a column spans, its guessed range contains both and does not cross zero."""
    if isinstance(one, int) is not isinstance(two, int):
        one, two = float(one), float(two)
    low, high = sorted([one, two])
    bounds = widened(low, high)
    if bounds is not None:
        assert bounds[0] <= low
        assert high <= bounds[1]
        assert not (low >= 0 > bounds[0])


def test_a_column_that_is_not_there_is_told_with_those_that_are() -> None:
    """The nearest name; or what there is, and that there is more of it, the last column among them."""
    table = pd.DataFrame({f"x{k}": [1.0] for k in range(30)} | {"label": ["a"]})
    with pytest.raises(ContractError, match="no column 'lable'") as caught:
        infer(table, target="lable")
    assert caught.value.hint == "is it 'label'?"
    with pytest.raises(ContractError) as caught:
        infer(table, target="diagnosis")
    assert caught.value.hint.endswith("x9, x10, …, label")

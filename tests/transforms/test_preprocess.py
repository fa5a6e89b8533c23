"""The default preprocess: the model's fields, in the model's order, as what the model takes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest

from tenfold import Alias, Contract, ContractError, Image, Key, Rows, Tensor, flag, on_unseen
from tenfold.model import Facts
from tenfold.transforms import preprocessor
from tenfold.validation import block

NAN = np.nan


class Floats(Contract):
    """Floats beside a key."""

    sample: Annotated[str, Key()]
    a: float
    b: Annotated[float, Alias("b b")]
    c: float


class Mixed(Contract):
    """One of everything that can be a number, and text."""

    size: float
    count: int | None
    fresh: bool | None
    grade: Literal[1, 2, 5]
    colour: Literal["red", "green"]


class Words(Contract):
    text: str


class Scan(Contract):
    """A picture or tensor on its own."""

    grid: Annotated[np.ndarray, Tensor((2, 3), "float32")]


FLOATS = Rows.of(
    [{"sample": "x", "a": 1.0, "b b": 2.0, "c": 3.0}, {"sample": "y", "a": 4.0, "b b": 5.0, "c": 6.0}], Floats
)
MIXED = Rows.of(
    [
        {"size": 1.5, "count": 7, "fresh": True, "grade": 5, "colour": "red"},
        {"size": 2.5, "count": None, "fresh": None, "grade": 1, "colour": "green"},
    ],
    Mixed,
)


def _facts(**known: Any) -> Facts:
    return Facts(format="test", name="Probe", **known)


def test_floats_are_a_view_without_the_key() -> None:
    """The matrix is the very memory that the rows came in."""
    matrix = preprocessor(Floats.form)(FLOATS)
    assert matrix.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert np.shares_memory(matrix, FLOATS.parts()[0]["f8"])


def test_the_models_names_decide_the_order() -> None:
    """Columns go where the model was trained to have them, by either name; unknown fields are not given to it."""
    assert preprocessor(Floats.form, _facts(features=("c", "b b")))(FLOATS).tolist() == [[3, 2], [6, 5]]
    assert preprocessor(Floats.form, _facts(features=("b", "c")))(FLOATS).tolist() == [[2, 3], [5, 6]]


def test_the_dtype_is_the_models() -> None:
    """float32 where the model declares it, and nowhere else."""
    assert preprocessor(Floats.form, _facts(dtype="float32"))(FLOATS).dtype == np.float32
    assert preprocessor(Floats.form)(FLOATS).dtype == np.float64


def test_all_kinds_of_numbers_become_one_matrix() -> None:
    """Missing ints and bools are NaN, listed numbers themselves."""
    matrix = preprocessor(Mixed.form, _facts(features=("grade", "count", "size", "fresh")))(MIXED)
    assert np.array_equal(matrix, np.array([[5, 7, 1.5, 1], [1, NAN, 2.5, NAN]]), equal_nan=True)


def test_an_unseen_number_that_is_only_flagged_is_nan() -> None:
    """A category that the model never saw is missing for it, not the last of the list."""

    class Graded(Contract):
        grade: Annotated[Literal[1, 2, 5], on_unseen(flag)]

    checked = block.check(Graded.form, [{"grade": 9}, {"grade": 2}])
    assert np.array_equal(preprocessor(Graded.form)(checked.rows), [[NAN], [2.0]], equal_nan=True)


def test_text_cannot_be_in_a_matrix_of_numbers() -> None:
    """A contract that does not fit the model is an error before any request, which names the field."""
    with pytest.raises(ContractError, match=r"takes a matrix of numbers, and Mixed\.colour is a category") as error:
        preprocessor(Mixed.form, _facts(features=("size", "colour")))
    assert "ColumnTransformer" in error.value.hint


def test_text_and_numbers_for_a_model_fitted_on_objects() -> None:
    """An encoder that was fitted on an array of objects gets one."""
    matrix = preprocessor(Mixed.form, _facts(features=("colour", "size"), dtype="object"))(MIXED)
    assert matrix.tolist() == [["red", 1.5], ["green", 2.5]]


def test_a_frame_has_the_models_names() -> None:
    """A model that selects columns by name finds them by the names that it was trained with."""
    frame = preprocessor(Mixed.form, _facts(features=("colour", "count", "grade"), wants="frame"))(MIXED)
    assert list(frame.columns) == ["colour", "count", "grade"]
    assert frame["colour"].tolist() == ["red", "green"]
    assert np.array_equal(frame["count"].to_numpy(), [7, NAN], equal_nan=True)
    assert frame["grade"].dtype == np.int64


def test_a_frame_of_floats_does_not_copy() -> None:
    """The usual frame costs as little as it can."""
    frame = preprocessor(Floats.form, _facts(features=("a", "b b", "c"), wants="frame"))(FLOATS)
    assert list(frame.columns) == ["a", "b b", "c"]
    assert np.shares_memory(frame.to_numpy(), FLOATS.parts()[0]["f8"])


def test_a_model_that_learnt_categories_by_dtype_gets_that_dtype() -> None:
    """Boosting with pandas' categories needs pandas' categories."""
    facts = _facts(features=("colour", "count"), wants="frame", categorical=("colour", "count"))
    frame = preprocessor(Mixed.form, facts)(MIXED)
    assert frame["colour"].dtype.categories.tolist() == ["red", "green"]
    assert str(frame["count"].dtype) == "category"


def test_named_inputs_are_a_mapping_of_columns() -> None:
    """A model with an input for each feature gets each by name."""
    named = preprocessor(Mixed.form, _facts(features=("count", "colour"), wants="named"))(MIXED)
    assert list(named) == ["count", "colour"]
    assert named["colour"].tolist() == ["red", "green"]
    assert named["count"].shape == (2,)


def test_texts_go_to_a_model_that_takes_texts() -> None:
    """A vectorizer gets the texts and nothing around them."""
    rows = Rows.of([{"text": "so"}, {"text": "be it"}], Words)
    for facts in (None, _facts(wants="column")):
        assert preprocessor(Words.form, facts)(rows).tolist() == ["so", "be it"]
    with pytest.raises(ContractError, match="takes one text, and Mixed has 5 fields"):
        preprocessor(Mixed.form, _facts(wants="column"))


def test_a_tensor_is_given_as_it_is_or_flattened() -> None:
    """A network gets (n, ...), a scikit-learn model as many columns as it takes."""
    rows = Rows.of([{"grid": [[1, 2, 3], [4, 5, 6]]}], Scan)
    assert preprocessor(Scan.form)(rows).shape == (1, 2, 3)
    assert preprocessor(Scan.form, _facts(dtype="float32"))(rows).dtype == np.float32
    flat = preprocessor(Scan.form, _facts(width=6))(rows)
    assert flat.tolist() == [[1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("size", [None, (5, 5)])
def test_a_picture_of_another_size_than_the_models_is_named(size: tuple[int, int] | None) -> None:
    """A matrix of 64 numbers a row needs a declared size of 8 x 8."""

    class Photo(Contract):
        photo: Annotated[np.ndarray, Image(size=size, order="gray", layout="HW")]

    with pytest.raises(ContractError, match=r"takes 64 numbers a row, and Photo\.photo has (any size|the shape 5 x 5)"):
        preprocessor(Photo.form, _facts(width=64))


def test_without_a_model_the_contract_suggests() -> None:
    """In a training script numbers are a matrix, and a frame where a field is none."""
    assert list(preprocessor(Mixed.form)(MIXED).columns) == ["size", "count", "fresh", "grade", "colour"]


def test_a_feature_that_the_contract_lacks_is_named_with_its_neighbour() -> None:
    """A typing error in a name is one message with the mend."""
    with pytest.raises(ContractError, match="trained on a feature 'bb', which Floats does not have") as error:
        preprocessor(Floats.form, _facts(features=("a", "bb")))
    assert "Alias('bb')" in error.value.hint
    assert "'b'" in error.value.hint or "'b b'" in error.value.hint


def test_another_number_of_fields_is_named() -> None:
    """A model without names still knows how many columns it takes."""
    with pytest.raises(ContractError, match="takes 4 columns, and Floats has 3 beside its key"):
        preprocessor(Floats.form, _facts(width=4))


def test_no_rows_are_no_rows() -> None:
    """An empty batch goes the same way."""
    assert preprocessor(Floats.form)(FLOATS.take([])).shape == (0, 3)
    assert preprocessor(Mixed.form, _facts(features=("grade", "count")))(MIXED.take([])).shape == (0, 2)

"""The default postprocess: a classifier's label and probabilities, a regressor's value."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import pytest

from tenfold import Alias, Contract, ContractError
from tenfold.model import Facts
from tenfold.transforms import postprocessor


class Diagnosis(Contract):
    label: Literal["malignant", "benign"]
    probability: float


class Label(Contract):
    label: Literal["benign", "malignant"]


class Value(Contract):
    value: float


SCORES = np.array([[0.25, 0.75], [0.9, 0.1]])


def _facts(gives: Any = "probabilities", task: Any = "classifier", classes: Any = ("benign", "malignant")) -> Facts:
    return Facts(format="test", name="Probe", task=task, gives=gives, classes=classes)


def _columns(contract: type[Contract], scores: Any, facts: Facts) -> dict[str, list[Any]]:
    return {name: column.tolist() for name, column in postprocessor(contract.form, facts)(scores).items()}


def test_the_label_and_its_probability() -> None:
    """The order of the contract's list does not matter, only the model's classes do."""
    columns = _columns(Diagnosis, SCORES, _facts())
    assert columns == {"label": ["malignant", "benign"], "probability": [0.75, 0.9]}


def test_the_label_alone() -> None:
    """Who does not ask for a probability gets none."""
    assert _columns(Label, SCORES, _facts()) == {"label": ["malignant", "benign"]}


def test_equal_probabilities_give_the_first_class() -> None:
    """As in scikit-learn."""
    assert _columns(Label, np.array([[0.5, 0.5]]), _facts()) == {"label": ["benign"]}


def test_a_field_named_after_a_class_is_its_probability() -> None:
    """All probabilities, by name, beside the label and that of the label."""

    class Shares(Contract):
        label: Literal["benign", "malignant"]
        good: Annotated[float, Alias("benign")]
        malignant: float
        sure: float

    columns = _columns(Shares, SCORES, _facts())
    assert (columns["good"], columns["malignant"], columns["sure"]) == ([0.25, 0.9], [0.75, 0.1], [0.75, 0.9])


def test_one_number_for_two_classes_is_the_second() -> None:
    """A risk on its own is the probability of the last class, as everywhere in scikit-learn."""
    assert _columns(Value, SCORES, _facts()) == {"value": [0.75, 0.1]}
    with pytest.raises(ContractError, match=r"not clear which of them Value\.value is"):
        postprocessor(Value.form, _facts(classes=("a", "b", "c")))


@pytest.mark.parametrize("classes", [(0, 1), (0.0, 1.0), (False, True)])
def test_numbers_are_found_in_lists_of_numbers_and_of_text(classes: tuple[Any, ...]) -> None:
    """A class 1 is the listed 1, or the listed "1"; a class True the declared bool."""

    class Listed(Contract):
        digit: Literal[1, 0]

    class Spelled(Contract):
        digit: Literal["0", "1", "2"]

    class Yes(Contract):
        yes: bool

    class Count(Contract):
        count: int

    assert _columns(Listed, SCORES, _facts(classes=classes)) == {"digit": [1, 0]}
    assert _columns(Yes, SCORES, _facts(classes=classes)) == {"yes": [True, False]}
    assert _columns(Count, SCORES, _facts(classes=classes)) == {"count": [1, 0]}
    if classes[0] is not False:
        assert _columns(Spelled, SCORES, _facts(classes=classes)) == {"digit": ["1", "0"]}


def test_classes_are_never_guessed() -> None:
    """Which of 0 and 1 is malignant nobody can know, so that is an error which names both."""
    with pytest.raises(ContractError) as error:
        postprocessor(Diagnosis.form, _facts(classes=(0, 1)))
    assert error.value.message == "the model's classes are 0, 1, and Diagnosis.label lists 'malignant', 'benign'"


def test_a_class_that_the_contract_does_not_list() -> None:
    """The contract may list more than the model knows, never less."""
    with pytest.raises(ContractError, match="'unclear'"):
        postprocessor(Label.form, _facts(classes=("benign", "malignant", "unclear")))


def test_two_fields_that_could_be_the_label() -> None:
    """It is not for tenfold to choose."""

    class Two(Contract):
        label: Literal["benign", "malignant"]
        note: str

    with pytest.raises(ContractError, match="several fields that could be it: label, note"):
        postprocessor(Two.form, _facts())


def test_labels_are_labels() -> None:
    """A classifier without probabilities gives its labels, and none of the probabilities that it does not have."""
    assert _columns(Label, np.array(["malignant", "benign"]), _facts("labels")) == {"label": ["malignant", "benign"]}
    with pytest.raises(
        ContractError, match=r"gives labels and no probabilities, which Diagnosis\.probability"
    ) as error:
        postprocessor(Diagnosis.form, _facts("labels"))
    assert "CalibratedClassifierCV" in error.value.hint


def test_a_value() -> None:
    """A regressor's value goes to the one field, whatever its name."""
    facts = _facts("values", "regressor", ())
    assert _columns(Value, np.array([1.5, 2]), facts) == {"value": [1.5, 2.0]}
    assert _columns(Value, np.array([[1.5], [2]]), facts) == {"value": [1.5, 2.0]}
    with pytest.raises(ContractError, match=r"gives numbers, and Label\.label is declared as category"):
        postprocessor(Label.form, facts)


def test_several_values() -> None:
    """A regressor of many outputs fills the fields in their order, all of them or none."""

    class Point(Contract):
        x: float
        y: float

    postprocess = postprocessor(Point.form, _facts("values", "regressor", ()))
    assert {k: v.tolist() for k, v in postprocess(np.array([[1, 2], [3, 4]])).items()} == {"x": [1, 3], "y": [2, 4]}
    with pytest.raises(ValueError, match="gives 3 values a row, and Point has 2 fields"):
        postprocess(np.zeros((2, 3)))


def test_scores_of_a_network() -> None:
    """A network's columns are the listed values in their order; its score is taken for what it is."""
    facts = _facts("values", "other", ())
    columns = _columns(Diagnosis, np.array([[-1.0, 3.5]]), facts)
    assert columns == {"label": ["benign"], "probability": [3.5]}
    assert _columns(Label, np.array(["benign"]), facts) == {"label": ["benign"]}
    with pytest.raises(ValueError, match="gives 3 scores a row"):
        postprocessor(Label.form, facts)(np.zeros((1, 3)))


def test_a_hair_above_one_is_rounding() -> None:
    """float32 shares that sum to a little more than 1 are no invalid answer; 1.1 is one."""
    scores = np.array([[0, 1.0000001], [0, 1.1]], dtype=np.float32)
    assert _columns(Diagnosis, scores, _facts())["probability"] == [1.0, pytest.approx(1.1)]


@pytest.mark.parametrize(
    ("contract", "facts"),
    [(Diagnosis, _facts()), (Label, _facts("labels")), (Value, _facts("values", "regressor", ()))],
)
def test_no_rows_are_no_rows(contract: type[Contract], facts: Facts) -> None:
    """An empty batch goes the same way."""
    scores = np.empty((0, 2)) if facts.gives == "probabilities" else np.empty(0)
    assert not any(_columns(contract, scores, facts).values())

"""Any object that predicts is a model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenfold import Facts, ModelError
from tenfold.models import load

ROWS = np.array([[0.25], [0.5]])


class Shares:
    """A classifier of one's own."""

    classes_ = np.array([0, 1])

    def predict_proba(self, inputs: Any) -> Any:
        return np.column_stack([1 - inputs[:, 0], inputs[:, 0]])

    def predict(self, inputs: Any) -> Any:
        return inputs[:, 0] > 0.3


class Mean:
    """A regressor of one's own, which says how many columns it takes."""

    n_features_in_ = 1
    feature_names_in_ = ("x",)
    forkable = True

    def predict(self, inputs: Any) -> Any:
        return inputs.mean(axis=1)


class Labels:
    """A classifier that only gives labels."""

    classes_ = ("no", "yes")

    def predict(self, inputs: Any) -> Any:
        return np.array(["no", "yes"])


def twice(inputs: Any) -> Any:
    """A function is a model, too."""
    return inputs * 2


@pytest.mark.parametrize(
    ("thing", "name", "task", "gives", "classes"),
    [
        (Shares(), "Shares", "classifier", "probabilities", (0, 1)),
        (Labels(), "Labels", "classifier", "labels", ("no", "yes")),
        (Mean(), "Mean", "other", "values", ()),
        (twice, "twice", "other", "values", ()),
    ],
)
def test_what_an_object_gives(thing: Any, name: str, task: str, gives: str, classes: tuple[Any, ...]) -> None:
    """Probabilities if it has them and says of what, else its predictions, else what the call returns."""
    facts = load(thing).facts
    assert (facts.format, facts.name, facts.task, facts.gives, facts.classes) == ("python", name, task, gives, classes)


def test_probabilities_of_unknown_classes_are_values() -> None:
    """Without classes_ nobody knows what the columns are, and the listed categories decide."""
    facts = load(type("Net", (), {"predict_proba": lambda self, inputs: inputs})()).facts
    assert (facts.task, facts.gives) == ("other", "values")


def test_what_an_object_says_of_itself_is_believed() -> None:
    """Names, width, and whether it may be forked."""
    model = load(Mean())
    assert (model.facts.features, model.facts.width, model.forkable) == (("x",), 1, True)
    assert not load(twice).forkable
    assert model.predict(ROWS).tolist() == [0.25, 0.5]


def test_a_model_is_taken_as_it_is() -> None:
    """Who implements the protocol needs no adapter."""

    class Mine:
        facts = Facts(format="mine", name="Mine")

    mine: Any = Mine()
    assert load(mine) is mine


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ({"weights": [1]}, "the model is a dict, which has neither predict_proba nor predict and cannot be called"),
        (Mean, "the model is the class Mean, not an object of it"),
        (None, "the model is a NoneType"),
    ],
)
def test_what_cannot_predict_is_refused(thing: Any, message: str) -> None:
    """A dict of weights is no model."""
    with pytest.raises(ModelError, match=message):
        load(thing)


def test_the_footprint_counts_arrays() -> None:
    """What an object holds is what it weighs."""
    mean = Mean()
    mean.table = [np.zeros(1000), {"more": np.zeros(500)}]  # type: ignore[attr-defined]
    assert load(mean).footprint() == 12_000

"""The proof: equal answers pass, different ones name the row, and a different input names the column."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
import pytest

from tenfold.contract import Contract, Ge, Le
from tenfold.errors import GateFailed
from tenfold.rows import Rows
from tenfold.scaffold.proof import Direct, compare, first_difference


class Prediction(Contract):
    label: Literal["no", "yes"]
    probability: Annotated[float, Ge(0), Le(1)]


SERVED = Rows.of({"label": ["no", "yes", "yes"], "probability": [0.9, 0.8, 0.7]}, Prediction)
LABELS = ["no", "yes", "yes"]


def direct(values: list[float], labels: list[str] | None = None) -> Direct:
    """What the model said."""
    return Direct(np.array(values), labels or LABELS, "model.predict_proba")


def test_equal_answers_are_proven() -> None:
    """Answers within the tolerance of their dtype are equal, and the largest difference is told."""
    proof = compare(SERVED, direct([0.9, 0.8, 0.7 + 1e-15]))
    assert proof.rows == 3
    assert 0 < proof.largest < 1e-14


def test_another_probability_is_named() -> None:
    """The first row that differs is named, with both values and how many there are."""
    with pytest.raises(GateFailed, match=r"row 1 is served \[0.8\].*says \[0.81\]; 2 of 3 rows differ"):
        compare(SERVED, direct([0.9, 0.81, 0.71]))


def test_another_label_is_named() -> None:
    """A label that differs is named, even where the probability is the same."""
    with pytest.raises(GateFailed, match=r"row 2 is served .yes., and model\.predict says .no."):
        compare(SERVED, direct([0.9, 0.8, 0.7], ["no", "yes", "no"]))


def test_the_column_that_differs_is_named() -> None:
    """Where the model is given something else than the table has, the column and the row are named."""
    table = pd.DataFrame({"age": [1.0, 2.0], "fare": [3.0, 4.0]})
    assert first_difference(table, table.copy(), 2) == ""
    said = first_difference(table.assign(fare=[3.0, 4.5]), table, 2)
    assert "fare" in said
    assert "4 in the table, 4.5 here" in said


def test_columns_in_another_order_are_recognised() -> None:
    """The commonest mistake has a name of its own."""
    table = pd.DataFrame(np.random.default_rng(1).normal(size=(9, 3)), columns=list("abc"))
    assert "another order" in first_difference(table[["b", "a", "c"]].to_numpy(), table.to_numpy(), 9)

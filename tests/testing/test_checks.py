"""The check-suites find what would go wrong in production, and let pass what is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LinearRegression, LogisticRegression

from tenfold import Contract, GateFailed, Rows
from tenfold.testing import check_model, check_transform

INPUTS = np.arange(24, dtype=float).reshape(8, 3) ** 1.5


class Row(Contract):
    x: float
    y: float


ROWS = Row.read([{"x": float(k), "y": float(k) ** 2} for k in range(8)])


def test_honest_models_pass() -> None:
    """Estimators, functions, frames and sparse rows: what tenfold serves passes its own checks."""
    check_model(LogisticRegression().fit(INPUTS, np.arange(8) % 2), INPUTS)
    frame = pd.DataFrame(INPUTS, columns=list("abc"))
    check_model(LinearRegression().fit(INPUTS, INPUTS[:, 0]), INPUTS)
    check_model(lambda inputs: inputs["a"] + inputs["b"], frame)
    check_model(lambda inputs: inputs["a"] * 2, {"a": INPUTS[:, 0]})
    check_model(lambda inputs: np.asarray(inputs.sum(axis=1)).ravel(), csr_matrix(INPUTS))


class Drawing:
    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def __call__(self, inputs: Any) -> Any:
        return self.random.random(len(inputs))


class Buffered:
    def __init__(self) -> None:
        self.buffer = np.zeros(100)

    def __call__(self, inputs: Any) -> Any:
        self.buffer[: len(inputs)] = inputs[:, 0]
        return self.buffer[: len(inputs)]


class Hoarding:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def __call__(self, inputs: Any) -> Any:
        self.seen.append(np.zeros(10_000))
        return inputs[:, 0]


def _writing(inputs: Any) -> Any:
    inputs -= 1
    return inputs[:, 0]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (Drawing(), "another answer the second time"),
        (Buffered(), "hands out its own buffer"),
        (Hoarding(), "keeps .* bytes of every call"),
        (_writing, "writes to its input"),
        (lambda inputs: inputs[:, 0] - inputs[:, 0].mean(), "row 0 alone gets another answer than among 8 rows"),
        (lambda inputs: inputs[:3, 0], "gives 3 answers for 8 rows"),
    ],
)
def test_a_model_that_cannot_be_batched_is_found(model: Any, said: str) -> None:
    """State, shared buffers, leaks, and answers that depend on the neighbours are named before they are served."""
    with pytest.raises(GateFailed, match=said):
        check_model(model, INPUTS.copy())


def test_honest_transforms_pass() -> None:
    """Arrays and frames made of rows one by one or together are the same."""
    check_transform(lambda rows: rows.matrix("x", "y") / 2, ROWS)
    check_transform(Rows.frame, ROWS)


def _overwriting(rows: Rows) -> Any:
    matrix = rows.matrix("x", "y")
    matrix[:, 0] = 0
    return matrix


def _drawn(rows: Rows, random: np.random.Generator = np.random.default_rng(0)) -> Any:  # noqa: B008 -- the fault
    return random.random(len(rows))


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        (_overwriting, "writes to its rows"),
        (lambda rows: rows.matrix("x")[rows.x > 3], "makes 4 rows of 8"),
        (lambda rows: (rows.x - rows.x.mean())[:, None], "row 0 alone becomes something else"),
        (_drawn, "something else the second time"),
    ],
)
def test_a_transform_that_depends_on_the_batch_is_found(transform: Any, said: str) -> None:
    """The classic skew, scaling by the batch at hand, does not get as far as a request."""
    with pytest.raises(GateFailed, match=said):
        check_transform(transform, ROWS)

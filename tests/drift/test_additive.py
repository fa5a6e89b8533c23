"""What the reference teaches, held against other people's implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from tenfold.drift.additive import _solve, calibrate, expit, fit, logit

RANDOM = np.random.default_rng(7)


@given(
    rows=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 1)), min_size=1, max_size=60),
)
def test_calibration_is_isotonic_regression(rows: list[tuple[int, int]]) -> None:
    """Scores are calibrated as scikit-learn would."""
    scores, outcomes = np.array(rows, dtype=np.float64).T
    expected = IsotonicRegression(out_of_bounds="clip").fit(scores, outcomes)
    asked = np.linspace(-1, 9, 41)
    assert calibrate(scores, outcomes).of(asked) == pytest.approx(expected.predict(asked), abs=1e-9)


def test_the_additive_model_is_a_ridge_logistic_regression() -> None:
    """Two fields in groups, fitted by scikit-learn on their indicators, give the same probabilities."""
    n, ridge = 4000, 10.0
    groups = np.column_stack([RANDOM.integers(0, 4, n), RANDOM.integers(0, 3, n)])
    odds = np.array([-1.0, 0, 0.5, 1])[groups[:, 0]] + np.array([0, 0.7, -0.7])[groups[:, 1]]
    outcomes = (RANDOM.random(n) < expit(odds)).astype(np.float64)
    model = fit(groups, (4, 3), np.zeros(n), outcomes, logistic=True)
    found = model.of(groups, np.zeros(n))
    indicators = np.column_stack([groups[:, [0]] == np.arange(4), groups[:, [1]] == np.arange(3)])
    theirs = LogisticRegression(C=1 / (ridge * outcomes.var()), tol=1e-8, max_iter=1000).fit(indicators, outcomes)
    assert found == pytest.approx(theirs.predict_proba(indicators)[:, 1], abs=2e-3)


def test_the_additive_model_of_losses_is_least_squares() -> None:
    """With many rows in each group the ridge is nothing, and each group has its mean."""
    groups = RANDOM.integers(0, 3, (30_000, 1))
    losses = np.array([1.0, 2.0, 4.0])[groups[:, 0]] + RANDOM.normal(size=30_000)
    model = fit(groups, (3,), np.zeros(30_000), losses, logistic=False)
    means = [losses[groups[:, 0] == k].mean() for k in range(3)]
    assert model.of(np.arange(3)[:, None], np.zeros(3)) == pytest.approx(means, abs=0.01)


def test_a_model_that_is_all_wrong_is_fitted_all_the_same() -> None:
    """Where the offset is sure of the opposite of the truth, steps overshoot, and are halved until they don't."""
    groups = RANDOM.integers(0, 8, (3000, 1))
    offset = np.linspace(-9, 9, 8)[groups[:, 0]]
    outcomes = (RANDOM.random(3000) < 0.5).astype(np.float64)
    model = fit(groups, (8,), offset, outcomes, logistic=True)
    assert np.abs(model.of(groups, offset) - 0.5).max() < 0.12


def test_only_fields_that_tell_something_are_used() -> None:
    """Of forty fields the sixteen that explain most are fitted, the one that matters among them."""
    groups = RANDOM.integers(0, 4, (3000, 40))
    outcomes = (RANDOM.random(3000) < np.array([0.2, 0.4, 0.6, 0.8])[groups[:, 23]]).astype(np.float64)
    model = fit(groups, [4] * 40, np.zeros(3000), outcomes, logistic=True)
    assert len(model.fields) == 16
    assert 23 in model.fields


def test_systems_of_equations_are_solved() -> None:
    """Conjugate gradients end where a direct solver does."""
    root = RANDOM.normal(size=(60, 60))
    matrix, right = root @ root.T + np.eye(60), RANDOM.normal(size=60)
    assert _solve(matrix, right) == pytest.approx(np.linalg.solve(matrix, right), abs=1e-4)


def test_log_odds_go_there_and_back() -> None:
    """Certainties are kept a little away from certain."""
    assert expit(logit(np.array([0.0, 0.3, 1.0]))) == pytest.approx([1e-4, 0.3, 1 - 1e-4])

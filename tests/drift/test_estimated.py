"""How well the model does before labels come."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.drift.additive import logit
from tenfold.drift.performance import measure
from tests.drift.streams import ANSWERS, NUMBERS, RANKING, Rows, classified, profile_of, regressed, window_of


def test_the_estimate_follows_rows_to_where_the_model_is_worse() -> None:
    """Live rows lie where labels are hard to tell, and the estimate says so before any label has come."""
    random = np.random.default_rng(1)
    profile = profile_of(classified(random, 20_000), 2000, RANKING)
    window = window_of(profile.columns, classified(random, 6000, spread=0.5), 0, 1, RANKING)
    estimated = profile.estimate(window.sample)
    assert window.outcomes is not None
    assert estimated is not None
    realised = measure(RANKING, window.outcomes)
    assert profile.realised is not None
    assert realised.value < profile.realised[0] - 0.01
    assert estimated.value == pytest.approx(realised.value, abs=0.03)


def test_answers_without_a_score_are_estimated_by_the_fields() -> None:
    """A model that only answers is right more often for some rows than for others."""
    random = np.random.default_rng(2)

    def rows(n: int, share: float) -> Rows:
        hard = random.random(n) < share
        predicted = (random.random(n) < 0.5).astype(np.float64)
        right = random.random(n) < np.where(hard, 0.6, 0.95)
        return Rows(
            np.column_stack([hard, random.normal(size=n)]), None, predicted, np.where(right, predicted, 1 - predicted)
        )

    profile = profile_of(rows(10_000, 0.2), 1000, ANSWERS)
    window = window_of(profile.columns, rows(4000, 0.7), 0, 1)
    estimated = profile.estimate(window.sample)
    assert estimated is not None
    assert estimated.value == pytest.approx(0.7 * 0.6 + 0.3 * 0.95, abs=0.02)


def test_the_error_of_numbers_is_estimated() -> None:
    """A regressor that errs more for large values is expected to err more where values are large."""
    random = np.random.default_rng(3)
    profile = profile_of(regressed(random, 20_000), 2000, NUMBERS)
    now = regressed(random, 4000, shift=1.0)
    assert now.actual is not None
    assert now.predicted is not None
    estimated = profile.estimate(window_of(profile.columns, now, 0, 1).sample)
    assert estimated is not None
    assert estimated.value == pytest.approx(np.abs(now.actual - now.predicted).mean(), rel=0.08)


def test_a_reference_without_labels_teaches_nothing() -> None:
    """Nothing is estimated, and nothing fails, where labels are missing, few, or all alike."""
    random = np.random.default_rng(4)
    rows = classified(random, 2000)
    assert profile_of(rows._replace(actual=np.full(2000, np.nan)), 500, RANKING).estimator is None
    few = np.where(np.arange(2000) < 50, rows.actual, np.nan)  # type: ignore[arg-type]
    assert profile_of(rows._replace(actual=few), 500, RANKING).estimator is None
    assert profile_of(rows._replace(actual=np.ones(2000)), 500, RANKING).estimator is None
    assert profile_of(rows, 500).estimator is None


def test_the_bias_is_measured_on_rows_that_were_not_seen() -> None:
    """An estimator that says what labels say has no bias to speak of."""
    profile = profile_of(classified(np.random.default_rng(5), 10_000), 1000, RANKING)
    assert profile.estimator is not None
    assert abs(profile.estimator.bias) < 3 * profile.estimator.bias_error
    assert profile.estimator.bias_error < 0.01


def test_losses_are_known_where_labels_are() -> None:
    """Of a labelled row the loss is what happened, of any other what is to be expected."""
    random = np.random.default_rng(6)
    profile = profile_of(classified(random, 5000), 1000, RANKING)
    now = classified(random, 1000)
    half = np.where(np.arange(1000) < 500, now.actual, np.nan)  # type: ignore[arg-type]
    sample = window_of(profile.columns, now._replace(actual=half), 0, 1).sample
    assert sample is not None
    assert profile.estimator is not None
    _, losses = profile.estimator.losses(profile.answers(sample), sample["actual"])
    assert set(losses[:500].tolist()) == {0.0, 1.0}
    assert ((losses[500:] > 0) & (losses[500:] < 1)).all()
    assert np.isfinite(logit(losses)).all()

"""How well a model does: values as everybody computes them, from counts that add up."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from tenfold.drift.columns import SCORE_BINS, Floats, cells_of, number_column
from tenfold.drift.effects import SIGMAS
from tenfold.drift.performance import Outcomes, Task, Truth, count, expected_area, measure
from tenfold.drift.profile import pack
from tests.drift.streams import ANSWERS, NUMBERS, RANKING

RANDOM = np.random.default_rng(8)
UNKNOWN = np.full(4000, np.nan)
SCORES = np.round(RANDOM.random(4000), 2)
LABELS = (RANDOM.random(4000) < SCORES).astype(np.float64)
SCORE = number_column("score", SCORES, "score", SCORE_BINS)
CELLS = cells_of([SCORE], SCORES[:, None])[:, 0]


def outcomes_of(task: Task, predicted: Floats, actual: Floats, part: slice = slice(None)) -> Outcomes:
    """The outcomes of some rows."""
    return count(task, Truth(predicted[part], actual[part], CELLS[part]), SCORE.cells)


def test_the_area_is_that_of_everybody() -> None:
    """Scores of two decimals lose nothing by being counted."""
    measured = measure(RANKING, outcomes_of(RANKING, UNKNOWN, LABELS))
    assert measured.value == pytest.approx(roc_auc_score(LABELS, SCORES), abs=1e-12)
    assert measured.rows == 4000


def test_the_error_of_the_area_is_what_resampling_finds() -> None:
    """DeLong's standard error agrees with the bootstrap."""
    again = [RANDOM.integers(0, 4000, 4000) for _ in range(100)]
    spread = np.std([roc_auc_score(LABELS[rows], SCORES[rows]) for rows in again])
    assert measure(RANKING, outcomes_of(RANKING, UNKNOWN, LABELS)).error == pytest.approx(spread, rel=0.2)


def test_a_continuous_score_loses_less_than_its_noise() -> None:
    """256 bins of a score without ties change the area by a fraction of its standard error."""
    scores = RANDOM.random(4000)
    labels = (RANDOM.random(4000) < scores).astype(np.float64)
    column = number_column("score", scores, "score", SCORE_BINS)
    cells = cells_of([column], scores[:, None])[:, 0]
    measured = measure(RANKING, count(RANKING, Truth(UNKNOWN, labels, cells), column.cells))
    assert abs(measured.value - roc_auc_score(labels, scores)) < measured.error / 20


@given(cuts=st.lists(st.integers(0, 4000), max_size=6))
@pytest.mark.parametrize("task", [RANKING, ANSWERS, NUMBERS])
def test_outcomes_add_up(task: Task, cuts: list[int]) -> None:
    """Labels that come in parts, in any order, make the same counts as all at once."""
    predicted = np.round(SCORES)
    bounds = [0, *sorted(cuts), 4000]
    total = Outcomes.none(SCORE.cells)
    for first, last in reversed(list(itertools.pairwise(bounds))):
        total = total.merge(outcomes_of(task, predicted, LABELS, slice(first, last)))
    assert pack(total) == pack(outcomes_of(task, predicted, LABELS))


def test_accuracy_and_absolute_error() -> None:
    """The other metrics are means of losses."""
    predicted = np.round(SCORES)
    accuracy = measure(ANSWERS, outcomes_of(ANSWERS, predicted, LABELS))
    assert accuracy.value == pytest.approx((predicted == LABELS).mean())
    assert accuracy.error == pytest.approx(np.sqrt(accuracy.value * (1 - accuracy.value) / 4000), rel=1e-3)
    error = measure(NUMBERS, outcomes_of(NUMBERS, SCORES, LABELS))
    assert error.value == pytest.approx(np.abs(SCORES - LABELS).mean(), abs=1e-4)
    assert error.error == pytest.approx(np.abs(SCORES - LABELS).std() / np.sqrt(4000), rel=1e-3)


def test_rows_without_a_label_do_not_count() -> None:
    """Labels come late; what has none says nothing."""
    labels = np.where(np.arange(4000) < 100, LABELS, np.nan)
    assert measure(ANSWERS, outcomes_of(ANSWERS, np.round(SCORES), labels)).rows == 100
    assert measure(ANSWERS, outcomes_of(ANSWERS, np.round(SCORES), UNKNOWN)).rows == 0


def test_one_class_has_no_area() -> None:
    """A window in which everybody repaid cannot rank."""
    assert np.isnan(measure(RANKING, outcomes_of(RANKING, UNKNOWN, np.ones(4000))).value)
    assert np.isnan(expected_area(SCORES, np.zeros(4000)).value)


def test_no_error_in_a_few_rows_is_not_certainty() -> None:
    """Ten right answers leave room for doubt."""
    few = slice(0, 10)
    measured = measure(ANSWERS, outcomes_of(ANSWERS, LABELS, LABELS, few))
    assert (measured.value, measured.error > 0.05) == (1.0, True)


@pytest.mark.parametrize("right", [0.9, 0.97, 0.99])
def test_a_lucky_reference_is_no_measure(right: float) -> None:
    """What two hundred labels show is seldom further from the truth than is allowed for, however few the errors are."""
    wrong = np.random.default_rng(5).binomial(200, 1 - right, 2000)
    shown = (measure(ANSWERS, Outcomes(200, np.zeros((0, 2), dtype=np.int64), np.array([n, n]))) for n in wrong)
    beyond = np.mean([some.value - SIGMAS * some.error - ANSWERS.tolerance(some.value, 0.1) > right for some in shown])
    assert beyond < 0.03


def test_the_expected_area_is_the_mean_over_labels() -> None:
    """Drawing labels from the probabilities, again and again, gives the expected area on average."""
    drawn = [roc_auc_score(RANDOM.random(4000) < SCORES, SCORES) for _ in range(100)]
    assert expected_area(SCORES, SCORES).value == pytest.approx(np.mean(drawn), abs=0.002)


def test_what_is_tolerated() -> None:
    """A tenth more loss, and never so little that nobody would care."""
    assert RANKING.tolerance(0.9, 0.1) == pytest.approx(0.01)
    assert RANKING.tolerance(0.9999, 0.1) == 0.002
    assert NUMBERS.tolerance(5.0, 0.1) == 0.5

"""Two models on the same labelled rows: what is proven stays true however often somebody looks."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.drift.columns import Floats
from tenfold.drift.options import Drift
from tenfold.drift.paired import compare, losses
from tenfold.drift.performance import Task
from tenfold.drift.truth import Told
from tenfold.drift.verdicts import FEWEST_PAIRS, Challenge
from tests.drift.streams import ANSWERS, NUMBERS, RANKING

POLICY = Drift()


def answers(random: np.random.Generator, task: Task, actual: Floats, noise: float) -> Told:
    """Answers that are as good as their noise is small."""
    seen = actual + noise * random.normal(size=len(actual))
    unknown = np.full(len(actual), np.nan)
    if task.metric == "mae":
        return Told(seen, unknown)
    return Told((seen > 0.5).astype(np.float64), seen if task.metric == "auc" else unknown)


def truth(random: np.random.Generator, task: Task, rows: int) -> Floats:
    """Labels."""
    return random.normal(size=rows) if task.metric == "mae" else random.integers(0, 2, rows).astype(np.float64)


def challenged(task: Task, seed: int, rows: int, noise: float, name: str = "loans@2") -> Challenge:
    """A challenger of this noise against a champion of 1."""
    random = np.random.default_rng(seed)
    actual = truth(random, task, rows)
    found = compare(
        task, POLICY, answers(random, task, actual, 1.0), answers(random, task, actual, noise), actual, name
    )
    assert found is not None
    return found


@pytest.mark.parametrize("task", [RANKING, ANSWERS, NUMBERS], ids=["auc", "accuracy", "mae"])
def test_better_and_no_better_are_told_apart(task: Task) -> None:
    """With the numbers: by how much, at the least, on how many rows; and what would be worth a release."""
    better = challenged(task, 1, 3000, 0.6)
    assert better.outcome == "better"
    assert better.convinces
    assert 0 < better.low < better.gain < better.high
    assert better.said.startswith(f"loans@2 is better by {better.gain:.4f}, at least {better.low:.4f}, of a loss of ")
    assert not challenged(task, 1, 3000, 0.6, name="").convinces  # no release that could be deployed
    worse = challenged(task, 1, 3000, 1.5)
    assert worse.outcome == "futile"
    assert worse.said.startswith("loans@2 saves nothing of a loss of ")
    alike = challenged(task, 1, 20_000, 1.0)
    assert alike.outcome == "futile"
    assert alike.gain < alike.high < alike.wanted
    assert challenged(task, 1, FEWEST_PAIRS - 1, 0.6).outcome == "undecided"


@pytest.mark.parametrize("task", [RANKING, ANSWERS, NUMBERS], ids=["auc", "accuracy", "mae"])
def test_looking_after_every_label_proves_nothing_that_is_not_so(task: Task) -> None:
    """Of challengers that are no better, looked at 30 times each, hardly one is ever called better."""
    random, wrong = np.random.default_rng(7), 0
    for _ in range(200):
        actual = truth(random, task, 3000)
        one, other = answers(random, task, actual, 1.0), answers(random, task, actual, 1.0)
        looks = (
            compare(task, POLICY, Told(*(a[:n] for a in one)), Told(*(a[:n] for a in other)), actual[:n])
            for n in range(100, 3001, 100)
        )
        wrong += any(found is not None and found.outcome == "better" for found in looks)
    assert wrong <= 4  # of 200, at 1 % each


def test_models_that_agree_prove_nothing_yet() -> None:
    """Two hundred rows on which both said the same, wrong on one in ten, do not mean that they always do."""
    actual = (np.arange(200) % 10 == 0).astype(np.float64)
    same = Told(np.zeros(200), np.full(200, np.nan))
    found = compare(ANSWERS, POLICY, same, same, actual)
    assert found is not None
    assert found.outcome == "undecided"
    assert found.low < 0 < found.high


def test_rows_that_one_did_not_answer_are_left_out() -> None:
    """What cannot be compared is not."""
    actual = np.array([0.0, 1.0, np.nan, 1.0])
    some = Told(np.array([0.0, np.nan, 1.0, 0.0]), np.full(4, np.nan))
    whole = Told(np.array([0.0, 1.0, 1.0, 1.0]), np.full(4, np.nan))
    found = compare(ANSWERS, POLICY, some, whole, actual)
    assert found is not None
    assert (found.rows, found.lost, found.gain) == (2, 0.5, 0.5)
    assert compare(ANSWERS, POLICY, some, whole, np.full(4, np.nan)) is None


def test_the_mean_loss_of_ranked_rows_is_that_of_the_metric() -> None:
    """And their spread is the standard error of the area, as many samples show it."""
    random, areas, errors = np.random.default_rng(3), [], []
    for _ in range(400):
        actual = truth(random, RANKING, 400)
        lost = losses(RANKING, answers(random, RANKING, actual, 1.0), actual)
        areas.append(1 - lost.mean())
        errors.append(lost.std() / 20)
    assert np.std(areas) == pytest.approx(np.mean(errors), rel=0.1)

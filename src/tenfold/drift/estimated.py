"""How well the model does before any label has come: what the reference says of rows such as these.

A classifier's score, calibrated on the reference, says how often an answer is right (confidence-based performance
estimation: Kivimäki, Białek, Nurminen, Kuberski, "Confidence-based estimators for predictive performance in model
monitoring", JAIR 2025); a regressor's loss is predicted directly. Both are corrected by the fields' groups (``additive``).
None of it can see a change of the relation between fields and label; how far it may be trusted is said along with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tenfold.drift.additive import Additive, Calibration, calibrate, fit, logit
from tenfold.drift.columns import Floats, Ints
from tenfold.drift.performance import NOTHING, Measured, Task, expected_area

FEWEST_ROWS = 200  # of the reference with labels, to learn from
PARTS = 10  # that the reference is cut into, to see how well unseen rows are estimated

Mask = NDArray[np.bool_]


class Answers(NamedTuple):
    """What the model said of rows, (n,) each: its score (NaN where it has none), class code or number; and the groups
    (n, k) of all columns."""

    scores: Floats
    predicted: Floats
    groups: Ints

    def where(self, mask: Mask) -> Answers:
        """The rows where the mask is true."""
        return Answers(self.scores[mask], self.predicted[mask], self.groups[mask])


class Estimator(msgspec.Struct, frozen=True):
    """What was learnt from the labels of the reference.

    ``bias`` is by how much the estimate exceeds the realised value on rows of the reference that it had not seen, with its
    standard error ``bias_error``.
    """

    task: Task
    calibration: Calibration
    model: Additive
    bias: float = 0.0
    bias_error: float = 0.0

    def of(self, answers: Answers) -> Measured:
        """The metric to be expected of rows without labels; those that got no usable answer are left out."""
        answers = answers.where(usable(self.task, answers, self.scored))
        if not len(answers.groups):
            return NOTHING
        expected = self._expected(answers)
        if self.task.metric == "auc":
            return expected_area(answers.scores, expected)
        value, error = float(expected.mean()), float(expected.std() / np.sqrt(len(expected)))
        return Measured(value, error, len(expected))

    def losses(self, answers: Answers, actual: Floats) -> tuple[Answers, Floats]:
        """The rows that can be judged and the loss of each (n,): 0 or 1 by its label, where it has one, else expected."""
        known = usable(self.task, answers, self.scored)
        answers, actual = answers.where(known), actual[known]
        expected = self._expected(answers)
        if self.task.metric == "mae":
            return answers, np.where(np.isfinite(actual), np.abs(answers.predicted - actual), expected)
        if self.task.metric == "accuracy":
            return answers, np.where(np.isfinite(actual), answers.predicted != actual, 1 - expected)
        said = np.where(np.isfinite(answers.predicted), answers.predicted, answers.scores >= 0.5)
        return answers, np.where(np.isfinite(actual), said != actual, np.where(said == 1, 1 - expected, expected))

    @property
    def scored(self) -> bool:
        """Whether answers are expected to have a score."""
        return len(self.calibration.scores) > 1

    def _expected(self, answers: Answers) -> Floats:
        expected = self.model.of(answers.groups, _offset(self.task, self.calibration, answers))
        return np.maximum(expected, 0.0) if self.task.metric == "mae" else expected


def learn(task: Task, answers: Answers, actual: Floats, sizes: Sequence[int]) -> Estimator | None:
    """An estimator from the reference's rows with labels ``actual`` (n,), in their order; None where they are too few.

    ``sizes`` are the numbers of groups of the columns. The bias is found by crossing: what is learnt from every other part
    of the reference is tried on the parts between.
    """
    scored = task.metric != "mae" and bool(np.isfinite(answers.scores).any())
    known = np.isfinite(actual) & usable(task, answers, scored)
    answers, actual = answers.where(known), actual[known]
    if len(actual) < FEWEST_ROWS:
        return None
    part = np.arange(len(actual)) * PARTS // len(actual)
    differences = []
    for odd in (0, 1):
        seen = part % 2 == odd
        learnt = _learn(task, answers.where(seen), actual[seen], sizes, scored)
        for k in range(1 - odd, PARTS, 2):
            rows = part == k
            tried = answers.where(rows)
            differences.append(learnt.of(tried).value - realised(task, tried, actual[rows]))
    found = np.array(differences)[np.isfinite(differences)]
    if len(found) < 2:
        return None
    whole = _learn(task, answers, actual, sizes, scored)
    error = float(found.std(ddof=1) / np.sqrt(len(found)))
    return msgspec.structs.replace(whole, bias=float(found.mean()), bias_error=error)


def _learn(task: Task, answers: Answers, actual: Floats, sizes: Sequence[int], scored: bool) -> Estimator:
    outcome = target(task, answers, actual)
    constant = Calibration(np.zeros(1), np.array([outcome.mean()]))
    calibration = calibrate(answers.scores, outcome) if scored else constant
    offset = _offset(task, calibration, answers)
    return Estimator(task, calibration, fit(answers.groups, sizes, offset, outcome, task.metric != "mae"))


def target(task: Task, answers: Answers, actual: Floats) -> Floats:
    """What is learnt (n,): whether the label is the positive class, whether the answer is right, or how far off it is."""
    if task.metric == "auc":
        return np.asarray(actual == 1, dtype=np.float64)
    if task.metric == "accuracy":
        return np.asarray(answers.predicted == actual, dtype=np.float64)
    return np.abs(answers.predicted - actual)


def realised(task: Task, answers: Answers, actual: Floats) -> float:
    """The metric of labelled rows; NaN where it cannot be told."""
    outcome = target(task, answers, actual)
    if task.metric == "auc":
        return expected_area(answers.scores, outcome).value
    return float(outcome.mean()) if len(outcome) else np.nan


def usable(task: Task, answers: Answers, scored: bool) -> Mask:
    """The rows (n,) whose answers an estimate can be made of; ``scored`` says that they are expected to have a score."""
    usable = np.isfinite(answers.scores) if scored else np.ones(len(answers.groups), dtype=bool)
    return usable if task.metric == "auc" else usable & np.isfinite(answers.predicted)


def _offset(task: Task, calibration: Calibration, answers: Answers) -> Floats:
    """What is expected by the score alone: log odds, or the mean loss where the model gives numbers."""
    expected = calibration.of(np.nan_to_num(answers.scores))
    return expected if task.metric == "mae" else logit(expected)

"""Would an update help? What recent labels teach, on top of the model, is tried on the rows that came after them.

The challenger is the model's own answer, corrected by an additive model of recent labelled rows: what training again could
learn at the least. Champion and challenger answer the same later rows; the mean of what the challenger gains in the metric
is bounded by a confidence sequence, so that looking at every window costs nothing. Rows are only judged by what came before.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tenfold.drift.additive import fit, logit
from tenfold.drift.columns import Floats
from tenfold.drift.eprocess import confidence_sequence
from tenfold.drift.estimated import Answers, usable
from tenfold.drift.performance import Task, shares_of_area
from tenfold.drift.profile import Profile
from tenfold.drift.sampling import Sample
from tenfold.drift.verdicts import Challenge

WANTED = 0.02  # of the champion's loss: a challenger that saves less than that is not worth a release
HEALED = 0.1  # of what the champion loses beyond the reference: one that makes good less than that is none either
FEWEST_ROWS = 200  # to learn from


def challenge(profile: Profile, samples: Sequence[Sample], alpha: float = 0.05) -> Challenge | None:
    """What recent labels would gain, from the sampled rows of windows since the change, in their order.

    None where there are not enough labels before any window's.
    """
    task = profile.task
    if task is None:
        return None
    windows = [_labelled(profile, task, sample) for sample in samples]
    gained: list[Floats] = []
    lost: list[Floats] = []
    for k in range(1, len(windows)):
        past = _together(windows[:k])
        if len(past[1]) >= FEWEST_ROWS and len(windows[k][1]):
            champion, challenger = _losses(profile, task, past, windows[k])
            gained.append(champion - challenger)
            lost.append(champion)
    if not gained:
        return None
    gains, losses = np.concatenate(gained), np.concatenate(lost)
    low, high = confidence_sequence(len(gains), float(gains.mean()), float(gains.std()), alpha, tight_at=len(gains))
    usual = float(losses.mean())
    return Challenge(len(gains), float(gains.mean()), low, high, _wanted(profile, task, usual), usual)


def _wanted(profile: Profile, task: Task, usual: float) -> float:
    """What has to be saved of a loss to be worth a release. Where most of the loss is harm, a fiftieth would mend next to
    nothing of it, and it would take a hundred thousand labels to rule that out."""
    harm = usual - task.loss(profile.realised[0]) if profile.realised is not None else 0.0
    return max(WANTED * usual, HEALED * harm)


def _labelled(profile: Profile, task: Task, sample: Sample) -> tuple[Answers, Floats]:
    answers, actual = profile.answers(sample), sample["actual"]
    scored = task.metric != "mae" and bool(np.isfinite(answers.scores).any())
    known = np.isfinite(actual) & usable(task, answers, scored)
    return answers.where(known), actual[known]


def _together(windows: Sequence[tuple[Answers, Floats]]) -> tuple[Answers, Floats]:
    parts = zip(*(answers for answers, _ in windows), strict=True)
    return Answers(*(np.concatenate(part) for part in parts)), np.concatenate([actual for _, actual in windows])


def _losses(
    profile: Profile, task: Task, past: tuple[Answers, Floats], now: tuple[Answers, Floats]
) -> tuple[Floats, Floats]:
    """The losses (n,) of the champion and of the challenger that learnt from the past; their means are the metric's."""
    sizes = [int(fine.max()) + 1 for fine in profile.fine]
    (seen, known), (answers, actual) = past, now
    if task.metric == "mae":
        model = fit(seen.groups, sizes, seen.predicted, known, logistic=False)
        return np.abs(actual - answers.predicted), np.abs(actual - model.of(answers.groups, answers.predicted))
    if task.metric == "accuracy":
        odds = np.stack([_odds_of_class(c, past, answers, sizes) for c in range(len(task.classes))], axis=1)
        return _wrong(answers.predicted, actual), _wrong(odds.argmax(axis=1), actual)
    model = fit(seen.groups, sizes, _likely(profile, seen.scores), known, logistic=True)
    challenger = model.of(answers.groups, _likely(profile, answers.scores))
    return 1 - shares_of_area(answers.scores, actual), 1 - shares_of_area(challenger, actual)


def _likely(profile: Profile, scores: Floats) -> Floats:
    """The log odds that scores stand for, as far as the reference has shown it."""
    return logit(scores if profile.estimator is None else profile.estimator.calibration.of(scores))


def _odds_of_class(code: int, past: tuple[Answers, Floats], answers: Answers, sizes: Sequence[int]) -> Floats:
    """How likely a class is (n,), by what the champion said and by the fields."""
    seen, known = past
    outcome = np.asarray(known == code, dtype=np.float64)

    def told(predicted: Floats) -> Floats:
        """The log odds of the class where the champion said the same, smoothed by one row of either."""
        odds = np.zeros(len(predicted))
        for said in np.unique(predicted):
            same = seen.predicted == said
            odds[predicted == said] = logit(np.array([(outcome[same].sum() + 1) / (same.sum() + 2)]))[0]
        return odds

    model = fit(seen.groups, sizes, told(seen.predicted), outcome, logistic=True)
    return model.of(answers.groups, told(answers.predicted))


def _wrong(predicted: Floats, actual: Floats) -> Floats:
    return np.asarray(predicted != actual, dtype=np.float64)

"""Two models on the same labelled rows: is the new one better, or is it useless to wait for more rows?

Each row is one difference of two losses, so that what makes a row hard for both cancels out. The mean difference is bounded
by a confidence sequence, which may be looked at whenever labels come.
"""

from __future__ import annotations

import math

import numpy as np

from tenfold.drift.columns import Floats
from tenfold.drift.eprocess import confidence_sequence
from tenfold.drift.options import Drift
from tenfold.drift.performance import Task, shares_of_area
from tenfold.drift.truth import Told
from tenfold.drift.verdicts import Challenge


def compare(
    task: Task, policy: Drift, champion: Told, challenger: Told, actual: Floats, name: str = ""
) -> Challenge | None:
    """What the ``challenger`` of this ``name`` saves, on rows whose truth is ``actual`` (n,); None where no row was answered
    by both and has a label.

    To be worth a release it has to save as large a share of the champion's loss as may be lost without that being harm
    (``loss_tolerance``). That it is better, or futile, is said wrongly with ``false_alarm_probability`` at most, however
    often one looks.
    """
    known = np.isfinite(actual)
    for told in (champion, challenger):
        known &= np.isfinite(told.scores if task.metric == "auc" else told.predicted)
    if not known.any():
        return None
    lost, kept = (losses(task, Told(*(some[known] for some in told)), actual[known]) for told in (champion, challenger))
    gains = lost - kept
    mean, n = float(gains.mean()), len(gains)
    low, high = confidence_sequence(n, mean, _deviation(task, gains, lost), policy.false_alarm_probability)
    usual = float(lost.mean())
    return Challenge(n, mean, low, high, policy.loss_share * usual, usual, name)


def losses(task: Task, told: Told, actual: Floats) -> Floats:
    """The loss of each row (n,): that of the metric is their mean."""
    if task.metric == "auc":
        return 1 - shares_of_area(told.scores, actual)
    if task.metric == "mae":
        return np.abs(told.predicted - actual)
    return np.asarray(told.predicted != actual, dtype=np.float64)


def _deviation(task: Task, gains: Floats, lost: Floats) -> float:
    """How much gains differ, as if one row more had been won and one more lost: that two models did not differ on a hundred
    rows does not mean that they never do."""
    unit = float(lost.mean()) if task.metric == "mae" else 1.0
    n = len(gains) + 2
    return math.sqrt(max(float((gains * gains).sum() + 2 * unit * unit) / n - (float(gains.sum()) / n) ** 2, 0.0))

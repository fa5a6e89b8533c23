"""What labels say of single answers: how far each was off, release by release, once its label has had the time to come.

For whoever compares releases by their labels, such as the canary (guard-rail ``labels``) and the test of a challenger.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tenfold.control import labelfiles
from tenfold.control.labelfiles import Label
from tenfold.drift.live import watched
from tenfold.drift.truth import loss_by
from tenfold.spec import Spec

USUAL = 0.9  # of the errors of numbers: those beyond count as bad
FEWEST = 50  # labelled answers that tell which errors are usual
LAST = 10_000  # answers that they are told by


class Loss(NamedTuple):
    """One answer whose label is due and has come: the ``id`` of the prediction, when it was made (seconds since 1970), and
    what was lost: 0 or 1 for a class, the absolute error for a number."""

    id: str
    time: float
    loss: float


def matured(home: Path, spec: Spec, release: str, since: float, now: float) -> Iterator[Loss]:
    """The losses of what ``release`` answered from ``since`` on, as far as labels are due by ``now`` and have come.

    ``home`` is the service's folder, ``release`` how answers call it (``loans@1234567``). A label is due ``labels_after``
    after its answer, early ones wait until then: of the answers of two releases those with the quicker labels would else be
    compared with all of the older one's. Where the service says no ``labels_after``, a label counts once it has come. The
    last label of a prediction counts; one that is corrected later comes with another loss and the same id. What has no
    usable answer or label is left out. To be asked often: ``labelfiles.touched`` says whether anything came.
    """
    until = now - (spec.drift.labels_after_s or 0.0)
    labels = labelfiles.between(home, since, until, release) if since < until else {}
    return losses(spec, labels.values())


def losses(spec: Spec, labels: Iterable[Label]) -> Iterator[Loss]:
    """What was lost by the answers that these labels are of."""
    lost = loss_by(watched(spec.input, spec.output))
    for label in labels:
        loss = lost(label.said, label.true)
        if math.isfinite(loss):
            yield Loss(label.id, label.time, loss)


def usual_loss(home: Path, spec: Spec, release: str, since: float, now: float) -> float | None:
    """The loss beyond which an answer is a bad one: nine in ten answers of ``release`` were no worse. 0 for classes, of which
    each that is wrong counts; None where fewer than 50 answers have a label that is due.

    Ask it once, of the time before what is compared: a limit that moves with the answers would prove nothing.
    """
    known = deque((one.loss for one in matured(home, spec, release, since, now)), LAST)
    if len(known) < FEWEST:
        return None
    values = np.array(known)
    return 0.0 if np.isin(values, (0.0, 1.0)).all() else float(np.quantile(values, USUAL))

"""What recent labels teach, live: whether training again would help, told from labelled rows whose inputs were kept.

Belongs to the folder of the release that serves. Where an update is recommended, and the journal has inputs, the model's
answers are corrected by what labels since then teach, and held against the labels that came after (``drift.challenger``):
a correction that saves nothing is no proof that no training would, but the best that can be had without one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from tenfold.control import labelfiles
from tenfold.control.driftchallenge import by_hash, inputs_of
from tenfold.control.labelfiles import Label
from tenfold.drift.challenger import challenge
from tenfold.drift.columns import Floats
from tenfold.drift.folder import folder_of, replace
from tenfold.drift.live import values_of
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile
from tenfold.drift.sampling import Sample
from tenfold.drift.truth import told, truths, value_of
from tenfold.drift.verdicts import Challenge

LESSON = "lesson.json"
MOST_ROWS = 20_000  # that are looked at
PARTS = 10  # of the labelled rows, in the order of time: each is judged by what those before it teach
EVERY_S = 3600.0  # between two looks, unless there are twice as many labels


class Lesson(msgspec.Struct, frozen=True):
    """What was learnt ``at`` a time; no ``result`` from too few labels. It was looked last when it was ``tried``, and so many
    rows had been ``labelled`` of this release."""

    at: float = 0.0
    result: Challenge | None = None
    tried: float = 0.0
    labelled: int = 0

    def is_due(self, now: float, labelled: int) -> bool:
        """Whether it is time to look again."""
        return now - self.tried >= EVERY_S or labelled >= 2 * max(self.labelled, 1)

    def begun(self, now: float, labelled: int) -> Lesson:
        """The lesson once somebody looks again."""
        return msgspec.structs.replace(self, tried=now, labelled=labelled)

    def then(self, result: Challenge | None) -> Lesson:
        """The lesson after that look: one that decides nothing takes nothing back that was decided."""
        if self.result is not None and (result is None or result.outcome == "undecided"):
            return self
        return msgspec.structs.replace(self, at=self.tried, result=result)


def read(home: Path, serving: str) -> Lesson | None:
    """The last lesson of the release that serves, by its label; None where there was none."""
    try:
        return msgspec.json.decode((folder_of(home, serving) / LESSON).read_bytes(), type=Lesson)
    except (OSError, msgspec.MsgspecError):
        return None


def keep(home: Path, serving: str, lesson: Lesson) -> None:
    """Put a lesson in place of the last one."""
    replace(folder_of(home, serving) / LESSON, msgspec.json.encode(lesson))


def forget(home: Path, serving: str) -> None:
    """What was learnt of a harm says nothing once that is over."""
    (folder_of(home, serving) / LESSON).unlink(missing_ok=True)


def learnt(home: Path, serving: str, profile: Profile, policy: Drift, since: float, now: float) -> Challenge | None:
    """What labels of rows that were answered ``since`` then teach; None where too few have come, or no inputs are kept."""
    labels = labelfiles.between(home, since, now - (policy.labels_after_s or 0.0), serving)
    chosen = sorted(labels.values(), key=lambda label: by_hash(label.id))[:MOST_ROWS]
    if profile.task is None or not chosen:
        return None
    samples = _samples(home, serving, profile, {label.id: label for label in chosen})
    return challenge(profile, samples, policy.false_alarm_probability) if samples else None


def _samples(home: Path, serving: str, profile: Profile, labels: Mapping[str, Label]) -> list[Sample]:
    """The labelled rows whose inputs are kept, in the order of time, in parts of about as many."""
    found = [
        (labels[name], values)
        for _, names, rows in inputs_of(home, serving, labels.values())
        for name, values in zip(names, values_of(profile.columns, rows), strict=True)
    ]
    found.sort(key=lambda pair: pair[0].time)
    parts = np.array_split(np.arange(len(found)), PARTS) if len(found) >= PARTS else []
    return [_sample(profile, [found[k] for k in part]) for part in parts]


def _sample(profile: Profile, rows: list[tuple[Label, Floats]]) -> Sample:
    assert profile.task is not None
    said = [label.said for label, _ in rows]
    values = np.stack([one for _, one in rows])
    for k, column in enumerate(profile.columns):
        if column.role in ("prediction", "score"):
            values[:, k] = [value_of(column, answer.get(column.name)) for answer in said]
    actual = truths(profile.task, profile.columns, [label.true for label, _ in rows])
    arrays = {"values": values, "predicted": told(profile.task, profile.columns, said).predicted, "actual": actual}
    return Sample(np.arange(len(rows), dtype=np.uint64), arrays)

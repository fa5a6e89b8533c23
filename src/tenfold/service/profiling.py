"""``reference.profile``: what the rows were like that a model was trained on, which live rows are compared with.

It is a part of the release. Of rows that the model was trained on, the fields alone are kept: its answers are better there
than anywhere else, and no measure. Of rows that it has not seen, its answers are kept, too, and how good they were.
Nothing of a Private field, of a Key or of text stands in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tenfold.contract.form import Form, layout_of
from tenfold.drift.folder import PROFILE, replace
from tenfold.drift.live import Reader, values_of, watched
from tenfold.drift.making import Known, profile_of
from tenfold.drift.profile import Profile, pack, unpack
from tenfold.drift.truth import answer_field, code_of, task_of, value_of
from tenfold.rows import Rows

NOTHING = Form(name="", fields=())


class Profiled(NamedTuple):
    """A profile, and what is to be said of it; None where there is nothing to compare."""

    profile: Profile | None
    remarks: Sequence[str]


def of_training(form: Form, rows: Rows, source: str, segments: Sequence[str] = ()) -> Profiled:
    """The profile of valid rows that the model was trained on."""
    columns = watched(form, NOTHING)
    known = Known(columns, values_of(columns, rows))
    return Profiled(*profile_of(known, f"{len(rows):,} rows of {source}", segments))


def of_unseen(
    forms: tuple[Form, Form],
    rows: Rows,
    answers: Rows,
    labels: Sequence[Any],
    source: str,
    segments: Sequence[str] = (),
) -> Profiled:
    """The profile of valid rows that the model was not trained on, its answers to them, and what is true (None where
    unknown). ``forms`` are the contracts of both sides."""
    columns = watched(*forms)
    values = Reader(columns, layout_of(forms[0]), layout_of(forms[1])).block(rows, answers).values
    task = task_of(columns, np.array([_number(label) for label in labels]))
    answer = answer_field(columns)
    actual = predicted = None
    if task is not None:
        actual = np.array([code_of(task, label) for label in labels])
        place = next((k for k, column in enumerate(columns) if column is answer), None)
        if place is not None:
            predicted = values[:, place]
            if answer is not None and task.classes:
                names = {value_of(answer, name): code_of(task, name) for name in answer.names}
                predicted = np.array([names.get(value, np.nan) for value in predicted.tolist()])
    known = Known(columns, values, task, predicted, actual)
    return Profiled(*profile_of(known, f"{len(rows):,} rows of {source}", segments))


def lost(folder: Path, found: Profiled) -> Sequence[str]:
    """What the profile in a service's folder says of answers, where one that is to take its place says nothing of them."""
    try:
        before = unpack((folder / PROFILE).read_bytes(), Profile)
    except (OSError, ValueError, msgspec.MsgspecError):  # there is none, or none that this version knows
        return ()
    if not _knows_answers(before) or (found.profile is not None and _knows_answers(found.profile)):
        return ()
    return (
        f"the answers to {before.source} are no longer in reference.profile: "
        "record again with --unseen FILE --label COL to compare with them",
    )


def _knows_answers(profile: Profile) -> bool:
    return any(column.role != "input" for column in profile.columns)


def keep(folder: Path, found: Profiled) -> None:
    """Put a profile into a service's folder; what was there before is no longer true."""
    if found.profile is None:
        (folder / PROFILE).unlink(missing_ok=True)
    else:
        replace(folder / PROFILE, pack(found.profile))


def _number(label: Any) -> float:
    return float(label) if isinstance(label, int | float) else np.nan

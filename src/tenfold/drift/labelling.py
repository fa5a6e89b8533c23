"""Labels of a release that is followed: when they are due, what they prove, and whether they are a picture of all rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from tenfold.drift.building import with_labels
from tenfold.drift.columns import cells_of
from tenfold.drift.effects import SIGMAS, moved, regroup
from tenfold.drift.following import GRACE_S, Following, Release, Waiting
from tenfold.drift.judge import find
from tenfold.drift.monitor import State, mature
from tenfold.drift.movement import Selected
from tenfold.drift.options import Drift
from tenfold.drift.profile import FEWEST_LABELS, Profile, split
from tenfold.drift.truth import Said, outcomes_of, task_of, value_of

FIRST_LABELS = 200  # that the performance of the first windows is told by, where the reference has none
MOST_LABELLED = 0.95  # of a window's rows, from which on they are as good as all


def due(now: Following, policy: Drift, time: float) -> list[Waiting]:
    """The windows whose labels should have come by now."""
    return [some for some in now.waiting if time >= some.end + (policy.labels_after_s or 0.0) + GRACE_S]


def label(
    now: Following, profile: Profile, release: Release, window: Waiting, pairs: Sequence[tuple[Said, Said]]
) -> Profile:
    """Judge a window by its labels: what was said of each labelled row, and what is true. Gives the profile, which learns
    from the first labels where the reference had none."""
    numbers = np.array([_size(truth) for _, truth in pairs] or [np.nan])
    task = profile.task or task_of(profile.columns, numbers)
    now.waiting = [some for some in now.waiting if some.number != window.number]
    now.judged += window.rows
    now.labelled += len(pairs)
    if task is None or not pairs:
        return profile
    outcomes = outcomes_of(task, profile.columns, pairs)
    if profile.realised is None:
        if outcomes.rows >= FEWEST_LABELS:
            now.first = [*now.first, outcomes]
        if sum(some.rows for some in now.first) >= FIRST_LABELS:
            profile = with_labels(profile, task, now.first)
            now.remarks = [*now.remarks, f"how good the model is was learnt from its first {profile.labelled:,} labels"]
            now.first = []
        return profile
    now.state = _compared(profile, now.state, window, [said for said, _ in pairs])
    now.state = mature(profile, release.policy, now.state, window.number, outcomes)
    verdict = find(profile, release.policy, now.state, release.around).verdict
    seen = now.state.seen
    last = msgspec.structs.replace(seen[-1], verdict=verdict)
    now.state = msgspec.structs.replace(now.state, seen=(*seen[:-1], last))
    return profile


def _compared(profile: Profile, state: State, window: Waiting, said: Sequence[Said]) -> State:
    """The state, in which the window knows by how much its labelled rows differ from all in what was answered."""
    index = next((k for k, seen in enumerate(state.seen) if seen.number == window.number), None)
    if index is None or len(said) > MOST_LABELLED * window.rows:
        return state
    seen, apart = state.seen[index], [Selected()]
    places = [k for k, column in enumerate(profile.columns) if column.role in ("prediction", "score")]
    cells = split(profile.columns, seen.cells)
    for k in places:
        column, group = profile.columns[k], profile.groups[k]
        values = np.array([value_of(column, answer.get(column.name)) for answer in said])
        labelled = np.bincount(cells_of([column], values[:, None])[:, 0], minlength=column.cells)
        share, error = moved(regroup(cells[k], group), regroup(labelled, group))
        apart.append(Selected(share - SIGMAS * error, column.name))
    found = msgspec.structs.replace(seen, selected=max(apart))
    return msgspec.structs.replace(state, seen=(*state.seen[:index], found, *state.seen[index + 1 :]))


def _size(truth: Said) -> float:
    value = next(iter(truth.values()), None)
    return abs(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else np.nan

"""Making a profile of the reference: its counts, how it varies, how its fields hang together, what its labels teach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Column, Floats, Ints, cells_of, grouped
from tenfold.drift.counting import Counts
from tenfold.drift.effects import GROUPS, Baseline, Moved, baseline, baseline_of, left_out
from tenfold.drift.estimated import Answers, learn
from tenfold.drift.joint import project
from tenfold.drift.performance import NOTHING, Measured, Outcomes, Task, measure
from tenfold.drift.profile import (
    ESTIMATED,
    FEWEST_LABELS,
    REALISED,
    ROWS,
    Profile,
    Window,
    answers_of,
    by_group,
    fields_of,
    quantiles_of,
    segment_losses,
    split,
)
from tenfold.drift.sampling import Sample
from tenfold.drift.season import Season, Traffic, restless, season_of
from tenfold.drift.segments import moved_by_segment, segmentation

FINE = 16  # groups of a field that performance is estimated by


class Reference(NamedTuple):
    """All that is known of the reference: its windows in their order, and a sample of rows in theirs.

    The sample has the arrays of ``Window.sample`` and ``window`` (n,), the number of the window that each row belongs to.
    ``segments`` are the names of columns whose groups are watched one by one. ``window_s`` is the length of a window where
    all are equally long in time, else None.
    """

    columns: Sequence[Column]
    windows: Sequence[Window]
    sample: Sample
    task: Task | None
    source: str
    window_s: float | None = None
    segments: Sequence[str] = ()


def build(reference: Reference) -> Profile:
    """The profile of a reference."""
    columns, sample = reference.columns, reference.sample
    counts = merged([window.counts for window in reference.windows], columns)
    by_column = split(columns, counts.cells)
    groups = tuple(grouped(column, cells, GROUPS) for column, cells in zip(columns, by_column, strict=True))
    fine = tuple(grouped(column, cells, FINE) for column, cells in zip(columns, by_column, strict=True))
    answers = answers_of(columns, fine, sample)
    profile = Profile(
        source=reference.source,
        columns=tuple(columns),
        counts=counts,
        windows=len(reference.windows),
        groups=groups,
        fine=fine,
        importance=_importance(columns, answers, sample["actual"]),
        quantiles=quantiles_of(sample["values"]),
        baselines=_column_baselines(reference, groups) | _volume_baseline(reference),
        task=reference.task,
    )
    _add_joint(profile, reference)
    _add_segments(profile, reference)
    _add_performance(profile, reference, answers)
    profile.season = _season(profile, reference)
    return profile


def merged(counts: Sequence[Counts], columns: Sequence[Column]) -> Counts:
    """All counts together."""
    total = Counts.none(columns)
    for some in counts:
        total = total.merge(some)
    return total


def _column_baselines(reference: Reference, groups: Sequence[Ints]) -> dict[str, Baseline]:
    """How much each column moves between windows of the reference: each window against all the others."""
    cells = np.stack([window.counts.cells for window in reference.windows])
    return {name: left_out(counts) for name, counts in by_group(reference.columns, cells, groups).items()}


def _volume_baseline(reference: Reference) -> dict[str, Baseline]:
    """How many rows a window has, as a logarithm, where windows are of a length of time."""
    if reference.window_s is None:
        return {}
    rows = np.array([window.counts.rows for window in reference.windows if window.whole], dtype=np.float64)
    return {ROWS: baseline(np.log(np.maximum(rows, 1)), np.sqrt(1 / np.maximum(rows, 1)))}


def _add_joint(profile: Profile, reference: Reference) -> None:
    fields = fields_of(profile.columns)
    columns = [profile.columns[k] for k in fields]
    if len(fields) < 2:
        return
    cells = cells_of(columns, reference.sample["values"][:, fields])
    names, sizes = [column.name for column in columns], [column.cells for column in columns]
    projection = profile.projection = project(names, sizes, cells)
    if projection is None:
        return
    window = reference.sample["window"]
    by_window = [projection.count(cells[window == w]) for w in range(profile.windows)]
    for k, column in enumerate(projection.columns):
        profile.baselines[column.name] = left_out(np.stack([counts[k] for counts in by_window]))


def _add_segments(profile: Profile, reference: Reference) -> None:
    """The segments of the fields that were asked for, and how much each moves between windows of the reference."""
    columns, groups, sample = profile.columns, profile.groups, reference.sample
    places = [k for k, column in enumerate(columns) if column.name in reference.segments]
    profile.segments = tuple(segmentation(columns, groups, place, sample) for place in places)
    for segments in profile.segments:
        found: dict[str, list[Moved]] = {}
        for w in range(profile.windows):
            for name, some in moved_by_segment(segments, columns, groups, sample.take(sample["window"] == w)):
                found.setdefault(name, []).append(some)
        profile.baselines |= {name: baseline_of(moves) for name, moves in found.items()}


def _add_performance(profile: Profile, reference: Reference, answers: Answers) -> None:
    task, sample = reference.task, reference.sample
    if task is None:
        return
    score = profile.place("score")
    total = Outcomes.none(profile.columns[score].cells if score is not None else 0)
    measured = []
    for window in reference.windows:
        outcomes = window.outcomes or total
        measured.append(measure(task, outcomes) if outcomes.rows >= FEWEST_LABELS else NOTHING)
        total = total.merge(outcomes) if window.outcomes else total
    whole = measure(task, total)
    if total.rows < FEWEST_LABELS or not np.isfinite(whole.value):  # the figure of a few rows is nothing to expect
        return
    profile.realised, profile.labelled = (whole.value, whole.error), whole.rows
    profile.ranks = total.ranks
    profile.baselines[REALISED] = _metric_baseline(measured, whole)
    profile.estimator = learn(task, answers, sample["actual"], [int(group.max()) + 1 for group in profile.fine])
    if profile.estimator is None:
        return
    estimates = [profile.estimator.of(answers.where(sample["window"] == w)) for w in range(profile.windows)]
    profile.baselines[ESTIMATED] = _metric_baseline(estimates, profile.estimator.of(answers))
    profile.losses = segment_losses(profile, sample)
    profile.importance = (profile.importance + _explained(profile)) / 2


def with_labels(profile: Profile, task: Task, windows: Sequence[Outcomes]) -> Profile:
    """The profile, with the performance of its model as the first labels that came show it; the same where they cannot."""
    total = windows[0]
    for outcomes in windows[1:]:
        total = total.merge(outcomes)
    whole = measure(task, total)
    if not np.isfinite(whole.value):
        return profile
    baselines = profile.baselines | {REALISED: _metric_baseline([measure(task, some) for some in windows], whole)}
    known = {"task": task, "realised": (whole.value, whole.error), "labelled": whole.rows, "ranks": total.ranks}
    return msgspec.structs.replace(profile, baselines=baselines, **known)


def _metric_baseline(windows: Sequence[Measured], whole: Measured) -> Baseline:
    """The baseline around the value of the whole reference, which windows of a ranking only scatter about."""
    found = baseline(np.array([w.value for w in windows]), np.array([w.error for w in windows]))
    return msgspec.structs.replace(found, mean=whole.value)


def _explained(profile: Profile) -> Floats:
    """The share (k,) of the loss's variance that the groups of each field explain, scaled to sum 1."""
    weights = np.zeros(len(profile.columns))
    for k in fields_of(profile.columns):
        rows, lost = profile.losses[k].T
        mean = lost.sum() / max(float(rows.sum()), 1.0)
        weights[k] = ((lost - mean * rows) ** 2 / np.maximum(rows, 1)).sum()
    return weights / weights.sum() if weights.sum() > 0 else profile.importance


def _importance(columns: Sequence[Column], answers: Answers, actual: Floats) -> Floats:
    """The share (k,) of the variance of the model's answers that the groups of each field explain, scaled to sum 1.

    Where the model gave no answers, the labels stand in; where there are none either, all fields are as important.
    """
    fields = fields_of(columns)
    weights = np.zeros(len(columns))
    target = next((t for t in (answers.scores, answers.predicted, actual) if np.isfinite(t).sum() > 1), None)
    if target is not None:
        known = np.isfinite(target)
        around = target[known] - target[known].mean()
        for k in fields:
            group = answers.groups[known, k]
            rows = np.bincount(group)
            weights[k] = (np.bincount(group, around) ** 2 / np.maximum(rows, 1)).sum()
    if not weights.sum() > 0:
        weights[fields] = 1.0
    return weights / max(float(weights.sum()), 1e-300)


def _season(profile: Profile, reference: Reference) -> Season | None:
    """The season of the reference's windows."""
    if reference.window_s is None:
        return None
    cells = np.stack([window.counts.cells for window in reference.windows])
    by_column = by_group(profile.columns, cells, profile.groups)
    starts = np.array([window.start for window in reference.windows])
    traffic = Traffic(starts, reference.windows[-1].end, reference.window_s, cells, by_column)
    return season_of(traffic, restless(profile.baselines, by_column))

"""How far everything that is watched has moved in a window: columns, directions in which fields hang together, segments."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tenfold.drift.columns import Ints, cells_of
from tenfold.drift.effects import Moved, moved, regroup
from tenfold.drift.profile import Profile, Window, fields_of, split
from tenfold.drift.sampling import Sample
from tenfold.drift.segments import moved_by_segment

STRANGE = 0.001  # share of the reference's rows, below which a group is strange to it
SOME = 0.05  # share of rows with a label, or without one, from which on the two can be compared


def movements(profile: Profile, window: Window) -> dict[str, Moved]:
    """The share of rows that moved beyond chance, by the name of what is watched."""
    found = _columns(profile, window)
    if window.sample is not None and len(window.sample):
        if profile.projection is not None:
            now = along(profile, window.sample)
            pairs = zip(profile.projection.columns, profile.projection.counts, strict=True)
            found |= {column.name: moved(before, now[column.name]) for column, before in pairs}
        for segments in profile.segments:
            found |= dict(moved_by_segment(segments, profile.columns, profile.groups, window.sample))
    return {name: some for name, some in found.items() if np.isfinite(some.share)}


def steps(profile: Profile, before: Ints, now: Ints) -> dict[str, float]:
    """How far each column moved from one window to the next, given the counters of both (c,)."""
    pairs = zip(
        profile.columns, split(profile.columns, before), split(profile.columns, now), profile.groups, strict=True
    )
    return {column.name: moved(regroup(was, group), regroup(is_, group)).share for column, was, is_, group in pairs}


def along(profile: Profile, sample: Sample | None) -> dict[str, Ints]:
    """Sampled rows by group along each direction of the reference (g,); nothing where there is no direction."""
    projection = profile.projection
    if projection is None or sample is None:
        return {}
    fields = fields_of(profile.columns)
    cells = cells_of([profile.columns[k] for k in fields], sample["values"][:, fields])
    return {column.name: counts for column, counts in zip(projection.columns, projection.count(cells), strict=True)}


def _columns(profile: Profile, window: Window) -> dict[str, Moved]:
    """How far each column is from the reference, or from that of its slot where it has a season."""
    before, now = split(profile.columns, profile.counts.cells), split(profile.columns, window.counts.cells)
    if profile.season is not None:
        slot = profile.season.of(window.start, window.end)
        seasonal = profile.season.baselines if slot.any() else {}
        pairs = zip(profile.columns, before, split(profile.columns, slot), strict=True)
        before = [at if column.name in seasonal else whole for column, whole, at in pairs]
    moves = zip(profile.columns, before, now, profile.groups, strict=True)
    return {column.name: moved(regroup(was, group), regroup(is_, group)) for column, was, is_, group in moves}


def unfamiliar(profile: Profile, sample: Sample | None) -> float:
    """The share of rows with a value, in a field that the estimate goes by, that the reference hardly knew."""
    if profile.estimator is None or sample is None or not len(sample):
        return 0.0
    groups = profile.answers(sample).groups
    strange = np.zeros(len(groups), dtype=bool)
    for k in profile.estimator.model.fields:
        before = regroup(split(profile.columns, profile.counts.cells)[k], profile.fine[k])
        strange |= (before < STRANGE * profile.counts.rows)[groups[:, k]]
    return float(strange.mean())


class Selected(NamedTuple):
    """How far the rows with labels are from those without: the most by which a column differs between them, and which."""

    share: float = 0.0
    name: str = ""


def selected(profile: Profile, sample: Sample | None) -> Selected:
    """How far the rows with labels are from those without."""
    if sample is None or not len(sample):
        return Selected()
    labelled = np.isfinite(sample["actual"])
    if not SOME <= labelled.mean() <= 1 - SOME:
        return Selected()
    cells = cells_of(profile.columns, sample["values"])
    found = [Selected()]
    for column, group, cell in zip(profile.columns, profile.groups, cells.T, strict=True):
        with_, without = (np.bincount(cell[rows], minlength=column.cells) for rows in (labelled, ~labelled))
        share, error = moved(regroup(without, group), regroup(with_, group))
        found.append(Selected(share - 3 * error, column.name))
    return max(found)

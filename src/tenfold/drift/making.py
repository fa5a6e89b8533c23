"""A profile made of rows that are at hand: a table as the service reads it, or the first rows that were answered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.building import Reference, build
from tenfold.drift.columns import Column, Floats, Ints, cells_of
from tenfold.drift.counting import Counter, Counts
from tenfold.drift.joint import Projection
from tenfold.drift.performance import Outcomes, Task, Truth, count
from tenfold.drift.pictures import from_picture
from tenfold.drift.profile import Profile, Window, fields_of, split
from tenfold.drift.sampling import Sample, mix
from tenfold.drift.tables import Facts, Raw, describe

FEWEST_WINDOWS, MOST_WINDOWS, WINDOW_ROWS = 5, 40, 50
SAMPLED = 65_536  # rows that bins are taken from and estimates are learnt of


class Known(NamedTuple):
    """Rows of a reference in their order: their values (n, k) by ``columns`` (see ``live.watched``), NaN where missing; and
    what was said and what is true of each (n,), as codes of the task's classes or as numbers, NaN where unknown."""

    columns: Sequence[Column]
    values: Floats
    task: Task | None = None
    predicted: Floats | None = None
    actual: Floats | None = None


def profile_of(known: Known, source: str, segments: Sequence[str] = ()) -> tuple[Profile | None, list[str]]:
    """The profile of rows, and what is to be said of it; None where there is nothing to compare.

    Rows are taken in parts, of which the differences are natural: their order should be that of time.
    """
    rows = len(known.values)
    binned, remarks = _binned(known)
    if not binned or not rows:
        return None, [*remarks, "there is no row, or no field, that could be compared"]
    columns, values = [column for _, column in binned], known.values[:, [k for k, _ in binned]]
    parts = max(min(max(rows // 1000, FEWEST_WINDOWS), MOST_WINDOWS, rows // WINDOW_ROWS), 1)
    ends = np.arange(parts + 1) * rows // parts
    windows = [_window(known, columns, values, int(first), int(last)) for first, last in pairwise(ends)]
    if rows < WINDOW_ROWS:
        remarks.append(f"the reference has {rows:,} rows: too few for drift to be told from chance")
    segments = [name for name in segments if any(column.name == name for column in columns)]
    sample = _sample(known, values, ends)
    return build(Reference(columns, windows, sample, known.task, source, None, segments)), remarks


def _binned(known: Known) -> tuple[list[tuple[int, Column]], list[str]]:
    """The columns with bins, and their places among those that are known."""
    found, remarks = [], []
    for k, column in enumerate(known.columns):
        if column.kind == "category" or len(column.edges) > 1:  # it has bins
            found.append((k, column))
            continue
        values = known.values[:, k]
        if from_picture(column.name) and not np.isfinite(values).any():
            continue
        facts = Facts()
        facts.see(Raw.of_numbers(values))
        made = describe(column.name, values[:: len(values) // SAMPLED + 1], facts, column.role)
        if isinstance(made, str):
            remarks.append(f"{column.name} is left out: {made}")
        else:
            found.append((k, made))
    return found, remarks


def _window(known: Known, columns: Sequence[Column], values: Floats, first: int, last: int) -> Window:
    rows = slice(first, last)
    return Window(float(first), float(last), counts_of(columns, values[rows]), _outcomes(known, columns, values, rows))


def counts_of(columns: Sequence[Column], values: Floats) -> Counts:
    """The counts of rows (n, k) of which all that is NaN is missing."""
    counter = Counter(columns)
    counter.add(values)
    return counter.take()


def _outcomes(known: Known, columns: Sequence[Column], values: Floats, rows: slice) -> Outcomes | None:
    if known.task is None or known.actual is None:
        return None
    score = next((k for k, column in enumerate(columns) if column.role == "score"), None)
    size, cells = 0, np.zeros(len(values[rows]), dtype=np.int64)
    actual = known.actual[rows]
    if score is not None:
        size, cells = columns[score].cells, cells_of([columns[score]], values[rows, score : score + 1])[:, 0]
        actual = np.where(np.isnan(values[rows, score]), np.nan, actual) if known.task.metric == "auc" else actual
    predicted = known.predicted[rows] if known.predicted is not None else np.full(len(actual), np.nan)
    return count(known.task, Truth(predicted, actual, cells), size)


def _sample(known: Known, values: Floats, ends: Ints) -> Sample:
    unknown = np.full(len(values), np.nan)
    arrays = {
        "values": values,
        "predicted": unknown if known.predicted is None else known.predicted,
        "actual": unknown if known.actual is None else known.actual,
        "window": ends.searchsorted(np.arange(len(values)), "right") - 1,
    }
    sample = Sample(mix(np.arange(len(values), dtype=np.uint64)), arrays)
    return sample.take(np.sort(np.argsort(sample.keys)[:SAMPLED])) if len(sample) > SAMPLED else sample


def with_fields_of(live: Profile, training: Profile) -> Profile:
    """What live rows are compared with: as to what came in, the rows of training; as to answers, the first live ones.

    A model does better on rows that it was trained on than on any others, so that its answers there are no measure. The live
    profile has been made by the columns of the training's.
    """
    theirs = {k: training.columns.index(column) for k, column in enumerate(live.columns) if column in training.columns}
    ours, there = list(theirs), list(theirs.values())
    before, after = split(training.columns, training.counts.cells), split(live.columns, live.counts.cells)
    cells = [before[theirs[k]] if k in theirs else held for k, held in enumerate(after)]
    counts = msgspec.structs.replace(live.counts, rows=training.counts.rows, cells=np.concatenate(cells))
    for name in ("finite", "sums", "least", "most"):
        taken = getattr(live.counts, name).copy()
        taken[ours] = getattr(training.counts, name)[there]
        setattr(counts, name, taken)
    quantiles = live.quantiles.copy()
    quantiles[ours] = training.quantiles[there]
    return msgspec.structs.replace(
        live,
        source=f"{training.source}; answers with {live.source}",
        counts=counts,
        windows=training.windows,
        groups=tuple(training.groups[theirs[k]] if k in theirs else group for k, group in enumerate(live.groups)),
        quantiles=quantiles,
        baselines=live.baselines | training.baselines,
        projection=_projection(live, training),
        segments=(),
    )


def _projection(live: Profile, training: Profile) -> Projection | None:
    """The directions of the training's rows, where both have the same fields."""
    ours, theirs = ([profile.columns[k] for k in fields_of(profile.columns)] for profile in (live, training))
    return training.projection if ours == theirs else None


def as_trained(columns: Sequence[Column], training: Sequence[Column]) -> list[Column]:
    """The columns to compare by: of what came in, those of the training with their bins, and pictures, which its table does
    not have decoded; of what was answered, all."""
    by_name = {column.name: column for column in training if column.role == "input"}
    kept = (c for c in columns if c.role != "input" or c.name in by_name or from_picture(c.name))
    return [by_name.get(column.name, column) for column in kept]

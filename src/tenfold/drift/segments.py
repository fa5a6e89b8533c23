"""Segments: the rows of one region, one product, one scanner. What moves in one of them alone is lost in the sum of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from tenfold.drift.columns import Column, Ints, cells_of, group_titles, offsets
from tenfold.drift.effects import Moved, moved, regroup
from tenfold.drift.sampling import Sample

FEWEST_ROWS = 50  # of a segment in a window's sample, for it to say anything
SMALLEST = 0.02  # share of the reference's rows that makes a segment


class Segmentation(msgspec.Struct, frozen=True):
    """The segments of one field: the place of its column, the groups that are watched with their titles, and the counters
    (s, c) of the reference's sampled rows in each."""

    place: int
    watched: tuple[int, ...]
    titles: tuple[str, ...]
    counts: Ints


def segmentation(columns: Sequence[Column], groups: Sequence[Ints], place: int, sample: Sample) -> Segmentation:
    """The segments that the groups of the column at ``place`` make of the reference."""
    held = _by_group(columns, groups, place, sample)
    rows = held[:, : columns[0].cells].sum(axis=1)
    watched = np.flatnonzero(rows >= max(SMALLEST * rows.sum(), FEWEST_ROWS)).tolist()
    titles = group_titles(columns[place], groups[place])
    return Segmentation(place, tuple(watched), tuple(titles[group] for group in watched), held[watched])


def moved_by_segment(
    segments: Segmentation, columns: Sequence[Column], groups: Sequence[Ints], sample: Sample
) -> Iterator[tuple[str, Moved]]:
    """How far each column moved within each segment, by a name such as "age where region is north"."""
    now = _by_group(columns, groups, segments.place, sample)
    field = columns[segments.place].name
    edges = offsets(columns)[1:-1]
    for title, group, before in zip(segments.titles, segments.watched, segments.counts, strict=True):
        if now[group, : columns[0].cells].sum() < FEWEST_ROWS:
            continue
        pairs = zip(np.split(before, edges), np.split(now[group], edges), strict=True)
        for k, (was, is_) in enumerate(pairs):
            if k != segments.place:
                yield (
                    f"{columns[k].name} where {field} is {title}",
                    moved(regroup(was, groups[k]), regroup(is_, groups[k])),
                )


def _by_group(columns: Sequence[Column], groups: Sequence[Ints], place: int, sample: Sample) -> Ints:
    """The counters (g, c) of sampled rows, by the group that the column at ``place`` puts them into."""
    cells = cells_of(columns, sample["values"])
    group = groups[place][cells[:, place]]
    size, starts = int(groups[place].max()) + 1, offsets(columns)
    flat = group[:, None] * starts[-1] + cells + starts[:-1]
    return np.bincount(flat.ravel(), minlength=size * int(starts[-1])).reshape(size, -1)

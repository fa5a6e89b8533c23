"""The reference: what rows, answers and losses were when all was well, and how much they vary from window to window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from tenfold.drift.columns import Column, Floats, Ints, cells_of, offsets
from tenfold.drift.counting import Counts
from tenfold.drift.effects import Baseline, regroup
from tenfold.drift.estimated import Answers, Estimator
from tenfold.drift.joint import Projection
from tenfold.drift.performance import Measured, Outcomes, Task
from tenfold.drift.sampling import Sample
from tenfold.drift.season import Season
from tenfold.drift.segments import Segmentation

ROWS, ESTIMATED, REALISED = "= rows", "= estimated", "= realised"  # what is watched besides columns
QUANTILES = 65
FEWEST_LABELS = 30  # in a window, for its metric to count


class Window(msgspec.Struct):
    """Rows answered between ``start`` and ``end``: seconds since 1970 in UTC, or row numbers where no time is known.

    ``sample`` has the arrays ``values`` (n, k) in the order of the profile's columns, ``predicted`` (n,) and ``actual`` (n,),
    NaN where unknown. ``strangers`` are examples of categories that the reference never had, by column, with their rows.
    ``whole`` is false where rows of its time may be missing; ``answered`` is how many rows there were, where only some were
    counted.
    """

    start: float
    end: float
    counts: Counts
    outcomes: Outcomes | None = None
    sample: Sample | None = None
    strangers: dict[str, dict[str, int]] = {}
    whole: bool = True
    answered: int | None = None

    @property
    def rows(self) -> int:
        """How many rows were answered."""
        return self.counts.rows if self.answered is None else self.answered


class Profile(msgspec.Struct, kw_only=True):
    """What live windows are compared with. Made once, kept with the release, never changed.

    ``groups`` and ``fine`` say for each column which group each of its counters belongs to: few groups to tell drift by,
    more to estimate performance by. ``importance`` (k,) sums to 1, ``quantiles`` (k, 65) are of each column, ``realised`` is
    the metric on ``labelled`` rows with its standard error, ``ranks`` (c, 2) its rows of each class by the counter of their
    score, and ``losses`` has for each column the rows and the losses (g, 2) of each fine group.
    """

    source: str
    columns: tuple[Column, ...]
    counts: Counts
    windows: int
    groups: tuple[Ints, ...]
    fine: tuple[Ints, ...]
    importance: Floats
    quantiles: Floats
    baselines: dict[str, Baseline]
    projection: Projection | None = None
    segments: tuple[Segmentation, ...] = ()
    season: Season | None = None
    task: Task | None = None
    estimator: Estimator | None = None
    realised: tuple[float, float] | None = None
    labelled: int = 0
    ranks: Ints | None = None
    losses: tuple[Floats, ...] = ()

    @property
    def window_rows(self) -> float:
        """The rows of one window of the reference."""
        return self.counts.rows / max(self.windows, 1)

    def place(self, role: str) -> int | None:
        """Where the column with this role stands; None where there is none."""
        return next((k for k, column in enumerate(self.columns) if column.role == role), None)

    def answers(self, sample: Sample) -> Answers:
        """What the model said of sampled rows, with their fine groups."""
        return answers_of(self.columns, self.fine, sample)

    def estimate(self, sample: Sample | None) -> Measured | None:
        """The performance to be expected of sampled rows; None where nothing was learnt, or nothing can be told."""
        if self.estimator is None or sample is None:
            return None
        measured = self.estimator.of(self.answers(sample))
        return measured if np.isfinite(measured.value) else None


def answers_of(columns: Sequence[Column], fine: Sequence[Ints], sample: Sample) -> Answers:
    """Scores, answers and groups of sampled rows."""
    values = sample["values"]
    scores = next((values[:, k] for k, column in enumerate(columns) if column.role == "score"), None)
    cells = cells_of(columns, values)
    groups = np.stack([group[cell] for group, cell in zip(fine, cells.T, strict=True)], axis=1)
    return Answers(np.full(len(values), np.nan) if scores is None else scores, sample["predicted"], groups)


def split(columns: Sequence[Column], cells: Ints) -> list[Ints]:
    """The counters of all columns (..., c) as those of each."""
    return np.split(cells, offsets(columns)[1:-1], axis=-1)


def by_group(columns: Sequence[Column], cells: Ints, groups: Sequence[Ints]) -> dict[str, Ints]:
    """The counters of all columns (..., c) as those of each column's groups (..., g), by its name."""
    held = zip(columns, split(columns, cells), groups, strict=True)
    return {column.name: regroup(counts, group) for column, counts, group in held}


def fields_of(columns: Sequence[Column]) -> list[int]:
    """The places of the columns that the model was given."""
    return [k for k, column in enumerate(columns) if column.role == "input"]


def quantiles_of(values: Floats) -> Floats:
    """The quantiles (k, 65) of the finite values of each column, NaN where it has none."""
    found = np.full((values.shape[1], QUANTILES), np.nan)
    for k, column in enumerate(values.T):
        finite = column[np.isfinite(column)]
        if len(finite):
            found[k] = np.quantile(finite, np.linspace(0, 1, QUANTILES), method="inverted_cdf")
    return found


def segment_losses(profile: Profile, sample: Sample) -> tuple[Floats, ...]:
    """For each column the rows and the losses (g, 2) of each of its fine groups: by label where known, else expected."""
    if profile.estimator is None:
        return ()
    answers, losses = profile.estimator.losses(profile.answers(sample), sample["actual"])
    return tuple(
        np.stack([np.bincount(group, minlength=size), np.bincount(group, losses, minlength=size)], axis=1)
        for group, size in zip(answers.groups.T, [int(fine.max()) + 1 for fine in profile.fine], strict=True)
    )


def pack(value: Any) -> bytes:
    """A profile, state or window as bytes, the same for the same value."""
    return msgspec.msgpack.encode(value, enc_hook=_array_out, order="deterministic")


def unpack(data: bytes, kind: type[Any]) -> Any:
    """The value that ``pack`` made these bytes of."""
    return msgspec.msgpack.decode(data, type=kind, dec_hook=_array_in)


def _array_out(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, np.ascontiguousarray(value).tobytes()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"{type(value).__name__} is not kept")


def _array_in(_kind: Any, stored: Any) -> Any:
    dtype, shape, data = stored
    return np.frombuffer(data, dtype).reshape(shape)

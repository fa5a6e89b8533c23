"""Streams with a known truth: rows and answers as arrays, cut into windows as a service or a table would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tenfold.drift import Drift
from tenfold.drift.building import Reference, build
from tenfold.drift.columns import SCORE_BINS, Column, Floats, Role, cells_of, number_column
from tenfold.drift.counting import Counter
from tenfold.drift.judge import Circumstances, find, step
from tenfold.drift.monitor import State
from tenfold.drift.performance import Task, Truth, count
from tenfold.drift.profile import Profile, Window
from tenfold.drift.sampling import Sample, mix
from tenfold.drift.verdicts import Verdict

SAMPLED = 2048
POLICY = Drift()
RANKING, ANSWERS, NUMBERS = Task("auc", ("no", "yes")), Task("accuracy", ("no", "yes")), Task("mae", unit=1e-4)


class Rows(NamedTuple):
    """Rows of a stream: fields (n, k), and what is known of the model and the truth, (n,) each."""

    fields: Floats
    score: Floats | None = None
    predicted: Floats | None = None
    actual: Floats | None = None

    @property
    def values(self) -> Floats:
        """The fields and, behind them, the score."""
        return self.fields if self.score is None else np.column_stack([self.fields, self.score])

    def cut(self, first: int, last: int | None = None) -> Rows:
        """A part of the rows."""
        return Rows(*(None if some is None else some[first:last] for some in self))  # type: ignore[arg-type]

    def then(self, later: Rows) -> Rows:
        """These rows and later ones."""
        pairs = zip(self, later, strict=True)
        return Rows(*(None if a is None or b is None else np.concatenate([a, b]) for a, b in pairs))  # type: ignore[arg-type]


def columns_of(rows: Rows, names: Sequence[str] = ()) -> list[Column]:
    """A column for each field, and one for the score."""
    found = []
    for k, values in enumerate(rows.values.T):
        is_score = rows.score is not None and k == rows.fields.shape[1]
        role: Role = "score" if is_score else "input"
        name = "score" if is_score else names[k] if names else f"x{k}"
        found.append(number_column(name, values, role, SCORE_BINS if is_score else 32))
    return found


def window_of(columns: Sequence[Column], rows: Rows, start: float, end: float, task: Task | None = None) -> Window:
    """One window, counted and sampled."""
    values, n = rows.values, len(rows.fields)
    counter = Counter(columns)
    counter.add(values)
    unknown = np.full(n, np.nan)
    predicted = unknown if rows.predicted is None else rows.predicted
    actual = unknown if rows.actual is None else rows.actual
    keys = mix(np.arange(n, dtype=np.uint64) + np.uint64(int(abs(start)) * 1_000_003))
    first = np.sort(np.argsort(keys)[:SAMPLED])
    sample = Sample(keys[first], {"values": values[first], "predicted": predicted[first], "actual": actual[first]})
    outcomes = None
    if task is not None and rows.actual is not None:
        place = next((k for k, column in enumerate(columns) if column.role == "score"), None)
        cells = np.zeros(n, dtype=np.int64) if place is None else cells_of([columns[place]], values[:, [place]])[:, 0]
        outcomes = count(task, Truth(predicted, actual, cells), 0 if place is None else columns[place].cells)
    return Window(start, end, counter.take(), outcomes, sample)


def windows_of(
    columns: Sequence[Column], rows: Rows, size: int, task: Task | None = None, start: float = 0, each: float = 1
) -> list[Window]:
    """Windows of so many rows; ``each`` is how long one takes, from ``start`` on."""
    count_ = len(rows.fields) // size
    return [
        window_of(
            columns, rows.cut(k * size, (k + 1) * size), float(start + k * each), float(start + (k + 1) * each), task
        )
        for k in range(count_)
    ]


def profile_of(
    rows: Rows,
    size: int,
    task: Task | None = None,
    *,
    names: Sequence[str] = (),
    columns: Sequence[Column] | None = None,
    start: float = 0,
    window_s: float | None = None,
    segments: Sequence[str] = (),
) -> Profile:
    """The profile of a reference."""
    columns = columns or columns_of(rows, names)
    windows = windows_of(columns, rows, size, task, start, window_s or 1)
    samples = [window.sample for window in windows if window.sample is not None]
    arrays = {name: np.concatenate([sample[name] for sample in samples]) for name in samples[0].arrays}
    arrays["window"] = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    sample = Sample(np.concatenate([sample.keys for sample in samples]), arrays)
    return build(Reference(columns, windows, sample, task, "the reference", window_s, segments))


def watch(
    profile: Profile, windows: Sequence[Window], policy: Drift = POLICY, around: Circumstances | None = None
) -> State:
    """The state after all windows."""
    state = State()
    for window in windows:
        state = step(profile, policy, state, window, around)
    return state


def verdicts(state: State) -> list[Verdict]:
    """The verdict of each window, when it closed."""
    return [seen.verdict for seen in state.seen]


def first_alarm(state: State) -> int | None:
    """The number of the first window that was not healthy."""
    return next((seen.number for seen in state.seen if seen.verdict is not Verdict.HEALTHY), None)


def last(profile: Profile, state: State, policy: Drift = POLICY) -> Verdict:
    """The verdict by now."""
    return find(profile, policy, state, Circumstances()).verdict


# -- worlds -----------------------------------------------------------------------------------------------------


def classified(
    random: np.random.Generator, n: int, shift: Sequence[float] = (0, 0, 0), turn: float = 1.0, spread: float = 1.0
) -> Rows:
    """Three fields, a label that depends on them, and a model that knows how. ``shift`` moves the fields, ``spread`` widens
    them; ``turn`` times is the effect of the first field on the label, without the model's knowing."""
    fields = spread * random.normal(size=(n, 3)) + np.asarray(shift)
    odds = 1.5 * turn * fields[:, 0] + fields[:, 1] - 0.5 * fields[:, 2]
    actual = (random.random(n) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    known = 1.5 * fields[:, 0] + fields[:, 1] - 0.5 * fields[:, 2] + 0.2 * random.normal(size=n)
    score = 1 / (1 + np.exp(-known))
    return Rows(fields, score, (score >= 0.5).astype(np.float64), actual)


def regressed(random: np.random.Generator, n: int, shift: float = 0.0, bend: float = 0.0) -> Rows:
    """Two fields and a number that grows noisier with the first; ``bend`` is what the model doesn't know."""
    fields = random.normal(size=(n, 2)) + np.array([shift, 0.0])
    actual = fields @ [2.0, 1.0] + bend * fields[:, 0] ** 2 + random.normal(size=n) * np.exp(0.4 * fields[:, 0])
    return Rows(fields, None, fields @ np.array([2.0, 1.0]), actual)


def autocorrelated(random: np.random.Generator, n: int, rho: float, k: int = 1) -> Floats:
    """A stationary AR(1) series (n, k) of variance 1."""
    noise = random.normal(size=(n, k)) * np.sqrt(1 - rho * rho)
    series = np.empty((n, k))
    series[0] = random.normal(size=k)
    for t in range(1, n):
        series[t] = rho * series[t - 1] + noise[t]
    return series


def strangers(window: Window, names: Mapping[str, Mapping[str, int]]) -> Window:
    """The window with examples of names that the reference never had."""
    window.strangers = {column: dict(found) for column, found in names.items()}
    return window

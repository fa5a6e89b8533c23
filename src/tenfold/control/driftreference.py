"""What a table says about normal: its columns, the model's task, and the profile that later rows are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tenfold.control.driftfiles import TableFile
from tenfold.control.driftrows import Collector, Roles, times_of
from tenfold.drift.building import Reference, build
from tenfold.drift.columns import Column, Floats, Role
from tenfold.drift.performance import STEPS, Task, expected_area
from tenfold.drift.profile import FEWEST_LABELS, Profile
from tenfold.drift.sampling import Array, Sample, Sampler, mix
from tenfold.drift.tables import Facts, describe, number_name
from tenfold.drift.windows import FARTHEST_S, Plan, by_rows, by_time
from tenfold.errors import UsageError

SAMPLE_BYTES = 32 << 20  # for the rows that bins are taken from; twice that while they are chosen
FEWEST_SAMPLED, MOST_SAMPLED = 4096, 65536
MOST_CLASSES = 20  # whole numbers that a label takes, beyond which it is a quantity
FEWEST_WINDOWS, MOST_WINDOWS = 5, 40
WINDOW_ROWS = 50  # at least, in each of them


class Surveyed(NamedTuple):
    """What one pass over the reference finds: how many rows, their times, the facts of each column, and a sample of rows."""

    rows: int
    times: Floats | None
    facts: dict[str, Facts]
    sample: Sample


class Known(NamedTuple):
    """What the table is taken for: the columns that are compared, the model's task, and the remarks that led there."""

    columns: list[Column]
    task: Task | None
    roles: Roles
    remarks: list[str]


def survey(file: TableFile, roles: Roles) -> Surveyed:
    """Pass over a reference once."""
    names = [name for name in file.columns if name not in roles.ignore]
    facts = {name: Facts() for name in names}
    sampler = Sampler(min(max(SAMPLE_BYTES // (8 * max(len(names), 1) * 2), FEWEST_SAMPLED), MOST_SAMPLED))
    times: list[Floats] = []
    rows = 0
    for block in file.blocks(names):
        rows += block.rows
        hashes = mix(np.arange(block.first, rows, dtype=np.uint64))
        chosen = sampler.choose(hashes)
        arrays: dict[str, Array] = {"row number": block.first + chosen}
        for name in names:
            raw = block.column(name)
            facts[name].see(raw)
            arrays[name] = raw.take(chosen).plain()
            if name == roles.time:
                times.append(times_of(raw))
        sampler.add(hashes[chosen], arrays)
    sample = sampler.sample()
    if sample is None:
        raise UsageError(f"{file.path.name} has no rows", "give the table that the model was trained on")
    if roles.time is not None and times:
        require_times(file, roles.time, np.concatenate(times))
    ordered = sample.take(np.argsort(sample["row number"], kind="stable"))
    return Surveyed(rows, np.concatenate(times) if times else None, facts, ordered)


def require_times(file: TableFile, name: str, times: Floats) -> None:
    """Refuse a column of times (n,) in which no row has one."""
    if len(times) and not (np.abs(times) < FARTHEST_S).any():
        mend = "leave --time out, or name a column with ISO 8601 or seconds since 1970"
        raise UsageError(f"--time {name}: no row of {file.path.name} has a time there", mend)


def understand(surveyed: Surveyed, roles: Roles) -> Known:
    """Tell the columns and the task from a sample of the reference."""
    task, roles, remarks = _task(surveyed, roles)
    special: dict[str | None, Role] = {roles.prediction: "prediction", roles.score: "score"}
    columns = []
    for name, facts in surveyed.facts.items():
        if name in (roles.label, roles.time, roles.key):
            continue
        found = describe(name, surveyed.sample[name], facts, special.get(name, "input"))
        if isinstance(found, str):
            remarks.append(f"{name or 'a column without a name'} is left out: {found}")
        else:
            columns.append(found)
    if not columns:
        raise UsageError("the reference has no column to compare", "give the table that the model was trained on")
    return Known(columns, task, roles, remarks)


def profile(
    file: TableFile, surveyed: Surveyed, known: Known, live: Plan, window_rows: float, segments: Sequence[str] = ()
) -> tuple[Profile, list[str]]:
    """The profile of a reference, in windows like those ``live`` ones, of ``window_rows`` rows; and what is odd about it."""
    plan = _plan(surveyed, live, window_rows)
    collector = Collector(known.columns, plan, known.roles, known.task)
    roles = known.roles
    for block in file.blocks([*(column.name for column in known.columns), *filter(None, (roles.label, roles.time))]):
        collector.add(block, file.kinds)
    windows = collector.windows()
    samples = [window.sample for window in windows if window.sample is not None]
    names = samples[0].arrays
    arrays = {name: np.concatenate([sample[name] for sample in samples]) for name in names}
    arrays["window"] = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    sample = Sample(np.concatenate([some.keys for some in samples]), arrays)
    length = plan.window_s if plan.timed else None
    built = build(
        Reference(
            known.columns, windows, sample, known.task, f"{surveyed.rows:,} rows of {file.path.name}", length, segments
        )
    )
    remarks = [f"reference: {remark}" for remark in (*plan.remarks, *collector.remarks())]
    if surveyed.rows < WINDOW_ROWS:
        remarks.append(f"the reference has {surveyed.rows:,} rows: too few for drift to be told from chance")
    labelled = sum(window.outcomes.rows for window in windows if window.outcomes)
    if known.task is not None and labelled < FEWEST_LABELS:
        few = f"the reference has {labelled:,} labelled rows: from {FEWEST_LABELS} on they tell what to expect"
        remarks.append(f"{few}, so labels of today decide nothing")
    elif known.task is not None and built.estimator is None:
        remarks.append("the reference has too few labelled rows, or all alike: performance cannot be estimated from it")
    return built, remarks


def _plan(surveyed: Surveyed, live: Plan, window_rows: float) -> Plan:
    """As many rows in a window as live ones have, but enough windows to see how much they differ by themselves."""
    windows = round(surveyed.rows / max(window_rows, 1.0))
    windows = min(max(windows, FEWEST_WINDOWS), MOST_WINDOWS, surveyed.rows // WINDOW_ROWS)
    windows = max(windows, 1)
    if surveyed.times is None:
        return by_rows(surveyed.rows, windows)
    if live.window_s is not None:
        return by_time(surveyed.times, live.window_s)
    return by_time(surveyed.times, windows=windows)


def _task(surveyed: Surveyed, roles: Roles) -> tuple[Task | None, Roles, list[str]]:
    """What the model is for; None where the reference has no labels, or no answers, with a remark."""
    sample = surveyed.sample
    if roles.label is None:
        return None, roles, []
    if roles.label not in sample.arrays:
        return None, roles, [f"the reference has no column {roles.label}: there is no performance to compare with"]
    if roles.prediction is None and roles.score is None:
        return None, roles, ["neither --prediction nor --score is given: labels say nothing about the model"]
    labels = sample[roles.label]
    classes = _classes(labels)
    if roles.score is None and len(classes) == 2 and _probabilities(sample[roles.prediction or ""]):
        roles = roles._replace(prediction=None, score=roles.prediction)
    if roles.score is not None and len(classes) == 2:
        return Task("auc", _ordered(classes, labels, sample[roles.score])), roles, []
    if roles.prediction is None:
        return None, roles, [f"{roles.label} has {len(classes)} classes: --prediction is needed beside --score"]
    if classes:
        return Task("accuracy", classes), roles, []
    predicted = sample[roles.prediction]
    if labels.dtype == object or predicted.dtype == object:
        return None, roles, [f"{roles.label} and {roles.prediction} are neither both numbers nor both classes"]
    error = float(np.nanmean(np.abs(labels - predicted))) if np.isfinite(labels - predicted).any() else 0.0
    return Task("mae", unit=(error or 1.0) / STEPS), roles, []


def _classes(labels: Array) -> tuple[str, ...]:
    """The classes of labels in their order; none where they are quantities."""
    if labels.dtype == object:
        return tuple(sorted({label for label in labels if label is not None}))
    levels = np.unique(labels[np.isfinite(labels)])
    if len(levels) > MOST_CLASSES or (levels != np.rint(levels)).any():
        return ()
    return tuple(map(number_name, levels.tolist()))


def _probabilities(values: Array) -> bool:
    """Whether these are probabilities, and no classes."""
    if values.dtype == object:
        return False
    known = values[np.isfinite(values)]
    return bool(((known >= 0) & (known <= 1)).all() and (known != np.rint(known)).any())


def _ordered(classes: tuple[str, ...], labels: Array, scores: Array) -> tuple[str, ...]:
    """Two classes, the one that high scores speak for last: names cannot tell which that is."""
    if labels.dtype != object or scores.dtype == object:
        return classes
    known = np.isfinite(scores) & np.array([label is not None for label in labels])
    area = expected_area(scores[known], np.asarray(labels[known] == classes[1], dtype=np.float64)).value
    return classes[::-1] if area < 0.5 else classes

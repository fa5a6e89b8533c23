"""Following one release while it answers: pieces of counts become windows, windows become evidence, labels come later.

All of it is a value that can be kept, and time is given: the same pieces make the same verdict, in whatever order they come.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.arrivals import Arrivals, unit_of
from tenfold.drift.columns import Column, Floats, Ints
from tenfold.drift.counting import Counts
from tenfold.drift.cycles import History
from tenfold.drift.deltas import COLLECTED, SAMPLED, WINDOW_S, Delta
from tenfold.drift.judge import Circumstances, find, step
from tenfold.drift.making import Known, as_trained, counts_of, profile_of, with_fields_of
from tenfold.drift.monitor import State, came
from tenfold.drift.options import Drift
from tenfold.drift.performance import Outcomes
from tenfold.drift.profile import Profile, Window
from tenfold.drift.rules import Rates, watch
from tenfold.drift.sampling import Sample
from tenfold.drift.season import HOUR_S
from tenfold.drift.volume import Volume

GRACE_S = 5.0  # after the end of a window, for pieces that are on their way
FEWEST_ROWS = 500  # in a window, where nobody says how long one is
LONGEST_S = 86_400.0  # that such a window may go on
FEWEST_REFUSED = 20  # rows, of which none was answered, that make a window
USUAL_WINDOWS = 3  # the first ones, whose refusals and changes are the usual ones
FUTURE = 2  # windows ahead, beyond which a piece is of a clock that jumped


class Open(msgspec.Struct):
    """A window that is not over. ``counts`` and the sample are by the profile's columns, or without counts as they were
    collected before there was one."""

    start: float
    end: float
    answered: int = 0
    counts: Counts | None = None
    sample: Sample | None = None


class Waiting(msgspec.Struct):
    """A window whose labels are not complete, or have not been looked at."""

    number: int
    start: float
    end: float
    rows: int


class Following(msgspec.Struct, kw_only=True):
    """What is known of a release besides its profile. ``until`` is when the last closed window ended, ``late`` counts rows
    of windows that are closed, ``strange`` those of times that have not come; ``first`` are the outcomes of the first
    labelled windows, until they tell how good the model is. ``usual`` are the rates of rules in the first windows,
    ``told`` the server's counters when the last one closed, since which ``fresh`` rows came. ``hours`` are the counters of
    hours since 1970 that are not over, or not yet in the history (see ``cycles``), ``arrivals`` the rows that they had."""

    began: float
    state: State = msgspec.field(default_factory=State)
    opened: list[Open] = []
    until: float = -1e18
    answered: int = 0
    counted: int = 0
    late: int = 0
    strange: int = 0
    last_row: float = 0.0
    waiting: list[Waiting] = []
    labelled: int = 0
    judged: int = 0
    first: list[Outcomes] = []
    usual: Rates = msgspec.field(default_factory=Rates)
    told: Rates | None = None
    fresh: int = 0
    remarks: list[str] = []
    hours: dict[str, Ints] = {}
    arrivals: Arrivals = msgspec.field(default_factory=Arrivals)


class Release(NamedTuple):
    """What a release is followed by. ``columns`` are those of its contract (see ``live.watched``), ``training`` the profile
    of the fields that it was trained on, where there is one."""

    policy: Drift
    columns: Sequence[Column]
    training: Profile | None = None
    around: Circumstances = Circumstances()


def add(now: Following, profile: Profile | None, release: Release, delta: Delta, time: float) -> None:
    """Put a piece into its window."""
    length = delta.end - delta.start
    if delta.start > time + FUTURE * length:
        now.strange += delta.answered
        return
    now.arrivals.add(delta.start, delta.answered)
    if delta.end <= now.until:
        now.late += delta.answered
        return
    found = next((some for some in now.opened if some.start <= delta.start < some.end), None)
    if found is None:
        found = Open(delta.start, delta.end)
        now.opened = sorted([*now.opened, found], key=lambda some: some.start)
    values, counts = delta.values, delta.counts
    if profile is not None and counts is None:
        values = arranged(values, release.columns, profile.columns)
        counts = counts_of(profile.columns, values)
    now.answered += delta.answered
    now.counted += counts.rows if counts is not None else len(values)
    if len(delta.times):
        now.last_row = max(now.last_row, float(delta.times.max()))
    found.answered += delta.answered
    if counts is not None and length <= HOUR_S * 1.01:
        hour = str(int(delta.start // HOUR_S))
        now.hours[hour] = now.hours[hour] + counts.cells if hour in now.hours else counts.cells
    _merge(found, counts, Sample(delta.keys, {"values": values, "time": delta.times}))


def _merge(found: Open, counts: Counts | None, sample: Sample) -> None:
    if counts is not None:
        found.counts = counts if found.counts is None else found.counts.merge(counts)
    if len(sample):
        both = [sample] if found.sample is None else [found.sample, sample]
        found.sample = Sample.merge(both, SAMPLED if counts is not None else COLLECTED)


def remember(now: Following, history: History) -> bool:
    """Put the hours that are over into the history; whether there was one."""
    over = sorted(hour for hour in map(int, now.hours) if (hour + 1) * HOUR_S <= now.until)
    for hour in over:
        history.add(hour, now.hours.pop(str(hour)))
    return bool(over)


def arranged(values: Floats, given: Sequence[Column], wanted: Sequence[Column]) -> Floats:
    """Values (n, k) by the columns that are ``wanted``; NaN where there is no such column, or no such category."""
    places = {column.name: k for k, column in enumerate(given)}
    found = np.full((len(values), len(wanted)), np.nan)
    for k, column in enumerate(wanted):
        if column.name not in places:
            continue
        found[:, k] = values[:, places[column.name]]
        names = given[places[column.name]].names
        if column.kind == "category" and names != column.names:
            codes = column.codes()
            table = np.array([*(codes.get(name, column.unseen) for name in names), column.unseen, np.nan])
            known = np.isfinite(found[:, k])
            found[known, k] = table[found[known, k].astype(np.intp)]
    return found


def begin(now: Following, release: Release, time: float) -> Profile | None:
    """The profile that the first window makes, once it is over and has rows enough; else None."""
    if not now.opened or not _is_over(now, time, release.policy.window_s or WINDOW_S, grows=True):
        return None
    first = now.opened[0]
    if first.sample is None:
        return None
    order = np.argsort(first.sample["time"], kind="stable")
    values = first.sample["values"][order]
    trained = release.training.columns if release.training else ()
    columns = as_trained(release.columns, trained) if release.training else release.columns
    known = Known(columns, arranged(values, release.columns, columns))
    made, remarks = profile_of(known, f"the first {len(values):,} live rows", release.policy.segments)
    now.remarks = remarks
    if made is None:
        now.opened = now.opened[1:]
        return None
    for some in now.opened:
        if some.sample is not None:
            shown = arranged(some.sample["values"], release.columns, made.columns)
            some.counts = counts_of(made.columns, shown)
            some.sample = Sample(some.sample.keys, {"values": shown, "time": some.sample["time"]})
    if release.training is None:  # it is the reference itself
        now.opened = now.opened[1:]
        now.until = first.end
        return made
    return with_fields_of(made, release.training)


def look(now: Following, policy: Drift, time: float, alone: bool = True) -> bool:
    """Judge how many rows came in the hours that are over; whether one was. ``alone`` is false where another release of the
    service runs, which may take a share of the rows. To be called far more often than once in an hour."""
    unit_s = unit_of(policy.window_s or WINDOW_S)
    if now.arrivals.unit_s != unit_s:
        now.arrivals = Arrivals(unit_s)
    before = now.state
    for unit, rows in now.arrivals.over(time, GRACE_S, alone):
        known = now.state.volume if now.state.volume.unit_s == unit_s else Volume(unit_s)
        known = msgspec.structs.replace(known, heard=now.last_row)
        now.state = came(policy, now.state, known, unit, rows)
    return now.state is not before


def close(now: Following, profile: Profile, release: Release, time: float, counters: Rates | None = None) -> bool:
    """Judge the windows that are over; whether there was one. ``counters`` are those of the server as they are now."""
    closed = False
    if counters is not None:
        if now.told is None:
            now.told = counters
        elif counters.rows < now.told.rows:  # another server counts from nothing
            now.told = Rates()
        now.fresh = counters.minus(now.told).rows
        if now.fresh and not now.opened:  # all of them may have been refused
            length = release.policy.window_s or WINDOW_S
            start = max(time // length * length, now.until)
            now.opened = [Open(start, start + length, counts=Counts.none(profile.columns))]
    grows = release.policy.window_s is None
    while now.opened and _is_over(now, time, release.policy.window_s or WINDOW_S, grows):
        first, *now.opened = now.opened
        now.until = max(now.until, first.end)
        if first.counts is None or (not first.answered and (now.opened or now.fresh < FEWEST_REFUSED)):
            continue
        number = now.state.number
        window = Window(
            first.start, first.end, first.counts, None, with_answers(profile, first.sample), {}, True, first.answered
        )
        now.state = step(profile, release.policy, now.state, window, release.around)
        if counters is not None:
            _close_rules(now, profile, release, counters)
        now.waiting = [*now.waiting, Waiting(number, first.start, first.end, first.answered)]
        closed = True
    return closed


def _close_rules(now: Following, profile: Profile, release: Release, counters: Rates) -> None:
    """Judge what was refused and changed since the last window."""
    rates, now.told, now.fresh = counters.minus(now.told or Rates()), counters, 0
    if now.state.number <= USUAL_WINDOWS:
        now.usual = now.usual.plus(rates)
        return
    state = watch(release.policy, now.state, now.usual, rates)
    verdict = find(profile, release.policy, state, release.around).verdict
    last = msgspec.structs.replace(state.seen[-1], verdict=verdict)
    now.state = msgspec.structs.replace(state, seen=(*state.seen[:-1], last))


def _is_over(now: Following, time: float, length: float, grows: bool) -> bool:
    """Whether the oldest window is over. One that ``grows`` takes in the next as long as it has few rows."""
    first = now.opened[0]
    if time < first.end + GRACE_S:
        return False
    if not grows or max(first.answered, now.fresh) >= FEWEST_ROWS or first.end - first.start >= LONGEST_S:
        return True
    if len(now.opened) > 1 and now.opened[1].start <= first.end:
        second = now.opened.pop(1)
        first.end, first.answered = second.end, first.answered + second.answered
        if second.sample is not None:
            _merge(first, second.counts, second.sample)
    else:
        first.end += length
    return _is_over(now, time, length, grows)


def with_answers(profile: Profile, sample: Sample | None) -> Sample | None:
    """Sampled ``values`` (n, k) as windows have them: with what was ``predicted``, by the codes of the task, and no label."""
    if sample is None:
        return None
    unknown = np.full(len(sample), np.nan)
    predicted = unknown
    place = next((k for k, c in enumerate(profile.columns) if c.role == "prediction"), None)
    if place is not None and profile.task is not None:
        predicted = _as_said(profile, sample["values"][:, place], profile.columns[place])
    return Sample(sample.keys, {"values": sample["values"], "predicted": predicted, "actual": unknown})


def _as_said(profile: Profile, values: Floats, column: Column) -> Floats:
    """Answers as the codes of the task's classes."""
    if profile.task is None or not profile.task.classes or column.kind != "category":
        return values
    classes = profile.task.classes
    table = np.array(
        [float(classes.index(name)) if name in classes else np.nan for name in column.names] + [np.nan] * 2
    )
    return np.where(np.isfinite(values), table[np.nan_to_num(values, nan=-1).astype(np.intp)], np.nan)

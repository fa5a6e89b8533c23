"""Does the model need an update, offline: two tables, served by whatever system, compared as a running service would be."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tenfold.control import driftreference
from tenfold.control.driftfiles import TableFile
from tenfold.control.driftlabels import Labels
from tenfold.control.driftreference import Known
from tenfold.control.driftrows import Collector, Roles, Target, times_of
from tenfold.drift.challenger import challenge
from tenfold.drift.columns import Floats
from tenfold.drift.judge import Circumstances, find, step
from tenfold.drift.monitor import FEWEST_ROWS, State
from tenfold.drift.options import Drift
from tenfold.drift.paired import compare
from tenfold.drift.profile import Profile, Window
from tenfold.drift.reporting import report
from tenfold.drift.truth import Told
from tenfold.drift.verdicts import Challenge, Report, Verdict
from tenfold.drift.windows import Plan, by_rows, by_time, moment
from tenfold.errors import UsageError

__all__ = ["Judged", "Report", "Roles", "judge", "judge_files", "verdict_named"]


POLICY = (
    *("window", "loss_tolerance", "drift_tolerance"),
    *("false_alarm_probability", "mean_windows_between_false_alarms"),
)


class Judged(NamedTuple):
    """A verdict on two tables, and what it was made of."""

    report: Report
    profile: Profile
    state: State


@np.errstate(over="ignore", invalid="ignore")  # values near the end of floats are counted like all others
def judge(
    reference: Path,
    current: Path,
    labels: Path | None = None,
    roles: Roles | None = None,
    policy: Drift | None = None,
    say: Callable[[str], object] = lambda _: None,
) -> Judged:
    """Compare the rows of ``current`` with those of ``reference``, window by window, and judge.

    ``labels`` is a table with the labels of current rows, joined by ``roles.key`` or the one column that both have. ``say``
    is told what is being done. Raises ``UsageError`` for a column that is not there and ``NotFound`` for a file.
    """
    asked, policy = roles or Roles(), policy or Drift()
    before, now = TableFile(reference), TableFile(current)
    before.require(asked.prediction, asked.score, *policy.segments)
    now.require(asked.prediction, asked.score, asked.time, asked.challenger)
    say("reading the reference")
    surveyed = driftreference.survey(before, asked)
    known = driftreference.understand(surveyed, asked)
    plan, rows = _plan(now, known.roles, policy)
    say("counting the reference")
    profile, remarks = driftreference.profile(before, surveyed, known, plan, rows / len(plan), policy.segments)
    say("counting the rows of today")
    windows, more = _collect(now, labels, known, plan)
    state = State()
    for window in windows:
        state = step(profile, policy, state, window)
    at = moment if plan.timed else int
    challenge = _paired(profile, policy, windows, asked.challenger) if asked.challenger else None
    around = Circumstances(challenge=challenge or _challenge(profile, policy, state, windows))
    final = report(profile, policy, state, around, at)
    if asked.challenger and challenge is None:
        more.append(f"{asked.challenger} cannot be compared with the model: no row has a label and answers of both")
    reasons = [*_differences(before, now, known), *known.remarks, *remarks, *plan.remarks, *more, *_few(windows)]
    replay = _replay(reference, current, labels, asked, policy)
    return Judged(msgspec.structs.replace(final, reasons=(*final.reasons, *reasons), replay=replay), profile, state)


def judge_files(given: Mapping[str, Any], say: Callable[[str], object] = lambda _: None) -> Report:
    """The verdict on two tables, given the options of the command line by name; those that are None were not given."""
    for needed in ("reference", "current"):
        if given.get(needed) is None:
            raise UsageError(
                f"--{needed} FILE is missing", "tenfold drift NAME, or tenfold drift --reference A --current B"
            )
    policy = Drift(
        segments=given.get("segments", ()), **{name: given[name] for name in POLICY if given.get(name) is not None}
    )
    roles = Roles(**{name: given[name] for name in Roles._fields if given.get(name)})
    return judge(given["reference"], given["current"], given.get("labels"), roles, policy, say).report


def verdict_named(text: str) -> Verdict:
    """The verdict of this name; ``UsageError`` where there is none."""
    try:
        return Verdict(text.upper().replace("-", "_"))
    except ValueError:
        raise UsageError(f"there is no verdict {text!r}", f"one of {', '.join(Verdict)}") from None


def _plan(now: TableFile, roles: Roles, policy: Drift) -> tuple[Plan, int]:
    """The windows of the rows of today, and how many rows there are."""
    if roles.time is None:
        if policy.window_s is not None:
            raise UsageError("windows of a length of time need the times of rows", "--time COLUMN")
        rows = sum(block.rows for block in now.blocks(now.columns[:1]))
        return by_rows(max(rows, 1)), rows
    found: list[Floats] = [np.zeros(0)]
    found += [times_of(block.column(roles.time)) for block in now.blocks([roles.time])]
    times = np.concatenate(found)
    driftreference.require_times(now, roles.time, times)
    return by_time(times, policy.window_s), len(times)


def _collect(now: TableFile, labels: Path | None, known: Known, plan: Plan) -> tuple[list[Window], list[str]]:
    """The windows of the rows of today, with the labels that are known of them."""
    roles, task = known.roles, known.task
    collector = Collector(known.columns, plan, roles, task)
    joined = None
    if labels is not None and task is not None and roles.label is not None:
        joined = Labels(TableFile(labels), now, roles.label, roles.key, Target(task))
    keys = [joined.key] if joined else []
    for block in now.blocks(list(dict.fromkeys([*(c.name for c in known.columns), *_special(roles), *keys]))):
        collector.add(block, now.kinds, joined.of(block.column(joined.key)) if joined else None)
    remarks = collector.remarks() + (joined.remarks() if joined else [])
    windows = collector.windows()
    return windows, remarks + (_coverage(windows) if task else [])


def _special(roles: Roles) -> list[str]:
    return [name for name in (roles.prediction, roles.label, roles.time, roles.challenger) if name is not None]


def _paired(profile: Profile, policy: Drift, windows: list[Window], name: str) -> Challenge | None:
    """What the challenger saves, whose answers stand beside the model's in sampled rows of all windows."""
    samples = [window.sample for window in windows if window.sample is not None]
    if profile.task is None or not samples:
        return None
    place = profile.place("score")
    both = [
        Told(sample["predicted"], sample["predicted"] if place is None else sample["values"][:, place])
        for sample in samples
    ]
    champion = Told(*(np.concatenate(some) for some in zip(*both, strict=True)))
    rival, actual = (np.concatenate([sample[field] for sample in samples]) for field in ("challenger", "actual"))
    return compare(profile.task, policy, champion, Told(rival, rival), actual, name)


def _challenge(profile: Profile, policy: Drift, state: State, windows: list[Window]) -> Challenge | None:
    """What labels since the change teach, where an update would be recommended."""
    if not state.seen:
        return None
    found = find(profile, policy, state, Circumstances())
    if found.verdict is not Verdict.UPDATE_RECOMMENDED:
        return None
    since = next((seen.start for seen in state.seen if seen.number == found.since), -np.inf)
    return challenge(profile, [window.sample for window in windows if window.sample and window.start >= since])


# -- what is to be said besides -------------------------------------------------------------------------------


def _differences(before: TableFile, now: TableFile, known: Known) -> list[str]:
    """Columns that only one of the files has, or that cannot be compared."""
    said = [f"{name} is not there any more" for name in (c.name for c in known.columns) if name not in now.kinds]
    seen = {*before.columns, *_special(known.roles), *known.roles.ignore, known.roles.key}
    said += [f"{name} is new: the reference has no such column" for name in now.columns if name not in seen]
    return said + [f"{name} cannot be compared" for name in before.unusable]


def _coverage(windows: list[Window]) -> list[str]:
    rows = sum(window.counts.rows for window in windows)
    labelled = sum(window.outcomes.rows for window in windows if window.outcomes)
    return [f"{labelled:,} of {rows:,} rows have a label"] if labelled < rows else []


def _few(windows: list[Window]) -> list[str]:
    few = sum(window.counts.rows < FEWEST_ROWS for window in windows)
    return [f"{few} of {len(windows)} windows have fewer than {FEWEST_ROWS} rows, and are not judged"] if few else []


def _replay(reference: Path, current: Path, labels: Path | None, roles: Roles, policy: Drift) -> str:
    """The command that comes to the same verdict."""
    words = ["tenfold", "drift", "--reference", str(reference), "--current", str(current)]
    named: dict[str, str | None] = {**roles._asdict(), "labels": None if labels is None else str(labels)}
    del named["ignore"]
    for option, name in named.items():
        words += [f"--{option}", name] if name is not None else []
    for name in roles.ignore:
        words += ["--ignore", name]
    default = Drift()
    words += [word for name in policy.segments for word in ("--segment", name)]
    for field in POLICY:
        if getattr(policy, field) != getattr(default, field):
            words += [f"--{field.replace('_', '-')}", str(getattr(policy, field))]
    return shlex.join(words)

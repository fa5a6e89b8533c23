"""The evidence in words and figures that a person can act on: sentence first, then where, since when, and what it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tenfold.drift.columns import Ints, group_titles
from tenfold.drift.effects import Baseline, regroup
from tenfold.drift.eprocess import confidence_sequence
from tenfold.drift.judge import Circumstances, Findings, find
from tenfold.drift.monitor import FEWEST_ROWS as FEWEST_IN_WINDOW
from tenfold.drift.monitor import Seen, State, correction
from tenfold.drift.movement import Selected
from tenfold.drift.options import Drift
from tenfold.drift.performance import Measured, Task
from tenfold.drift.profile import Profile, split
from tenfold.drift.verdicts import FEEDBACK, NEXT, Challenge, Feature, Line, Performance, Report, Segment, Verdict

MOST_SEGMENTS = 5
FEWEST_ROWS = 30  # of a segment
DETECT = 3.9  # standard errors that harm has to be away, to be seen nine times in ten at one in a hundred
NAMES = {"auc": "auc", "accuracy": "accuracy", "mae": "mean absolute error"}

Position = Callable[[float], str | int]


def report(profile: Profile, policy: Drift, state: State, around: Circumstances, at: Position) -> Report:
    """The verdict with all its evidence; ``at`` writes the start or end of a window, a time or a row number."""
    if all(seen.rows < FEWEST_IN_WINDOW and not seen.rules for seen in state.seen):
        return _nothing(profile, "no window has enough rows to be compared")
    if profile.counts.rows < FEWEST_IN_WINDOW:
        return _nothing(profile, f"the reference has {profile.counts.rows:,} rows: too few to compare anything with")
    found = find(profile, policy, state, around)
    since = _since(state, found.since)
    performance = _performance(profile, policy, state, found, since)
    features = tuple(_features(profile, state, found, since, at))
    labels = _labels_needed(profile, policy, performance) if found.verdict is Verdict.NEED_LABELS else None
    segments = tuple(_segments(profile, since)) if found.estimated or found.realised else ()
    where = f", {segments[0].field} {segments[0].group} first" if segments else ""
    return Report(
        verdict=found.verdict,
        since=at(found.began) if found.began is not None else None,
        because=_because(found, features, performance, around.challenge),
        next=_next(found.verdict, around.challenge, performance).format(labels=labels or 0, where=where),
        windows=tuple(_line(seen, at) for seen in state.seen),
        features=features,
        segments=segments,
        faults=tuple(found.faults),
        performance=performance,
        challenge=around.challenge,
        deployed=found.deployed,
        labels_needed=labels,
        ruled_out=tuple(_ruled_out(profile, state, found, around)),
        reasons=(
            *_restless(profile, policy, found, features),
            *_selected(policy, state.seen if found.since is None else since),
        ),
        control=_control(policy),
        source=profile.source,
    )


def _nothing(profile: Profile, because: str) -> Report:
    return Report(
        verdict=Verdict.WATCH,
        since=None,
        because=because,
        next="give more rows",
        windows=(),
        source=profile.source,
    )


def _since(state: State, number: int | None) -> list[Seen]:
    """The windows since the change; the last one alone where nothing changed."""
    windows = [seen for seen in state.seen if number is not None and seen.number >= number]
    return windows or [state.seen[-1]]


def _line(seen: Seen, at: Position) -> Line:
    estimated = seen.estimated.value if seen.estimated else None
    realised = seen.realised.value if seen.realised else None
    labelled = seen.realised.rows if seen.realised else 0
    return Line(at(seen.start), at(seen.end), seen.rows, seen.verdict, estimated, realised, labelled)


def _control(policy: Drift) -> str:
    between = policy.mean_windows_between_false_alarms
    if between is not None:
        return f"while nothing changes, one false alarm in {between:,} windows on average"
    return f"while nothing changes, the probability of ever raising an alarm is at most {policy.false_alarm_probability:.2g}"


# -- performance ----------------------------------------------------------------------------------------------


def _performance(
    profile: Profile, policy: Drift, state: State, found: Findings, since: Sequence[Seen]
) -> Performance | None:
    task = profile.task
    if task is None or profile.realised is None:
        return None
    reference = profile.realised[0]
    allowed = task.tolerance(reference, policy.loss_share)
    alpha = policy.false_alarm_probability
    estimates = [seen.estimated for seen in since if seen.estimated is not None]
    labelled = [seen for seen in since if seen.realised is not None]
    counting = [seen for seen in labelled if seen.selected.share <= policy.drift_share] or labelled
    return Performance(
        task.metric,
        reference,
        reference + allowed if task.metric == "mae" else reference - allowed,
        _pooled([e._replace(value=e.value - correction(state)[0]) for e in estimates], alpha),
        _pooled([seen.realised for seen in counting if seen.realised is not None], alpha),
        sum(seen.realised.rows for seen in since if seen.realised),
        not found.doubts,
        tuple(found.doubts),
        _unlike(policy, counting),
    )


def _unlike(policy: Drift, labelled: Sequence[Seen]) -> str:
    """How rows with a label differ from the others, where that is too much for their labels to count."""
    share, name = max((seen.selected for seen in labelled), default=Selected())
    return f"in {name} by {share:.0%} of the rows" if share > policy.drift_share else ""


def _pooled(windows: Sequence[Measured], alpha: float) -> tuple[float, float, float] | None:
    """The mean over the rows of all windows, with bounds that hold at any time."""
    if not windows:
        return None
    rows = np.array([window.rows for window in windows], dtype=np.float64)
    mean = float(rows @ [window.value for window in windows] / rows.sum())
    deviation = float(np.sqrt(rows @ [window.rows * window.error**2 for window in windows] / rows.sum()))
    low, high = confidence_sequence(float(rows.sum()), mean, deviation, alpha, tight_at=float(rows.sum()))
    return mean, low, high


def _labels_needed(profile: Profile, policy: Drift, performance: Performance | None) -> int | None:
    """How many labels show the estimated harm, if it is there."""
    if performance is None or performance.estimated is None or profile.task is None or profile.realised is None:
        return None
    deviation = profile.realised[1] * np.sqrt(profile.labelled)
    allowed = profile.task.tolerance(performance.reference, policy.loss_share)
    harm = profile.task.loss(performance.estimated[0]) - profile.task.loss(performance.reference) - allowed
    return int(np.ceil((DETECT * deviation / max(harm, allowed / 2)) ** 2))


# -- where ----------------------------------------------------------------------------------------------------


def _features(profile: Profile, state: State, found: Findings, since: Sequence[Seen], at: Position) -> list[Feature]:
    """Every column, those of the greatest impact first, with both histograms; then the directions that moved."""
    before = split(profile.columns, profile.counts.cells)
    now = split(profile.columns, sum((seen.cells for seen in since[1:]), since[0].cells.copy()))
    proven = {*found.moved, *found.answers}
    columns = {column.name for column in profile.columns}
    features = []
    for k, column in enumerate(profile.columns):
        group = profile.groups[k]
        importance = float(profile.importance[k])
        share = _share(since, column.name)
        features.append(
            Feature(
                column.name,
                share,
                importance,
                share * importance,
                column.name in proven,
                _when(state, column.name, at) if column.name in proven else None,
                tuple(group_titles(column, group)),
                _shares(regroup(before[k], group)),
                _shares(regroup(now[k], group)),
            )
        )
    others = [name for name in found.moved if name in since[-1].moved and name not in columns]
    features += [Feature(name, _share(since, name), 0.0, 0.0, True, _when(state, name, at)) for name in others]
    return sorted(features, key=lambda feature: (not feature.proven, -feature.impact, -feature.share))


def _share(since: Sequence[Seen], name: str) -> float:
    """By how much of its rows a column has moved since the change, on average over the windows."""
    known = [seen.moved[name] for seen in since if name in seen.moved]
    return max(float(np.mean(known)), 0.0) if known else 0.0


def _when(state: State, name: str, at: Position) -> str:
    return str(at(_since(state, state.wealth[name].since)[0].start))


def _shares(counts: Ints) -> tuple[float, ...]:
    return tuple((counts / max(int(counts.sum()), 1)).tolist())


def _segments(profile: Profile, since: Sequence[Seen]) -> list[Segment]:
    """The groups of fields in which most of the additional loss arises."""
    known = [seen.losses for seen in since if seen.losses]
    if not known or not profile.losses:
        return []
    found = []
    for k, column in enumerate(profile.columns):
        if column.role != "input":
            continue
        before, now = profile.losses[k], np.sum([losses[k] for losses in known], axis=0)
        titles = group_titles(column, profile.fine[k])
        all_before, all_now = float(before[:, 0].sum()), float(now[:, 0].sum())
        for group, title in enumerate(titles):
            (m, lost_before), (n, lost_now) = before[group].tolist(), now[group].tolist()
            if n >= FEWEST_ROWS:
                loss_before, loss_now = (lost_before / m if m else 0.0), lost_now / n
                segment = Segment(column.name, title, m / all_before, n / all_now, loss_before, loss_now)
                found.append((lost_now / all_now - lost_before / all_before, segment))
    found.sort(key=lambda pair: -pair[0])
    return [segment for added, segment in found[:MOST_SEGMENTS] if added > 0]


# -- in words -------------------------------------------------------------------------------------------------


def _next(verdict: Verdict, challenge: Challenge | None, performance: Performance | None) -> str:
    """What to do: where a challenger has proven better, to let that answer; where labels decide nothing, to label others."""
    if verdict in (Verdict.HEALTHY, Verdict.WATCH) and performance is not None and performance.unlike:
        return f"label rows that are a picture of all, such as some that were drawn by lot: {FEEDBACK}"
    if verdict is not Verdict.UPDATE_RECOMMENDED or challenge is None or not challenge.convinces:
        return NEXT[verdict]
    return f"tenfold deploy {challenge.name}" if "@" in challenge.name else f"let {challenge.name} answer"


def _because(
    found: Findings, features: Sequence[Feature], performance: Performance | None, challenge: Challenge | None
) -> str:
    names = [feature.name for feature in features if feature.proven]
    moved = f"moved most: {', '.join(names[:3])}" if names else ""
    match found.verdict:
        case Verdict.HEALTHY:
            return "nothing moved beyond its tolerance" + (f"; {_level(performance)}" if performance else "")
        case Verdict.FIX_DATA:
            return "; ".join(fault.detail for fault in found.faults)
        case Verdict.WATCH:
            top = ", ".join(f"{f.name} ({f.share:.0%} of its rows)" for f in features[:3] if f.proven)
            harm = f"; no harm is seen: {_level(performance)}" if performance else ""
            return f"{top or 'the number of rows'} moved{harm}"
        case Verdict.NEED_LABELS:
            return "; ".join(filter(None, [_harm(performance), f"but {'; '.join(found.doubts)}", moved]))
        case Verdict.ROLLBACK:
            return "; ".join(filter(None, [_harm(performance), f"it began with {found.deployed}", moved]))
        case Verdict.UPDATE_WONT_HELP | Verdict.UPDATE_RECOMMENDED:
            harmed = found.realised or found.estimated
            tried = challenge.said if challenge is not None and challenge.outcome != "undecided" else ""
            return "; ".join(filter(None, [_harm(performance) if harmed else "", tried, moved]))


def _level(performance: Performance) -> str:
    """Where the metric stands: what labels say, or else the estimate."""
    kind, bounds = ("realised", performance.realised) if performance.realised else ("estimated", performance.estimated)
    expected = f"expected {performance.reference:.3f}{_nothing_decided(performance)}"
    return f"{kind} {NAMES[performance.metric]} {bounds[0]:.3f}, {expected}" if bounds else expected


def _nothing_decided(performance: Performance) -> str:
    """That labels decide nothing, where the rows that have one are no picture of all."""
    if not performance.unlike:
        return ""
    return f"; labels decide nothing, since rows that have one differ from the others {performance.unlike}"


def _harm(performance: Performance | None) -> str:
    """The metric, what it was, and how much worse it is at the least."""
    if performance is None:
        return ""
    words = []
    worse = performance.metric == "mae"
    for kind, bounds in (("realised", performance.realised), ("estimated", performance.estimated)):
        if bounds is not None:
            value, low, high = bounds
            least = low - performance.reference if worse else performance.reference - high
            surely = f", at least {least:.3f} worse" if least > 0 else ""
            words.append(f"{kind} {NAMES[performance.metric]} {value:.3f}{surely}")
    return f"{', '.join(words)}, expected {performance.reference:.3f}{_nothing_decided(performance)}"


def _ruled_out(profile: Profile, state: State, found: Findings, around: Circumstances) -> list[str]:
    """What else could have been the cause, and is not."""
    if found.verdict is Verdict.HEALTHY:
        return []
    words = []
    if not found.faults:
        words.append("a broken feed: no field went missing, constant, into another unit or another column")
    if profile.season is not None:
        words.append(f"the season: rows are compared with those of the same {profile.season.cycle}")
    elif profile.windows > 1:
        words.append("restless traffic: fields moved more than they do between windows of the reference")
    if around.deployments and not found.deployed:
        words.append("a release: none was deployed when it began")
    if profile.task is not None and state.gap[0] > 0:
        words += _concept(profile.task, state)
    return words


def _restless(profile: Profile, policy: Drift, found: Findings, features: Sequence[Feature]) -> list[str]:
    """What moved far, and moves as far between windows of the reference."""
    proven = {*found.moved, *found.answers}
    words = []
    for feature in features:
        usual = profile.baselines.get(feature.name, Baseline()).mean
        if feature.name not in proven and feature.share > policy.drift_share and usual > policy.drift_share / 2:
            words.append(
                f"{feature.name} moved by {feature.share:.0%} of its rows, as between windows of the reference ({usual:.0%})"
            )
    return words


def _selected(policy: Drift, since: Sequence[Seen]) -> list[str]:
    """That labels decide nothing, where the rows that have one are no picture of all."""
    apart = [seen for seen in since if seen.realised is not None and seen.selected.share > policy.drift_share]
    if not apart:
        return []
    differ = f"rows that have one differ from the others {_unlike(policy, apart)}"
    return [f"labels of {len(apart)} of {len(since)} windows decide nothing: {differ}"]


def _concept(task: Task, state: State) -> list[str]:
    """Whether labels bear out what the fields alone let expect."""
    off, error = state.bias
    optimistic = off if task.metric != "mae" else -off
    if optimistic > 2.5 * error:
        return []
    return ["a changed relation between fields and label: labels agree with what the fields let expect"]

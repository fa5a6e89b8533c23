"""Watching: each window's evidence is folded into a state that can be kept, restored and replayed exactly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from tenfold.drift.columns import Floats, Ints
from tenfold.drift.effects import SIGMAS, Baseline, Moved, moved, score
from tenfold.drift.eprocess import Wealth, wager
from tenfold.drift.movement import Selected, along, movements, selected, steps, unfamiliar
from tenfold.drift.options import Drift
from tenfold.drift.performance import Measured, Outcomes, measure
from tenfold.drift.profile import (
    ESTIMATED,
    FEWEST_LABELS,
    REALISED,
    ROWS,
    Profile,
    Window,
    quantiles_of,
    segment_losses,
)
from tenfold.drift.tables import add_strangers
from tenfold.drift.verdicts import Verdict
from tenfold.drift.volume import Volume, counted

CHANNELS = 4  # realised, estimated, prediction, input: each may use a quarter of the false alarms
REMEMBERED = 400  # windows
RESTLESS = 9  # steps between neighbouring windows that the natural restlessness is taken from
FEWEST_STEPS = 3
FEWEST_ROWS = 20  # in a window, for it to say anything


class Seen(msgspec.Struct):
    """What is remembered of a window. ``rules`` are the shares of rows that a rule of validation refused or changed, in the
    first windows and in this one; ``selected`` is how far labelled rows are from the others, and in which column most."""

    number: int
    start: float
    end: float
    rows: int
    cells: Ints
    quantiles: Floats
    moved: dict[str, float]
    along: dict[str, Ints] = {}
    estimated: Measured | None = None
    realised: Measured | None = None
    unfamiliar: float = 0.0
    selected: Selected = Selected()
    losses: tuple[Floats, ...] = ()
    strangers: dict[str, dict[str, int]] = {}
    rules: dict[str, tuple[float, float]] = {}
    verdict: Verdict = Verdict.HEALTHY
    whole: bool = True


class State(msgspec.Struct):
    """All that watching knows. It is a value: ``observe`` and ``mature`` give a new one, and leave this as it is.

    ``wealth`` is what speaks against "nothing changed", by the name of what is watched.
    ``steps`` are the last moves from window to window by column. ``gap`` sums, weighted by how sure each is, the estimates'
    errors as labels showed them: the weights and the weighted errors. ``volume`` is how many rows came, where they are live.
    """

    number: int = 0
    wealth: dict[str, Wealth] = {}
    seen: tuple[Seen, ...] = ()
    steps: dict[str, tuple[float, ...]] = {}
    gap: tuple[float, float] = (0.0, 0.0)
    volume: Volume = msgspec.field(default_factory=Volume)

    @property
    def bias(self) -> tuple[float, float]:
        """By how much estimates exceeded what labels then said, and its standard error."""
        weight, weighted = self.gap
        return (weighted / weight, weight**-0.5) if weight > 0 else (0.0, np.inf)


def observe(profile: Profile, policy: Drift, state: State, window: Window) -> State:
    """The state after a window has closed, before any of its labels is known.

    Of a window with too few rows, only how few they are is judged.
    """
    enough = window.counts.rows >= FEWEST_ROWS
    found = movements(profile, window) if enough else {}
    wealth = dict(state.wealth)
    for name, some in found.items():
        wealth[name] = _bet(policy, wealth.get(name), _excess(profile, policy, state, name, some), state.number)
    if ROWS in profile.baselines and window.whole:
        wealth[ROWS] = _bet(policy, wealth.get(ROWS), _volume(profile, window), state.number)
    estimated = profile.estimate(window.sample) if enough else None
    if estimated is not None:
        harm = _harm_by_estimate(profile, policy, state, estimated)
        wealth[ESTIMATED] = _bet(policy, wealth.get(ESTIMATED), harm, state.number)
    seen = Seen(
        number=state.number,
        start=window.start,
        end=window.end,
        rows=window.rows,
        cells=window.counts.cells,
        quantiles=quantiles_of(window.sample["values"]) if window.sample is not None else np.zeros((0, 0)),
        moved={name: share for name, (share, _) in found.items()},
        along=along(profile, window.sample) if enough else {},
        estimated=estimated,
        unfamiliar=unfamiliar(profile, window.sample),
        selected=selected(profile, window.sample),
        losses=segment_losses(profile, window.sample) if window.sample is not None else (),
        strangers=window.strangers,
        whole=window.whole,
    )
    lately = _steps(profile, state, window) if enough else state.steps
    kept = (*state.seen, seen)[-REMEMBERED:]
    return msgspec.structs.replace(state, number=state.number + 1, wealth=wealth, seen=kept, steps=lately)


def mature(profile: Profile, policy: Drift, state: State, number: int, outcomes: Outcomes) -> State:
    """The state once the labels of window ``number`` are as complete as they will be. Called once for each window."""
    index = next((k for k, seen in enumerate(state.seen) if seen.number == number), None)
    if profile.task is None or profile.realised is None or index is None or outcomes.rows < FEWEST_LABELS:
        return state
    measured = measure(profile.task, outcomes)
    seen = msgspec.structs.replace(state.seen[index], realised=measured)
    if not np.isfinite(measured.value):
        return state
    state = msgspec.structs.replace(state, seen=(*state.seen[:index], seen, *state.seen[index + 1 :]))
    if seen.selected.share > policy.drift_share:  # those that were labelled are no picture of all
        return state
    base = profile.baselines[REALISED]
    value, error = profile.realised
    excess = profile.task.loss(measured.value) - profile.task.loss(base.mean)
    excess -= profile.task.tolerance(value, policy.loss_share) + SIGMAS * error
    z = score(excess, measured.error, base.spread, base.windows, base.persistence)
    gap = state.gap
    if seen.estimated is not None and measured.error > 0:
        weight = 1 / (measured.error**2 + seen.estimated.error**2)
        gap = gap[0] + weight, gap[1] + weight * (seen.estimated.value - measured.value)
    return msgspec.structs.replace(
        state,
        wealth=state.wealth | {REALISED: _bet(policy, state.wealth.get(REALISED), z, number)},
        gap=gap,
    )


def came(policy: Drift, state: State, volume: Volume, unit: int, rows: int) -> State:
    """The state after a unit of time that was watched as a whole, in which so many rows were answered; ``volume`` is what was
    known before."""
    renewing = policy.mean_windows_between_false_alarms is not None
    volume, wealth = counted(volume, state.wealth, policy.threshold * CHANNELS, renewing, unit, rows)
    return msgspec.structs.replace(state, volume=volume, wealth=wealth)


def pooled(seen: Sequence[Seen], since: int) -> Seen:
    """All windows since one, as if they were one; their quantiles are averaged."""
    windows = [some for some in seen if some.number >= since and len(some.quantiles)] or [seen[-1]]
    strangers: dict[str, dict[str, int]] = {}
    for window in windows:
        for name, met in window.strangers.items():
            strangers[name] = add_strangers(strangers.get(name, {}), met)
    return msgspec.structs.replace(
        windows[-1],
        start=windows[0].start,
        rows=sum(window.rows for window in windows),
        cells=np.sum([window.cells for window in windows], axis=0),
        quantiles=np.mean([window.quantiles for window in windows], axis=0),
        strangers=strangers,
    )


def correction(state: State) -> tuple[float, float]:
    """What labels have shown to be too much in estimates, where they have shown it, and how far that may be off."""
    bias, error = state.bias
    return (bias, SIGMAS * error) if abs(bias) > 2.5 * error else (0.0, 0.0)


def evidence(policy: Drift, state: State, names: Mapping[str, object] | list[str]) -> dict[str, float]:
    """How strongly the windows so far speak against "nothing changed", by what is watched."""
    renewing = policy.mean_windows_between_false_alarms is not None
    return {name: state.wealth[name].evidence(renewing) for name in names if name in state.wealth}


def _bet(policy: Drift, wealth: Wealth | None, z: float, number: int) -> Wealth:
    renewing = policy.mean_windows_between_false_alarms is not None
    return wager(wealth or Wealth(), z, number, policy.threshold * CHANNELS, renewing)


def _excess(profile: Profile, policy: Drift, state: State, name: str, found: Moved) -> float:
    """By how many standard deviations something moved further than is tolerated and natural."""
    seasonal = profile.season.baselines if profile.season is not None else {}
    base = seasonal.get(name) or profile.baselines.get(name, Baseline())
    further = found.share - policy.drift_share - _natural(base, state.steps.get(name, ())) - _allowance(profile)
    return score(further, found.error, base.spread, base.windows, base.persistence)


def _allowance(profile: Profile) -> float:
    """What the reference's own histogram may be off by: it is the same in all windows, so that it does not average out."""
    return SIGMAS * 0.5 / math.sqrt(max(profile.counts.rows, 1))


def _natural(base: Baseline, steps: tuple[float, ...]) -> float:
    """How much a column moves anyway: on the reference, or between neighbouring windows of late. One jump is no habit.

    Restless columns move far now and then (the tail is long, since a distance has no other side), hence the two spreads.
    """
    lately = float(np.median(steps)) if len(steps) >= FEWEST_STEPS else 0.0
    return max(base.mean + SIGMAS * base.spread, lately, 0.0)


def _steps(profile: Profile, state: State, window: Window) -> dict[str, tuple[float, ...]]:
    """The last moves from window to window. In a season they are natural, and not counted."""
    if not state.seen or profile.season is not None:
        return {}
    moves = steps(profile, state.seen[-1].cells, window.counts.cells)
    now = along(profile, window.sample)
    moves |= {name: moved(counts, now[name]).share for name, counts in state.seen[-1].along.items() if name in now}
    return {name: (*state.steps.get(name, ()), share)[-RESTLESS:] for name, share in moves.items()}


def _volume(profile: Profile, window: Window) -> float:
    """By how many standard deviations the rows of a window are more than twice as many or as few as usual."""
    base = profile.baselines[ROWS]
    off = abs(math.log(max(window.rows, 1)) - base.mean) - math.log(2)
    return score(off, math.sqrt(2 / math.exp(base.mean)), base.spread, base.windows, base.persistence)


def _harm_by_estimate(profile: Profile, policy: Drift, state: State, estimated: Measured) -> float:
    """By how many standard deviations the estimated loss exceeds what is tolerated."""
    task, base = profile.task, profile.baselines[ESTIMATED]
    assert task is not None
    bias, unsure = correction(state)
    if bias and profile.realised is not None:  # labels now stand against labels then, which may be off, too
        unsure += SIGMAS * profile.realised[1]
    excess = task.loss(estimated.value - bias) - task.loss(base.mean)
    excess -= task.tolerance(base.mean, policy.loss_share) + unsure
    return score(excess, estimated.error, base.spread, base.windows, base.persistence)

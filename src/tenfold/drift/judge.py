"""Does the model need an update? The evidence in the order of its authority, and what speaks for another cause.

Labels decide, estimates that are trusted count as much until labels come, drift alone explains. A broken feed comes
before all of it: training on it would teach the fault.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from tenfold.drift.columns import Floats
from tenfold.drift.effects import moved, regroup
from tenfold.drift.eprocess import discoveries
from tenfold.drift.faults import diagnose, miscounted
from tenfold.drift.monitor import CHANNELS, Seen, State, evidence, mature, observe, pooled
from tenfold.drift.options import Drift
from tenfold.drift.profile import ESTIMATED, REALISED, ROWS, Profile, Window, split
from tenfold.drift.rules import faults_of
from tenfold.drift.verdicts import Challenge, Fault, Verdict
from tenfold.drift.volume import SPANS, since_when

UNFAMILIAR = 0.25  # of the rows: an estimate from a reference that hardly knew them is a guess


class Deployment(msgspec.Struct, frozen=True):
    """A release that began to serve at ``time``, in what windows are measured in."""

    time: float
    release: str


class Circumstances(msgspec.Struct, frozen=True):
    """What is known besides the rows: what was deployed, and what a challenger saved."""

    deployments: tuple[Deployment, ...] = ()
    challenge: Challenge | None = None


class Findings(NamedTuple):
    """What is proven by now. ``moved`` and ``answers`` are names, ``doubts`` why estimates may not be trusted; ``since`` is
    the number of the window at which the decisive evidence begins, ``began`` when it does."""

    verdict: Verdict
    since: int | None
    moved: list[str]
    answers: list[str]
    estimated: bool
    realised: bool
    faults: list[Fault]
    doubts: list[str]
    deployed: str | None = None
    began: float | None = None


def step(profile: Profile, policy: Drift, state: State, window: Window, around: Circumstances | None = None) -> State:
    """The state after a window, with whatever labels it already has, and its verdict."""
    after = observe(profile, policy, state, window)
    if window.outcomes is not None:
        after = mature(profile, policy, after, after.number - 1, window.outcomes)
    verdict = find(profile, policy, after, around or Circumstances()).verdict
    last = msgspec.structs.replace(after.seen[-1], verdict=verdict)
    return msgspec.structs.replace(after, seen=(*after.seen[:-1], last))


def find(profile: Profile, policy: Drift, state: State, around: Circumstances) -> Findings:
    """What the windows so far prove, and the verdict that follows."""
    threshold = policy.threshold * CHANNELS
    answers = [column.name for column in profile.columns if column.role in ("prediction", "score")]
    single = (ESTIMATED, REALISED)
    others = [name for name in state.wealth if name not in answers and name not in single]
    moved = discoveries(evidence(policy, state, others), threshold)
    turned = discoveries(evidence(policy, state, answers), threshold)
    estimated, realised = (bool(discoveries(evidence(policy, state, [name]), threshold)) for name in single)
    faults = _faults(profile, state, moved)
    doubts = doubts_of(profile, policy, state, turned)
    found = Findings(Verdict.HEALTHY, None, moved, turned, estimated, realised, faults, doubts)
    verdict, because = _decide(found, around)
    since, began = min((_since(state, name) for name in because), default=(None, None))
    deployed = _deployed(state, since, around)
    if deployed and (realised or (estimated and not doubts)):
        verdict = Verdict.ROLLBACK
    return found._replace(verdict=verdict, since=since, deployed=deployed, began=began)


def _faults(profile: Profile, state: State, moved: list[str]) -> list[Fault]:
    """What is broken in the last window; or in all since fields moved, which show the same fault with less noise."""
    if not moved:
        return []
    since = min(_since(state, name)[0] for name in moved)
    found = diagnose(profile, state.seen[-1], moved) or diagnose(profile, pooled(state.seen, since), moved)
    return [*found, *faults_of(state, moved), *miscounted(profile, state, moved)]


def _since(state: State, name: str) -> tuple[int, float]:
    """The number of the window at which evidence begins, and when that was."""
    wealth = state.wealth[name]
    if name in SPANS:
        time = since_when(state.volume, name, wealth)
        return next((seen.number for seen in state.seen if seen.end > time), state.seen[-1].number), time
    return wealth.since, next((seen for seen in state.seen if seen.number >= wealth.since), state.seen[-1]).start


def _decide(found: Findings, around: Circumstances) -> tuple[Verdict, list[str]]:
    """The verdict, but for what was deployed, and the names of the evidence that it rests on."""
    harmed = [name for name, harm in ((REALISED, found.realised), (ESTIMATED, found.estimated)) if harm]
    if found.faults:
        numbers = [name for name in found.moved if name in (ROWS, *SPANS)]
        return Verdict.FIX_DATA, [name for fault in found.faults for name in fault.fields or numbers]
    if found.realised or (found.estimated and not found.doubts):
        futile = around.challenge is not None and around.challenge.outcome == "futile"
        return (Verdict.UPDATE_WONT_HELP if futile else Verdict.UPDATE_RECOMMENDED), harmed
    drifted = found.moved + found.answers
    if around.challenge is not None and around.challenge.convinces:
        return Verdict.UPDATE_RECOMMENDED, harmed or drifted
    if found.estimated:
        return Verdict.NEED_LABELS, harmed
    return (Verdict.WATCH if drifted else Verdict.HEALTHY), drifted


def _deployed(state: State, since: int | None, around: Circumstances) -> str | None:
    """The last release that began to serve in the window where the change began, or in the one before."""
    if since is None:
        return None
    near = [seen for seen in state.seen if since - 1 <= seen.number <= since]
    if not near:
        return None
    start, end = near[0].start, near[-1].end
    return next((d.release for d in reversed(around.deployments) if start <= d.time <= end), None)


# -- how far estimates may be trusted -------------------------------------------------------------------------


def doubts_of(profile: Profile, policy: Drift, state: State, turned: list[str]) -> list[str]:
    """Why an estimate may not be trusted; empty where it may."""
    if profile.estimator is None or profile.task is None or profile.realised is None or not state.seen:
        return []
    tolerance = profile.task.tolerance(profile.realised[0], policy.loss_share)
    doubts = []
    off, error = profile.estimator.bias, profile.estimator.bias_error
    if abs(off) - 2 * error > tolerance:
        doubts.append(f"on rows of the reference that it had not seen the estimate was off by {abs(off):.3g}")
    off, error = state.bias
    if abs(off) - 2 * error > tolerance:
        doubts.append(f"labels that have come show the estimate to be off by {abs(off):.3g}")
    if state.seen[-1].unfamiliar > UNFAMILIAR:
        doubts.append(f"{state.seen[-1].unfamiliar:.0%} of the rows have values that the reference hardly knew")
    shift = label_shift(profile, policy, state.seen[-1]) if turned else None
    if shift is not None:
        doubts.append(
            f"answers fit {shift[1]:.0%} of {profile.task.classes[1]} instead of {shift[0]:.0%} (label shift)"
        )
    return doubts


def label_shift(profile: Profile, policy: Drift, seen: Seen) -> tuple[float, float] | None:
    """The share of the positive class before and now, where another share explains how the scores moved; else None.

    The scores of each class are taken to be what they were; the mixture of them that is nearest to the scores of today is
    searched for (the idea of black-box shift estimation: Lipton, Wang, Smola, ICML 2018).
    """
    place = profile.place("score")
    if place is None or profile.ranks is None or not profile.ranks.sum(axis=0).all():
        return None
    group = profile.groups[place]
    classes = regroup(profile.ranks.T, group)
    now = regroup(split(profile.columns, seen.cells)[place], group)
    shares: Floats = classes / classes.sum(axis=1, keepdims=True)
    before = float(classes[1].sum() / classes.sum())
    candidates = np.linspace(0, 1, 101)
    rows = int(classes.sum())
    distances = [
        moved(np.rint(rows * (p * shares[1] + (1 - p) * shares[0])).astype(np.int64), now).share for p in candidates
    ]
    best = int(np.argmin(distances))
    if distances[best] > policy.drift_share / 2 or abs(candidates[best] - before) < policy.drift_share / 2:
        return None
    return before, float(candidates[best])

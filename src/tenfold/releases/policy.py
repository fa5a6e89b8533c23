"""The decision: what comes next for a release on its way, from what is seen of it, and why.

Pure: time and measurements are handed in, what has to be remembered is a value that comes back. What an action did is read
off the next snapshot and never presumed, so that whoever is killed between two steps goes on where it stood.
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from tenfold.releases import reasons
from tenfold.releases.actions import Action, Bake, Drain, Load, Promote, RollBack, Shadow, Shift, Unload, Wait, Warm
from tenfold.releases.counting import counted, entered, is_at
from tenfold.releases.options import Releases
from tenfold.releases.rollout import Presence, Snapshot, Stage, State
from tenfold.releases.verdicts import harmed, harmed_in_bake, requests_needed, steps, target, unproven
from tenfold.units import percent

SHADOW_S = 300.0  # a quiet service is not compared for longer than this


class Look(NamedTuple):
    """What a decision is made from, beside the state."""

    seen: Snapshot
    policy: Releases
    now: float


Next = tuple[Action | None, State]
"""None where a stage has nothing left to do: the next one is to be asked."""


def next_action(seen: Snapshot, policy: Releases, state: State, now: float) -> tuple[Action, State]:
    """What to do now, and what to remember of it; the state is to be saved before the action is taken.

    ``now`` is in seconds of Unix time. ``policy`` stays that with which the rollout began. One may look as often as one
    likes, and the first verdict holds.
    """
    state = counted(seen, policy, state)
    cause = _cause(seen, policy, state)
    if cause:
        state = replace(state, stage=Stage.TURNING_BACK, since=None, because=cause)
    action = None
    while action is None:
        if state.stage in _ENDS:
            return _ENDS[state.stage](state), state
        action, state = _STAGES[state.stage](Look(seen, policy, now), state)
    return action, state


def _cause(seen: Snapshot, policy: Releases, state: State) -> str:
    """Why the rollout has to turn back; "" while it need not, and once it cannot any more."""
    if state.stage in (Stage.TURNING_BACK, Stage.ROLLED_BACK, Stage.PROMOTED) or _is_over(seen, state):
        return ""
    if seen.asked == "rollback":
        return "it was asked for"
    if seen.new is Presence.FAILED:
        return f"{state.new} failed: {seen.failure or 'it does not start'}"
    if _is_alone(seen, state) or policy.external:
        return ""
    guard = None
    if state.stage in (Stage.SHADOWING, Stage.STEPPING):
        guard = harmed(policy, state.evidence)
    elif state.stage is Stage.BAKING and state.since is not None:
        guard = harmed_in_bake(policy, state.evidence)
    return reasons.harm(state, guard, seen) if guard else ""


def _is_alone(seen: Snapshot, state: State) -> bool:
    """Whether there is no old release that could answer."""
    return not state.old or seen.old is Presence.FAILED


def _is_over(seen: Snapshot, state: State) -> bool:
    """Whether the old release is gone for good."""
    return state.stage is Stage.RETIRING and seen.promoted and seen.old is Presence.ABSENT


def _starting(look: Look, state: State) -> Next:
    seen = look.seen
    action = _brought(state.new, seen.new)
    if action:
        return action, state
    return None, replace(state, stage=Stage.SHADOWING)


def _shadowing(look: Look, state: State) -> Next:
    seen, policy, now = look
    compared, wanted = seen.shadow.compared, policy.shadow_requests
    further = replace(state, stage=Stage.STEPPING, since=None, because=seen.shadow.describe() if compared else "")
    if not wanted or policy.external or seen.asked == "promote" or _is_alone(seen, state):
        return None, further
    action = _both_ready(seen, state)
    if action:
        return action, state
    if not seen.shadowing:
        return Shadow(f"{state.new} is asked what {state.old} is asked, and {state.old} answers"), state
    if state.since is None:
        state = replace(state, since=now)
    if compared >= wanted:
        return None, further
    if _elapsed(state, now) >= SHADOW_S:
        return None, further if compared else replace(further, because=reasons.uncompared(SHADOW_S))
    return Wait(f"shadow: {compared:,} of {wanted:,} requests compared"), state


def _stepping(look: Look, state: State) -> Next:
    seen, policy, now = look
    baking = replace(state, stage=Stage.BAKING, since=None)
    if seen.asked == "promote":
        return None, replace(baking, because="it was asked for")
    if _is_alone(seen, state):
        return None, replace(baking, because=f"{state.old} failed" if state.old else "it is the first release")
    if policy.external:
        return _both_ready(seen, state) or Wait(f"another system decides when {state.new} takes over"), state
    if not state.steps:
        state = replace(state, steps=steps(policy, state.evidence, seen.requests_per_s))
    if state.step >= len(state.steps):
        return None, baking
    action = _both_ready(seen, state) or _shifted(seen, state, state.steps[state.step])
    if action:
        return action, replace(state, since=None)
    return _judged(look, entered(seen, policy, state, now))


def _judged(look: Look, state: State) -> Next:
    """A step that has its share of the traffic: further, back, or so many requests more."""
    seen, policy, now = look
    share = state.steps[state.step]
    wanted = target(policy, state.steps[state.step + 1] if state.step + 1 < len(state.steps) else 1.0)
    further = replace(state, step=state.step + 1, since=None)
    missing = unproven(policy, state.evidence, wanted)
    if not missing:
        return None, replace(further, because=reasons.no_harm(state.evidence))
    waited_s = _elapsed(state, now)
    if waited_s >= policy.patience_s and policy.after_patience != "hold":
        because = reasons.impatient(policy)
        if policy.after_patience == "promote":
            return None, replace(further, because=because)
        return None, replace(state, stage=Stage.TURNING_BACK, since=None, because=because)
    needs = [(requests_needed(evidence, wanted, share), evidence) for evidence in missing]
    needed, evidence = max(needs, key=lambda need: need[0])
    return reasons.wait(seen, policy, state, evidence, needed, waited_s), state


def _baking(look: Look, state: State) -> Next:
    seen, policy, now = look
    alone = _is_alone(seen, state)
    action = _brought(state.new, seen.new) if alone else _both_ready(seen, state)
    action = action or _shifted(seen, state, 1.0)
    if action:
        return action, replace(state, since=None)
    if not seen.promoted:
        return Promote(f"{state.new} answers everything: {state.because or 'nothing was to be shown'}"), state
    state = entered(seen, policy, state, now)
    if alone or seen.asked == "promote" or _elapsed(state, now) >= policy.bake_s:
        return None, replace(state, stage=Stage.RETIRING)
    until = now - _elapsed(state, now) + policy.bake_s
    return Bake(f"{state.new} answers everything; {state.old} stays warm", until), state


def _retiring(look: Look, state: State) -> Next:
    seen = look.seen
    if _is_over(seen, state):
        return None, replace(state, stage=Stage.PROMOTED, since=None)
    action = _brought(state.new, seen.new) or _shifted(seen, state, 1.0)
    action = action or _left(state.old, seen.old, f"{state.new} took its place")
    return action, state


def _turning_back(look: Look, state: State) -> Next:
    seen = look.seen
    has_new = seen.new not in (Presence.ABSENT, Presence.FAILED)
    if state.old and seen.old is Presence.FAILED and has_new:
        fix = f"push a release that works, then tenfold deploy {state.new.partition('@')[0]} --now"
        reason = f"{state.new} should go ({state.because}), but {state.old} failed and cannot take its place"
        return Wait(f"{reason}: {seen.failure}" if seen.failure else reason, fix=fix), state
    if state.old and seen.old in (Presence.ABSENT, Presence.LOADING, Presence.LOADED, Presence.WARMING):
        action = _brought(state.old, seen.old)
        if action:
            return action, state
    is_idle = seen.old in (Presence.DRAINING, Presence.DRAINED)
    if seen.percent or seen.promoted or seen.shadowing or is_idle or state.since is None:
        return RollBack(f"{state.new} is taken back: {state.because}"), replace(state, since=look.now)
    if seen.new is Presence.ABSENT:
        return None, replace(state, stage=Stage.ROLLED_BACK)
    return _left(state.new, seen.new, "it was taken back"), state


def _promoted(state: State) -> Wait:
    return Wait(f"{state.new} is in service")


def _rolled_back(state: State) -> Wait:
    fix = f"tenfold resume {state.new.partition('@')[0]}"
    return Wait(f"{state.new} was taken back: {state.because}", fix=fix)


_STAGES = {
    Stage.STARTING: _starting,
    Stage.SHADOWING: _shadowing,
    Stage.STEPPING: _stepping,
    Stage.BAKING: _baking,
    Stage.RETIRING: _retiring,
    Stage.TURNING_BACK: _turning_back,
}
_ENDS = {Stage.PROMOTED: _promoted, Stage.ROLLED_BACK: _rolled_back}


def _elapsed(state: State, now: float) -> float:
    """For how long the present stage or step has been on; a clock that was set back says nothing."""
    return 0.0 if state.since is None else max(now - state.since, 0.0)


def _brought(release: str, presence: Presence) -> Action | None:
    """What brings a release to where it can answer; None where it can."""
    if presence is Presence.READY:
        return None
    if presence is Presence.ABSENT:
        return Load(f"{release} is needed", release)
    if presence in (Presence.LOADED, Presence.DRAINING, Presence.DRAINED):
        return Warm(f"{release} is to answer as fast as it can from its first request on", release)
    return Wait(f"{release} failed" if presence is Presence.FAILED else f"{release} is {presence}")


def _both_ready(seen: Snapshot, state: State) -> Action | None:
    """What brings both releases to where they can answer, the old one first; None where they can."""
    action = _brought(state.old, seen.old)
    if action:
        return action
    if seen.new is not Presence.READY and seen.percent:
        return Shift(f"{state.new} is {seen.new}", 0.0)
    return _brought(state.new, seen.new)


def _shifted(seen: Snapshot, state: State, share: float) -> Action | None:
    """What gives the new release its share; None where it has it."""
    if is_at(seen, share):
        return None
    because = f": {state.because}" if state.because else ""
    return Shift(f"{state.new} gets {percent(share)} of the requests{because}", round(share * 100, 9))


def _left(release: str, presence: Presence, why: str) -> Action:
    """What makes a release leave, without a request lost."""
    if presence is Presence.READY:
        return Drain(f"{release} gets no more requests: {why}", release)
    if presence is Presence.DRAINING:
        return Wait(f"{release} answers its last requests")
    return Unload(f"{release} has nothing left to do: {why}", release)

"""From counters to evidence: which requests count, for which share of the traffic.

Requests of two shares are never counted together: what comes between a shift that was ordered and the one that was seen
counts for neither. Labels come late, when shares have long moved on, and count when they come.
"""

from __future__ import annotations

from msgspec.structs import replace

from tenfold.releases.evidence import BLOCK, Evidence, Guard, Tally
from tenfold.releases.options import Releases
from tenfold.releases.rollout import Snapshot, Stage, State
from tenfold.releases.verdicts import guards


def counted(seen: Snapshot, policy: Releases, state: State) -> State:
    """The state with whatever came since the last look."""
    tallies = seen.counted(guards(policy))
    if state.stage is Stage.SHADOWING:
        state = _compared(seen, state)
    block = _block(seen, state)
    if not block:
        return state
    evidence, read = dict(state.evidence), dict(state.seen)
    for guard, tally in tallies.items():
        if guard not in read:
            read[guard] = tally  # what was counted before the first look was before the rollout
        more = tally.beyond(read[guard]) if guard is Guard.LABELS else tally.since(read[guard])
        before = evidence.setdefault(guard, Evidence())
        if more.of >= block:
            evidence[guard], read[guard] = before.after(more), tally
    return replace(state, evidence=evidence, seen=read)


def _block(seen: Snapshot, state: State) -> int:
    """How many requests it takes to be counted now: 0 for none, since the traffic is being moved."""
    if state.stage in (Stage.STARTING, Stage.SHADOWING):
        return 1  # of the old release alone
    if state.since is None:
        return 0
    if state.stage is Stage.BAKING:
        return 1
    is_stepping = state.stage is Stage.STEPPING and bool(state.steps)
    return BLOCK if is_stepping and is_at(seen, state.steps[state.step]) else 0


def is_at(seen: Snapshot, share: float) -> bool:
    """Whether the fronts give this share to the new release."""
    return abs(seen.percent - share * 100) < 1e-6 and not seen.shadowing


def entered(seen: Snapshot, policy: Releases, state: State, now: float) -> State:
    """The state once a shift is seen to have happened: from here on, requests count for the new share."""
    if state.since is not None:
        return state
    tallies = seen.counted(guards(policy))
    if state.stage is Stage.BAKING:  # what the old release did so far is what the new one is held against from here on
        counts = {guard: one.counts for guard, one in state.evidence.items()}
        before = {guard: Evidence(Tally(0, 0, one.old_bad, one.old_of)) for guard, one in counts.items()}
        return replace(state, since=now, evidence=before, seen=tallies)
    evidence = {**dict.fromkeys(tallies, Evidence()), **state.evidence}
    labels = {guard: tally for guard, tally in state.seen.items() if guard is Guard.LABELS}
    return replace(state, since=now, evidence=evidence, seen={**tallies, **labels})


def _compared(seen: Snapshot, state: State) -> State:
    """The state with what shadowing showed: a request that one of two releases failed is an error of that one."""
    now = seen.shadow.new_failed, seen.shadow.old_failed
    more = [a - b for a, b in zip(now, state.seen_shadow, strict=True)]
    new_alone, old_alone = now if min(more) < 0 else more
    if not new_alone + old_alone:
        return state
    evidence = dict(state.evidence)
    for guard in (Guard.ERRORS, Guard.ANY):
        evidence[guard] = evidence.get(guard, Evidence()).after_pairs(new_alone, old_alone)
    return replace(state, evidence=evidence, seen_shadow=now)

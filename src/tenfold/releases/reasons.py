"""Why something is done, in plain words."""

from __future__ import annotations

import math

from tenfold.releases.actions import Wait
from tenfold.releases.evidence import OUTCOMES, Evidence, Guard
from tenfold.releases.options import Releases
from tenfold.releases.rollout import Snapshot, State
from tenfold.units import duration, percent

BAD = {
    Guard.ERRORS: "failed",
    Guard.LATE: "were late",
    Guard.NON_FINITE: "had outputs that are not finite",
    Guard.VIOLATIONS: "were refused as invalid",
    Guard.PREDICTIONS: "were rare before",
    Guard.LABELS: "were wrong",
    Guard.ANY: "were bad",
}
WHAT = {Guard.PREDICTIONS: "answers sampled of", Guard.LABELS: "labelled answers of"}  # instead of requests
LARGE_SHARE = 0.5  # from this share of the traffic on, a larger one is no way to get a verdict sooner


def harm(state: State, guard: Guard, seen: Snapshot) -> str:
    """What the evidence of harm is."""
    counts = state.evidence[guard].counts
    if not counts.new_of:
        failed = f"{seen.shadow.new_failed:,} of {seen.shadow.compared:,} requests that it was asked beside {state.old}"
        return f"{state.new} alone failed {failed}"
    what = f"{WHAT.get(guard, 'requests to')} {state.new} {BAD[guard]}"
    new = f"{counts.new_bad:,} of {counts.new_of:,} {what}"
    old = f"{counts.old_bad:,} of {counts.old_of:,} to {state.old}"
    times = f": {counts.new_share / counts.old_share:.2g} times as many" if counts.old_bad else ""
    return f"{new}, {old}{times}"


def no_harm(evidence: dict[Guard, Evidence]) -> str:
    """What the step before showed."""
    known = [one.counts for guard, one in evidence.items() if guard in OUTCOMES and one.counts.new_of]
    if not known:
        return "no harm"
    return (
        f"no harm in {max(one.new_of for one in known):,} requests, {sum(one.new_bad for one in known):,} of them bad"
    )


def uncompared(shadow_s: float) -> str:
    """That shadowing showed nothing."""
    return f"nothing was compared in {duration(shadow_s)}"


def impatient(policy: Releases) -> str:
    """That time is over."""
    return f"no verdict within {duration(policy.patience_s)}"


def wait(seen: Snapshot, policy: Releases, state: State, evidence: Evidence, needed: float, waited_s: float) -> Wait:
    """How many requests are still needed, how long that takes, and what can be done where it takes too long."""
    share, have = state.steps[state.step], evidence.counts.new_of
    rate, needed = seen.requests_per_s * share, max(math.ceil(needed), 1)
    seconds = needed / rate if rate else None
    when = "no traffic now" if seconds is None else f"at this traffic {_about(seconds)}"
    said = f"canary at {percent(share)}: {have:,} of about {_rounded(have + needed):,} requests; {when}"
    fix = ""
    if seconds is None or waited_s + seconds > policy.patience_s:
        name = state.new.partition("@")[0]
        larger = f'Releases(steps=("{percent(LARGE_SHARE).replace(" ", "")}",)) or '
        fix = f"{larger if share < LARGE_SHARE else ''}tenfold deploy {name} --now"
    if waited_s >= policy.patience_s:
        said = f"held, {impatient(policy)}; {said}"
    return Wait(said, needed, seconds, fix)


def _rounded(count: float) -> int:
    """To two digits: it is an estimate."""
    digits = max(len(str(int(count))) - 2, 0)
    return int(round(count, -digits))


def _about(seconds: float) -> str:
    """A duration in whole units: nobody knows it better."""
    for unit_s in (86400.0, 3600.0, 60.0):
        if seconds >= 2 * unit_s:
            return duration(round(seconds / unit_s) * unit_s)
    return duration(max(float(round(seconds)), 1.0))

"""What the evidence amounts to: harm, no harm, or so many requests more.

What is to be ruled out before a step depends on what the step exposes: a release that gets a tenth of the traffic may be ten
times as bad for the same harm. So the first steps are short, and the last one proves what ``Releases`` asks for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from tenfold.releases.evidence import ABOVE, BELOW, FEWER, RATIOS, SAMPLED, Evidence, Guard, log_mean, log_sum, won_by
from tenfold.releases.options import Releases

PROOF = math.log(1 / 0.05)  # what rules harm out: wrong for one harmful release in twenty, at each step
CANARY_PART = 0.8  # of the false rollbacks: while both answer. The rest is for the bake
WHOLE = 0.5  # of the stake: on bad requests of all kinds. The rest is divided among the kinds
STEP_S = 3600.0  # a step that chooses itself is taken where its verdict is to be expected within this time
MOST_SHARE = 0.5  # to be ruled out at the least, however little a step exposes

Known = Mapping[Guard, Evidence]


class Target(NamedTuple):
    """What has to be ruled out before the next step: so many times the bad events, and such a share of bad requests."""

    ratio: float
    share: float


def target(policy: Releases, exposed: float) -> Target:
    """What has to be ruled out before a new release gets this share of the traffic.

    As much harm as is bearable at 100 %: 2 times the bad events there are 3 times at 50 %, and 11 times at 10 %, of which the
    next smaller one of ``RATIOS`` is asked for.
    """
    ratio = 1 + (policy.harm_ratio - 1) / exposed
    return Target(
        max(known for known in RATIOS if known <= max(ratio, 1.1) + 1e-9),
        min(policy.tolerable_share / exposed, MOST_SHARE),
    )


def guards(policy: Releases) -> tuple[Guard, ...]:
    """The guard-rails that were declared."""
    return tuple(Guard(name) for name in policy.guard_rails)


def harmed(policy: Releases, known: Known) -> Guard | None:
    """The kind of bad event by which harm is evident while both releases answer; None while it is not.

    A kind that is tolerable wins nothing, whatever it was before. Of equal releases, a share of
    ``false_rollback_probability`` is ever found harmful, however often one looks.
    """
    declared = guards(policy)
    stakes = {Guard.ANY: WHOLE} | {guard: (1 - WHOLE) / len(declared) for guard in declared}
    won = {
        guard: math.log(stakes[guard]) + evidence.harm()
        for guard, evidence in known.items()
        if guard in stakes and _is_beyond(evidence, policy)
    }
    if not won or log_sum(won.values()) < math.log(1 / (CANARY_PART * policy.false_rollback_probability)):
        return None
    kinds = {guard: known[guard].harm() for guard in won if guard is not Guard.ANY}
    return max(kinds, key=kinds.__getitem__) if kinds else Guard.ANY


def _is_beyond(evidence: Evidence, policy: Releases) -> bool:
    shadowed = not evidence.counts.new_of  # only copies were answered so far, and these are not counted
    return shadowed or evidence.counts.new_share > policy.tolerable_share


def unproven(policy: Releases, known: Known, wanted: Target) -> list[Evidence]:
    """The evidence that does not yet rule harm out, by each kind of bad event; what is known of some answers alone is not
    waited for."""
    waited_for = _waited_for(policy, known) or [Evidence()]  # where nothing is counted, nothing is proven
    return [evidence for evidence in waited_for if evidence.ruled_out(*wanted) < PROOF]


def _waited_for(policy: Releases, known: Known) -> list[Evidence]:
    return [known[guard] for guard in guards(policy) if guard in known and guard not in SAMPLED]


def requests_needed(evidence: Evidence, wanted: Target, share: float) -> float:
    """About how many requests more the new release has to answer until harm is ruled out, if it is as good as the old one."""
    counts = evidence.counts
    if evidence.ruled_out(*wanted) >= PROOF:
        return 0.0
    bad = min((counts.new_bad + counts.old_bad) / counts.of, 1.0) if counts.of else 0.0
    return min(_until_fewer(evidence, wanted.ratio, bad, share), _until_few(evidence, wanted.share, bad))


def _until_fewer(evidence: Evidence, ratio: float, bad: float, share: float) -> float:
    """Requests until "fewer than ``ratio`` times as many" is proven. A bad event gains the Kullback-Leibler divergence of
    whom it would come from, if there were harm, from whom it does come from."""
    bets = [RATIOS.index(below) for below in BELOW if below < ratio]
    best = max(evidence.likelihoods[bet] for bet in bets) - evidence.likelihoods[RATIOS.index(ratio)]
    harmful = share * ratio / (share * ratio + 1 - share)
    gain = share * math.log(share / harmful) + (1 - share) * math.log((1 - share) / (1 - harmful))
    return _left(best, 1 / len(bets)) / (gain * bad / share) if bad else math.inf


def _until_few(evidence: Evidence, share: float, bad: float) -> float:
    """Requests until "a smaller share than this" is proven."""
    new_bad = min(evidence.counts.new_bad, evidence.counts.new_of)
    new_good = evidence.counts.new_of - new_bad
    gains = {fewer: won_by(fewer, bad, 1 - bad, share) for fewer in FEWER}
    best = max(gains, key=gains.__getitem__)
    left = _left(won_by(best, new_bad, new_good, share), FEWER[best])
    return left / gains[best] if gains[best] > 0 else math.inf


def _left(won: float, stake: float) -> float:
    """How much a bet has still to win, of which half of such a stake was placed."""
    return max(PROOF - math.log(stake / 2) - won, 0.0)


def steps(policy: Releases, known: Known, requests_per_s: float) -> tuple[float, ...]:
    """The shares of a rollout: as declared; for "auto" the last, and those before it that the traffic fills in time."""
    shares = policy.ratios
    if not policy.auto:
        return shares
    *earlier, last = shares
    chosen = [last]
    for share in reversed(earlier):
        if _takes_s(policy, known, requests_per_s, share, chosen[0]) <= STEP_S:
            chosen.insert(0, share)
    return tuple(chosen)


def _takes_s(policy: Releases, known: Known, requests_per_s: float, share: float, exposed: float) -> float:
    before = [Evidence(one.counts) for one in _waited_for(policy, known)] or [Evidence()]
    needed = max(requests_needed(one, target(policy, exposed), share) for one in before)
    return needed / (requests_per_s * share) if requests_per_s else math.inf


def harmed_in_bake(policy: Releases, known: Known) -> Guard | None:
    """The kind of bad event of which the new release shows harm once it has all traffic; None while it shows none.

    Nothing runs beside it any more. So what it does is held against the most that the old one may have done, which is a
    bound on a Poisson mean (√bad + √ln(1/α))², times ``harm_ratio``; and what clients send and labels say is left out, since
    that changes with the hour.
    """
    watched = [guard for guard in (Guard.ERRORS, Guard.LATE, Guard.NON_FINITE) if guard in guards(policy)]
    alpha = (1 - CANARY_PART) * policy.false_rollback_probability / 2
    won = {
        guard: _excess(known[guard], policy, alpha / len(watched))
        for guard in watched
        if guard in known and known[guard].counts.old_of
    }
    if not won or log_sum(won.values()) - math.log(len(watched)) < math.log(1 / alpha):
        return None
    return max(won, key=won.__getitem__)


def _excess(evidence: Evidence, policy: Releases, alpha: float) -> float:
    """The log of what was won against "no more bad requests than is bearable", by bets on multiples of that."""
    counts = evidence.counts
    most = (math.sqrt(counts.old_bad) + math.sqrt(math.log(1 / alpha))) ** 2 / counts.old_of
    expected = counts.new_of * max(policy.harm_ratio * most, policy.tolerable_share)
    return log_mean(counts.new_bad * math.log(ratio) - (ratio - 1) * expected for ratio in ABOVE)

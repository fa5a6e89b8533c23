"""Is the new release worse? Evidence that may be looked at after every request, while the traffic moves.

A bad event comes from the new release with a probability that its share w of the requests and its ratio θ of bad events
(new over old) fix: wθ / (wθ + 1 - w), however many bad events there are at that time of day. So each event is a bet against
a ratio, and what a mixture of bets has won is on average at most 1 at any time if the ratio is true: it ever reaches 1/α
with probability α at most (Ville's inequality). This is the test of Lindon and Malek, "Anytime-valid inference for
multinomial count data", NeurIPS 2022, and of Lindon, Sanden and Shirikian, "Rapid regression detection in software
deployments through sequential testing", KDD 2022.

Both take the share that the router wanted. Here it is the share that the requests had, block by block, so that one client
with half of the traffic proves nothing by the side on which its key fell. The bets stay fair: where requests are bad
independently of each other, since E[Π(1 + p(a-1))] ≤ exp(0); where they are assigned at random, since a hypergeometric
count is less spread than a binomial one (Hoeffding, 1963).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import StrEnum

import msgspec

ABOVE = (
    1.1,
    1.25,
    1.5,
    2.0,
    2.5,
    3.0,
    4.0,
    5.0,
    7.0,
    10.0,
    14.0,
    20.0,
)  # ratios that are bet on where harm is looked for
BELOW = (0.5, 0.75, 1.0, 1.25)  # and where harm is to be ruled out, as far as they are below it
RATIOS = tuple(sorted({*ABOVE, *BELOW}))
FEWER = {
    0.0: 0.5,
    0.1: 1 / 6,
    0.3: 1 / 6,
    0.6: 1 / 6,
}  # of a share that is to be ruled out: what is bet on, and how much
BLOCK = 32  # requests whose share is taken together; a block of N hides 1/N of the evidence


class Guard(StrEnum):
    """A kind of bad event. A request counts under one of the first four at most, the first that applies."""

    ERRORS = "errors"
    LATE = "late"
    NON_FINITE = "non_finite"
    VIOLATIONS = "violations"
    PREDICTIONS = "predictions"
    LABELS = "labels"
    ANY = "any"
    """Any of the first four: summed in this room, never handed in."""


SAMPLED = (Guard.PREDICTIONS, Guard.LABELS)  # known of some answers alone, and late
OUTCOMES = (Guard.ERRORS, Guard.LATE, Guard.NON_FINITE, Guard.VIOLATIONS)


class Tally(msgspec.Struct, frozen=True):
    """How many were bad, of how many: requests of the new release and of the old one, labelled ones for ``labels``."""

    new_bad: int = 0
    new_of: int = 0
    old_bad: int = 0
    old_of: int = 0

    @property
    def of(self) -> int:
        """Requests of both."""
        return self.new_of + self.old_of

    @property
    def new_share(self) -> float:
        """Which share was bad at the new release."""
        return min(self.new_bad / self.new_of, 1.0) if self.new_of else 0.0

    @property
    def old_share(self) -> float:
        """Which share was bad at the old release."""
        return min(self.old_bad / self.old_of, 1.0) if self.old_of else 0.0

    def plus(self, more: Tally) -> Tally:
        """Both together."""
        return Tally(*(a + b for a, b in zip(_numbers(self), _numbers(more), strict=True)))

    def since(self, before: Tally) -> Tally:
        """What came since an earlier reading of the same counters; all of it where they began anew."""
        more = [a - b for a, b in zip(_numbers(self), _numbers(before), strict=True)]
        return self if min(more) < 0 else Tally(*more)

    def beyond(self, before: Tally) -> Tally:
        """What came since an earlier reading of counts that are read anew from what is kept, and may be corrected."""
        return Tally(*(max(a - b, 0) for a, b in zip(_numbers(self), _numbers(before), strict=True)))


def _numbers(tally: Tally) -> tuple[int, int, int, int]:
    return tally.new_bad, tally.new_of, tally.old_bad, tally.old_of


class Evidence(msgspec.Struct, frozen=True):
    """What is known by one guard-rail: the counts, and the log-likelihood of each of ``RATIOS``, less that of 1.

    A value: it is saved as it is, and the same blocks in the same order give the same evidence.
    """

    counts: Tally = Tally()
    likelihoods: tuple[float, ...] = (0.0,) * len(RATIOS)

    def after(self, block: Tally) -> Evidence:
        """The evidence after one more block of requests, within which nobody changed the share on purpose.

        Where a block ends must not depend on what became of its requests.
        """
        counts = self.counts.plus(block)
        if not (block.new_of and block.old_of):
            return Evidence(counts, self.likelihoods)  # one side alone compares nothing
        likelihoods = self._likelier(block.new_bad, block.new_bad + block.old_bad, block.new_of / block.of)
        return Evidence(counts, likelihoods)

    def after_pairs(self, new_alone: int, old_alone: int) -> Evidence:
        """The evidence after requests that both releases answered: how many were bad at one of them alone.

        If the new one is no worse, each of these is new with a probability of at most a half (McNemar, 1947).
        """
        return Evidence(self.counts, self._likelier(new_alone, new_alone + old_alone, 0.5))

    def _likelier(self, new_bad: int, bad: int, share: float) -> tuple[float, ...]:
        if not bad:
            return self.likelihoods
        return tuple(
            had + new_bad * math.log(ratio) - bad * math.log(share * ratio + 1 - share)
            for had, ratio in zip(self.likelihoods, RATIOS, strict=True)
        )

    def harm(self) -> float:
        """The log of what was won against θ ≤ 1: at most as many bad events as before."""
        return log_mean(self.likelihoods[RATIOS.index(ratio)] for ratio in ABOVE)

    def ruled_out_ratio(self, ratio: float) -> float:
        """The log of what was won against θ ≥ ``ratio``, which is one of ``RATIOS``."""
        least = self.likelihoods[RATIOS.index(ratio)]
        return log_mean(self.likelihoods[RATIOS.index(below)] - least for below in BELOW if below < ratio)

    def ruled_out_share(self, share: float) -> float:
        """The log of what was won against "at least this share of the new release's requests is bad"."""
        bad = min(self.counts.new_bad, self.counts.new_of)
        return log_sum(
            math.log(stake) + won_by(fewer, bad, self.counts.new_of - bad, share) for fewer, stake in FEWER.items()
        )

    def ruled_out(self, ratio: float, share: float) -> float:
        """The log of what was won against harm: both ``ratio`` times as many bad events and a ``share`` of them, or more.

        Either bet is fair where both are true, and so is half of each.
        """
        return log_mean((self.ruled_out_ratio(ratio), self.ruled_out_share(share)))


def won_by(fewer: float, bad: float, good: float, share: float) -> float:
    """The log of what was won by a bet on ``fewer`` times the ``share``, once so many requests were bad and so many good."""
    lost = 0.0 if not bad else bad * math.log(fewer) if fewer else -math.inf
    return lost + good * (math.log1p(-fewer * share) - math.log1p(-share))


def log_sum(logs: Iterable[float]) -> float:
    """The log of the sum of numbers that are given by their logs; at least one of them is not 0."""
    values = tuple(logs)
    most = max(values)
    return most + math.log(sum(math.exp(value - most) for value in values))


def log_mean(logs: Iterable[float]) -> float:
    """The log of the mean of such numbers."""
    values = tuple(logs)
    return log_sum(values) - math.log(len(values))

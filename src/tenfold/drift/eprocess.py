"""Evidence that may be looked at after every window, for ever, without crying wolf.

A bet is placed against "nothing changed" before each window. Under that hypothesis the wealth that the bets have made is
on average at most 1 at any time, so that it ever reaches 1/α with probability α at most (Ville's inequality; Ramdas,
Grünwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical Science 2023). Money is
set aside for a new bet at each window, so that a change is found as quickly after a year as on the first day, but for a
logarithm (Shin, Ramdas, Rinaldo, "E-detectors", New England Journal of Statistics in Data Science 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

STAKES = (0.5, 1.0, 2.0, 4.0, 8.0)  # bets on a shift of so many standard deviations
CLIP = 8.0  # a window may not say more than that many standard deviations do
RICHEST = 1e3  # times the threshold, beyond which wealth is not kept: what is over should be seen to be over


class Wealth(msgspec.Struct, frozen=True):
    """What has been won against one hypothesis: by each stake, after ``windows`` windows.

    ``since`` is the window at which the current run of wins began, ``run`` what they say together.
    """

    bets: tuple[float, ...] = (0.0,) * len(STAKES)
    windows: int = 0
    since: int = 0
    run: float = 0.0

    def evidence(self, renewing: bool) -> float:
        """How strongly the windows speak against the hypothesis: a false alarm is 1/evidence likely."""
        kept = 0.0 if renewing else 1 / (self.windows + 1)  # what is set aside for bets that start later
        return sum(self.bets) / len(STAKES) + kept


def wager(wealth: Wealth, z: float, window: int, threshold: float, renewing: bool = False) -> Wealth:
    """The wealth after a window whose excess was ``z`` standard deviations (at most 0 on average if nothing changed).

    The bet for a stake λ pays exp(λz - λ²/2). What is newly bet at window t is 1/(t(t+1)) of the first wealth, which sums
    to all of it; ``renewing`` bets 1 each time, which turns the probability of a false alarm into the mean number of
    windows between two of them.
    """
    t = wealth.windows + 1
    fresh = 1.0 if renewing else 1 / (t * (t + 1))
    z = min(max(z, -CLIP), CLIP)
    most = RICHEST * threshold
    bets = tuple(
        min((bet + fresh) * math.exp(stake * z - stake * stake / 2), most)
        for bet, stake in zip(wealth.bets, STAKES, strict=True)
    )
    run = wealth.run + z - 0.5
    return Wealth(bets, t, wealth.since if wealth.run > 0 else window, max(run, 0.0))


def discoveries(evidence: Mapping[str, float], threshold: float) -> list[str]:
    """The hypotheses that can be given up together while of those at most a share of 1/threshold is false on average.

    Holds under any dependence between them (e-BH: Wang and Ramdas, "False discovery rate control with e-values", JRSS B
    2022). If nothing changed in any of them, one is ever given up with probability 1/threshold at most.
    """
    order = sorted(evidence, key=lambda name: -evidence[name])
    enough = [k for k, name in enumerate(order, 1) if evidence[name] * k >= len(order) * threshold]
    return order[: enough[-1]] if enough else []


def confidence_sequence(
    n: float, mean: float, deviation: float, alpha: float, tight_at: float = 1000.0
) -> tuple[float, float]:
    """Bounds that hold the mean at every sample size at once with probability 1 - ``alpha``, asymptotically.

    ``n`` values had this mean and standard deviation; the bounds are narrowest near ``tight_at`` values. (Waudby-Smith,
    Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of
    Statistics 2024, theorem 2.2 with their choice of ρ.)
    """
    if n <= 0:
        return -math.inf, math.inf
    rho = (2 * math.log(1 / alpha) + math.log(1 + 2 * math.log(1 / alpha))) / tight_at
    spread = deviation * math.sqrt(2 * (n * rho + 1) / (n * n * rho) * math.log(math.sqrt(n * rho + 1) / alpha))
    return mean - spread, mean + spread

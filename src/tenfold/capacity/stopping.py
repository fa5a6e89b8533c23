"""How many requests show that 99 of 100 are in time? A short run is honest if it says how sure it is.

MLPerf's LoadGen asks the same (Early Stopping, loadgen/early_stopping.cc in https://github.com/mlcommons/inference): if
truly one request in a hundred missed, how probable would it be to see so few misses? Where that is at most one in a
hundred, the rate has been shown. Without a single miss this takes 459 requests.
"""

from __future__ import annotations

import math

MAY_MISS = 0.01  # of all requests, so that p99 keeps the deadline
DOUBT = 0.01  # that may be left


def at_most(missed: int, requests: int, share: float = MAY_MISS) -> float:
    """The probability that at most so many of these requests miss, if each does with the probability ``share``.

    The distribution function of the binomial distribution, summed from its smaller side.
    """
    if missed >= requests:
        return 1.0
    if missed < 0:
        return 0.0
    if missed < share * requests:
        return _sum(missed, requests, share)
    return 1.0 - _sum(requests - missed - 1, requests, 1.0 - share)


def _sum(most: int, n: int, share: float) -> float:
    """The sum of the binomial probabilities of ``most`` and fewer events, ``most`` being below their mean."""
    term = math.exp(
        math.lgamma(n + 1)
        - math.lgamma(most + 1)
        - math.lgamma(n - most + 1)
        + most * math.log(share)
        + (n - most) * math.log1p(-share)
    )
    total = 0.0
    odds = (1 - share) / share
    for events in range(most, -1, -1):
        total += term
        if term < total * 1e-12:
            break
        term *= events / (n - events + 1) * odds
    return min(total, 1.0)


def confidence(requests: int, missed: int) -> float:
    """How sure it is that less than one request in a hundred misses, from 0 to 1."""
    return 1.0 - at_most(missed, requests)


def is_shown(requests: int, missed: int) -> bool:
    """Whether these requests show that 99 of 100 are in time."""
    return at_most(missed, requests) <= DOUBT


def is_refuted(requests: int, missed: int) -> bool:
    """Whether these requests show that 99 of 100 are not in time."""
    return 1.0 - at_most(missed - 1, requests) <= DOUBT


def needed(missed: int = 0) -> int:
    """The fewest requests that show it with so many misses among them."""
    low, high = missed, 1000 * (missed + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_shown(middle, missed) else (middle, high)
    return high

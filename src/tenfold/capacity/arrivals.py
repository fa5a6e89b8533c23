"""When requests come: an open loop, as of many clients that know nothing of each other nor of how the service does."""

from __future__ import annotations

import random
from collections.abc import Iterator


def poisson(per_s: float, seconds: float, seed: int) -> Iterator[float]:
    """The moments, in seconds from 0 until ``seconds``, of a Poisson process of so many arrivals per second.

    The same seed gives the same moments, as MLPerf's Server scenario has it.
    """
    gap = random.Random(seed).expovariate
    moment = gap(per_s)
    while moment < seconds:
        yield moment
        moment += gap(per_s)

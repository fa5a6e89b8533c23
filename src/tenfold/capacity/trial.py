"""One rate, tried for a while: what became of its requests, and whether it was kept."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import msgspec

from tenfold.capacity.histogram import Histogram
from tenfold.capacity.stopping import MAY_MISS, confidence, is_shown

GROWTH = 0.02  # of the arrivals may pile up
CLEARLY = 0.15  # of all requests missed is no accident
BEHIND = 0.01  # of all requests sent late by ourselves makes a trial doubtful


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were sent at random moments, ``rate`` rows a second on average, for so many seconds.

    Each request counts once. ``good`` ones were answered in time, ``late`` ones after the deadline, ``refused`` ones at
    once (429, 503, 504); ``fallback`` ones got the constant answer, ``failed`` ones another status, ``broken`` ones lost
    their connection, and ``silent`` ones got no answer at all. ``piled`` is how many more were in progress at the end
    than half way. ``behind`` ones were sent late by the load generator itself. ``latency`` are the buckets of a
    ``Histogram`` of good and late answers, and of silence for as long as it lasted.
    """

    rate: float
    seconds: float
    requests: int = 0
    rows_each: float = 1.0
    good: int = 0
    late: int = 0
    refused: int = 0
    fallback: int = 0
    failed: int = 0
    broken: int = 0
    silent: int = 0
    piled: int = 0
    behind: int = 0
    latency: tuple[tuple[int, int], ...] = ()

    @property
    def missed(self) -> int:
        """The requests that the model did not answer in time."""
        return self.requests - self.good

    @property
    def missed_share(self) -> float:
        """Their share of all; 1 where nothing was sent."""
        return self.missed / self.requests if self.requests else 1.0

    @property
    def goodput(self) -> float:
        """Rows per second that were answered in time."""
        return self.good * self.rows_each / self.seconds if self.seconds else 0.0

    @property
    def steady(self) -> bool:
        """Whether as many were answered as came.

        Where they were not, what waits grows until it is late: a rate that a queue of seconds hides for the length of
        a trial is not kept. Chance alone piles up as much as the root of what came.
        """
        came = self.requests / 2
        return self.piled <= max(GROWTH * came, 1.5 * math.sqrt(came))

    @property
    def kept(self) -> bool:
        """Whether 99 of 100 were in time and nothing piled up."""
        return self.missed_share <= MAY_MISS and self.steady

    @property
    def shown(self) -> bool:
        """Whether this was no luck."""
        return self.kept and is_shown(self.requests, self.missed)

    @property
    def confidence(self) -> float:
        """How sure it is that 99 of 100 are in time at this rate, from 0 to 1."""
        return confidence(self.requests, self.missed)

    @property
    def hopeless(self) -> bool:
        """Whether a repetition would not be kept either, since the service missed by far, and not we."""
        return self.missed_share > CLEARLY and not self.doubtful

    @property
    def doubtful(self) -> bool:
        """Whether the load generator was late itself, for half of what missed or more."""
        return self.behind > BEHIND * self.requests and 2 * self.behind > self.missed

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of answers stayed within."""
        return Histogram(self.latency).quantile(share)


COUNTS = ("requests", "good", "late", "refused", "fallback", "failed", "broken", "silent", "piled", "behind")


def by_rate(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """All trials of a rate as one, from the lowest rate to the highest."""
    rates: dict[float, list[Trial]] = {}
    for trial in trials:
        rates.setdefault(trial.rate, []).append(trial)
    return tuple(pooled(rates[rate]) for rate in sorted(rates))


def pooled(trials: Iterable[Trial]) -> Trial:
    """Several trials of one rate as one that was interrupted."""
    some = list(trials)
    latency: Counter[int] = Counter()
    for trial in some:
        latency.update(dict(trial.latency))
    return Trial(
        rate=some[0].rate,
        seconds=sum(trial.seconds for trial in some),
        rows_each=some[0].rows_each,
        latency=tuple(sorted(latency.items())),
        **{name: sum(getattr(trial, name) for trial in some) for name in COUNTS},
    )

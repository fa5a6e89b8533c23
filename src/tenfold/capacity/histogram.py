"""Latencies counted in buckets: cheap to add to, and as exact as anybody reads them.

The layout is that of HdrHistogram (Gil Tene, http://hdrhistogram.org): whole microseconds up to 256, then 128 buckets an
octave, so that a bucket is at most 0.8 % wide wherever it stands. A quantile is the end of its bucket: never too small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

PRECISION = 7  # 2**7 buckets an octave
BUCKETS = 26 << PRECISION  # up to 4.7 hours


class Histogram:
    """Counts of latencies in seconds, from a microsecond to over an hour."""

    __slots__ = ("counts",)

    def __init__(self, counts: Iterable[tuple[int, int]] = ()) -> None:
        """``counts`` are pairs of bucket and count, as ``pairs`` gives them."""
        self.counts = [0] * BUCKETS
        for bucket, count in counts:
            self.counts[bucket] += count

    def add(self, seconds: float) -> None:
        """Count one latency."""
        microseconds = int(seconds * 1e6)
        octave = microseconds.bit_length() - PRECISION - 1
        bucket = microseconds if octave <= 0 else (octave << PRECISION) + (microseconds >> octave)
        self.counts[min(max(bucket, 0), BUCKETS - 1)] += 1

    def pairs(self) -> list[tuple[int, int]]:
        """The buckets that hold anything, each with its count."""
        return [(bucket, count) for bucket, count in enumerate(self.counts) if count]

    @property
    def total(self) -> int:
        """How many latencies were counted."""
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The latency in seconds that this share of those counted stays within; 0 where there is none."""
        wanted = max(1, math.ceil(share * self.total))
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= wanted:
                return end_s(bucket)
        return 0.0

    def share_within(self, seconds: float) -> float:
        """The share of latencies in buckets that end within so many seconds; 0 where there is none."""
        within = sum(count for bucket, count in self.pairs() if end_s(bucket) <= seconds)
        return within / max(self.total, 1)


def end_s(bucket: int) -> float:
    """Where a bucket ends, in seconds."""
    octave = max((bucket >> PRECISION) - 1, 0)
    return ((bucket - (octave << PRECISION) + 1) << octave) / 1e6

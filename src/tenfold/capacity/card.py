"""What was found out about a capacity, on one card: how much, how fast then, how sure, and on how fast a machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from tenfold.capacity.knee import Found, Tried
from tenfold.capacity.stopping import MAY_MISS
from tenfold.capacity.trial import Trial, by_rate

Limit = Literal["", "deadline", "queue", "generator"]


class Point(msgspec.Struct, frozen=True):
    """One rate of the curve, in rows per second: latencies of the answers in seconds, and the share of requests that
    missed."""

    rate: float
    p50_s: float
    p99_s: float
    missed: float


class Card(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``rows_per_s`` is the highest rate that was shown to keep the deadline, 0 where none was.

    ``above`` is the lowest higher rate that was not kept, and ``limit`` says why: 99 of 100 requests missed the
    "deadline", or more came than were answered and piled up in a "queue", or it was the "generator" that could send no
    more. ``requests``, ``missed`` and ``confidence`` (0 to 1) are those of the trials that showed the rate. ``speed`` is
    that of the machine meanwhile, 1 being a machine of reference. ``promised`` is what was found at the promised rate.
    """

    rows_per_s: float
    deadline_s: float
    replicas: int = 1
    above: float | None = None
    limit: Limit = ""
    p50_s: float = 0.0
    p99_s: float = 0.0
    requests: int = 0
    missed: int = 0
    confidence: float = 0.0
    alone_s: float = 0.0
    speed: float = 1.0
    promised: Point | None = None
    curve: tuple[Point, ...] = ()

    @property
    def per_replica(self) -> float:
        """The rows per second of one replica."""
        return self.rows_per_s / self.replicas

    @property
    def calibrated(self) -> float:
        """The rows per second that the machine of reference would have carried, as far as its speed tells."""
        return self.rows_per_s / self.speed


def card_of(found: Found, tried: Sequence[Tried], deadline_s: float, promised: float | None) -> Card:
    """The card of what was found; its replicas, and how fast the machine was, are to be filled in."""
    shown, missed = found
    points = {trial.rate: _point(trial, deadline_s) for trial in by_rate(one.trial for one in tried)}
    card = Card(
        rows_per_s=0.0,
        deadline_s=deadline_s,
        above=missed.rate if missed else None,
        limit=_limit(missed),
        promised=points.get(promised or 0.0),
        curve=tuple(points.values()),
    )
    if not shown:
        return card
    at = _point(shown, deadline_s)
    return msgspec.structs.replace(
        card,
        rows_per_s=shown.rate,
        p50_s=at.p50_s,
        p99_s=at.p99_s,
        requests=shown.requests,
        missed=shown.missed,
        confidence=shown.confidence,
    )


def _point(trial: Trial, deadline_s: float) -> Point:
    """A trial as a point of the curve. Its p99 is the end of a bucket, which may lie just behind the deadline."""
    p99_s = trial.quantile(0.99)
    in_time = trial.missed_share <= MAY_MISS
    return Point(trial.rate, trial.quantile(0.5), min(p99_s, deadline_s) if in_time else p99_s, trial.missed_share)


def _limit(missed: Trial | None) -> Limit:
    """Why the rate above the capacity was not kept."""
    if missed is None:
        return ""
    if missed.doubtful:
        return "generator"
    return "deadline" if missed.steady else "queue"

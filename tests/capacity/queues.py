"""Servers on paper, whose capacity is known, for a search to find."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tenfold.capacity.arrivals import poisson
from tenfold.capacity.histogram import Histogram
from tenfold.capacity.knee import Found, Plan, Tried, next_try
from tenfold.capacity.trial import Trial

REFUSED = -1.0


@dataclass
class Queue:
    """One server that takes what waits in batches of at most ``most`` rows, which take ``fixed_s`` and ``each_s`` per row.

    Where it ``sheds``, it refuses what would be late. Now and then, ``hiccups`` times a second, 100 ms of answers are late
    for a reason of their own.
    """

    deadline_s: float
    fixed_s: float
    each_s: float = 0.0
    most: int = 1
    sheds: bool = False
    hiccups: float = 0.0

    @property
    def alone_s(self) -> float:
        return self.fixed_s + self.each_s

    def latencies(self, arrivals: list[float]) -> list[float]:
        """What each request takes; ``REFUSED`` where it is refused."""
        taken: list[float] = []
        free, at = 0.0, 0
        while at < len(arrivals):
            start = max(free, arrivals[at])
            if self.sheds and start + self.alone_s - arrivals[at] > self.deadline_s:
                taken.append(REFUSED)
                at += 1
                continue
            until = at + 1
            while until < len(arrivals) and until - at < self.most and arrivals[until] <= start:
                until += 1
            free = start + self.fixed_s + self.each_s * (until - at)
            taken.extend(free - arrival for arrival in arrivals[at:until])
            at = until
        return taken

    def trial(self, rate: float, seconds: float, dice: random.Random) -> Trial:
        """What a load generator would see."""
        arrivals = list(poisson(rate, seconds, dice.getrandbits(32)))
        taken = self.latencies(arrivals)
        if dice.random() < self.hiccups * seconds:
            bad = dice.uniform(0, seconds - 0.1)
            taken = [one + (0.1 if bad < came < bad + 0.1 else 0) for came, one in zip(arrivals, taken, strict=True)]
        answered = [one for one in taken if one >= 0]
        latency = Histogram()
        for one in answered:
            latency.add(one)
        good = sum(one <= self.deadline_s for one in answered)
        ends = [(came, came + one) for came, one in zip(arrivals, taken, strict=True) if one >= 0]
        half, end = (sum(came <= moment < back for came, back in ends) for moment in (seconds / 2, seconds))
        return Trial(
            rate=rate,
            seconds=seconds,
            requests=len(arrivals),
            good=good,
            late=len(answered) - good,
            refused=len(arrivals) - len(answered),
            piled=end - half,
            latency=tuple(latency.pairs()),
        )

    def capacity(self) -> float:
        """The highest rate at which 99 of 100 are in time in the long run, by bisection."""
        low, high = 0.0, self.most / (self.fixed_s + self.each_s * self.most) * 1.2
        for _ in range(9):
            rate = (low + high) / 2
            kept = self.trial(rate, max(60_000 / rate, 100 * self.deadline_s), random.Random(7)).kept
            low, high = (rate, high) if kept else (low, rate)
        return low


def search(queue: Queue, seed: int, promised: float | None = None, show_s: float = 10.0) -> tuple[Found, list[Tried]]:
    """The whole search against a server on paper."""
    return drive(queue.trial, Plan(promised or 0.5 / queue.alone_s, queue.alone_s, show_s, 1.0, promised), seed)


def drive(
    trial: Callable[[float, float, random.Random], Trial], plan: Plan, seed: int = 0
) -> tuple[Found, list[Tried]]:
    """Do what the decider says until it has found something."""
    dice = random.Random(seed)
    tried: list[Tried] = []
    while not isinstance(step := next_try(plan, tried), Found):
        assert step.rate > 0
        assert step.left_s >= 0
        tried.append(Tried(step.purpose, trial(step.rate, step.seconds, dice)))
        assert len(tried) < 200, "it does not end"
    return step, tried

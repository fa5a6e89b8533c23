"""One measurement from its first request to its card: the decider says which rate is next, the generator drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tenfold.bench.generator import Alone, Generator
from tenfold.capacity.knee import Found, Plan, Tried, Try, next_try
from tenfold.capacity.trial import CLEARLY
from tenfold.units import duration, throughput

CALIBRATION_S = 0.1
ALONE_S = 0.5

Say = Callable[[str], None]
"""Is told what is going on, in words."""


class Measured(NamedTuple):
    """What was found: one request alone, the knee, every trial, and how fast the machine was between them."""

    alone: Alone
    found: Found
    tried: tuple[Tried, ...]
    speeds: tuple[float, ...]


class Bench:
    """A generator in use: counts the trials, and times the machine between them."""

    def __init__(self, generator: Generator, rows_each: float, deadline_s: float, say: Say) -> None:
        """``rows_each`` is how many rows a request has on average."""
        self._generator = generator
        self._rows_each = rows_each
        self._deadline_s = deadline_s
        self._say = say
        self._speeds: list[float] = []
        self._tried: list[Tried] = []

    def search(self, show_s: float, promised: float | None) -> Measured:
        """Find the highest rate that keeps the deadline; a rate counts that was kept for ``show_s`` seconds, twice."""
        alone = self._alone()
        if alone.p50_s > self._deadline_s:
            return self._measured(alone, Found(None, None))
        one_by_one = self._rows_each / alone.p50_s
        first = min(promised, 2 * one_by_one) if promised else 0.5 * one_by_one
        plan = Plan(first, alone.p50_s, show_s, self._rows_each, promised)
        while isinstance(step := next_try(plan, self._tried), Try):
            self._try(step)
        return self._measured(alone, step)

    def one(self, rate: float, seconds: float) -> Measured:
        """Drive one rate for so many seconds."""
        alone = self._alone()
        self._try(Try(rate, seconds, "show", seconds), to_the_end=True)
        trial = self._tried[0].trial
        found = Found(trial, None) if trial.kept else Found(None, trial)
        return self._measured(alone, found)

    def _alone(self) -> Alone:
        self._say("one request at a time")
        alone = self._generator.ask(ALONE_S)
        self._speeds.append(self._generator.speed(CALIBRATION_S))
        return alone

    def _try(self, step: Try, to_the_end: bool = False) -> None:
        self._say(f"{throughput(step.rate)} for {duration(step.seconds)}, about {duration(round(step.left_s))} left")
        enough = CLEARLY * step.rate / self._rows_each * step.seconds
        trial = self._generator.drive(
            step.rate,
            self._rows_each,
            step.seconds,
            seed=len(self._tried),
            watch=lambda _, missed: not to_the_end and missed > enough,
        )
        self._tried.append(Tried(step.purpose, trial))
        self._speeds.append(self._generator.speed(CALIBRATION_S))

    def _measured(self, alone: Alone, found: Found) -> Measured:
        return Measured(alone, found, tuple(self._tried), tuple(self._speeds))

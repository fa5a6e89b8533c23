"""What a policy would have cost and missed on a traffic: a replay, second by second.

Rows arrive as the trace says; the ready replicas answer ``rate`` rows a second each; what cannot be answered within the
budget is refused at once, as the server does. A replica that is ordered is ready after the start-up time and costs from
its order on; one that goes is drained within the second. Rows within a second are a flow, so that the fluctuation within
a budget far below a second is not seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from tenfold.scaling.options import Scaling
from tenfold.scaling.past import CALM_S, Past
from tenfold.scaling.policy import EVERY_S, Memory, Replicas, Snapshot, decide
from tenfold.scaling.schedule import scheduled

IDEAL_S = 10
DAY_S = 86_400.0


class Policy(Protocol):
    """Anything that says how many replicas are wanted, every so many seconds."""

    every_s: float

    def __call__(self, seen: Snapshot, now: float) -> Replicas:
        """The replicas that it wants at ``now``, in seconds since the trace began."""
        ...


class Setting(NamedTuple):
    """The replicas of a simulation: what each carries in rows per second, how long it takes to start, and the budget of an
    answer. Rows that come while there is no replica wait for ``hold_s``, so many of them at most."""

    rate: float
    startup_s: float
    budget_s: float = 1.0
    hold_s: float = 0.0
    hold_rows: int = 0


class Moment(NamedTuple):
    """A change of the number of replicas: at which second, to how many, and why."""

    second: int
    n: int
    reason: str


class Outcome(NamedTuple):
    """What became of a trace under a policy. ``held`` rows waited for a service that had stopped, and were answered;
    ``replicas`` are the ready and starting ones of each second, ``misses`` the rows that were missed, by second."""

    replica_s: float
    ideal_s: float
    rows: float
    refused: float
    late: float
    held: float
    replicas: list[int]
    moments: list[Moment]
    misses: dict[int, float]

    @property
    def cost_ratio(self) -> float:
        """Replica-seconds against the ideal (``ideal_s``)."""
        return self.replica_s / self.ideal_s if self.ideal_s else math.inf

    @property
    def refused_ratio(self) -> float:
        """The share of rows that were refused, since they could not be answered in time."""
        return self.refused / self.rows if self.rows else 0.0

    @property
    def late_ratio(self) -> float:
        """The share of rows that were admitted and answered late."""
        return self.late / self.rows if self.rows else 0.0

    @property
    def missed_ratio(self) -> float:
        """The share of rows that were not answered within the budget."""
        return self.refused_ratio + self.late_ratio

    @property
    def changes_per_day(self) -> float:
        """How often the number of replicas changed, per 24 hours."""
        return len(self.moments) * DAY_S / len(self.replicas)


class Ours:
    """``decide`` with what it has to remember. ``begins`` is the moment at which the trace begins, for schedules."""

    every_s = EVERY_S

    def __init__(self, scaling: Scaling, begins: datetime | None = None) -> None:
        self._scaling, self._begins, self._entries = scaling, begins, scaling.entries
        self._memory = Memory()

    def __call__(self, seen: Snapshot, now: float) -> Replicas:
        """The replicas that ``decide`` wants."""
        if self._begins is None or not self._entries:
            wanted, self._memory = decide(seen, self._scaling, self._memory, now)
        else:
            floor = scheduled(self._entries, self._begins + timedelta(seconds=now))
            wanted, self._memory = decide(seen, self._scaling, self._memory, now, floor)
        return wanted


class Fixed:
    """So many replicas, whatever comes."""

    every_s = math.inf

    def __init__(self, n: int) -> None:
        self.n = n

    def __call__(self, seen: Snapshot, now: float) -> Replicas:  # noqa: ARG002 -- a policy
        """The same number."""
        return Replicas(self.n, "fixed")


def ideal_s(arrivals: Sequence[float], rate: float, low: int) -> float:
    """The replica-seconds of somebody who knows the trace, changes the number every ten seconds, starts replicas in no time,
    and refuses nothing."""
    total = 0.0
    for at in range(0, len(arrivals), IDEAL_S):
        window = arrivals[at : at + IDEAL_S]
        total += max(math.ceil(max(window) / rate), low) * len(window)
    return total


def simulate(
    arrivals: Sequence[float],
    policy: Policy,
    setting: Setting,
    bounds: tuple[int, int] = (1, 0),
    begin: int | None = None,
) -> Outcome:
    """Replay the rows of each second. ``begin`` replicas are ready at the beginning; where that is not said, as many as the
    first minute needs, as if there had been such traffic before. ``bounds`` are the fewest and the most, 0 for no limit."""
    past, (low, high) = Past.of(arrivals), bounds
    first = math.ceil(past.at(min(CALM_S, past.end)).mean(CALM_S) / setting.rate)
    replay = _Replay(setting, max(low, min(first, high or first)) if begin is None else begin)
    series: list[int] = []
    moments: list[Moment] = []
    misses: dict[int, float] = {}
    missed = next_look = 0.0
    for second, came in enumerate(arrivals):
        replay.pass_second(second, came)
        if replay.refused + replay.late > missed:
            misses[second] = replay.refused + replay.late - missed
            missed += misses[second]
        have = replay.ready + len(replay.starting)
        series.append(have)
        if second + 1 < next_look:
            continue
        next_look = second + 1 + policy.every_s
        wanted = policy(replay.seen(past.at(second + 1)), second + 1.0)
        if wanted.n != have:
            moments.append(Moment(second + 1, *wanted))
            replay.turn_to(wanted.n, second + 1)
    ideal = ideal_s(arrivals, setting.rate, low)
    rows = float(past.totals[-1])
    return Outcome(float(sum(series)), ideal, rows, replay.refused, replay.late, replay.held, series, moments, misses)


def always(arrivals: Sequence[float], n: int, setting: Setting, low: int = 1) -> Outcome:
    """What becomes of a trace under ``n`` replicas at all times. Where these carry the busiest second, that is known."""
    if max(arrivals) > n * setting.rate:
        return simulate(arrivals, Fixed(n), setting, (low, n), n)
    seconds, ideal = len(arrivals), ideal_s(arrivals, setting.rate, low)
    return Outcome(float(n * seconds), ideal, float(sum(arrivals)), 0.0, 0.0, 0.0, [n] * seconds, [], {})


class _Replay:
    """The replicas and what waits for them, in one second after the other."""

    def __init__(self, setting: Setting, ready: int) -> None:
        self.ready = ready
        self.starting: list[float] = []  # when each is ready
        self.refused = self.late = self.held = 0.0
        self._setting = setting
        self._startup_s = max(math.ceil(setting.startup_s), 1)
        self._waiting = self._holding = 0.0
        self._stopped_s = 0  # for how long there has been no replica

    def pass_second(self, second: int, came: float) -> None:
        """Rows came: answer what can be answered, and refuse what could not be in time."""
        while self.starting and self.starting[0] <= second:
            self.starting.pop(0)
            self.ready += 1
        if not self.ready:
            self._hold(came)
            return
        self._stopped_s = 0
        able = self.ready * self._setting.rate
        begun = min(self._holding, able)
        self._holding, self.held, able = self._holding - begun, self.held + begun, able - begun
        left = self._waiting + came - min(self._waiting + came, able)
        dropped = max(left - self.ready * self._setting.rate * self._setting.budget_s, 0.0)
        overdue = min(dropped, self._waiting)  # admitted while there were more replicas
        self.late, self.refused, self._waiting = self.late + overdue, self.refused + dropped - overdue, left - dropped

    def _hold(self, came: float) -> None:
        """There is no replica: rows wait for one, for so long and so many."""
        self._stopped_s += 1 if came or self._holding else 0
        self._holding += self._waiting + came
        most = 0.0 if self._stopped_s > self._setting.hold_s else float(self._setting.hold_rows)
        dropped = max(self._holding - most, 0.0)
        self.refused, self._holding, self._waiting = self.refused + dropped, self._holding - dropped, 0.0

    def seen(self, past: Past) -> Snapshot:
        """What a policy is shown."""
        setting, waiting = self._setting, self._waiting + self._holding
        return Snapshot(
            past, waiting, self.ready, len(self.starting), setting.rate, float(self._startup_s), setting.budget_s
        )

    def turn_to(self, wanted: int, second: int) -> None:
        """Order replicas, or let some go: those that are still starting first."""
        while len(self.starting) + self.ready < wanted:
            self.starting.append(float(second + self._startup_s))
        while len(self.starting) + self.ready > wanted:
            if self.starting:
                self.starting.pop()
            else:
                self.ready -= 1


def fit(
    arrivals: Sequence[float],
    scaling: Scaling,
    setting: Setting,
    missed: float,
    told: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Scaling, Outcome]:
    """The cheapest criteria that miss at most this share of rows on the trace; where none does, those that miss least.

    ``told`` hears how many of the settings were tried.
    """
    tried: list[tuple[tuple[float, float], Scaling, Outcome]] = []
    settings = [(after, headroom) for after in FIT_AFTER for headroom in FIT_HEADROOM]
    for done, (after, headroom) in enumerate(settings):
        told(done, len(settings))
        fitted = scaling.override({"scale_in_after": after, "headroom": headroom}, "--fit")
        outcome = simulate(arrivals, Ours(fitted), setting, scaling.bounds)
        tried.append(((max(outcome.missed_ratio - missed, 0.0), outcome.cost_ratio), fitted, outcome))
    _, best, outcome = min(tried, key=lambda one: one[0])
    return best, outcome


FIT_AFTER = ("1 min", "2 min", "5 min", "10 min", "20 min")
FIT_HEADROOM = ("0%", "5%", "10%", "20%", "40%", "80%")

"""The highest rate that keeps the deadline: which rate to try next, and when to stop.

Looks of a few seconds bracket the knee: rates are doubled until one is not kept, then the gap is narrowed. What a look
says is only a hint, so a look that failed by little is repeated. Long trials then have to *show* the rate that is left,
two at least, judged together; where they cannot, lower rates are tried. Looks at a few more rates draw the curve.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tenfold.capacity.stopping import MAY_MISS, needed
from tenfold.capacity.trial import Trial, pooled

RESOLUTION = 1.04  # between a rate that is kept and the next that is not, in looks,
FINE = 1.06  # and in long trials
STEP_DOWN = 0.96
LOOK_SHARE = 0.2  # of a long trial's time
LOOK_REQUESTS = 100
SHOW_REQUESTS = 1.1 * needed()  # fewer may come than were planned
SHOWS = 3  # long trials of a rate at most, two at least
LONGEST = 12  # times what a long trial takes: for slow services, of which more time does not make a measurement
CURVE = (0.1, 0.25, 0.5, 0.75, 0.9, 1.1, 1.25)
ALIKE = 0.06  # rates that differ by less are one point of the curve
IDLE = 0.01  # of the time a service is busy: a rate that is missed even so is none

Purpose = Literal["look", "show", "draw"]


class Plan(NamedTuple):
    """``first`` is the rate to start with, in rows per second, and ``alone_s`` what a request takes alone. A long trial
    takes ``show_s``. A request has ``rows_each`` rows. ``promised`` is a rate that has to be shown or refuted."""

    first: float
    alone_s: float
    show_s: float = 10.0
    rows_each: float = 1.0
    promised: float | None = None


class Try(NamedTuple):
    """Try this rate for so long; about ``left_s`` will pass until something is found."""

    rate: float
    seconds: float
    purpose: Purpose
    left_s: float


class Found(NamedTuple):
    """``shown`` is the highest rate that was shown, its long trials in one, and ``missed`` the lowest one above it that
    was not kept; None where there is none."""

    shown: Trial | None
    missed: Trial | None


class Tried(NamedTuple):
    """A trial, and what it was for."""

    purpose: Purpose
    trial: Trial


def next_try(plan: Plan, tried: Sequence[Tried]) -> Try | Found:
    """The next rate to try, or what was found. The same trials give the same answer."""
    looks, shows = _by_rate(tried, "look"), _by_rate(tried, "show")
    low, high = bracket(looks)
    if not shows and (rate := _to_look_at(plan, looks, low, high)):
        narrowing = math.log2(math.log(high / low) / math.log(RESOLUTION)) if low > 0 and high < math.inf else 6
        return _attempt(plan, rate, "look", narrowing * _look_s(plan, rate) + 2 * _show_s(plan, rate))
    if rate := _to_show(plan, shows, low):
        return _attempt(plan, rate, "show", max(1, 2 - len(shows.get(rate, ()))) * _show_s(plan, rate))
    shown = max((rate for rate, trials in shows.items() if verdict(trials)), default=0.0)
    if shown and (rates := _to_draw(plan, tried, shown)):
        return _attempt(plan, rates[0], "draw", len(rates) * _look_s(plan, rates[0]))
    above = {rate: pooled(trials) for rate, trials in shows.items() if rate > shown and verdict(trials) is False}
    if shown < high < math.inf:
        above.setdefault(high, pooled(looks[high]))
    return Found(pooled(shows[shown]) if shown else None, above[min(above)] if above else None)


def _by_rate(tried: Sequence[Tried], purpose: Purpose) -> dict[float, list[Trial]]:
    found: dict[float, list[Trial]] = {}
    for one in tried:
        if one.purpose == purpose:
            found.setdefault(one.trial.rate, []).append(one.trial)
    return found


# Looking


def bracket(looks: dict[float, list[Trial]]) -> tuple[float, float]:
    """The highest rate that was kept in a look, 0 where none was, and the lowest above it that was not, or infinity."""
    low = max((rate for rate, trials in looks.items() if any(trial.kept for trial in trials)), default=0.0)
    high = min((rate for rate, trials in looks.items() if rate > low and _is_missed(trials)), default=math.inf)
    return low, high


def _is_missed(looks: Sequence[Trial]) -> bool:
    """Whether looks at a rate say that it is not kept: one that failed by far, or two."""
    return not any(look.kept for look in looks) and (len(looks) >= 2 or looks[0].hopeless)


def _to_look_at(plan: Plan, looks: dict[float, list[Trial]], low: float, high: float) -> float | None:
    """The next rate of the bracket; None once it is narrow, or where not even an idle service keeps the deadline."""
    if not looks:
        return plan.first
    unclear = [rate for rate, trials in looks.items() if low < rate < high and not _is_missed(trials)]
    if unclear:
        return unclear[0]
    if high == math.inf:
        return 2 * low
    if not low:
        return high / 4 if _is_load(plan, high / 4) else None
    if high <= low * RESOLUTION:
        return None
    carried = 0.98 * pooled(looks[high]).goodput  # of a service that refuses what is too much
    return carried if low * RESOLUTION < carried < high / RESOLUTION else math.sqrt(low * high)


def _is_load(plan: Plan, rate: float) -> bool:
    return rate / plan.rows_each * plan.alone_s > IDLE


# Showing


def verdict(shows: Sequence[Trial]) -> bool | None:
    """Whether long trials show their rate; None where one more is needed to know."""
    together = pooled(shows)
    if len(shows) >= 2 and together.shown:
        return True
    if together.missed > MAY_MISS * together.requests * SHOWS / len(shows):  # too many, even if no more were to come
        return False
    return together.kept if len(shows) >= SHOWS else None


def _to_show(plan: Plan, shows: dict[float, list[Trial]], low: float) -> float | None:
    """The next rate for a long trial; None once a rate is shown and one just above it refuted, or nothing is left."""
    verdicts = {rate: verdict(trials) for rate, trials in shows.items()}
    unclear = [rate for rate, shown in verdicts.items() if shown is None]
    if unclear:
        return unclear[0]
    shown = max((rate for rate, is_shown in verdicts.items() if is_shown), default=0.0)
    refuted = min((rate for rate, is_shown in verdicts.items() if rate > shown and not is_shown), default=math.inf)
    if shown:
        return math.sqrt(shown * refuted) if FINE < refuted / shown < math.inf else None
    if plan.promised and low < plan.promised < 1.15 * low and not shows:
        return plan.promised  # a promise gets its chance, even if the looks say that it is just too much
    steps = sum(rate <= low for rate in shows)
    rate = low * STEP_DOWN ** (2**steps - 1)
    return rate if _is_load(plan, rate) else None


# Drawing


def _to_draw(plan: Plan, tried: Sequence[Tried], shown: float) -> list[float]:
    """The rates that the curve still lacks."""
    wanted = [share * shown for share in CURVE]
    if plan.promised and plan.promised < shown:
        wanted.insert(0, plan.promised)
    seen = [one.trial.rate for one in tried]
    return [rate for rate in wanted if all(abs(rate / other - 1) > ALIKE for other in seen)]


# Time


def _attempt(plan: Plan, rate: float, purpose: Purpose, left_s: float) -> Try:
    seconds = _show_s(plan, rate) if purpose == "show" else _look_s(plan, rate)
    if purpose != "draw":
        left_s += len(CURVE) * _look_s(plan, rate)
    return Try(rate, seconds, purpose, left_s)


def _show_s(plan: Plan, rate: float) -> float:
    return min(max(plan.show_s, SHOW_REQUESTS * plan.rows_each / rate), LONGEST * plan.show_s)


def _look_s(plan: Plan, rate: float) -> float:
    return min(max(LOOK_SHARE * plan.show_s, LOOK_REQUESTS * plan.rows_each / rate), plan.show_s)

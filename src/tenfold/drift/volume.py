"""How many rows come: learnt from a service's own hours and days, so that a feed that stops or bursts is told from a night.

Traffic breathes by the hour and by the week, wanders and comes in bursts. Until each hour of the week has come once nothing
is said; then an hour is compared with the same hour of the days before, or of the weeks before where that says more, and a
day with days. What is usual goes along with the last four weeks: a service that grows has no fault.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from tenfold.drift.columns import Floats, Ints
from tenfold.drift.effects import baseline, score
from tenfold.drift.eprocess import Wealth, wager
from tenfold.drift.season import CYCLES, DAY_S, HOUR_S, WEEK_S, possible
from tenfold.drift.verdicts import Fault
from tenfold.drift.windows import moment

HOURLY, DAILY = "= rows an hour", "= rows a day"  # what is watched
SPANS = {HOURLY: "an hour", DAILY: "a day"}
UNKNOWN = -1  # rows of an hour that was not watched as a whole
LEARNT_S = CYCLES * WEEK_S
LATELY_S = DAY_S  # that is no measure yet, whatever it is: what breaks must not become usual while it breaks
DOUBTED_S = 2 * WEEK_S  # for so long what speaks for a change is no measure; then it is usual
FACTOR = 2.0  # times as many rows, or as few, are no fault
NATURAL = 3.0  # standard deviations that rows may wander: how far is known from few days, and waves outlast hours
MOST_FALLEN = 4.0  # standard deviations that an hour or a day of few rows may say: a batch may be late
MOST_RISEN = 2.5  # and one of many: a burst is over in some hours
HOURS = 24  # slots of a cycle, from which on they are hours
IDLE = 5.0  # rows, of which fewer are usual in an hour that says nothing
FEWEST = 2  # times that a cycle, and an hour of it, has to have been seen: all hours together tell how much one varies


class Odd(msgspec.Struct, frozen=True):
    """Rows that came from ``start`` on, and how many are usual then."""

    start: float
    rows: int
    usual: float

    @property
    def off(self) -> float:
        """How far off that is, as a logarithm."""
        return abs(_log(self.rows) - math.log(self.usual))


class Volume(msgspec.Struct, frozen=True):
    """Rows of the last six weeks: of each unit (u,) of ``unit_s`` seconds since the unit with the number ``first``.

    ``heard`` is when the last row was answered. Of hours and days that were judged, by what is watched, ``worst`` is the
    oddest since evidence began, ``last`` the last.
    """

    unit_s: float = HOUR_S
    first: int = 0
    rows: Ints = msgspec.field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    heard: float = 0.0
    worst: dict[str, Odd] = {}
    last: dict[str, Odd] = {}

    @property
    def is_young(self) -> bool:
        """Whether nobody can know yet what is usual."""
        return len(self.rows) * self.unit_s < WEEK_S + LATELY_S

    @property
    def next(self) -> int:
        """The number of the unit that comes next."""
        return self.first + len(self.rows)

    def before(self, unit: int) -> Volume:
        """What is known of the time before a unit; units until then of which nothing is known are unknown."""
        first = min(self.first, unit) if len(self.rows) else unit
        first = max(first, unit - round((LEARNT_S + DOUBTED_S) / self.unit_s))
        missed = np.full(max(unit - max(self.next, first), 0), UNKNOWN)
        rows = np.concatenate([self.rows[max(first - self.first, 0) : max(unit - self.first, 0)], missed])
        return msgspec.structs.replace(self, first=unit - len(rows), rows=rows)


class Series(NamedTuple):
    """Rows (n,) of hours or days that were watched as a whole, each ``length_s`` seconds from its start (n,) on."""

    starts: Floats
    rows: Ints
    length_s: float


class Usual(NamedTuple):
    """How many rows are usual: between ``low`` and ``high`` (a neighbouring hour is as good, since clocks are changed twice a
    year), most likely ``level``, as logarithms; how much they vary beyond chance, as ``days`` days tell. Rows have been far
    off on this side for ``held`` hours or days by now, and were so for ``habit`` before."""

    level: float
    low: float
    high: float
    spread: float
    days: int
    held: int
    habit: int


def counted(
    volume: Volume, wealth: Mapping[str, Wealth], threshold: float, renewing: bool, unit: int, rows: int
) -> tuple[Volume, dict[str, Wealth]]:
    """What is known, and what was won, after a unit is over that was watched as a whole, and had so many rows."""
    volume, won = volume.before(unit), dict(wealth)
    rows_now, worst, last = np.append(volume.rows, rows), dict(volume.worst), dict(volume.last)
    after = msgspec.structs.replace(volume, rows=rows_now, worst=worst, last=last)
    for name, known, length_s in _scales(after):
        *_, now = known.rows.tolist()
        start, so_far = float(known.starts[-1]), won.get(name, Wealth())
        usual = usual_of(known, so_far.since * length_s if so_far.run else start)
        z = None if usual is None else excess(usual, now)
        if usual is None or z is None:
            continue
        odd, number = Odd(start, now, math.exp(usual.level)), round(start / length_s)
        bet = wager(so_far, z, number, threshold, renewing)
        if bet.since == number or name not in worst or odd.off > worst[name].off:
            worst[name] = odd
        won[name], last[name] = bet, odd
    return after, won


def usual_of(known: Series, until: float) -> Usual | None:
    """How many rows are usual in the last hour or day of those that are known, by those before ``until``; None where nobody
    can know yet, or hardly any come."""
    starts, length_s = known.starts, known.length_s
    until = max(min(until, starts[-1] - LATELY_S), starts[-1] - DOUBTED_S)
    taken = (starts >= until - LEARNT_S) & (starts + length_s <= until)
    if not taken.any() or until - starts[taken][0] < WEEK_S or taken.sum() * length_s < CYCLES * DAY_S:
        return None
    cycles = possible(float(starts[taken][0]), until, length_s, FEWEST)
    logs, middles = np.log(np.maximum(known.rows, 1)), starts + length_s / 2
    slots = [(np.zeros(len(starts), dtype=np.int64), 1), *((cycle.slot(middles), cycle.slots) for cycle in cycles)]
    found = min((_Slots.of(logs, taken, *some) for some in slots), key=lambda some: some.squares)
    return found.usual(middles)


def excess(usual: Usual, rows: int) -> float | None:
    """By how many standard deviations rows are further from the usual than tolerated and natural; None where they would be no
    fault an hour earlier or later, or where it has been so for as long before."""
    now, allowed = _log(rows), math.log(FACTOR) + NATURAL * usual.spread
    own, near = abs(now - usual.level) - allowed, max(usual.low - now, now - usual.high) - allowed
    if own > 0 and (near <= 0 or usual.held <= usual.habit):
        return None
    z = score(near if own > 0 else own, math.exp(-usual.level / 2), usual.spread, usual.days)
    return min(z, MOST_FALLEN if now < usual.level else MOST_RISEN)


def faults_of(volume: Volume, moved: Sequence[str]) -> list[Fault]:
    """What is wrong with the number of rows, given the names of what is proven: the finer one tells more."""
    name = next((name for name in SPANS if name in moved), None)
    if name is None:
        return []
    worst, last, span = volume.worst[name], volume.last[name], SPANS[name]
    if not last.rows:
        said = f"no row was answered since {moment(volume.heard)}, where about {last.usual:,.0f} are usual in {span}"
        return [Fault("staleness", (), said)]
    rows = f"{worst.rows:,} {'row was' if worst.rows == 1 else 'rows were'} answered in {span} from {moment(worst.start)} on"
    return [Fault("volume", (), f"{rows}, where about {worst.usual:,.0f} are usual")]


def since_when(volume: Volume, name: str, wealth: Wealth) -> float:
    """When evidence about the number of rows began, in seconds since 1970."""
    return wealth.since * (volume.unit_s if name == HOURLY else DAY_S)


# -- hours and days ---------------------------------------------------------------------------------------------


def _scales(volume: Volume) -> Iterator[tuple[str, Series, float]]:
    """The hours; and the days, where the last hour ends one."""
    if volume.unit_s > DAY_S:
        return
    starts = (volume.first + np.arange(len(volume.rows), dtype=np.float64)) * volume.unit_s
    known = volume.rows != UNKNOWN
    if volume.unit_s < DAY_S:
        yield HOURLY, Series(starts[known], volume.rows[known], volume.unit_s), volume.unit_s
    days = np.floor_divide(starts + volume.unit_s / 2, DAY_S).astype(np.int64)
    if (starts[-1] + 1.5 * volume.unit_s) // DAY_S == days[-1]:
        return
    first, day = int(days[0]), days - days[0]
    whole = np.bincount(day, known) * volume.unit_s > DAY_S - volume.unit_s
    summed = np.bincount(day, np.where(known, volume.rows, 0)).astype(np.int64)
    if whole[-1]:
        yield DAILY, Series((first + np.flatnonzero(whole).astype(np.float64)) * DAY_S, summed[whole], DAY_S), DAY_S


class _Slots(NamedTuple):
    """The logarithms of rows (n,), by the slot of a cycle that each belongs to; those ``taken`` tell the level of each slot,
    and how far each was from the others there (t,)."""

    logs: Floats
    taken: NDArray[np.bool_]
    slots: Ints
    levels: Floats
    residuals: Floats

    @classmethod
    def of(cls, logs: Floats, taken: NDArray[np.bool_], slots: Ints, size: int) -> _Slots:
        some, at = logs[taken], slots[taken]
        seen, sums = np.bincount(at, minlength=size), np.bincount(at, some, minlength=size)
        others = (seen - 1)[at]
        without = np.where(others > 0, (sums[at] - some) / np.maximum(others, 1), some.mean())
        levels = np.where(seen >= FEWEST, sums / np.maximum(seen, 1), np.nan)
        return cls(logs, taken, slots, levels, some - without)

    @property
    def squares(self) -> float:
        """How little the cycle explains."""
        return float(self.residuals @ self.residuals)

    def usual(self, middles: Floats) -> Usual | None:
        now = self.slots[-1]
        level = float(self.levels[now])
        if not level >= math.log(IDLE):
            return None
        near = [now - 1, now, (now + 1) % len(self.levels)] if len(self.levels) >= HOURS else [now]
        around = self.levels[near]
        busy = self.levels[self.slots] >= math.log(IDLE)
        levels = self.levels[self.slots[self.taken & busy]]
        found = baseline(self.residuals[busy[self.taken]], np.exp(-levels / 2))
        days = len(
            np.unique(middles[self.taken & busy] // DAY_S)
        )  # what a day has in common makes its hours count as one
        apart = int(found.windows * (1 - found.persistence) / (1 + found.persistence))
        off = (self.logs - self.levels[self.slots])[busy]
        held, habit = _runs(off * np.sign(off[-1]) > math.log(FACTOR), self.taken[busy])
        return Usual(
            level, float(np.nanmin(around)), float(np.nanmax(around)), found.spread, min(days, apart), held, habit
        )


def _runs(off: NDArray[np.bool_], taken: NDArray[np.bool_]) -> tuple[int, int]:
    """How long the last run is, and how long the longest was of those ``taken``."""
    last = int(np.argmin(off[::-1])) if not off.all() else len(off)
    ends = np.flatnonzero(~np.append(off[taken], False))
    return last, int(np.diff(ends, prepend=-1).max()) - 1


def _log(rows: int) -> float:
    return math.log(max(rows, 1))

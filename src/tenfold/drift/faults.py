"""Why a field moved, where a broken feed explains it: a value that stopped coming, another unit, two columns exchanged.

These are diagnoses, not tests: they are made of fields that have been proven to move, so that they cost no false alarms.
What they find is to be mended where the data comes from. A model that is trained on it learns the fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from tenfold.drift.columns import BEFORE, MISSING, NAN, NEGATIVE, POSITIVE, Column, Floats, Ints, written
from tenfold.drift.monitor import Seen, State
from tenfold.drift.pictures import RED_MINUS_BLUE
from tenfold.drift.profile import QUANTILES, ROWS, Profile, fields_of, split
from tenfold.drift.verdicts import Fault
from tenfold.drift.volume import faults_of
from tenfold.drift.windows import moment

MOST = 0.9  # of the rows: from there on a fault is no accident of some of them
MISSED = 0.2  # of the rows that came before and are missing now
ALIKE = 0.1  # largest difference of two distribution functions that are called alike
UNLIKE = 0.25
LONGEST_CYCLE = 5  # columns that are exchanged in a ring
MOST_SPREAD = 3.0  # times, by which a field may come to vary more or less without being another
NEAR, VERY_NEAR = 0.05, 0.02  # of a known factor, as a logarithm
FREE_FACTOR = 5.0  # from which on a scaled feed is called so, whatever the factor

TURNED = "the sign is turned"

FACTORS = {  # what one unit is in another
    "per cent and shares": 100.0,
    "thousands": 1000.0,
    "millions": 1e6,
    "seconds and minutes": 60.0,
    "seconds and hours": 3600.0,
    "hours and days": 24.0,
    "days and weeks": 7.0,
    "months and years": 12.0,
    "inches and centimetres": 2.54,
    "feet and metres": 3.28084,
    "kilometres and miles": 1.609344,
    "kilograms and pounds": 2.204623,
    "litres and gallons": 3.785412,
    "bytes and KiB": 1024.0,
    "radians and degrees": 57.29578,
}
SCALES = (  # what is said; by what values of today are multiplied, what is added; where those of the reference may lie
    ("°F instead of °C", 5 / 9, -160 / 9, (-90.0, 60.0)),
    ("°C instead of °F", 1.8, 32.0, (-130.0, 140.0)),
    ("K instead of °C", 1.0, -273.15, (-90.0, 60.0)),
    ("°C instead of K", 1.0, 273.15, (180.0, 340.0)),
    (TURNED, -1.0, 0.0, (-np.inf, np.inf)),
)


@np.errstate(over="ignore", invalid="ignore")  # a value near the end of floats is in no other unit
def diagnose(profile: Profile, seen: Seen, moved: Sequence[str]) -> list[Fault]:
    """What is broken in the feed of a window, given the names of the columns that are proven to have moved."""
    places = {column.name: k for k, column in enumerate(profile.columns) if column.role == "input"}
    suspects = [places[name] for name in moved if name in places]
    exchanged = _exchanged(profile, seen, suspects)
    faults = [_swap(profile, exchanged)] if exchanged else []
    faults += filter(None, (_fault(profile, seen, k) for k in suspects if k not in exchanged))
    return faults


def miscounted(profile: Profile, state: State, moved: Sequence[str]) -> list[Fault]:
    """What is wrong with the number of rows: of whole windows since it began, that which is furthest from the usual."""
    if ROWS not in moved:
        return faults_of(state.volume, moved)
    usual = profile.baselines[ROWS].mean
    windows = [seen for seen in state.seen if seen.whole and seen.number >= state.wealth[ROWS].since]
    worst = max(windows, key=lambda seen: abs(math.log(max(seen.rows, 1)) - usual), default=state.seen[-1])
    rows = f"{worst.rows:,} {'row' if worst.rows == 1 else 'rows'} in the window from {moment(worst.start)} on"
    return [Fault("volume", (), f"{rows}, where about {math.exp(usual):,.0f} are usual")]


def _fault(profile: Profile, seen: Seen, k: int) -> Fault | None:
    """The first fault that explains one column."""
    column = profile.columns[k]
    before, now = split(profile.columns, profile.counts.cells)[k], split(profile.columns, seen.cells)[k]
    was, is_ = profile.quantiles[k], seen.quantiles[k] if len(seen.quantiles) else np.full(QUANTILES, np.nan)
    found = {
        "type": _type(before, now, seen.strangers.get(column.name, {})) if column.kind == "number" else None,
        "missing": _missing(before, now),
        "infinite": _infinite(before, now),
        "renamed": _renamed(column, now, seen.strangers.get(column.name, {})),
        "constant": _constant(column, was, is_),
        "unit": _unit(was, is_, seen.rows) if column.kind == "number" else None,
    }
    if column.name.endswith(RED_MINUS_BLUE) and found["unit"] == TURNED:
        return Fault("swapped", (column.name,), f"{column.name.partition(':')[0]}: red and blue are swapped")
    kind = next((kind for kind, said in found.items() if said), None)
    return Fault(kind, (column.name,), f"{column.name}: {found[kind]}") if kind else None


def _type(before: Ints, now: Ints, strangers: Mapping[str, int]) -> str | None:
    """Text, where the reference has numbers."""
    was, is_ = _share(before, NAN), _share(now, NAN)
    if is_ - was < MISSED or not strangers:
        return None
    examples = ", ".join(f'"{name}"' for name in sorted(strangers)[:3])
    return f"{is_:.0%} of the values are text where the reference has numbers: {examples}"


def _missing(before: Ints, now: Ints) -> str | None:
    was, is_ = _share(before, NAN, MISSING), _share(now, NAN, MISSING)
    if is_ - was < MISSED:
        return None
    return "every value is missing" if is_ == 1 else f"{is_:.0%} of the values are missing, {was:.0%} on the reference"


def _infinite(before: Ints, now: Ints) -> str | None:
    was, is_ = _share(before, NEGATIVE, POSITIVE), _share(now, NEGATIVE, POSITIVE)
    return f"{is_:.0%} of the values are infinite" if is_ - was >= MISSED else None


def _constant(column: Column, was: Floats, is_: Floats) -> str | None:
    """One value for all rows but single ones, where the reference had several."""
    if is_[1] != is_[-2] or was[1] == was[-2]:
        return None
    value = column.title(int(is_[1]) + BEFORE) if column.kind == "category" else written(float(is_[1]))
    return f"always {value}"


def _renamed(column: Column, now: Ints, strangers: Mapping[str, int]) -> str | None:
    """Hardly a category is one that the reference had."""
    if column.kind == "number":
        return None
    unseen = float(now[column.unseen + BEFORE]) / max(int(now[:NAN].sum()), 1)
    examples = ", ".join(f'"{name}"' for name in sorted(strangers)[:3])
    return f"{unseen:.0%} of the values are names that the reference never had: {examples}" if unseen >= MOST else None


def _unit(was: Floats, is_: Floats, rows: int) -> str | None:
    """A factor or a known scale that makes the values of today those of the reference."""
    alike, very = ALIKE + 1 / math.sqrt(rows), ALIKE / 2 + 1 / math.sqrt(rows)
    if not np.isfinite(was).all() or not np.isfinite(is_).all() or _difference(is_, was) < UNLIKE:
        return None
    for said, factor, shift, (low, high) in SCALES:
        if low <= was[0] and was[-1] <= high and _difference(np.sort(is_ * factor + shift), was) <= very:
            return said
    ratio = _ratio(was, is_)
    for said, factor in FACTORS.items():
        near, enough = (NEAR, alike) if factor >= FREE_FACTOR else (VERY_NEAR, very)  # prices may double by themselves
        for known in (factor, 1 / factor):
            if abs(math.log(ratio / known)) < near and _difference(is_ / known, was) <= enough:
                return f"{known:.4g} times what it was ({said})"
    far = ratio >= FREE_FACTOR or ratio <= 1 / FREE_FACTOR
    return f"{ratio:.3g} times what it was" if far and _difference(is_ / ratio, was) <= alike else None


def _ratio(was: Floats, is_: Floats) -> float:
    """By what the values were multiplied, if they were: the ratio of the inner ones' sizes, 1 where there is none."""
    inner = slice(len(was) // 4, -len(was) // 4)
    before, now = float(np.abs(was[inner]).sum()), float(np.abs(is_[inner]).sum())
    ratio = now / before if before > 0 else 1.0
    return ratio if 0 < ratio < math.inf else 1.0


# -- columns that were exchanged ------------------------------------------------------------------------------


def _exchanged(profile: Profile, seen: Seen, suspects: Sequence[int]) -> dict[int, int]:
    """Which column each of those holds by now that were exchanged.

    They are cycles, in which whatever one held is in another. An open chain will do where no plain shift explains it: where
    all values rise, a column comes to look like the next one, and is still its own shape.
    """
    if not len(seen.quantiles):
        return {}
    fields = fields_of(profile.columns)
    holds = {a: [b for b in fields if a != b and _came_to_hold(profile, seen, a, b)] for a in fields}
    found: dict[int, int] = {}
    for suspect in suspects:
        cycle = _cycle(holds, [suspect])
        if cycle:
            found |= dict(zip(cycle, [*cycle[1:], suspect], strict=True))
        elif profile.columns[suspect].kind == "number" and not _shifted(profile, seen, suspect):
            left = [b for b in holds[suspect] if _difference(seen.quantiles[b], profile.quantiles[b]) >= UNLIKE]
            found |= {suspect: left[0]} if left else {}
    return found


def _shifted(profile: Profile, seen: Seen, k: int) -> bool:
    """Whether a column is what it was but for another level and, within bounds, another spread."""
    was, is_ = profile.quantiles[k], seen.quantiles[k]
    inner, middle = slice(len(was) // 4, -len(was) // 4), len(was) // 2
    before, now = float(np.ptp(was[inner])), float(np.ptp(is_[inner]))
    if not before > 0 or not 1 / MOST_SPREAD <= now / before <= MOST_SPREAD:
        return False
    shifted = (is_ - is_[middle]) * (before / now) + was[middle]
    return _difference(shifted, was) <= ALIKE + 1 / math.sqrt(seen.rows)


def _cycle(holds: Mapping[int, Sequence[int]], path: list[int]) -> list[int]:
    """The shortest way back to where a path began, if it is not too long; empty where there is none."""
    ways = []
    for after in holds[path[-1]]:
        if after == path[0]:
            return path
        if after not in path and len(path) < LONGEST_CYCLE:
            ways.append(_cycle(holds, [*path, after]))
    return min(filter(None, ways), key=len, default=[])


def _came_to_hold(profile: Profile, seen: Seen, a: int, b: int) -> bool:
    """Whether column ``a`` looks like what ``b`` was, and did not on the reference."""
    one, other = profile.columns[a], profile.columns[b]
    if one.kind != other.kind:
        return False
    if one.kind == "category":
        strangers, known = seen.strangers.get(one.name, {}), other.codes()
        total = sum(strangers.values())
        return total > 0 and sum(n for name, n in strangers.items() if name in known) >= MOST * total
    now = _difference(seen.quantiles[a], profile.quantiles[b])
    before = _difference(profile.quantiles[a], profile.quantiles[b])
    return now <= ALIKE + 1 / math.sqrt(seen.rows) and before >= max(ALIKE, 2 * now)


def _swap(profile: Profile, exchanged: Mapping[int, int]) -> Fault:
    names = [column.name for column in profile.columns]
    said = ", ".join(f"{names[a]} holds what was {names[b]}" for a, b in exchanged.items())
    return Fault("swapped", tuple(names[a] for a in exchanged), f"columns are exchanged: {said}")


def _difference(one: Floats, other: Floats) -> float:
    """The largest difference of two distribution functions (Kolmogorov's), given quantiles at the same shares."""
    if np.isnan(one).any() or np.isnan(other).any():
        return 1.0
    points = np.concatenate([one, other])
    return float(np.abs(one.searchsorted(points, "right") - other.searchsorted(points, "right")).max() / len(one))


def _share(counts: Ints, *cells: int) -> float:
    total = int(counts.sum())
    return float(sum(int(counts[cell]) for cell in cells)) / total if total else 0.0

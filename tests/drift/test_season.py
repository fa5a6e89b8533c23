"""Traffic with hours: what a Monday morning is compared with."""

from __future__ import annotations

import numpy as np

from tenfold.drift.faults import miscounted
from tenfold.drift.judge import Circumstances, find
from tenfold.drift.profile import ROWS
from tenfold.drift.season import CYCLE, possible
from tenfold.drift.verdicts import Verdict
from tests.drift.streams import POLICY, Rows, first_alarm, profile_of, watch, window_of, windows_of

HOUR = 3600.0
MONDAY = 4 * 86400.0  # 1970-01-05
SIZE = 60


def hours(seed: int, count: int, first: int = 0, shift: float = 0.0) -> Rows:
    """Sixty rows an hour of a field that rises by day and falls by night, from an hour of the week on."""
    random = np.random.default_rng(seed)
    hour = np.repeat(np.arange(first, first + count), SIZE)
    wave = 2 * np.sin(2 * np.pi * hour / 24) + (hour // 24 % 7 >= 5)
    return Rows((wave + shift + random.normal(size=len(hour)))[:, None])


def start(first: int = 0) -> float:
    """When an hour begins."""
    return MONDAY + first * HOUR


WEEKS = 5 * 168
PROFILE = profile_of(hours(1, WEEKS), SIZE, start=start(), window_s=HOUR)


def test_enough_cycles_make_a_season() -> None:
    """Five weeks of hours are compared hour by hour of the week."""
    assert PROFILE.season is not None
    assert PROFILE.season.cycle == "hour of the week"
    assert PROFILE.season.baselines["x0"].spread < 0.3 * PROFILE.baselines["x0"].spread


def test_day_and_night_are_no_drift() -> None:
    """Three more weeks of the same traffic are healthy."""
    windows = windows_of(PROFILE.columns, hours(2, 3 * 168, WEEKS), SIZE, start=start(WEEKS), each=HOUR)
    assert first_alarm(watch(PROFILE, windows)) is None


def test_a_shift_that_a_day_would_hide_is_found() -> None:
    """Half of what an afternoon adds, all day long, is seen within hours: nothing else than the hour explains it away."""
    rows = hours(2, 24, WEEKS).then(hours(3, 48, WEEKS + 24, shift=1.2))
    windows = windows_of(PROFILE.columns, rows, SIZE, start=start(WEEKS), each=HOUR)
    alarm = first_alarm(watch(PROFILE, windows))
    assert alarm is not None
    assert 24 <= alarm <= 30


def test_a_reference_without_enough_cycles_has_no_season() -> None:
    """Three days say nothing of a week, nor of a day; all hours are thrown together."""
    assert profile_of(hours(1, 72), SIZE, start=start(), window_s=HOUR).season is None
    assert [cycle.name for cycle in possible(0, 30 * 86400, HOUR)] == [
        "hour of the week",
        "day of the week",
        "hour of the day",
    ]
    assert [cycle.name for cycle in possible(0, 5 * 86400, HOUR)] == ["hour of the day"]
    assert possible(0, 30 * 86400, 2 * 86400.0) == []


def test_traffic_without_hours_has_no_season() -> None:
    """A season that explains nothing is not made up."""
    flat = Rows(np.random.default_rng(4).normal(size=(WEEKS * SIZE, 1)))
    assert profile_of(flat, SIZE, start=start(), window_s=HOUR).season is None


def test_slots_are_counted_from_thursday() -> None:
    """The first of January 1970 was one."""
    slots = CYCLE["day of the week"].slot(np.array([0.0, MONDAY, MONDAY + 6.5 * 86400, -1.0]))
    assert slots.tolist() == [0, 4, 3, 6]


def test_a_feed_that_stops_is_noticed() -> None:
    """An hour with hardly a row is no healthy hour, and one that is only half over is no broken one."""
    quiet = [
        window_of(PROFILE.columns, hours(5, 1, WEEKS + k).cut(0, 4), start(WEEKS + k), start(WEEKS + k + 1))
        for k in range(4)
    ]
    state = watch(PROFILE, quiet)
    found = find(PROFILE, POLICY, state, Circumstances())
    assert found.verdict is Verdict.FIX_DATA
    assert found.faults[0].detail == "4 rows in the window from 1970-02-09T00:00:00Z on, where about 60 are usual"
    assert miscounted(PROFILE, state, [ROWS]) == found.faults
    for window in quiet:
        window.whole = False
    assert first_alarm(watch(PROFILE, quiet)) is None

"""Traffic that comes round every week, followed live: no Monday is drift, and what moves beyond its hour is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.control.driftwatch import Monitor
from tenfold.drift.columns import Floats
from tenfold.drift.cycles import History, learn
from tenfold.drift.deltas import Delta
from tenfold.drift.making import counts_of
from tenfold.drift.options import Drift
from tenfold.drift.sampling import mix
from tenfold.drift.season import CYCLES, HOUR_S
from tests.drift.test_following import COLUMNS
from tests.drift.test_season import MONDAY
from tests.drift.watching import RELEASE, leave, spec_of

HOURS_OF_A_WEEK = 168
ROWS = 600
START = MONDAY + 2950 * 7 * 86_400.0


class World:
    """A monitor, and a replica that leaves a piece for each hour, in which salaries follow the hour of the week."""

    def __init__(self, home: Path, seed: int = 1, wave: float = 12.0) -> None:
        self.home, self.wave, self.hour = home, wave, 0
        self.random = np.random.default_rng(seed)
        self.spec = spec_of(window="1 h")
        self.monitor = self.another()

    def another(self) -> Monitor:
        """A monitor that starts with what is on the disk."""
        return Monitor(self.home, RELEASE, self.spec, lambda: START + self.hour * HOUR_S + 10)

    def rows(self, richer: float) -> Floats:
        """What is asked and answered in an hour: by day and at weekends, it is others who ask."""
        wave = np.sin(2 * np.pi * self.hour / 24) + (self.hour // 24 % 7 >= 5)
        salary = self.random.normal(40 + self.wave * wave + richer, 10, ROWS)
        likely = 1 / (1 + np.exp(-(salary - 40) / 8))
        years, region = self.random.integers(0, 30, ROWS), self.random.integers(0, 2, ROWS)
        return np.column_stack([salary, years, region, likely > 0.5, likely])

    def hours(self, count: int, richer: float = 0.0) -> list[str]:
        """The verdicts after each of so many hours."""
        said = []
        for _ in range(count):
            values, profile = self.rows(richer), self.monitor.profile
            start = START + self.hour * HOUR_S
            keys = mix(np.arange(ROWS, dtype=np.uint64) + np.uint64(self.hour * ROWS))
            first = np.argsort(keys)[: 256 if profile else ROWS]
            counts = counts_of(profile.columns, values) if profile else None
            at = np.full(len(first), start + 1)
            piece = Delta(start, start + HOUR_S, ROWS, counts, keys[first], at, values[first])
            leave(self.home, self.hour, piece)
            self.hour += 1
            self.monitor.tick()
            said.append(str(self.monitor.report().verdict))
        return said


@pytest.fixture(scope="module")
def seasoned(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world after four weeks and a day."""
    world = World(tmp_path_factory.mktemp("loans"))
    world.hours(CYCLES * HOURS_OF_A_WEEK + 25)
    return world


def test_the_fifth_week_is_compared_with_the_four_before(seasoned: World) -> None:
    """By the hour of the week; it is said that the reference is another one, and a restart changes nothing."""
    profile = seasoned.monitor.profile
    assert profile is not None
    assert profile.season is not None
    assert profile.season.cycle == "hour of the week"
    assert "the salary" in profile.season.baselines
    seasoned.monitor = seasoned.another()
    assert set(seasoned.hours(6 * 24)) == {"HEALTHY"}
    found = seasoned.monitor.report()
    assert any("the same hour of the week of live rows" in reason for reason in found.reasons)
    moved = seasoned.hours(12, richer=9.0)  # less than the difference between day and night
    assert moved[-1] == "WATCH"
    found = seasoned.monitor.report()
    assert "the salary" in found.because
    assert "the season: rows are compared with those of the same hour of the week" in found.ruled_out


def test_four_days_show_the_hour_of_the_day(tmp_path: Path) -> None:
    """Where day and night differ, that is known in the first week already."""
    world = World(tmp_path)
    world.hours(CYCLES * 24 + 25)
    profile = world.monitor.profile
    assert profile is not None
    assert profile.season is not None
    assert profile.season.cycle == "hour of the day"


def test_traffic_that_does_not_come_round_gets_no_season(tmp_path: Path) -> None:
    """Neither where nothing moves, nor where everything moves on: a drift is not taken for a season."""
    flat, drifting = World(tmp_path / "flat", wave=0.0), World(tmp_path / "drifting")
    assert set(flat.hours(CYCLES * 24 + 50)) <= {"None", "HEALTHY"}
    drifting.hours(CYCLES * 18)
    assert drifting.hours(CYCLES * 6 + 50, richer=30.0)[-1] == "WATCH"
    for world in (flat, drifting):
        assert world.monitor.profile is not None
        season = world.monitor.profile.season
        assert season is None or "the salary" not in season.baselines


def test_columns_that_left_their_training_behind_have_no_season(tmp_path: Path) -> None:
    """Four days that are alike among themselves and unlike the rows of training are drift, at whatever hour."""
    world = World(tmp_path)
    world.hours(2)
    profile = world.monitor.profile
    assert profile is not None
    history = History.none(len(profile.counts.cells))
    for hour in range(CYCLES * 24 + 24):
        world.hour = hour
        history.add(int(START // HOUR_S) + hour, counts_of(profile.columns, world.rows(40.0)).cells)
    state = world.monitor._now.state
    learnt = learn(profile, Drift(), state, history, [])
    assert learnt is not None
    assert learnt.profile.season is not None
    assert "the salary" in learnt.profile.season.baselines
    names = [column.name for column in COLUMNS]
    anchored = learn(profile, Drift(), state, history, names)
    assert anchored is None or "the salary" not in (anchored.profile.season or learnt.profile.season).baselines


def test_an_hour_counts_once() -> None:
    """Whatever is told again after a crash; what is older than four weeks goes."""
    history = History.none(3)
    for hour in (5, 6, 6, 4, 7):
        history.add(hour, np.array([hour, 0, 1]))
    assert history.hours.tolist() == [5, 6, 7]
    assert history.cells[:, 0].tolist() == [5, 6, 7]
    history.add(5 + CYCLES * HOURS_OF_A_WEEK, np.zeros(3, dtype=np.int64))
    assert history.hours.tolist() == [6, 7, 677]

"""How many rows come: what is no fault stays silent for half a year, and what is one is found within hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tenfold.drift.arrivals import AWAY_S, Arrivals, unit_of
from tenfold.drift.columns import Floats, Ints
from tenfold.drift.eprocess import Wealth, discoveries
from tenfold.drift.following import GRACE_S
from tenfold.drift.judge import Circumstances, find, step
from tenfold.drift.monitor import CHANNELS, State, came
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile, pack, unpack
from tenfold.drift.season import DAY_S, HOUR_S
from tenfold.drift.verdicts import Verdict
from tenfold.drift.volume import DAILY, HOURLY, Volume, counted, faults_of
from tests.drift.streams import POLICY, Rows, profile_of, verdicts, window_of

FIRST = 494_000  # hours since 1970, some noon
WEEK = 168
FIELDS = 10  # that are watched beside, each of which makes an alarm about the number of rows need more


class Traffic:
    """Hours of traffic (n,): when they are, and rows that come with a rate."""

    def __init__(self, seed: int, weeks: int) -> None:
        self.random = np.random.default_rng(seed)
        self.first = FIRST + 13 * seed
        hours = self.first + np.arange(weeks * WEEK)
        self.of_day, self.is_weekend = hours % 24, (hours // 24 + 3) % 7 >= 5
        self.daily = np.cos((self.of_day - 15) / 24 * 2 * np.pi)

    def wander(self, rho: float, deviation: float) -> Floats:
        """A stationary AR(1) series."""
        steps = self.random.normal(size=len(self.of_day)) * deviation * np.sqrt(1 - rho * rho)
        series = np.empty(len(steps))
        series[0] = self.random.normal() * deviation
        for t in range(1, len(steps)):
            series[t] = rho * series[t - 1] + steps[t]
        return series

    def rows(self, rate: Floats | float) -> Ints:
        """Rows that come independently with this rate."""
        return self.random.poisson(rate, len(self.of_day)).astype(np.int64)


def daily(t: Traffic) -> Ints:
    """Twenty times as many by day as by night."""
    return t.rows(np.exp(6 + 1.5 * t.daily + t.wander(0.9, 0.1)))


def weekly(t: Traffic) -> Ints:
    """Also a tenth at weekends."""
    return t.rows(np.exp(6 + 1.5 * t.daily - 2.3 * t.is_weekend + t.wander(0.95, 0.15)))


def office(t: Traffic) -> Ints:
    """Nothing at nights and weekends, when replicas are scaled to zero."""
    at_work = (t.of_day >= 8) & (t.of_day < 18) & ~t.is_weekend
    return t.rows(np.where(at_work, 800 * np.exp(t.wander(0.9, 0.2)), 0.0))


def restless(t: Traffic) -> Ints:
    """Negative binomial: the rate of each hour is drawn anew."""
    return t.rows(200 * t.random.gamma(1.0, 1.0, len(t.of_day)))


def wandering(t: Traffic) -> Ints:
    """A rate that goes up and down for days."""
    return t.rows(np.exp(6 + t.daily + t.wander(0.99, 0.5)))


def on_and_off(t: Traffic) -> Ints:
    """A client that comes and goes at any time, for a day or so."""
    turns = np.cumsum(t.random.random(len(t.of_day)) < 0.05)
    return t.rows(np.where(turns % 2, 500.0, 0.0))


def nightly(t: Traffic) -> Ints:
    """Five thousand rows in one hour of each day, whichever."""
    rows = np.zeros(len(t.of_day), dtype=np.int64)
    for midnight in np.flatnonzero(t.of_day == 0)[:-1]:
        rows[midnight + t.random.integers(24)] = 5000
    return rows


def bursts(t: Traffic) -> Ints:
    """Twenty times as many for some hours, about once a week."""
    rows = t.rows(300.0)
    for at in np.flatnonzero(t.random.random(len(rows)) < 1 / WEEK):
        rows[at : at + t.random.integers(1, 4)] *= 20
    return rows


def growing(t: Traffic) -> Ints:
    """Ten times as many after half a year."""
    hours = np.arange(len(t.of_day))
    return t.rows(np.exp(5 + t.daily - t.is_weekend + 2.3 * hours / len(hours) + t.wander(0.9, 0.15)))


def steady(t: Traffic) -> Ints:
    """The same at all times."""
    return t.rows(200.0)


def few(t: Traffic) -> Ints:
    """Two rows an hour."""
    return t.rows(2.0)


def evidence(rows: Ints, first: int) -> Iterator[tuple[int, Volume, dict[str, Wealth]]]:
    """What is known after each hour."""
    volume, wealth = Volume(), dict[str, Wealth]()
    for hour, count in enumerate(rows.tolist()):
        volume, wealth = counted(volume, wealth, POLICY.threshold * CHANNELS, False, first + hour, count)
        yield hour, volume, wealth


def first_alarm(rows: Ints, first: int) -> int | None:
    """The first hour after which an alarm is raised; None where none is."""
    beside = dict.fromkeys(map(str, range(FIELDS)), 0.0)
    for hour, _, wealth in evidence(rows, first):
        known = {name: won.evidence(False) for name, won in wealth.items()}
        if discoveries(known | beside, POLICY.threshold * CHANNELS):
            return hour
    return None


# -- what is no fault, and what is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", [daily, weekly, office, restless, wandering, on_and_off, nightly, bursts, growing, few]
)
def test_traffic_that_breathes_raises_no_alarm(kind: Callable[[Traffic], Ints]) -> None:
    """Days, weekends, nights without a row, waves and bursts are what traffic is like: nobody is woken for them."""
    for seed in range(2):
        traffic = Traffic(seed, 8)
        assert first_alarm(kind(traffic), traffic.first) is None, seed


@pytest.mark.parametrize(
    ("kind", "fewer", "more", "none"),
    [(steady, 4, 8, 3), (daily, 4, 10, 3), (weekly, 24, 24, 12), (office, 120, 120, 80), (restless, 240, 0, 120)],
)
def test_a_feed_that_breaks_is_found(kind: Callable[[Traffic], Ints], fewer: int, more: int, none: int) -> None:
    """A tenth of the rows, ten times as many, or none at all: within so many hours, the more regular the sooner."""
    at = 33 * 24 + 3
    for seed in range(2):
        traffic = Traffic(seed, 7)
        calm = kind(traffic)
        for change, limit in [(0.1, fewer), (10, more), (0, none)] if more else [(0.1, fewer), (0, none)]:
            broken = calm.copy()
            broken[at:] = (broken[at:] * change).astype(np.int64)
            found = first_alarm(broken[: at + limit], traffic.first)
            assert found is not None, (seed, change)
            assert found >= at, (seed, change)


def test_a_service_is_young_until_it_has_seen_a_week() -> None:
    """What stops on the sixth day may come again on Mondays: nothing is said."""
    traffic = Traffic(1, 2)
    rows = daily(traffic)
    rows[6 * 24 :] = 0
    assert first_alarm(rows[: 8 * 24 + 12], traffic.first) is None


def test_a_feed_that_was_mended_is_no_fault_any_more() -> None:
    """Silence of ten hours is over some hours later, and the same hours of the next week are not odd for it."""
    traffic = Traffic(2, 7)
    rows = daily(traffic)
    at = 5 * WEEK + 9
    rows[at : at + 10] = 0
    alarms = [hour - at for hour, _, w in evidence(rows, traffic.first) if w and _proven(w[HOURLY])]
    assert 0 <= min(alarms) <= 3
    assert max(alarms) <= 14


def test_what_stays_becomes_usual() -> None:
    """A client that left for good is told for two weeks or more, and not for ever."""
    traffic = Traffic(2, 14)
    rows = daily(traffic)
    at = 5 * WEEK + 9
    rows[at:] //= 10
    alarms = [hour - at for hour, _, w in evidence(rows, traffic.first) if w and _proven(w[HOURLY])]
    assert set(range(4, 14 * 24)) <= {*alarms}
    assert max(alarms) < 7 * WEEK


def _proven(wealth: Wealth) -> bool:
    return wealth.evidence(False) >= POLICY.threshold * CHANNELS


def test_the_number_of_rows_is_told_with_its_time() -> None:
    """What is usual at that hour, the oddest hour since it began, and since when nothing came."""
    traffic = Traffic(0, 6)
    rows = daily(traffic)
    at = 5 * WEEK
    rows[at:] //= 10
    rows[at + 2] = 1
    volume = [volume for hour, volume, _ in evidence(rows[: at + 6], traffic.first)][-1]
    (fault,) = faults_of(volume, [HOURLY, DAILY])
    assert (fault.kind, fault.fields) == ("volume", ())
    assert fault.detail.startswith("1 row was answered in an hour from 2026-06-14T10:00:00Z on, where about 5")
    rows[at + 3 :] = 0
    volume = [volume for hour, volume, _ in evidence(rows[: at + 6], traffic.first)][-1]
    (fault,) = faults_of(Volume(**{f: getattr(volume, f) for f in volume.__struct_fields__} | {"heard": 1e9}), [HOURLY])
    assert fault.kind == "staleness"
    assert fault.detail.startswith("no row was answered since 2001-09-09T01:46:40Z, where about ")


# -- in a state -----------------------------------------------------------------------------------------------


def judged(rows: Ints, first: int, policy: Drift = POLICY) -> tuple[Profile, State]:
    """The state after hours of traffic, in which windows of a few rows are judged as well."""
    random = np.random.default_rng(1)
    profile = profile_of(Rows(random.normal(size=(3000, 2))), 500)
    state = State()
    for hour, count in enumerate(rows.tolist()):
        state = came(policy, state, state.volume, first + hour, count)
        if count and hour % 24 == 0:
            start = (first + hour) * HOUR_S
            some = Rows(random.normal(size=(200, 2)))
            state = step(profile, policy, state, window_of(profile.columns, some, start, start + HOUR_S))
    return profile, state


def test_a_feed_that_stops_is_to_be_mended() -> None:
    """The verdict is FIX_DATA, dated to the hour in which it began, though no window has been judged since."""
    traffic = Traffic(3, 6)
    rows = daily(traffic)
    rows[5 * WEEK + 7 :] = 0
    profile, state = judged(rows[: 5 * WEEK + 11], traffic.first)
    found = find(profile, POLICY, state, Circumstances())
    assert found.verdict is Verdict.FIX_DATA
    assert [fault.kind for fault in found.faults] == ["staleness"]
    assert found.began == (traffic.first + 5 * WEEK + 7) * HOUR_S
    assert verdicts(state)[-1] is Verdict.HEALTHY


def test_what_is_known_of_rows_outlives_a_restart() -> None:
    """Kept and restored, it goes on to the last bit."""
    traffic = Traffic(3, 3)
    rows = weekly(traffic)
    _, state = judged(rows, traffic.first)
    _, half = judged(rows[:WEEK], traffic.first)
    restored = unpack(pack(half), State)
    assert pack(restored) == pack(half)
    for hour in range(WEEK, len(rows)):
        restored = came(POLICY, restored, restored.volume, traffic.first + hour, int(rows[hour]))
    assert pack(restored.volume) == pack(state.volume)
    assert restored.wealth[HOURLY] == state.wealth[HOURLY]


# -- which hours were watched ---------------------------------------------------------------------------------


def hours_of(arrivals: Arrivals, looks: Floats, alone: bool = True) -> list[int]:
    """The hours that are told of, looking at these times; a row comes at each look."""
    found = []
    for time in looks.tolist():
        arrivals.add(time, 1)
        found += [unit for unit, _ in arrivals.over(time, GRACE_S, alone)]
    return found


def test_hours_that_were_watched_as_a_whole_are_told() -> None:
    """Not the first, of which a part was missed, and none in which the server was away or shared its rows."""
    every = np.arange(10.4, 15.2, 0.1) * HOUR_S
    assert hours_of(Arrivals(), every) == [11, 12, 13, 14]
    away = every[(every < 12.3 * HOUR_S) | (every > 13.2 * HOUR_S)]
    assert hours_of(Arrivals(), away) == [11, 14]
    assert hours_of(Arrivals(), every, alone=False) == []


def test_a_short_pause_loses_no_hour() -> None:
    """A server that is started again within minutes was there, as far as rows in an hour go."""
    every = np.arange(10.0, 13.2, 0.1) * HOUR_S
    paused = every[(every < 11.45 * HOUR_S) | (every > 11.45 * HOUR_S + AWAY_S * 0.5)]
    assert hours_of(Arrivals(), paused) == [10, 11, 12]


def test_a_clock_that_jumps_spoils_no_hour_that_follows() -> None:
    """Into the next year and back: the hours in which it happened are unknown, and the others are counted on."""
    before, after = np.arange(10.0, 12.5, 0.1) * HOUR_S, np.arange(12.5, 15.2, 0.1) * HOUR_S
    looks = np.concatenate([before, before[-1:] + 365 * DAY_S, after])
    assert hours_of(Arrivals(), looks) == [10, 11, 13, 14]
    volume = Volume()
    for unit in (10, 11, 8770, 13, 14):
        volume, _ = counted(volume, {}, 100.0, False, unit, 7)
    assert (volume.next, len(volume.rows) <= 1008 + 1) == (15, True)


def test_hours_are_whole_windows() -> None:
    """Windows of a minute make an hour, one of 45 minutes two, one of a day itself."""
    assert [unit_of(60.0), unit_of(2700.0), unit_of(86400.0), unit_of(7.0)] == [3600.0, 5400.0, 86400.0, 3605.0]

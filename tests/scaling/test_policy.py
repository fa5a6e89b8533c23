"""How many replicas, and why."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.scaling import Scaling
from tenfold.scaling.past import CALM_S, Past, forecast
from tenfold.scaling.policy import Memory, Replicas, Snapshot, decide
from tenfold.scaling.schedule import NOBODY, Floor

POLICY = Scaling(min_replicas=1, max_replicas=8, scale_in_after="2 min")


def seen(counts: list[float], ready: int = 3, starting: int = 0, waiting: float = 0, rate: float = 240.0) -> Snapshot:
    """Replicas that carry 240 rows/s each, and take 30 s to start."""
    return Snapshot(Past.of(counts), waiting, ready, starting, rate, 30.0, 0.05)


def first(snapshot: Snapshot, policy: Scaling = POLICY, floor: Floor = NOBODY) -> Replicas:
    """The first decision of all."""
    return decide(snapshot, policy, Memory(), 0.0, floor)[0]


def test_a_decision_says_why_in_plain_words() -> None:
    """Whoever asks why there are five replicas now reads the rate, what each carries, and what waits."""
    n, reason = first(seen([820.0] * 60, waiting=1000))
    assert n == 5
    assert reason == "3 → 5: 820 rows/s forecast, 240 rows/s each at p99 ≤ 50 ms, 1,000 waiting"


def test_replicas_that_start_are_counted_in() -> None:
    """A burst orders its replicas once, however long they take to start."""
    assert first(seen([820.0] * 60, ready=1)).n == first(seen([820.0] * 60, ready=1, starting=3)).n == 4


def test_what_waits_is_drained_by_replicas_of_its_own() -> None:
    """A backlog is answered within the stated time, beside what keeps coming."""
    assert first(seen([200.0] * 60, ready=1, waiting=2400)).n == 3
    assert first(seen([200.0] * 60, ready=1, waiting=5)).n == 1  # passes by itself


def test_a_rise_is_carried_on_for_the_time_that_a_start_takes() -> None:
    """Traffic that doubles within a minute finds the replicas ready that it needs when they are."""
    counts = [100.0] * 30 + [100.0 + 10 * k for k in range(30)]
    n, reason = first(seen(counts, ready=2))
    assert n * 240 > counts[-1] + 10 * 10
    assert "rising" in reason


def test_noise_is_no_rise() -> None:
    """Few rows a second come unevenly, and no replica is started for that."""
    assert first(seen([0, 3, 1, 0, 2, 1, 1, 0, 4, 1] * 6, ready=1)).n == 1


def test_seconds_that_are_busier_by_chance_order_nothing() -> None:
    """Ten seconds with a few rows more count for nothing; with half as many again they count at once, but for the chance."""
    steady = [100.0 + 2 * (-1) ** k for k in range(600)]
    chance, burst = Past.of([*steady, *[103.0] * 10]), Past.of([*steady, *[150.0] * 10])
    for start_s in (5.0, 120.0):
        assert forecast(chance, start_s) == (chance.mean(CALM_S), False, 0.0)
        assert forecast(burst, start_s).is_rising
        assert forecast(burst, start_s).rate > 145


def test_traffic_that_wanders_within_a_start_gets_more() -> None:
    """Minutes that differ are carried with some to spare, the more the longer a start takes; one jump is no wandering."""
    minutes = [420.0 + 60 * math.sin(2.4 * k) for k in range(40)]
    wandering = Past.of([rate for rate in minutes for _ in range(60)])
    steady, jumped = Past.of([420.0] * 2400), Past.of([300.0] * 1200 + [420.0] * 1200)
    assert forecast(wandering, 120.0).error > 30
    assert forecast(wandering, 5.0).error < 10
    assert forecast(steady, 120.0).error == forecast(jumped, 120.0).error == 0
    snapshot = seen([], ready=2)._replace(startup_s=120.0)
    assert first(snapshot._replace(past=wandering)).n > first(snapshot._replace(past=steady)).n


def test_where_rows_may_wait_less_is_kept_for_traffic_that_wanders() -> None:
    """A second in which to answer takes up a part of what the forecast misses, and the more time, the more of it."""
    minutes = [4200.0 + 600 * math.sin(2.4 * k) for k in range(40)]
    wandering = Past.of([rate for rate in minutes for _ in range(60)])
    snapshot = seen([], ready=2, rate=20.0)._replace(past=wandering, startup_s=120.0)
    strict, lax, patient = (first(snapshot._replace(budget_s=s), Scaling(1, 1000)).n for s in (0.05, 1.0, 10.0))
    mean = math.ceil(wandering.mean(60) / 20)
    assert strict > lax > patient > mean


def test_a_slow_rise_is_carried_on() -> None:
    """What rose by 60 rows/s in every two minutes of the last half hour will do so again, and a fall is waited for."""
    rise = Past.of([100.0 + 0.5 * second for second in range(2400)])
    fall = Past.of([1300.0 - 0.5 * second for second in range(2400)])
    assert forecast(rise, 120.0).rate >= rise.mean(60) + 60 - 1e-6
    assert forecast(fall, 120.0).rate == fall.mean(60)


def test_uneven_traffic_gets_more_than_its_mean() -> None:
    """Requests of a hundred rows each come in lumps; the staffing covers those."""
    smooth, lumpy = [460.0] * 60, [0.0, 920.0] * 30
    assert first(seen(smooth)).n < first(seen(lumpy)).n


def test_replicas_go_late() -> None:
    """A lull shorter than scale_in_after stops nothing; then they go to what was needed meanwhile."""
    memory, now = Memory(), 0.0
    decided: list[int] = []
    for rate in [820.0] * 60 + [200.0] * 90:
        wanted, memory = decide(seen([rate] * 60, ready=decided[-1] if decided else 1), POLICY, memory, now)
        decided.append(wanted.n)
        now += 2.0
    assert decided[59:110] == [4] * 51
    assert decided[-1] == 1


def test_a_slow_replica_does_not_go_as_soon_as_it_has_come() -> None:
    """What was ordered is not given up just when it is there: a need for what takes two minutes is remembered for three."""
    memory, decided = Memory(), []
    for look in range(150):
        snapshot = seen([820.0 if look < 30 else 200.0] * 60, ready=4)._replace(startup_s=120.0)
        wanted, memory = decide(snapshot, POLICY, memory, 2.0 * look)
        decided.append(wanted.n)
    assert decided[:110] == [4] * 110
    assert decided[-1] == 1


def test_after_a_restart_nothing_goes_at_once() -> None:
    """A server that has just begun to watch does not stop what it finds."""
    n, reason = first(seen([10.0] * 60, ready=5))
    assert n == 5
    assert "5 were needed within the last 2 min" in reason


def test_the_limits_hold_and_are_said() -> None:
    """More than max_replicas never run, and the reason says how many would be needed."""
    n, reason = first(seen([9000.0] * 60))
    assert n == 8
    assert "would be needed, and there are 8 at most" in reason
    assert first(seen([1.0] * 60, ready=1), Scaling(2, 8)) == Replicas(
        2, "1 → 2: 1 rows/s forecast, 240 rows/s each at p99 ≤ 50 ms; 2 at least"
    )


def test_an_idle_service_stops_where_it_may() -> None:
    """With min_replicas=0, nothing runs once nothing came for scale_in_after; the first row starts one."""
    policy = Scaling(min_replicas=0, max_replicas=4)
    memory = Memory()
    for now in range(0, 124, 2):
        wanted, memory = decide(seen([0.0] * 60, ready=1), policy, memory, float(now))
    assert wanted == Replicas(0, "1 → 0: no rows for 60 s")
    assert decide(seen([0.0] * 60, ready=0, waiting=1), policy, memory, 124.0)[0].n == 1


def test_a_person_has_the_last_word() -> None:
    """An override counts whatever the limits are, and the reason says whose it is."""
    n, reason = first(seen([1.0] * 60, ready=1), Scaling(), Floor(3, "ada asked for 3 until 18:00"))
    assert n == 3
    assert reason.endswith("; ada asked for 3 until 18:00")


def test_the_shortest_memory_outlasts_the_time_between_two_looks() -> None:
    """A scale_in_after of a second is one of a few looks, and not for ever, where a start takes no time."""
    policy, memory = Scaling(0, 2, scale_in_after="1 s"), Memory()
    idle = seen([0.0] * 60, ready=1)._replace(startup_s=0.1)
    decided = []
    for now in range(0, 20, 2):
        wanted, memory = decide(idle, policy, memory, float(now))
        decided.append(wanted.n)
    assert decided[0] == 1
    assert decided[-1] == 0


counts = st.lists(st.floats(0, 1e6), max_size=80) | st.lists(
    st.sampled_from([0.0, 3.0, 900.0]), min_size=300, max_size=900
)


@settings(max_examples=200)
@given(
    st.builds(
        Snapshot,
        counts.map(Past.of),
        st.floats(0, 1e7),
        st.integers(0, 100),
        st.integers(0, 100),
        st.floats(0.01, 1e5),
        st.floats(0, 600),
        st.floats(1e-3, 60),
    ),
    st.integers(0, 5),
    st.integers(5, 50),
)
def test_any_snapshot_is_decided(snapshot: Snapshot, low: int, high: int) -> None:
    """Whatever is seen: the number is within its bounds, the reason is said, the same sight gives the same decision, and once
    it is followed nothing more is asked for."""
    policy = Scaling(low, high)
    wanted, memory = decide(snapshot, policy, Memory(), 5.0)
    assert low <= wanted.n <= high
    assert wanted.reason
    assert decide(snapshot, policy, Memory(), 5.0) == (wanted, memory)
    started = max(wanted.n - snapshot.ready, 0)
    after = snapshot._replace(ready=min(snapshot.ready, wanted.n), starting=started)
    assert decide(after, policy, memory, 5.0)[0].n == wanted.n


@given(counts, st.integers(0, 80), st.integers(1, 90), st.integers(0, 90))
def test_the_past_sums_as_a_list_does(rows: list[float], end: int, window_s: int, before_s: int) -> None:
    """A mean over any window is the one that its seconds have."""
    past = Past.of(rows).at(min(end, len(rows)))
    window = rows[: max(past.end - before_s, 0)][-window_s:]
    expected = sum(window) / len(window) if window else 0.0
    assert math.isclose(past.mean(window_s, before_s), expected, rel_tol=1e-6, abs_tol=1e-3)
    assert past.dispersion() >= 1

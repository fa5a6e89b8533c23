"""A policy replayed on a traffic."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.scaling import Scaling
from tenfold.scaling.rivals import Hpa, HpaPolicy, Knative, KnativePolicy
from tenfold.scaling.simulation import Fixed, Ours, Outcome, Policy, Setting, always, fit, ideal_s, simulate

SETTING = Setting(rate=20.0, startup_s=30.0)
CALM = np.random.default_rng(1).poisson(50.0, 3600).astype(float).tolist()
BURST = CALM[:1800] + np.random.default_rng(2).poisson(400.0, 600).astype(float).tolist() + CALM[:1200]


def test_the_ideal_knows_what_comes() -> None:
    """Ten seconds with a peak of 41 rows/s need three replicas of 20, the next ten one."""
    assert ideal_s([41.0] + [1.0] * 9 + [20.0] * 10, 20.0, 1) == 40.0


def test_enough_replicas_refuse_nothing_and_too_few_refuse_the_rest() -> None:
    """The replay of a fixed number is the arithmetic that everybody can do by hand."""
    enough = simulate([30.0] * 100, Fixed(2), SETTING, begin=2)
    assert (enough.refused, enough.late, enough.replica_s) == (0, 0, 200)
    short = simulate([30.0] * 100, Fixed(1), SETTING, begin=1)
    assert short.refused + short.late == pytest.approx(100 * 10 - 20)  # a budget of 1 s lets 20 rows wait


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30), st.integers(1, 6))
def test_what_is_known_need_not_be_replayed(traffic: list[float], n: int) -> None:
    """So many replicas at all times miss and cost the same, whether that is replayed or calculated."""
    assert always(traffic, n, SETTING)[:5] == pytest.approx(simulate(traffic, Fixed(n), SETTING, (1, n), n)[:5])


def test_a_calm_hour_costs_little_more_than_the_ideal() -> None:
    """Where nothing happens, hardly any replica is idle and none comes and goes."""
    outcome = simulate(CALM, Ours(Scaling(1, 20)), SETTING, (1, 20))
    assert outcome.cost_ratio < 1.2
    assert outcome.missed_ratio == 0
    assert outcome.changes_per_day < 200


def test_a_burst_is_missed_for_the_time_of_a_start_alone() -> None:
    """Replicas are ordered with the first seconds of a burst, and each change has its reason."""
    outcome = simulate(BURST, Ours(Scaling(1, 40)), SETTING, (1, 40))
    assert outcome.refused + outcome.late < 400 * 40
    assert all(moment.reason for moment in outcome.moments)
    assert min(moment.second for moment in outcome.moments if moment.n > 10) < 1812


def test_a_faster_start_misses_less() -> None:
    """What a burst costs is decided by the start-up time."""
    missed = [simulate(BURST, Ours(Scaling(1, 40)), Setting(20.0, s), (1, 40)).missed_ratio for s in (1, 30, 120)]
    assert missed == sorted(missed)
    assert missed[0] < missed[-1]


def test_rows_wait_for_a_service_that_had_stopped() -> None:
    """With a hold, the rows that come first are answered after the start; without, and beyond it, they are refused."""
    policy = Scaling(0, 4)
    traffic = [0.0] * 300 + [5.0] * 60
    held = simulate(traffic, Ours(policy), Setting(20.0, 10.0, hold_s=30.0, hold_rows=1000), (0, 4))
    assert held.replicas[299] == 0
    assert held.missed_ratio == 0
    assert held.held == pytest.approx(5 * 11, abs=10)
    assert simulate(traffic, Ours(policy), Setting(20.0, 10.0), (0, 4)).refused > 0
    few = simulate(traffic, Ours(policy), Setting(20.0, 10.0, hold_s=30.0, hold_rows=7), (0, 4))
    assert few.held == pytest.approx(7)


def test_a_schedule_is_kept_in_the_replay() -> None:
    """The hours of a schedule count from when the trace begins."""
    policy = Scaling(1, 8, schedule=("09:00-10:00: 6",))
    begins = datetime(2026, 7, 1, 8, 30, tzinfo=UTC)
    outcome = simulate([1.0] * 3600, Ours(policy, begins), SETTING, (1, 8))
    assert outcome.replicas[1700] == 1
    assert outcome.replicas[1900] == 6
    assert "the schedule has 09:00-10:00: 6" in outcome.moments[0].reason


@pytest.mark.parametrize(
    "policy",
    [KnativePolicy(Knative(), 1, 40), HpaPolicy(Hpa(), 1, 40)],
    ids=["knative", "hpa"],
)
def test_rivals_follow_the_traffic_too(policy: Policy) -> None:
    """Knative and HPA, as they come, keep 70 % of what a replica carries: they hold a calm hour, and react to a burst."""
    outcome = simulate(BURST, policy, SETTING, (3, 40))
    assert outcome.replicas[1700] == pytest.approx(50 / 14, abs=1.5)
    assert max(outcome.replicas) >= 20


def test_knative_panics_on_a_burst_and_hpa_does_not_go_in_for_five_minutes() -> None:
    """The two differ as their sources say: the panic window is 6 s, the stabilisation window 300 s."""
    fast = simulate(BURST, KnativePolicy(Knative(), 1, 40), SETTING, (3, 40))
    slow = simulate(BURST, HpaPolicy(Hpa(), 1, 40), SETTING, (3, 40))
    first = [next(m.second for m in one.moments if m.n >= 20) for one in (fast, slow)]
    assert first[0] < first[1]
    assert slow.replicas[2400 + 290] == slow.replicas[2399]
    assert fast.replicas[2400 + 290] < fast.replicas[2399]


def test_fitted_criteria_miss_no_more_than_asked_and_cost_the_least() -> None:
    """Fitting finds a later scale-in where bursts return."""
    traffic = (CALM[:120] + [200.0] * 60) * 10
    fitted, outcome = fit(traffic, Scaling(1, 40), SETTING, missed=0.05)
    assert outcome.missed_ratio <= 0.05
    plain = simulate(traffic, Ours(Scaling(1, 40)), SETTING, (1, 40))
    assert plain.missed_ratio > 0.05 or outcome.cost_ratio <= plain.cost_ratio
    assert fitted.bounds == (1, 40)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0, 500), min_size=1, max_size=200),
    st.builds(Setting, st.floats(1, 100), st.floats(0, 60), st.floats(0.01, 5), st.floats(0, 60), st.integers(0, 500)),
    st.integers(0, 2),
)
def test_every_row_has_one_fate(traffic: list[float], setting: Setting, low: int) -> None:
    """What is refused and late is never more than what came, replicas stay within bounds, and twice is the same."""
    outcome: Outcome = simulate(traffic, Ours(Scaling(low, 9)), setting, (low, 9))
    assert 0 <= outcome.refused + outcome.late + outcome.held <= sum(traffic) * (1 + 1e-9) + 1e-6
    assert all(low <= n <= 9 for n in outcome.replicas)
    assert simulate(traffic, Ours(Scaling(low, 9)), setting, (low, 9)) == outcome

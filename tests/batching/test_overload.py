"""What becomes of a service that gets more than it can answer: seeded simulations of models with a known capacity."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.batching.simulation import Speed, World, affine, simulate

A_S, B_S, FULL = 0.002, 0.0001, 64  # 8.4 ms for a full batch, 2.1 ms for a row
CAPACITY = FULL / (A_S + B_S * FULL)  # rows per second of one replica, about 7,600
USUAL = affine(A_S, B_S)


def _mixed(chance: random.Random) -> int:
    """One request in ten has 32 rows."""
    return 32 if chance.random() < 0.1 else 1


def _one(_: random.Random) -> int:
    return 1


def warm(budget_s: float, speed: Speed = USUAL, max_rows: int = FULL) -> World:
    """One front and one replica, of which is known what batches take."""
    world = World(7, speed, max_rows=max_rows)
    front = world.fronts[0]
    front.cost.expect(budget_s)
    front.warm_up(world.speed)
    return world


@pytest.mark.parametrize("load", [1.3, 3.0])
@pytest.mark.parametrize(("replicas", "budget_s"), [(1, 0.025), (1, 1.0), (2, 0.05), (4, 0.1)])
@pytest.mark.parametrize("rows", [_one, _mixed])
def test_overload_is_answered_at_capacity_and_in_time(
    rows: Callable[[random.Random], int], load: float, replicas: int, budget_s: float
) -> None:
    """At 1.3 and 3 times what a service can answer, it answers as much as it can, and what it takes on in time.

    Requests of half a batch leave gaps where no more than three batches fit into the time that there is.
    """
    seconds = {_one: 1.0, _mixed: 2.0}[rows] + budget_s
    world = simulate(7, affine(A_S, B_S), load * CAPACITY * replicas, budget_s, seconds, replicas, rows=rows)
    report = world.report(0.3, seconds)
    assert report.rows_per_s >= (0.90 if rows is _mixed and budget_s < 0.05 else 0.95) * CAPACITY * replicas
    assert report.p99 <= 1.0
    assert report.share("late") <= 0.01
    assert report.share("dropped") <= 0.02
    assert world.idle_s == 0.0


def test_below_capacity_nobody_is_refused() -> None:
    """At 70 % of what it can answer, a service answers everybody, and in time."""
    world = simulate(7, affine(A_S, B_S), 0.7 * CAPACITY, 0.05, 1.0)
    assert {one.fate for one in world.asked} == {"ok"}


@pytest.mark.parametrize(
    ("name", "speed", "capacity"),
    [
        ("noisy", affine(A_S, B_S, sigma=0.3), CAPACITY),
        ("one in twenty takes three times as long", affine(A_S, B_S, tail=(0.05, 3.0)), CAPACITY / 1.1),
        ("one in fifty takes five times as long", affine(A_S, B_S, tail=(0.02, 5.0)), CAPACITY / 1.08),
    ],
)
def test_a_model_that_varies_is_used_to_its_capacity(name: str, speed: Speed, capacity: float) -> None:
    """Where batches take longer now and then, deadlines are kept by waiting less, not by answering less."""
    world = simulate(7, speed, 3 * CAPACITY, 0.25, 3.0)
    report = world.report(1.0, 3.0)
    assert report.rows_per_s >= 0.92 * capacity
    assert report.share("late", "dropped") <= 0.03
    assert report.p99 <= 1.02


def test_a_model_that_becomes_three_times_slower_is_followed() -> None:
    """What was promised before cannot all be kept; a quarter of a second later everything is as it should be."""
    speed = affine(A_S, B_S, slow=(1.0, 9.0, 3.0))
    report = simulate(7, speed, 3 * CAPACITY, 0.25, 3.0).report(1.5, 3.0)
    assert report.rows_per_s >= 0.95 * CAPACITY / 3
    assert report.share("late", "dropped") <= 0.02


def test_a_model_that_becomes_fast_again_is_used_again() -> None:
    """After a second at a third of its speed, a service answers as much as before."""
    speed = affine(A_S, B_S, slow=(1.0, 2.0, 3.0))
    report = simulate(7, speed, 3 * CAPACITY, 0.25, 4.0).report(2.5, 4.0)
    assert report.rows_per_s >= 0.95 * CAPACITY
    assert report.share("late", "dropped") <= 0.02


def test_an_estimate_that_is_far_too_high_corrects_itself() -> None:
    """A cost that was measured fifty times too high during the warm-up does not shut the door."""
    world = World(7, affine(A_S, B_S))
    front = world.fronts[0]
    front.cost.expect(0.1)
    for rows in (1, 4, 16, 64):
        for _ in range(3):
            front.cost.observe(rows, 50 * (A_S + B_S * rows))
    world.arrivals(3 * CAPACITY, 0.1, 3.0)
    world.run()
    assert world.report(1.5, 3.0).rows_per_s >= 0.95 * CAPACITY


@pytest.mark.parametrize(("a_s", "budget_s"), [(A_S, 0.1), (0.010, 0.1)])
@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("load", [1.3, 3.0])
def test_two_fronts_share_replicas(load: float, replicas: int, a_s: float, budget_s: float) -> None:
    """Neither knows of the other's queue: each learns how long its batches wait for those of the other."""
    capacity = replicas * FULL / (a_s + B_S * FULL)
    world = simulate(7, affine(a_s, B_S, 0.05), load * capacity, budget_s, 3.0, replicas, fronts=2)
    report = world.report(1.5, 3.0)
    assert report.rows_per_s >= 0.95 * capacity
    assert report.share("late", "dropped") <= 0.02
    assert report.p99 <= 1.0


def test_deadlines_of_all_lengths_are_kept_together() -> None:
    """Clients with 20 ms and clients with a second: whoever is let in is in time."""
    world = warm(1.0)
    world.arrivals(3 * CAPACITY, lambda chance: chance.choice([0.02, 0.05, 0.1, 0.2, 0.5, 1.0]), 2.5)
    world.run()
    report = world.report(1.0, 2.5)
    assert report.rows_per_s >= 0.95 * CAPACITY
    assert report.share("late", "dropped") <= 0.02


def test_background_work_uses_what_is_left() -> None:
    """Beside a service at half its load, background work of a fifth of it is done, and nobody is late for it."""
    world = warm(0.05)
    world.arrivals(0.2 * CAPACITY, 1.0, 2.0, background=True)
    world.arrivals(0.5 * CAPACITY, 0.05, 2.0)
    world.run()
    assert {one.fate for one in world.asked if not one.background} == {"ok"}
    done = [one.fate == "ok" for one in world.asked if one.background]
    assert sum(done) >= 0.9 * len(done)


def test_background_work_goes_on_beside_a_load_that_never_pauses() -> None:
    """Where something always waits, it goes along in the batches that have room, and nobody is late or refused for it."""
    fates = []
    for background_rows_per_s in (0.0, 300.0):
        world = warm(0.25, affine(0.048, 0.00025))
        if background_rows_per_s:
            world.arrivals(background_rows_per_s, 0.25, 10.0, lambda _: 8, background=True)
        world.arrivals(600.0, 0.25, 10.0)
        world.run()
        fates.append([one.fate for one in world.asked if not one.background])
        done = sum(one.rows for one in world.asked if one.background and one.fate == "ok")
        assert done >= 0.1 * 10 * background_rows_per_s
    for fate in ("late", "dropped", "refused"):
        assert fates[1].count(fate) <= fates[0].count(fate) + 0.001 * len(fates[1])


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_nobody_is_late_beside_a_job(load: float) -> None:
    """Rows that each take their time, as many of them waiting in the background as there may be: no request is late or
    refused that would not have been without."""
    world = warm(0.5, affine(0.0, 0.010), max_rows=16)
    world.arrivals(100.0, 0.5, 40.0, lambda _: 16, background=True)
    world.arrivals(load * 100.0, 0.5, 40.0)
    world.run()
    assert {one.fate for one in world.asked if not one.background} == {"ok"}
    done = sum(one.rows for one in world.asked if one.background and one.fate == "ok")
    assert done >= 0.3 * (1 - load) * 100.0 * 40.0


def test_background_work_takes_nothing_from_others_under_overload() -> None:
    """Beside three times as much as can be answered there is no room for it: its clients hear so, and come again."""
    world = warm(0.1)
    world.arrivals(0.2 * CAPACITY, 1.0, 2.0, background=True)
    world.arrivals(3 * CAPACITY, 0.1, 2.0)
    world.run()
    rows = sum(one.rows for one in world.asked if one.background and one.fate == "ok" and one.ended < 2.0)
    assert rows / 2.0 <= 0.02 * CAPACITY
    assert {one.fate for one in world.asked if one.background} <= {"ok", "refused", "dropped", "late"}
    assert world.report(0.5, 2.0).share("late") <= 0.01


def test_the_same_seed_tells_the_same_story() -> None:
    """A simulation can be looked at again, request by request."""
    first, second = (
        [(one.fate, one.ended) for one in simulate(3, affine(A_S, B_S), 6 * CAPACITY, 0.05, 0.3, 2, 2).asked]
        for _ in range(2)
    )
    assert first == second
    assert len({fate for fate, _ in first}) >= 2

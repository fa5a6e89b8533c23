"""Percentiles that follow what is observed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline.change import CERTAIN, Change
from tenfold.deadline.recent import Recent

Draw = Callable[[random.Random], float]


def _lognormal(sigma: float) -> tuple[Draw, float, float]:
    return lambda chance: 0.008 * math.exp(chance.gauss(0, sigma)), 0.008, 0.008 * math.exp(2.326 * sigma)


def _bimodal(share: float, times: float) -> tuple[Draw, float, float]:
    """A cache that is missed now and then."""
    narrow = 0.05
    quantile = (1 - 0.01 / share) if share > 0.01 else 0.0  # of the slow ones, where the 99th percentile of all lies
    z = {0.1: 1.282, 0.05: 0.842, 0.03: 0.431}[share]
    assert quantile
    return (
        lambda chance: 0.002 * math.exp(chance.gauss(0, narrow)) * (times if chance.random() < share else 1),
        0.002,
        0.002 * times * math.exp(narrow * z),
    )


DISTRIBUTIONS = {
    "narrow": _lognormal(0.05),
    "lognormal 0.3": _lognormal(0.3),
    "lognormal 0.5": _lognormal(0.5),
    "one in ten is twice as long": _bimodal(0.1, 2),
    "one in twenty is five times as long": _bimodal(0.05, 5),
    "one in thirty is ten times as long": _bimodal(0.03, 10),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_in_a_steady_state_both_percentiles_are_right(name: str) -> None:
    """What is predicted for 99 of 100 lies within 20 % of the truth at nearly all times, the median within 10 %."""
    draw, median_s, p99_s = DISTRIBUTIONS[name]
    chance, recent = random.Random(1), Recent()
    errors = []
    for k in range(10_000):
        recent.observe(draw(chance))
        if k >= 1000 and k % 100 == 0:
            recent.settle()
            errors.append((abs(recent.median_s / median_s - 1), abs(recent.peak_s / p99_s - 1)))
    assert sum(median <= 0.1 for median, _ in errors) >= 0.99 * len(errors)
    assert sum(p99 <= 0.2 for _, p99 in errors) >= 0.97 * len(errors)


def _observed(*times: float) -> Recent:
    recent = Recent()
    for seconds in times:
        recent.observe(seconds)
        recent.settle()
    return recent


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=300))
def test_percentiles_lie_within_what_was_observed(times: list[float]) -> None:
    """However durations jump, the median never lies above the 99th percentile, and both within what was observed."""
    recent = _observed(*times)
    assert min(times) <= recent.median_s <= recent.peak_s <= max(times)


def test_few_observations_are_ranked() -> None:
    """As long as little is known, the longest observation is what 99 of 100 are taken to stay within."""
    recent = _observed(0.008, 0.010, 0.009)
    assert (recent.median_s, recent.peak_s) == (0.009, 0.010)


def test_one_pause_counts_for_little() -> None:
    """After a collection of garbage of a second, batches of 8 ms are still believed to take 8 ms."""
    recent = _observed(*[0.008] * 1000, 1.0)
    assert recent.peak_s == pytest.approx(0.008, rel=0.05)
    assert recent.mean_s == pytest.approx(0.008, rel=0.05)


def test_a_pause_among_few_observations_doubles_the_percentile_at_most() -> None:
    """A pause in the very first batches does not shut the door either."""
    assert _observed(0.008, 0.008, 30.0, 0.008).peak_s == pytest.approx(0.016)


def test_what_was_learnt_first_is_forgotten_first() -> None:
    """A warm-up is forgotten after a few hundred batches, however slow it was."""
    recent = _observed(*[0.032] * 3, *[0.008] * 300)
    assert recent.peak_s == 0.008


def _change(recent: Recent, *times: float) -> list[float | None]:
    change = Change()
    return [change.observe(recent, seconds) for seconds in times]


USUAL = [0.008 + 0.001 * (k % 3) for k in range(60)]


@pytest.mark.parametrize("factor", [2.0, 0.5])
def test_a_few_odd_ones_in_a_row_are_a_change(factor: float) -> None:
    """A machine that runs at half its speed, or twice, is believed after four batches."""
    *doubt, certain = _change(_observed(*USUAL), *[factor * 0.009] * CERTAIN)
    assert doubt == [None] * (CERTAIN - 1)
    assert certain == pytest.approx(factor)


def test_one_that_fits_settles_the_doubt() -> None:
    """Odd batches now and then are no change, and neither are some that are too long and some that are too short."""
    recent = _observed(*USUAL)
    assert set(_change(recent, *[0.020, 0.020, 0.020, 0.009] * 3, *[0.020, 0.001] * 5)) == {None}
    assert recent.weight > len(USUAL)


def test_everything_is_scaled_and_keeps_its_shape() -> None:
    """A machine that runs at half its speed takes twice as long for the usual and for the unusual."""
    recent = _observed(*USUAL)
    before = recent.mean_s, recent.median_s, recent.peak_s
    recent.scale(2.0)
    assert (recent.mean_s, recent.median_s, recent.peak_s) == pytest.approx([2 * s for s in before], rel=0.02)
    assert recent.weight < len(USUAL)

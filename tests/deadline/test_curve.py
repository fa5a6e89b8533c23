"""From what is known of some sizes to all of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.deadline.curve import Point, curve, never_falling, within

SIZES = [1, 2, 4, 8, 16, 32, 64]


@st.composite
def _points(draw: st.DrawFn) -> list[Point]:
    places = sorted(draw(st.sets(st.integers(0, 6), min_size=1)))
    return [Point(at, draw(st.floats(1e-6, 10)), draw(st.floats(0.01, 1000))) for at in places]


@given(_points())
def test_a_larger_batch_never_costs_less(points: list[Point]) -> None:
    """Whatever was measured, the curve does not fall, and has a value for each size."""
    values = curve(points, SIZES)
    assert len(values) == len(SIZES)
    assert all(low <= high * (1 + 1e-9) for low, high in pairwise(values))
    assert values[0] > 0


@given(_points())
def test_pooling_keeps_the_weighted_mean(points: list[Point]) -> None:
    """Isotonic regression loses and adds nothing."""
    values = never_falling(points)
    assert [at for at, _ in values] == [point.at for point in points]
    after = sum(seconds * point.weight for (_, seconds), point in zip(values, points, strict=True))
    assert after == pytest.approx(sum(point.seconds * point.weight for point in points))


@given(_points())
def test_what_never_falls_is_left_alone(points: list[Point]) -> None:
    """Measurements that make sense are not touched."""
    rising = sorted(point.seconds for point in points)
    points = [point._replace(seconds=seconds) for point, seconds in zip(points, rising, strict=True)]
    assert never_falling(points) == [(point.at, point.seconds) for point in points]


def test_between_two_sizes_it_is_a_straight_line() -> None:
    """A size in between costs what lies in between, by its rows."""
    assert curve([Point(0, 0.001, 1), Point(6, 0.0073, 1)], SIZES)[5] == pytest.approx(0.0041)


def test_beyond_the_largest_it_goes_on_as_a_line() -> None:
    """A fixed cost and one for each row are told apart from three sizes, and give the others."""
    values = curve([Point(k, 0.002 + 0.0001 * SIZES[k], 1) for k in range(3)], SIZES)
    assert values == pytest.approx([0.002 + 0.0001 * size for size in SIZES])


def test_from_one_size_the_others_are_estimated_carefully() -> None:
    """Larger batches cost their rows' share, smaller ones as much as the one that is known."""
    assert curve([Point(3, 0.008, 1)], SIZES) == pytest.approx([0.008] * 4 + [0.016, 0.032, 0.064])


@given(_points(), st.floats(0, 20))
def test_the_most_rows_within_a_time_are_found(points: list[Point], seconds: float) -> None:
    """One row more would take longer, or be too many."""
    values = curve(points, SIZES)
    rows = within(values, SIZES, seconds)
    assert 0 <= rows <= 64
    if rows == 0:
        assert values[0] > seconds
    elif rows < 64:
        above = next(k for k, size in enumerate(SIZES) if size > rows)
        assert values[above] > seconds
        assert values[above - 1] <= seconds

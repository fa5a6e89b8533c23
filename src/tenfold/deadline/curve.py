"""A cost for each size from what is known of some: it never falls, and goes on beyond the largest by a straight line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Point(NamedTuple):
    """What is known of one size: the place in the list of sizes, the seconds, and how much that is worth."""

    at: int
    seconds: float
    weight: float


def curve(points: Sequence[Point], sizes: Sequence[int]) -> list[float]:
    """The seconds for each of ``sizes``, given at least one point.

    Through the points goes the nearest curve that never falls. What lies between them is interpolated, what is smaller
    costs as much as the smallest, and what is larger follows the line of least squares, but no steeper, row for row,
    than the largest known (a batch can always be cut in two).
    """
    known = never_falling(points)
    at, seconds = known[0]
    values = [seconds] * (at + 1)
    for then, later in known[1:]:
        step = (later - seconds) / (sizes[then] - sizes[at])
        values += [seconds + step * (size - sizes[at]) for size in sizes[at + 1 : then]]
        values.append(later)
        at, seconds = then, later
    step = min(_slope([sizes[place] for place, _ in known], [value for _, value in known]), seconds / sizes[at])
    return values + [seconds + step * (size - sizes[at]) for size in sizes[at + 1 :]]


def never_falling(points: Sequence[Point]) -> list[tuple[int, float]]:
    """The isotonic regression of weighted points, by pooling adjacent violators (Ayer et al., 1955)."""
    pools: list[tuple[float, float, list[int]]] = []  # the value, the weight and the places of those that are equal
    for at, value, weight in points:
        pool = (value, weight, [at])
        while pools and pools[-1][0] > pool[0]:
            pool = _together(pools.pop(), pool)
        pools.append(pool)
    return [(at, value) for value, _, places in pools for at in places]


def _together(
    one: tuple[float, float, list[int]], other: tuple[float, float, list[int]]
) -> tuple[float, float, list[int]]:
    weight = one[1] + other[1]
    return (one[0] * one[1] + other[0] * other[1]) / weight, weight, one[2] + other[2]


def slopes(values: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """The seconds that one row more costs, below each of the sizes."""
    rises = [(values[k] - values[k - 1]) / (sizes[k] - sizes[k - 1]) for k in range(1, len(sizes))]
    return [0.0, *rises]


def within(values: Sequence[float], sizes: Sequence[int], seconds: float) -> int:
    """The most rows whose value lies within so many seconds; 0 where not even one row's does."""
    if values[-1] <= seconds:
        return sizes[-1]
    for k in range(len(values) - 2, -1, -1):
        if values[k] <= seconds:
            share = (seconds - values[k]) / (values[k + 1] - values[k])
            return sizes[k] + int(share * (sizes[k + 1] - sizes[k]))
    return 0


def _slope(x: Sequence[int], y: Sequence[float]) -> float:
    """The slope of the line of least squares, not below 0; of one point, that of the line from the origin."""
    if len(x) == 1:
        return y[0] / x[0]
    x_mean, y_mean = sum(x) / len(x), sum(y) / len(y)
    rise = sum((one - x_mean) * (other - y_mean) for one, other in zip(x, y, strict=True))
    return max(rise / sum((one - x_mean) ** 2 for one in x), 0.0)

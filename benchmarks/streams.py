"""Streams of one number a point, stationary or with a change in the middle; the same ones for all who watch. NumPy alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Stream = NDArray[np.float64]
POINTS = 100_000
BEFORE = 10_000  # points of the same stream that come first: the reference


def normal(random: np.random.Generator, points: int) -> Stream:
    """Independent values of mean 0 and variance 1."""
    return random.normal(size=points)


def errors(random: np.random.Generator, points: int) -> Stream:
    """1 where an answer was wrong, one in ten."""
    return (random.random(points) < 0.1).astype(np.float64)


def waves(random: np.random.Generator, points: int) -> Stream:
    """Autocorrelated values (AR(1), 0.99) of mean 0 and variance 1."""
    return autocorrelated(random, points, 0.99)


def tides(random: np.random.Generator, points: int) -> Stream:
    """Autocorrelated values whose memory is as long as a window of 1,000 (AR(1), 0.999)."""
    return autocorrelated(random, points, 0.999)


def autocorrelated(random: np.random.Generator, points: int, rho: float) -> Stream:
    """A stationary AR(1) series, summed in blocks short enough for powers of ``rho`` to stay numbers."""
    noise = random.normal(size=points) * np.sqrt(1 - rho * rho)
    series = np.empty(points)
    last, block = float(random.normal()), 256
    powers = rho ** np.arange(1, block + 1)
    for first in range(0, points, block):
        part = noise[first : first + block]
        fading = powers[: len(part)]
        series[first : first + block] = fading * (last + np.cumsum(part / fading))
        last = float(series[first + len(part) - 1])
    return series


STATIONARY: dict[str, Callable[[np.random.Generator, int], Stream]] = {
    "normal": normal,
    "errors": errors,
    "waves": waves,
    "tides": tides,
}


def made(kind: str, seed: int, change_at: int | None = None) -> Stream:
    """A stream of a kind, with its reference before it; after ``change_at`` points it is another one.

    Errors come twice as often then, values lie one standard deviation higher.
    """
    random = np.random.default_rng(seed)
    stream = STATIONARY[kind](random, BEFORE + POINTS)
    if change_at is not None:
        later = slice(BEFORE + change_at, None)
        more = random.random(len(stream[later])) < 1 / 9
        stream[later] = np.maximum(stream[later], more) if kind == "errors" else stream[later] + 1.0
    return stream

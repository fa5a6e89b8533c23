"""Resizing without antialiasing: each new pixel is interpolated between its few neighbours, however far apart they
are.

That is what OpenCV's ``resize`` and PyTorch's ``interpolate`` do by default, and what many models were trained on.
Pillow's own ``resize`` always widens its filter when it shrinks a picture, which is antialiasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]


def sample(pixels: NDArray[np.uint8], size: tuple[int, int], kernel: str, box: Box) -> NDArray[np.uint8]:
    """The part ``box`` (left, upper, right, lower) of pixels (h, w) or (h, w, c), at another size (width, height).

    New pixel i has its centre at ``start + (i + 0.5) * extent / size - 0.5`` in old pixels. Neighbours outside of the
    picture are left out, the others' weights made to sum to 1. As in Pillow, rows come first, then columns, and each
    of the two is rounded to 8 bits, so that a picture that only grows comes out the same with and without
    antialiasing.
    """
    left, upper, right, lower = box
    return _along(_along(pixels, 1, size[0], kernel, (left, right)), 0, size[1], kernel, (upper, lower))


def _along(
    pixels: NDArray[np.uint8], axis: int, size: int, kernel: str, extent: tuple[float, float]
) -> NDArray[np.uint8]:
    """Another size along one axis. One pass for each neighbour, of which there are at most six."""
    neighbours, weights = _taps(pixels.shape[axis], size, kernel, extent)
    broadcast = [1] * pixels.ndim
    broadcast[axis] = size
    total: Floats = np.full(
        (*pixels.shape[:axis], size, *pixels.shape[axis + 1 :]), 0.5
    )  # rounds, with the floor below
    for at, weight in zip(neighbours.T, weights.T, strict=True):
        total += pixels.take(at, axis=axis) * weight.reshape(broadcast)
    return np.floor(total).clip(0, 255).astype(np.uint8)


def _taps(old: int, new: int, kernel: str, extent: tuple[float, float]) -> tuple[NDArray[np.intp], Floats]:
    """For each new pixel its neighbours (new, k) and their weights (new, k)."""
    support, weigh = KERNELS[kernel]
    start, end = extent
    centre = start + (np.arange(new) + 0.5) * (end - start) / new
    first = np.floor(centre - support + 0.5)
    neighbours = first[:, None] + np.arange(math.ceil(2 * support))
    weights = weigh(neighbours + 0.5 - centre[:, None])
    weights[(neighbours < 0) | (neighbours >= old)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    return neighbours.clip(0, old - 1).astype(np.intp), weights


def _box(x: Floats) -> Floats:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Floats) -> Floats:
    return np.where(np.abs(x) < 1, 1 - np.abs(x), 0.0)


def _hamming(x: Floats) -> Floats:
    return np.where(np.abs(x) < 1, np.sinc(x) * (0.54 + 0.46 * np.cos(np.pi * x)), 0)


def _bicubic(x: Floats) -> Floats:
    """Keys (1981), "Cubic convolution interpolation for digital image processing", with a = -0.5 as Pillow has it."""
    x, a = np.abs(x), -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def _lanczos(x: Floats) -> Floats:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# Of each filter, how many old pixels it reaches to either side, and the weight at a distance. As in Pillow's
# Resample.c.
KERNELS: dict[str, tuple[float, Callable[[Floats], Floats]]] = {
    "box": (0.5, _box),
    "bilinear": (1, _bilinear),
    "hamming": (1, _hamming),
    "bicubic": (2, _bicubic),
    "lanczos": (3, _lanczos),
}

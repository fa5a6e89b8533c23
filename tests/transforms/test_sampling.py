"""Resizing without antialiasing is what OpenCV and PyTorch do by default, and what Pillow cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tenfold.contract.form import ImageForm
from tenfold.transforms.pictures import decode
from tests.transforms.pictures import encoded, scene

FILTERS = ("box", "bilinear", "hamming", "bicubic", "lanczos")


def _apart(one: Any, other: Any) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.mark.parametrize("size", [(50, 40), (224, 224), (480, 100)])
def test_bilinear_is_opencvs(size: tuple[int, int]) -> None:
    """Same pixels as cv2.resize, but for one level of rounding."""
    cv2 = pytest.importorskip("cv2")
    pixels = scene(120, 170)
    ours = decode(encoded(pixels), ImageForm(size=size, antialias=False))
    assert _apart(ours, cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR)) <= 1


@pytest.mark.parametrize("resample", FILTERS)
def test_growing_is_the_same_with_and_without_antialiasing(resample: Any) -> None:
    """There is nothing to average where pixels only move apart."""
    data = encoded(scene(24, 36))
    with_it = decode(data, ImageForm(size=(61, 77), resample=resample))
    without = decode(data, ImageForm(size=(61, 77), resample=resample, antialias=False))
    assert _apart(with_it, without) <= 2


@pytest.mark.parametrize("resample", FILTERS)
def test_shrinking_differs(resample: Any) -> None:
    """Fine stripes become gray with antialiasing and stay stripes without."""
    stripes = np.zeros((64, 64, 3), dtype=np.uint8)
    stripes[:, ::3] = 255
    data = encoded(stripes)
    gray = decode(data, ImageForm(size=(8, 8), resample=resample))
    stark = decode(data, ImageForm(size=(8, 8), resample=resample, antialias=False))
    assert gray.std() < 30 < stark.std()


def test_nearest_has_nothing_to_average() -> None:
    """The filter that takes one pixel is the same either way."""
    data = encoded(scene(40, 40))
    one, other = (decode(data, ImageForm(size=(13, 9), resample="nearest", antialias=a)) for a in (True, False))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("resample", FILTERS)
def test_one_colour_stays_one_colour(resample: Any) -> None:
    """Weights sum to one, at the edges too."""
    flat = np.full((30, 20, 3), (7, 99, 250), dtype=np.uint8)
    resized = decode(encoded(flat), ImageForm(size=(7, 41), resample=resample, antialias=False))
    assert np.array_equal(resized, np.full((7, 41, 3), (7, 99, 250)))

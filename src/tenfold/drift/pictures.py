"""Pictures as numbers: how bright each channel is, how much it varies, and which of red and blue is the brighter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.drift.columns import Floats

PIXELS = 4096  # of a picture that are looked at, evenly spread
RED_MINUS_BLUE = "red - blue"
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def channel_names(field: str, channels: Sequence[str]) -> list[str]:
    """The columns that the pictures of a field are watched by, such as "photo: red"."""
    names = [*channels, *(f"{channel} spread" for channel in channels)]
    return [f"{field}: {name}" for name in (*names, *([RED_MINUS_BLUE] if {"red", "blue"} <= set(channels) else []))]


def channel_numbers(pictures: NDArray[Any], channels: Sequence[str]) -> Floats:
    """The values (n, k) of those columns, of pictures (n, height, width, channels) in any number type.

    A feed that swaps red and blue turns the sign of the last one, even where both are about as bright on average.
    """
    height, width = pictures.shape[1:3]
    stride = max(int(np.ceil(np.sqrt(height * width / PIXELS))), 1)
    some = pictures[:, ::stride, ::stride, :].reshape(len(pictures), -1, pictures.shape[-1]).astype(np.float64)
    numbers = [some.mean(axis=1), some.std(axis=1)]
    if {"red", "blue"} <= set(channels):
        means = numbers[0]
        numbers.append(means[:, [channels.index("red")]] - means[:, [channels.index("blue")]])
    return np.concatenate(numbers, axis=1)

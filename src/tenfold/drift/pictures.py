"""Pictures as numbers: how bright each channel is, how much it varies, and which of red and blue is the brighter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tenfold.contract.form import ImageForm
from tenfold.drift.columns import Floats

PIXELS = 4096  # of a picture that are looked at, evenly spread
RED_MINUS_BLUE = "red - blue"
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}


def channel_names(field: str, channels: Sequence[str]) -> list[str]:
    """The columns that the pictures of a field are watched by, such as "photo: red"."""
    names = [*channels, *(f"{channel} spread" for channel in channels)]
    return [f"{field}: {name}" for name in (*names, *([RED_MINUS_BLUE] if {"red", "blue"} <= set(channels) else []))]


def from_picture(column: str) -> bool:
    """Whether a column of this name is one of a picture's."""
    return ": " in column


def numbers_of(pictures: NDArray[Any], field: str, image: ImageForm) -> Floats:
    """The values (n, k) of ``names_of`` of decoded pictures, an array (n, ...) or n arrays of their own as objects; NaN where
    there is no picture."""
    found = np.full((len(pictures), len(names_of(field, image))), np.nan)
    if pictures.dtype != object:
        if pictures.ndim > 1 and len(pictures):
            found[:] = channel_numbers(_channels_last(pictures, image), _channels(image))
        return found
    for k, picture in enumerate(pictures):
        if picture is not None:
            found[k] = channel_numbers(_channels_last(picture[None], image), _channels(image))[0]
    return found


def names_of(field: str, image: ImageForm) -> list[str]:
    """The columns that the pictures of a contract's field are watched by."""
    return channel_names(field, _channels(image))


def _channels(image: ImageForm) -> tuple[str, ...]:
    return {"gray": CHANNELS[1], "BGR": CHANNELS[3][::-1]}.get(image.order, CHANNELS[3])


def _channels_last(pictures: NDArray[Any], image: ImageForm) -> NDArray[Any]:
    """Pictures (n, height, width, channels), however the contract lays them out."""
    if image.layout == "HW":
        return pictures[..., None]
    return np.moveaxis(pictures, 1, -1) if image.layout == "CHW" else pictures


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

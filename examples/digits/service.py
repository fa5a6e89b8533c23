"""A service for handwritten digits: a picture in, the digit out."""

from typing import Annotated, Literal

import numpy as np

from tenfold import Batching, Capacity, Contract, Deadline, Ge, Image, Le, Service

GRAY_8_X_8 = Image(
    formats=("PNG", "JPEG"),
    max_side=2048,
    order="gray",
    size=(8, 8),
    resample="box",
    range=(0, 1),
    layout="HW",
    dtype="float32",
)


class Scan(Contract):
    """One digit, light on dark. Training and serving both decode it by this one rule, whatever its size and mode."""

    picture: Annotated[np.ndarray, GRAY_8_X_8]


class Reading(Contract):
    digit: Literal[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    probability: Annotated[float, Ge(0), Le(1)]


class ReadDigit(Service):
    """Which digit is it?"""

    input, output, model = Scan, Reading, "model.skops"

    def preprocess(self, rows):
        return rows.picture.reshape(len(rows), -1)  # n pictures of 8 x 8 -> n rows of 64

    batching = Batching(max_rows=32)
    deadline = Deadline("100 ms")
    capacity = Capacity(at_least="200 rows/s")

"""The usual suspects of skew are recognised by the pattern that they leave in the numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tenfold.parity.diagnose import diagnose
from tenfold.rows import Array

PICTURES = np.random.default_rng(1).integers(0, 256, (5, 6, 6, 3)).astype(np.float32)
TABLE = np.random.default_rng(2).normal(size=(20, 4))


@pytest.mark.parametrize(
    ("there", "change", "said"),
    [
        (PICTURES, lambda a: a[..., ::-1], "red and blue are swapped"),
        (PICTURES.transpose(0, 3, 1, 2), lambda a: a[:, ::-1], "red and blue are swapped"),
        (
            PICTURES.reshape(5, -1),
            lambda a: a.reshape(5, 6, 6, 3)[..., ::-1].reshape(5, -1),
            "red and blue are swapped",
        ),
        (PICTURES, lambda a: a.transpose(0, 3, 1, 2), "channels stand last in the record and first here"),
        (PICTURES, lambda a: np.rot90(a, 1, (1, 2)), "turned by 270 degrees"),
        (PICTURES, lambda a: np.rot90(a, 2, (1, 2)), "turned by 180 degrees"),
        (PICTURES, lambda a: a[:, :, ::-1], "mirrored"),
        (PICTURES, lambda a: a / 255, "another scale: the record is 255 times"),
        (PICTURES, lambda a: (a - 127.5) / 50, "another scale: the record is 50 times these values, +127.5"),
        (
            PICTURES,
            lambda a: np.clip(a + np.sin(np.arange(6)) * 9 if a.shape[-1] == 6 else a + 9 * np.sin(a), 0, 255),
            "the same pictures",
        ),
        (TABLE, lambda a: a[:, [1, 0, 2, 3]], "another order: number 0 of the record is number 1 here"),
        (TABLE, lambda a: np.where(a > 1, np.nan, a), "values are missing here"),
        (np.where(TABLE > 1, np.nan, TABLE), np.nan_to_num, "are filled in here"),
        (TABLE, lambda a: np.random.default_rng(3).normal(size=a.shape), ""),
    ],
)
def test_a_known_kind_of_skew_is_named(there: Array, change: Callable[[Array], Array], said: str) -> None:
    """Instead of "83 % of the values differ": what happened to them."""
    found = diagnose(there, change(there))
    assert said in found
    assert bool(said) == bool(found)


def test_only_the_rows_that_differ_are_looked_at() -> None:
    """An ignored Exif turn concerns only the pictures that have one."""
    here = PICTURES.copy()
    here[2] = np.rot90(here[2], 3)
    assert "turned by 90 degrees" in diagnose(PICTURES, here)


def test_a_single_grey_value_is_no_evidence() -> None:
    """Constant pictures fit every suspicion, and so none is voiced."""
    assert diagnose(np.zeros((2, 4, 4)), np.ones((2, 4, 4))) == ""
    assert diagnose(np.zeros(0), np.zeros(0)) == ""

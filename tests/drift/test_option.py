"""When labels come."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.drift import Drift
from tenfold.errors import ServiceError


def test_the_delay_of_labels_is_a_duration() -> None:
    """The answer sheet says from when on performance can be judged."""
    assert Drift(labels_after="30 days").labels_after_s == 30 * 86400
    assert Drift(labels_after="30 days").describe() == "labels after 30 days"
    assert Drift().describe() == "no labels"


def test_a_delay_without_a_unit_is_an_error() -> None:
    """Thirty of what?"""
    with pytest.raises(ServiceError, match="'30' has no unit"):
        Drift(labels_after="30")


@pytest.mark.parametrize(
    ("option", "value", "because"),
    [
        ("window", "0 s", "a window takes some time"),
        ("retrain", "", "'' is no command"),
        ("retrain", 'python "train.py', "is no command"),
    ],
)
def test_what_could_never_work_is_an_error_when_it_is_written(option: str, value: Any, because: str) -> None:
    """Not at the time of the first verdict."""
    with pytest.raises(ServiceError, match=because):
        Drift(**{option: value})

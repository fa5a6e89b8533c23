"""The bounds of the number of replicas."""

from __future__ import annotations

import pytest

from tenfold.errors import ServiceError
from tenfold.scaling import Scaling


def test_the_bounds_are_shown_as_declared() -> None:
    """The answer sheet says within which bounds a service scales."""
    assert Scaling(min_replicas=1, max_replicas=8).describe() == "1 to 8 replicas"
    assert Scaling(min_replicas=2).describe() == "2 replicas, fixed"
    assert Scaling().describe() == "1 replica, fixed"
    assert Scaling(min_replicas=3).bounds == (3, 3)


def test_other_resources_are_named_with_their_amount() -> None:
    """A replica may take a GPU, or half of something that the machines of a cluster were given."""
    assert Scaling(resources=("GPU: 1", "eu:camera: 0.5")).amounts == {"GPU": 1.0, "eu:camera": 0.5}
    assert Scaling().amounts == {}


def test_bounds_that_contradict_each_other_are_an_error() -> None:
    """Fewer at most than at least is said where it is written."""
    with pytest.raises(ServiceError, match=r"Scaling\(max_replicas=1\): fewer than min_replicas=2"):
        Scaling(min_replicas=2, max_replicas=1)
    with pytest.raises(ServiceError, match=r"\[production.scaling\]: .* fewer than min_replicas=9"):
        Scaling(1, 8).override({"min_replicas": 9}, "[production.scaling]")


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"min_replicas": 0}, "a service that stops when it is idle needs max_replicas"),
        ({"min_replicas": 0, "max_replicas": 0}, "fewer than min_replicas=1"),
        ({"headroom": "10"}, "'10' has no unit"),
        ({"scale_in_after": "soon"}, "'soon' is not a quantity"),
        ({"drain_backlog_in": "0 s"}, "no number of replicas answers what waits in no time"),
        ({"share": 0.0}, "share"),
        ({"resources": ["GPU"]}, "'GPU' is no amount of a resource"),
        ({"resources": ["GPU: none"]}, 'write "GPU: 1"'),
        ({"resources": ["CPU: 2"]}, "CPU is stated by cores"),
    ],
)
def test_criteria_that_cannot_be_followed_are_an_error(wrong: dict[str, object], fault: str) -> None:
    """A slip is said when the class is read, and not when the traffic rises."""
    with pytest.raises(ServiceError, match=fault):
        Scaling().override(wrong, "[scaling]")

"""The steps by which a release takes over."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.errors import ServiceError
from tenfold.releases import Releases
from tenfold.releases.evidence import Guard


def test_steps_are_growing_shares() -> None:
    """A canary's steps are read as shares of the traffic."""
    assert Releases(steps=("1%", "10%", "50%")).ratios == (0.01, 0.1, 0.5)
    assert Releases().describe() == "canary 1, 10, 50 %"
    assert Releases(steps=()).describe() == "all at once, after the gates"


def test_the_traffic_may_choose_the_steps() -> None:
    """A service with little traffic takes fewer and larger steps."""
    assert Releases("auto").auto
    assert Releases("auto").ratios == (0.01, 0.1, 0.5)
    assert Releases("auto").describe() == "canary, of 1, 10, 50 % what the traffic can fill"


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"bake": "an hour"}, "bake"),
        ({"patience": "10"}, "patience"),
        ({"after_patience": "pray"}, "after_patience"),
        ({"guard_rails": ("errors", "mood")}, "guard_rails"),
        ({"guard_rails": ()}, "guard_rails"),
        ({"harm_ratio": 1.0}, "harm_ratio"),
        ({"tolerable": "0%"}, "tolerable"),
        ({"tolerable": "100%"}, "tolerable"),
        ({"false_rollback_probability": 0.0}, "false_rollback_probability"),
        ({"shadow_requests": -1}, "shadow_requests"),
    ],
)
def test_what_cannot_be_is_said_where_it_is_written(options: dict[str, Any], field: str) -> None:
    """A rollout that could never end, or would prove nothing, is refused before there is one."""
    with pytest.raises(ServiceError, match=rf"Releases\({field}="):
        Releases(**options)


def test_guard_rails_are_those_that_are_counted() -> None:
    """Every word of the option is a kind of bad event, and the other way round."""
    assert {Guard(name) for name in Releases().guard_rails} == set(Guard) - {Guard.ANY}

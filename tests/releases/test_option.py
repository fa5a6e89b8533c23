"""The steps by which a release takes over."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.errors import ServiceError
from tenfold.releases import Releases


def test_steps_are_growing_shares() -> None:
    """A canary's steps are read as shares of the traffic."""
    assert Releases(steps=("1%", "10%", "50%")).ratios == (0.01, 0.1, 0.5)
    assert Releases().describe() == "canary 1, 10, 50 %"
    assert Releases(steps=()).describe() == "all at once, after the gates"


def test_another_system_may_decide() -> None:
    """With Argo CD or its like in charge, tenfold leaves the traffic alone."""
    assert Releases("external").external
    assert Releases("external").describe() == "decided by another system"


@pytest.mark.parametrize("steps", [("10%", "1%"), ("0%",), ("100%",), ("10",), ("5%", "5%"), "slowly", "5%", [1]])
def test_steps_that_do_not_grow_are_an_error(steps: Any) -> None:
    """A step that could never be taken is said where it is written."""
    with pytest.raises(ServiceError, match="steps="):
        Releases(steps=steps)


def test_a_table_may_change_the_steps() -> None:
    """An environment may be more careful than the class."""
    assert Releases().override({"steps": ["1%", "2%"]}, "[production.releases]") == Releases(("1%", "2%"))

"""What an author may promise."""

from __future__ import annotations

import pytest

from tenfold.capacity import Capacity
from tenfold.errors import ServiceError


def test_a_promise_is_a_rate() -> None:
    """The promised rate is read in its unit and shown as it was meant."""
    assert Capacity(at_least="500 rows/s").rows_per_s == 500
    assert Capacity(at_least="30000 rows/min").rows_per_s == 500
    assert Capacity(at_least="1200 rows/s").describe() == "at least 1,200 rows/s"


def test_nothing_has_to_be_promised() -> None:
    """Without a promise, capacity is measured all the same and the sheet says so."""
    assert Capacity().rows_per_s is None
    assert Capacity().describe() == "nothing promised"


@pytest.mark.parametrize("text", ["500", "500 requests/s", "0 rows/s", "fast"])
def test_what_is_no_rate_is_an_error(text: str) -> None:
    """A promise that cannot be measured is not taken."""
    with pytest.raises(ServiceError, match="at_least="):
        Capacity(at_least=text)

"""What an author may write for Batching."""

from __future__ import annotations

import pytest

from tenfold.batching import Batching
from tenfold.errors import ServiceError


def test_the_option_says_what_it_means() -> None:
    """The answer sheet shows what was declared; a batch of no rows is an error."""
    assert Batching().describe() == "up to 64 rows"
    assert Batching(max_rows=1).describe() == "one row at a time"
    with pytest.raises(ServiceError, match=r"Batching\(max_rows=0\): expected `int` >= 1"):
        Batching(max_rows=0)

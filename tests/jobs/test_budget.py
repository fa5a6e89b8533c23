"""How many bad rows a job puts up with."""

from __future__ import annotations

import pytest

from tenfold.errors import UsageError
from tenfold.jobs.budget import Budget, budget_of


@pytest.mark.parametrize(
    ("texts", "budget"),
    [
        ([], Budget()),
        (["1%"], Budget(share=0.01)),
        (["0.5 %"], Budget(share=0.005)),
        (["1,000"], Budget(most=1000)),
        (["0"], Budget(most=0)),
        (["10", "2%"], Budget(most=10, share=0.02)),
    ],
)
def test_a_share_a_count_or_both(texts: list[str], budget: Budget) -> None:
    """A percentage is a share of all rows, a number is a count."""
    assert budget_of(texts) == budget


@pytest.mark.parametrize("text", ["many", "1", "-1", "0.5"])
def test_what_is_neither_is_refused(text: str) -> None:
    """Half a row cannot be bad."""
    if text == "1":
        assert budget_of([text]).most == 1
        return
    with pytest.raises(UsageError):
        budget_of([text])


def test_a_count_is_broken_by_one_more() -> None:
    """As many as allowed are allowed."""
    assert not Budget(most=2).broken(2, 1000, is_sure=False)
    assert "3 rows are bad" in Budget(most=2).broken(3, 1000, is_sure=False)


def test_a_share_of_a_known_total_is_broken_as_soon_as_it_is_certain() -> None:
    """The rows to come cannot make it right again."""
    assert not Budget(share=0.01).broken(10, 1000, is_sure=True)
    assert "11 of 1,000 rows" in Budget(share=0.01).broken(11, 1000, is_sure=True)


def test_a_share_of_a_guessed_total_is_given_twice_the_room() -> None:
    """Nobody's job is stopped by a guess that was a little off."""
    assert not Budget(share=0.01).broken(20, 1000, is_sure=False)
    assert "about 1,000" in Budget(share=0.01).broken(21, 1000, is_sure=False)


def test_nothing_said_allows_everything() -> None:
    """Without a budget a job finishes."""
    assert Budget().is_open
    assert not Budget().broken(1000, 1000, is_sure=True)

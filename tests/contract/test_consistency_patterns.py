"""Patterns that a short text could keep busy for years are refused when the contract is written."""

from __future__ import annotations

from typing import Annotated

import pytest

from tenfold import Contract, ContractError, Pattern


@pytest.mark.parametrize("pattern", ["(a+)+", "(?:a*b*)*", "((a|b+)c?)*x", "(a+?)*", "x(?:(y+))+"])
def test_repeated_repetitions(pattern: str) -> None:
    """Each of these takes exponential time for a text that almost matches."""
    with pytest.raises(ContractError, match="repetition of repetitions"):

        class Refused(Contract):
            x: Annotated[str, Pattern(pattern)]


@pytest.mark.parametrize(
    "pattern", [r"(?:[a-z]+\.)+[a-z]+", r"(\d+-)?\d+", "[A-Z]{2}[0-9]+", "a{1,3}(b|c)*", "(a,)*b+"]
)
def test_harmless_repetitions(pattern: str) -> None:
    """A repetition with something fixed in it has one way to match."""

    class Accepted(Contract):
        x: Annotated[str, Pattern(pattern)]

    assert Accepted.form.fields[0].pattern == pattern

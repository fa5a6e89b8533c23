"""What an author may write for Deadline."""

from __future__ import annotations

import msgspec
import pytest

from tenfold.deadline import Deadline, allowed_s, is_background
from tenfold.errors import ServiceError


def test_a_budget_is_read_in_its_unit() -> None:
    """50 ms is a twentieth of a second, exactly."""
    assert Deadline("50 ms").budget_s == 0.05
    assert Deadline("50 ms").describe() == "50 ms, else refuse"


def test_a_budget_without_a_unit_is_an_error() -> None:
    """Nobody has to guess whether 50 means seconds or milliseconds."""
    with pytest.raises(ServiceError, match=r"Deadline\(budget='50'\): '50' has no unit; write \"50 ms\""):
        Deadline("50")
    with pytest.raises(ServiceError, match="expected `str`, got `int`"):
        Deadline(50)  # type: ignore[arg-type]
    with pytest.raises(ServiceError, match="an answer takes some time"):
        Deadline("0 ms")
    with pytest.raises(ServiceError, match="nobody waits a day"):
        Deadline("1000 days")


def test_otherwise_is_refusal_or_a_fallback_answer() -> None:
    """What is said when there is no time stands in the class."""
    assert Deadline("1 s").fallback is None
    fallback = Deadline("1 s", otherwise={"label": "unknown"})
    assert fallback.fallback == {"label": "unknown"}
    assert fallback.describe() == "1 s, else the fallback answer"
    with pytest.raises(ServiceError, match="otherwise"):
        Deadline("1 s", otherwise="give up")  # type: ignore[arg-type]


def test_a_deadline_travels() -> None:
    """The front reads the same deadline that the author wrote."""
    deadline = Deadline("50 ms", otherwise={"label": "unknown"})
    assert msgspec.json.decode(msgspec.json.encode(deadline), type=Deadline) == deadline


def test_a_table_overrides_what_it_names() -> None:
    """An environment changes the budget and keeps the fallback answer."""
    deadline = Deadline("50 ms", otherwise={"label": "unknown"})
    changed = deadline.override({"budget": "20 ms"}, "[production.deadline]")
    assert changed == Deadline("20 ms", otherwise={"label": "unknown"})


def test_an_unknown_key_is_an_error_with_the_nearest_name() -> None:
    """A misspelt key in tenfold.toml is not silently without effect."""
    with pytest.raises(ServiceError, match=r"\[deadline\] has no key 'buget'") as caught:
        Deadline().override({"buget": "20 ms"}, "[deadline]")
    assert caught.value.hint == "did you mean budget?"
    with pytest.raises(ServiceError, match=r"\[deadline\]: Deadline\(budget='20'\)"):
        Deadline().override({"budget": "20"}, "[deadline]")


@pytest.mark.parametrize(
    ("said", "seconds"), [("50", 0.05), ("0.5", 0.0005), ("1e2", 0.1), (" 20 ", 0.02), ("1e308", 1.0)]
)
def test_a_client_may_ask_for_less_time(said: str, seconds: float) -> None:
    """A header shortens the deadline, and never makes it longer."""
    assert allowed_s(said, 1e-3, budget_s=1.0) == pytest.approx(seconds)


@pytest.mark.parametrize("said", ["", "soon", "0", "-0.0", "-5", "nan", "inf", "1e309", "1_000", "5 ms", "0x10", "5,5"])
def test_a_deadline_that_is_none_is_an_error(said: str) -> None:
    """Nonsense, nothing, and numbers that only a programming language knows."""
    with pytest.raises(ValueError, match=r"not a positive number|could not convert"):
        allowed_s(said, 1e-3, budget_s=1.0)


@pytest.mark.parametrize(
    ("said", "background"),
    [
        ("u=7", True),
        ("i, u=7", True),
        (" u=7;x=1 , i", True),
        ("u=3", False),
        ("u=7, u=1", False),
        ("u=77", False),
        ("", False),
    ],
)
def test_a_client_may_call_its_request_background_work(said: str, background: bool) -> None:
    """The Priority header of RFC 9218 has a word for it: urgency 7."""
    assert is_background(said) is background

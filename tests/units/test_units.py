"""Quantities, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.options import Option, documentation
from tenfold.units import BYTES, RATIO, SECONDS, duration, percent, ratio, rows_per_s, seconds, size_bytes, throughput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 ms", 0.05),
        ("50ms", 0.05),
        ("1.5 s", 1.5),
        ("30m", 1800),
        ("2 h", 7200),
        ("30 days", 2_592_000),
        (".5 s", 0.5),
    ],
)
def test_durations_are_read_exactly(text: str, expected: float) -> None:
    """What is written is what is kept, to the last digit."""
    assert seconds(text) == expected


@given(st.integers(1, 10**6), st.sampled_from(sorted(SECONDS)))
def test_every_documented_unit_is_read(number: int, unit: str) -> None:
    """A number and a unit make a duration, with or without a space."""
    assert seconds(f"{number} {unit}") == seconds(f"{number}{unit}") == pytest.approx(number * SECONDS[unit])


@pytest.mark.parametrize("text", ["", "ms", "-5 ms", "5 parsecs", "1e3 s", "nan s", "5 MS", "٣ s"])
def test_anything_else_is_refused(text: str) -> None:
    """A quantity that could be misread is not read."""
    with pytest.raises(ValueError, match=r"write \"50 ms\""):
        seconds(text)


def test_rates_shares_and_sizes() -> None:
    """The other quantities of a service are read in the same manner."""
    assert (rows_per_s("60 rows/min"), ratio("10%"), ratio("0.1 %")) == (1.0, 0.1, 0.001)
    assert (size_bytes("16 MiB"), size_bytes("1 kB"), size_bytes("10B")) == (16 * 2**20, 1000, 10)
    assert all(size_bytes(f"1 {unit}") == factor for unit, factor in BYTES.items())
    assert percent(ratio("1%")) == "1 %"
    assert set(RATIO) == {"%"}


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (0.05, "50 ms"),
        (0.0004, "400 µs"),
        (1.0, "1 s"),
        (90, "90 s"),
        (120, "2 min"),
        (86400, "1 day"),
        (2592000, "30 days"),
    ],
)
def test_durations_are_written_as_people_do(value_s: float, text: str) -> None:
    """Screens say 50 ms and 30 days."""
    assert duration(value_s) == text


def test_every_field_of_an_option_has_a_line_of_help() -> None:
    """The CLI, the documentation and the page are rendered from it."""
    options = Option.__subclasses__()
    assert [
        f"{option.__name__}.{field}" for option in options for field, line in documentation(option).items() if not line
    ] == []


@pytest.mark.parametrize(
    ("rows_per_s", "text"),
    [(1840.2, "1,840 rows/s"), (42542, "42,542 rows/s"), (99.94, "99.9 rows/s"), (0.5, "0.5 rows/s")],
)
def test_rates_are_written_as_people_do(rows_per_s: float, text: str) -> None:
    """To the digits that mean something."""
    assert throughput(rows_per_s) == text

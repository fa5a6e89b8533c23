"""Which window a row belongs to, whatever its clock says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.drift.windows import by_rows, by_time

DAY = 86400.0


@given(rows=st.integers(1, 20_000), windows=st.none() | st.integers(1, 40))
def test_each_row_has_one_window(rows: int, windows: int | None) -> None:
    """Windows of rows follow each other without a gap, each about as large."""
    plan = by_rows(rows, windows)
    sizes = np.bincount(plan.of(np.arange(rows, dtype=np.float64)), minlength=len(plan))
    assert sizes.sum() == rows
    assert sizes.max() - sizes.min() <= 1


@given(times=st.lists(st.floats(0, 1e9), min_size=1, max_size=300), windows=st.none() | st.integers(1, 12))
def test_each_time_has_one_window(times: list[float], windows: int | None) -> None:
    """Whatever order rows come in, those whose time is believed belong to a window that holds their time."""
    known = np.array(times)
    plan = by_time(known, windows=windows)
    window = plan.of(known)
    inside = window >= 0
    assert (known[inside] >= plan.edges[window[inside]]).all()
    assert (known[inside] < plan.edges[window[inside] + 1]).all()
    assert inside.sum() + sum("far from all others" in remark for remark in plan.remarks) >= inside.sum()


def test_windows_of_a_length_begin_at_midnight() -> None:
    """Days are days, whenever the first row came."""
    plan = by_time(np.array([1.5 * DAY, 2.2 * DAY, 4.9 * DAY]), DAY)
    assert plan.edges.tolist() == [DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY]
    assert plan.of(np.array([1.5 * DAY, 4.9 * DAY, 5.1 * DAY, np.nan, 0.0])).tolist() == [0, 3, -1, -1, -1]


def test_a_date_in_the_far_future_is_a_clock_that_jumps() -> None:
    """Three rows of the year 2099 do not make a hundred years of empty windows; it is said that they are left out."""
    times = np.concatenate([np.linspace(0, 10 * DAY, 2000), np.full(3, 4e9)])
    plan = by_time(times, DAY)
    assert len(plan) == 11
    assert plan.remarks == ("the clock jumps: 3 rows are dated far from all others, and belong to no window",)


def test_a_clock_that_goes_back_is_said() -> None:
    """Rows that come with an earlier time than those before count for their time."""
    times = np.linspace(0, 10 * DAY, 2000)
    times[1000] -= 3 * DAY
    plan = by_time(times, DAY)
    assert plan.remarks == ("the clock goes back 1 times; rows count for the window of their time",)
    assert by_time(np.random.default_rng(1).permutation(times), DAY).remarks == ()


def test_rows_without_a_time_belong_to_no_window() -> None:
    """They are counted and said, and nothing fails."""
    plan = by_time(np.array([np.nan, 1.0, 2.0]))
    assert plan.remarks == ("1 rows have no time and belong to no window",)
    assert by_time(np.array([np.nan])).remarks[-1] == "no row has a time"


@pytest.mark.parametrize(("rows", "windows"), [(1, 1), (999, 1), (1000, 2), (50_000, 10), (10_000_000, 10)])
def test_a_table_is_cut_into_ten(rows: int, windows: int) -> None:
    """Or into fewer, where a window would have less than 500 rows."""
    assert len(by_rows(rows)) == windows

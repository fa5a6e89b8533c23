"""Counters in mapped files, and what is read from them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field, Form, Rule
from tenfold.server.admin import rate
from tenfold.server.metrics import Counters, bucket_end_us, bucket_of, live, names_for, quantile_s, read

FORM = Form(name="F", fields=(Field(name="a", wire="a b", kind="float"),), rules=(Rule("r"),))


def test_sum_over_fronts(tmp_path: Path) -> None:
    """What several fronts counted is summed, also after they are gone."""
    for k in range(3):
        counters = Counters(tmp_path / f"{k}", names_for(FORM))
        counters.add("came", 5)
        counters.add("violation:/a b:missing")
        counters.latency(0.001)
        del counters
    total = read(tmp_path.iterdir())
    assert (total["came"], total["violation:/a b:missing"]) == (15, 3)
    done = live(total)
    assert done["rows"] == 15
    assert done["violations"] == {"/a b:missing": 3}
    assert done["answered"] == 3


def test_a_rate_is_of_the_last_minute() -> None:
    """What happened an hour ago is no rate of now."""
    past = [(0.0, Counter()), (3000.0, Counter(came=1_000_000)), (3050.0, Counter(came=1_000_300))]
    assert rate(past, 3060.0, Counter(came=1_000_600)) == 10.0
    assert rate(past[:1], 0.5, Counter(came=5)) == 5.0


def test_unknown_names_are_counted_together(tmp_path: Path) -> None:
    """A pointer that only a client could think of does not get a counter of its own: it counts under its code."""
    counters = Counters(tmp_path / "x", names_for(FORM))
    counters.add("violation:/whatever:unknown_field")
    counters.add("violation:/whatever:unheard_of")
    total = read([tmp_path / "x"])
    assert (total["violation::unknown_field"], total["violation::other"]) == (1, 1)


@given(st.integers(0, 60_000_000))
def test_buckets_hold_what_is_counted_in_them(microseconds: int) -> None:
    """A latency is below the end of its bucket, by at most an eighth."""
    end = bucket_end_us(bucket_of(microseconds))
    assert microseconds < end <= max(microseconds * 1.126, microseconds + 1)


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=50), st.sampled_from([0.5, 0.99]))
def test_quantiles(values: list[int], share: float) -> None:
    """A quantile is that of the values, up to the width of a bucket."""
    counted = Counter(f"latency:{bucket_of(value)}" for value in values)
    exact = sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]
    found = quantile_s(counted, share)
    assert found is not None
    assert exact / 1e6 <= found * 1.0001
    assert found <= exact / 1e6 * 1.13 + 2e-6

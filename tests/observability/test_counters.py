"""Counters in mapped files, and their sums over fronts that run and fronts that are gone."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.form import Field, Form, Rule
from tenfold.errors import CODES
from tenfold.server import totals
from tenfold.server.metrics import BOUNDS_US, R40, Counters, bucket_end_s, bucket_of, names_for
from tenfold.server.outcomes import OUTCOMES, requests_by_outcome, rows_by_outcome
from tenfold.server.survey import rate
from tenfold.server.totals import Totals, live, quantile_s

FORM = Form(name="F", fields=(Field(name="a", wire="a b", kind="float"),), rules=(Rule("r"),))
RELEASE = "f@1234567"


def front(run: Path, number: int) -> Counters:
    """The counters of a front, which lives until the last reference to them goes."""
    return Counters(run / f"front-{number}.{RELEASE}.counters", names_for(FORM))


def test_sum_over_fronts(tmp_path: Path) -> None:
    """What several fronts counted is summed, also after they are gone."""
    for k in range(3):
        counters = front(tmp_path, k)
        counters.add("came", 5)
        counters.add("violation:/a b:missing")
        counters.latency(0.001)
        del counters
    total = Totals(tmp_path).of(RELEASE)
    assert (total["came"], total["violation:/a b:missing"]) == (15, 3)
    done = live(total)
    assert done["rows"] == 15
    assert done["violations"] == {"/a b:missing": 3}
    assert done["answered"] == 3


def test_what_is_so_now_goes_with_its_front(tmp_path: Path) -> None:
    """Rows that waited in a front which died do not wait any more."""
    one, other = front(tmp_path, 1), front(tmp_path, 2)
    one.now(waiting_rows=5, running_batches=2)
    other.now(waiting_rows=1, running_batches=1)
    sums = Totals(tmp_path)
    assert sums.of(RELEASE)["gauge:waiting_rows"] == 6
    del one
    sums.fold()
    assert (sums.of(RELEASE)["gauge:waiting_rows"], sums.of(RELEASE)["gauge:running_batches"]) == (1, 1)


def test_dead_fronts_leave_one_file(tmp_path: Path) -> None:
    """However many fronts were replaced, as many files are read as there are fronts, and one more for each release."""
    for k in range(20):
        front(tmp_path, k).add("came")
    alive = front(tmp_path, 20)
    Totals(tmp_path).fold()
    assert {file.name for file in tmp_path.iterdir()} == {f"folded.{RELEASE}.json", f"front-20.{RELEASE}.counters"}
    alive.add("came")
    assert Totals(tmp_path).of(RELEASE)["came"] == 21


def test_other_releases_are_left_alone(tmp_path: Path) -> None:
    """Two releases that are served at once do not share a count."""
    Counters(tmp_path / "front-1.g@1.counters", names_for(FORM)).add("came", 7)
    front(tmp_path, 1).add("came", 2)
    sums = Totals(tmp_path)
    sums.fold()
    assert (sums.of("g@1")["came"], sums.of(RELEASE)["came"], sums.of("h@1")["came"]) == (7, 2, 0)


class Killed(Exception):
    """The admin process ends here."""


STEPS = st.lists(
    st.sampled_from(["start", "count", "kill", "fold", "fold, and die before the files are deleted", "new admin"])
)


@given(STEPS)
def test_sums_never_go_down(steps: list[str]) -> None:
    """Whatever ends, and whenever, each thing that was counted is counted once from then on: rate() sees no reset."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        run = Path(folder)
        sums, fronts, expected = Totals(run), [front(run, 0)], 0
        for number, step in enumerate(steps, start=1):
            match step:
                case "start":
                    fronts.append(front(run, number))
                case "count" if fronts:
                    fronts[number % len(fronts)].add("came", number)
                    expected += number
                case "kill" if fronts:
                    fronts.pop(number % len(fronts))
                case "fold":
                    sums.fold()
                case "fold, and die before the files are deleted":
                    patch.setattr(Path, "unlink", _killed)
                    try:
                        sums.fold()
                    except Killed:
                        sums = Totals(run)
                    patch.undo()
                case "new admin":
                    sums = Totals(run)
            assert sums.of(RELEASE)["came"] == expected


def _killed(path: Path, missing_ok: bool = False) -> None:
    raise Killed


def test_a_rate_is_of_the_last_minute() -> None:
    """What happened an hour ago is no rate of now."""
    past = [(0.0, Counter()), (3000.0, Counter(came=1_000_000)), (3050.0, Counter(came=1_000_300))]
    assert rate(past, 3060.0, Counter(came=1_000_600)) == 10.0
    assert rate(past[:1], 0.5, Counter(came=5)) == 5.0


def test_unknown_names_are_counted_together(tmp_path: Path) -> None:
    """A pointer that only a client could think of does not get a counter of its own: it counts under its code."""
    counters = front(tmp_path, 1)
    counters.add("violation:/whatever:unknown_field")
    counters.add("violation:/whatever:unheard_of")
    total = Totals(tmp_path).of(RELEASE)
    assert (total["violation::unknown_field"], total["violation::other"]) == (1, 1)


def test_each_outcome_is_counted_once(tmp_path: Path) -> None:
    """A row and its request are good or overdue by the deadline, and each code of an error belongs to one outcome."""
    counters = front(tmp_path, 1)
    counters.answered(0.001, left_s=0.01)
    counters.answered(0.02, left_s=-0.01)
    counters.answered_many(7, left_s=0.01)
    for code in CODES:
        counters.refused(code)
    counters.refused("rule:r")
    total = Totals(tmp_path).of(RELEASE)
    assert rows_by_outcome(total) == dict.fromkeys(OUTCOMES, 0) | {"good": 8, "overdue": 1}
    requests = requests_by_outcome(total)
    assert sum(requests.values()) == 3 + len(CODES) + 1
    assert {name: requests[name] for name in ("good", "overdue", "shed", "unready", "late")} == {
        "good": 2, "overdue": 1, "shed": 1, "unready": 1, "late": 1
    }  # fmt: skip


@pytest.mark.parametrize(("rows", "bucket"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (64, 6), (65, 7)])
def test_batches_by_powers_of_two(tmp_path: Path, rows: int, bucket: int) -> None:
    """A batch is counted with those of up to as many rows, rounded up to a power of two; its time with its stages."""
    counters = front(tmp_path, 1)
    counters.batch(rows, (1, 2, 3, 4, 5, 6))
    total = Totals(tmp_path).of(RELEASE)
    assert total[f"batch_rows:{bucket}"] == total["batches"] == 1
    assert (total["rows"], total["stage_ns:decode"], total["stage_ns:postprocess"]) == (rows, 1, 6)


def test_predictions_are_counted_by_their_ratio(tmp_path: Path) -> None:
    """A batch that took what was expected is told from one that took more; where nothing was expected, nothing is said."""
    counters = front(tmp_path, 1)
    counters.predicted(0.010, 0.0099)
    counters.predicted(0.010, 0.012)
    counters.predicted(0.010, 5.0)
    counters.predicted(0.0, 5.0)
    total = Totals(tmp_path).of(RELEASE)
    assert [total[f"prediction:{k}"] for k in (19, 24, 80)] == [1, 1, 1]


def test_the_bounds_are_renards() -> None:
    """Forty a decade from 10 µs to 100 s, none more than an eighteenth above the one before; 50 µs is one of them."""
    assert len(BOUNDS_US) == 7 * 40 + 1
    assert all(1.04 < after / before < 1.072 for before, after in zip(R40, [*R40[1:], 1000], strict=True))
    assert 50.0 in BOUNDS_US


@given(st.integers(0, 200_000_000))
def test_buckets_hold_what_is_counted_in_them(us: int) -> None:
    """A latency lies between the bounds of its bucket."""
    assert bucket_of(us) == bisect_right(BOUNDS_US, us)


@given(st.lists(st.integers(10, 90_000_000), min_size=1, max_size=50), st.sampled_from([0.5, 0.99]))
def test_quantiles(values: list[int], share: float) -> None:
    """A quantile is that of the values, up to the width of a bucket."""
    counted = Counter(f"latency:{bucket_of(value)}" for value in values)
    exact = sorted(values)[max(0, -(-int(share * 100) * len(values) // 100) - 1)]
    found = quantile_s(counted, share)
    assert found is not None
    assert exact / 1e6 <= found <= exact / 1e6 * 1.072


def test_both_ways_to_count_a_latency_agree(tmp_path: Path) -> None:
    """An answer that needs no second look is counted where any other is."""
    counters = front(tmp_path, 1)
    for taken_s in (5e-6, 50e-6, 0.0123, 0.5, 7.5, 300.0):
        counters.latency(taken_s)
        counters.answered(taken_s, 1.0)
    total = Totals(tmp_path).of(RELEASE)
    assert {count for name, count in total.items() if name.startswith("latency:")} == {2}
    assert bucket_end_s(10**6) == 100.0


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """Whoever reads a state file finds the old one or the new one."""
    totals.replace(tmp_path / "state.json", {"a": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["state.json"]

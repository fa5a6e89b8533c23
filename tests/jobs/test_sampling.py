"""Which rows tell of drift: a fair and bounded sample of all, whatever a job is cut into and however many rows come."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.control.job_drift import judge_sample
from tenfold.drift import Drift
from tenfold.drift.live import watched
from tenfold.drift.profile import Profile
from tenfold.drift.sampling import mix
from tenfold.formats.batches import Reading, unpack
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Layout, pack
from tenfold.jobs import sampling
from tenfold.jobs.answering import Answering, Order
from tenfold.jobs.sampling import Sampled, Sampling, gather, most_rows, reference_in
from tenfold.jobs.tasks import Setup
from tenfold.pipeline import Pipeline
from tenfold.service import Service, find, spec
from tests.jobs.making import moved, rows, service, trained

MOST = 100


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service that knows what its model was trained on, in this process."""
    return find(trained(service(tmp_path_factory.mktemp("sampling") / "doubled"))).start()


@pytest.fixture(scope="module")
def known(started: Service) -> Profile:
    """What it knows."""
    found = reference_in(started.folder)
    assert found is not None
    return found


def kept(started: Service, table: Any, cuts: Sequence[int]) -> list[bytes]:
    """What is sampled of each part of a table that is cut at these rows."""
    reading = Reading(started.input.form, (), Dialect())
    answering = Answering(Pipeline(started), spec(started), reading, Setup("job", "id", [], Dialect(), "parquet"))
    pieces = []
    for first, stop in pairwise([0, *cuts, table.num_rows]):
        packed = io.BytesIO()
        pack(table.slice(first, stop - first), packed)
        content = unpack(packed.getvalue(), Layout("table"), reading)
        pieces.append(answering.answer(content, Order("x.parquet", first, first, 0, {})).sample)
    return [piece for piece in pieces if piece]


@settings(max_examples=15, deadline=None)
@given(total=st.integers(1, 900), cuts=st.lists(st.integers(0, 900), max_size=4))
def test_the_sample_does_not_depend_on_how_the_input_is_cut(
    started: Service, known: Profile, total: int, cuts: list[int]
) -> None:
    """Any parts give the rows that the whole gives."""
    inside = sorted(cut for cut in cuts if cut < total)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "most_rows", lambda _: MOST)
        table = rows(total)
        whole, cut = (gather(kept(started, table, at), known.columns, total) for at in ([], inside))
    np.testing.assert_equal(cut._asdict(), whole._asdict())
    assert list(whole.numbers) == sorted(set(whole.numbers.tolist()))
    if total <= MOST:
        assert len(whole.numbers) == total
    x = [column.name for column in known.columns].index("the x")
    assert whole.values[:, x].tolist() == [float(number % 50) for number in whole.numbers.tolist()]


@pytest.mark.parametrize("total", [1, 99, 100, 101, 1_000, 12_799, 12_800, 100_000])
def test_as_many_rows_are_sampled_however_many_there_are(total: int) -> None:
    """The sample is bounded, what is kept beside the parts grows by half of that for each doubling, and each hash decides."""
    numbers = np.arange(total, dtype=np.uint64)
    chosen = numbers[mix(numbers) <= sampling._limits(numbers, MOST)]
    doublings = max(total // MOST, 1).bit_length()
    assert len(chosen) <= MOST * (1 + 0.5 * doublings) * 1.3
    last = sampling._limits(numbers[-1:], MOST)
    final = numbers[mix(numbers) <= last]
    assert set(final.tolist()) <= set(chosen.tolist())
    assert min(total, MOST // 2) * 0.7 <= len(final) <= MOST * 1.3


def test_wide_rows_are_sampled_less(known: Profile) -> None:
    """A sample is bounded by its bytes, too."""
    assert most_rows(known.columns) == sampling.MOST_ROWS
    assert most_rows([known.columns[0]] * 1_000) == sampling.SAMPLE_BYTES // 8_000
    assert most_rows([known.columns[0]] * 100_000) == sampling.FEWEST_ROWS


def test_what_is_missing_stays_missing(started: Service) -> None:
    """A sample that was kept has the values, the NaN and the gaps that it had."""
    columns = [column for column in watched(started.input.form, started.output.form) if column.role == "input"][:2]
    numbers = np.arange(3, dtype=np.uint64)
    values = np.array([[1.5, np.nan], [np.nan, np.inf], [-0.0, 1e300]])
    missing = np.array([[False, True], [False, False], [False, False]])
    piece = Sampling(columns, spec(started)).pack([Sampled(numbers, values, missing)])
    found = gather([piece], columns, 3)
    np.testing.assert_array_equal(found.numbers, numbers)
    np.testing.assert_array_equal(found.values, values)
    np.testing.assert_array_equal(found.missing, missing)


def test_rows_like_those_of_training_are_healthy_and_others_are_not(started: Service, known: Profile) -> None:
    """The verdict is that of a running service, and names what it was compared with."""
    same, other = (
        judge_sample(known, Drift(), kept(started, table, [700]), 2000) for table in (rows(2000), moved(2000))
    )
    assert (same.verdict, same.sampled, same.reference) == ("HEALTHY", 2000, "2,000 rows of train.parquet")
    assert other.verdict in ("WATCH", "FIX_DATA")
    assert "the x" in other.because


def test_too_few_rows_are_not_judged(started: Service, known: Profile) -> None:
    """Ten rows are no sign of anything, and that is said."""
    found = judge_sample(known, Drift(), kept(started, rows(10), []), 10)
    assert found.verdict is None
    assert "10 rows" in found.because
    assert found.fix


def test_a_profile_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    """A folder without one, or with a broken one, has no reference."""
    assert reference_in(tmp_path) is None
    (tmp_path / "reference.profile").write_bytes(b"no profile")
    assert reference_in(tmp_path) is None

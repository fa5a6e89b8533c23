"""A sample that does not depend on who sampled what."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.drift.profile import pack
from tenfold.drift.sampling import Sample, Sampler, mix

KEYS = mix(np.arange(5000, dtype=np.uint64))
VALUES = np.arange(5000) * 0.5


def sampled(index: np.ndarray, rows: int, block: int) -> Sample:
    """The sample that one replica takes of some rows, block by block."""
    sampler = Sampler(rows)
    for first in range(0, len(index), block):
        part = index[first : first + block]
        chosen = part[sampler.choose(KEYS[part])]
        sampler.add(KEYS[chosen], {"value": VALUES[chosen]})
    found = sampler.sample()
    assert found is not None
    return found


@settings(max_examples=30)
@given(seed=st.integers(0, 999), replicas=st.integers(1, 4), block=st.integers(1, 900), rows=st.sampled_from([10, 300]))
def test_samples_of_parts_make_the_sample_of_the_whole(seed: int, replicas: int, block: int, rows: int) -> None:
    """Whichever replica answered a row, it is in the sample of the window or it isn't."""
    order = np.random.default_rng(seed).permutation(len(KEYS))
    parts = [sampled(order[k::replicas], rows, block) for k in range(replicas)]
    assert pack(Sample.merge(parts, rows)) == pack(sampled(np.arange(len(KEYS)), rows, len(KEYS)))


def test_the_sample_is_fair() -> None:
    """Row numbers that follow each other are hashed apart."""
    mean = sampled(np.arange(5000), 1000, 500)["value"].mean()
    assert abs(mean - VALUES.mean()) < 3 * VALUES.std() / np.sqrt(1000)


def test_no_rows_make_no_sample() -> None:
    """A window that nobody asked anything in has none."""
    assert Sampler(5).sample() is None

"""Which release answers a request with a key."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.releases.assignment import SPAN, place, seed_of, takes_new, threshold

FAMILIES = {
    "numbers": [b"%d" % n for n in range(20_000)],
    "padded": [b"customer-%08d" % n for n in range(20_000)],
    "far apart": [b"%08x" % (n * 4096) for n in range(20_000)],
}


@pytest.mark.parametrize("keys", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_a_share_of_the_keys_is_that_share(keys: list[bytes], share: float) -> None:
    """However customers are numbered, one per cent of them is one per cent of them."""
    below = threshold(share)
    spread = math.sqrt(len(keys) * share * (1 - share))
    for seed in range(5):
        taken = sum(takes_new(key, seed, below) for key in keys)
        assert abs(taken - len(keys) * share) < 4.5 * spread


@pytest.mark.parametrize("keys", FAMILIES.values(), ids=FAMILIES)
def test_the_next_rollout_falls_on_others(keys: list[bytes]) -> None:
    """The same customers are not always the first: two rollouts part them independently of each other."""
    half, one, other = threshold(0.5), seed_of("3f9c2a1"), seed_of("81aa07c")
    alike = sum(takes_new(key, one, half) == takes_new(key, other, half) for key in keys)
    assert abs(alike - len(keys) / 2) < 4.5 * math.sqrt(len(keys)) / 2


@given(st.binary(), st.integers(0, SPAN - 1), st.floats(0, 1), st.floats(0, 1))
def test_nobody_goes_to_and_fro(key: bytes, seed: int, share: float, more: float) -> None:
    """Who is answered by the new release at one share is answered by it at every larger one, and at 100 % everybody is."""
    small, large = sorted((threshold(share), threshold(more)))
    assert takes_new(key, seed, small) <= takes_new(key, seed, large)
    assert takes_new(key, seed, small) == (place(key, seed) < small)
    assert takes_new(key, seed, threshold(1.0))
    assert not takes_new(key, seed, threshold(0.0))


def test_a_key_stays_where_it_is() -> None:
    """Fronts agree, on every machine and in every version: the place of a key is a promise."""
    assert seed_of("3f9c2a1") == 1_430_218_190
    assert place(b"customer-17", seed_of("3f9c2a1")) == 4_233_870_346

"""Leases: one holder at a time, whatever the clocks and the sleepers do."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.errors import Conflict
from tenfold.store import Store
from tenfold.store.records import Lease
from tests.store.conftest import Clock


def test_one_holder_at_a_time(store: Store, other: Store, clock: Clock) -> None:
    """Somebody else gets the lease when it is given back or has run out, and not before."""
    lease = store.leases.acquire("rollouts", "a", 10)
    assert lease is not None
    assert other.leases.acquire("rollouts", "b", 10) is None
    store.leases.release(lease)
    assert other.leases.acquire("rollouts", "b", 10)
    clock.advance(11)
    assert store.leases.acquire("rollouts", "a", 10)


def test_tokens_grow(store: Store, clock: Clock) -> None:
    """Whoever comes later has the higher token, also the same holder after a restart."""
    tokens = []
    for holder in ("a", "a", "b"):
        lease = store.leases.acquire("rollouts", holder, 10)
        assert lease is not None
        tokens.append(lease.token)
        clock.advance(0 if holder == "a" and len(tokens) == 1 else 11)
    assert tokens == [1, 2, 3]


def test_a_lease_that_ran_out_is_not_renewed(store: Store, clock: Clock) -> None:
    """A holder learns that it is too late, even where nobody else came."""
    lease = store.leases.acquire("rollouts", "a", 10)
    assert lease is not None
    clock.advance(5)
    lease = store.leases.renew(lease, 10)
    clock.advance(9)
    store.leases.check(lease)
    clock.advance(2)
    with pytest.raises(Conflict, match="it ran out"):
        store.leases.renew(lease, 10)


@settings(suppress_health_check=list(HealthCheck), max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["acquire", "renew", "release", "wait"])), max_size=20)
)
def test_never_two_at_once(store: Store, clock: Clock, steps: list[tuple[str, str]]) -> None:
    """Whatever three controllers do in whatever order, at most one of their leases holds."""
    leases = store.leases
    held: dict[str, Lease] = {}
    for holder, step in steps:
        if step == "wait":
            clock.advance(6)
        elif step == "acquire":
            lease = leases.acquire("rollouts", holder, 10)
            held |= {holder: lease} if lease else {}
        elif holder in held:
            try:
                if step == "renew":
                    held[holder] = leases.renew(held[holder], 10)
                else:
                    leases.release(held[holder])
            except Conflict:
                del held[holder]
        holding = []
        for name, lease in held.items():
            try:
                leases.check(lease)
                holding.append(name)
            except Conflict:
                pass
        assert len(holding) <= 1

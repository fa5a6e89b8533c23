"""Several services on one machine, and what a replica turns out to carry."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenfold.scaling.learning import Seen, learnt
from tenfold.scaling.sharing import Allotted, Claim, Machine, allot


def test_where_there_is_room_everybody_gets_what_it_asks_for() -> None:
    """A machine that is large enough limits nobody."""
    assert allot([Claim(3), Claim(2)], Machine(8)) == [Allotted(3), Allotted(2)]


def test_a_machine_that_is_too_small_is_divided_by_shares() -> None:
    """Of eight cores, a share of three gets three times what a share of one does, and both hear what limits them."""
    assert allot([Claim(9, share=3.0), Claim(9, share=1.0)], Machine(8)) == [Allotted(6, "cores"), Allotted(2, "cores")]


def test_what_one_does_not_need_others_get() -> None:
    """A small service is not limited, and its rest is not lost."""
    assert allot([Claim(1), Claim(9)], Machine(4)) == [Allotted(1), Allotted(3, "cores")]


def test_the_least_is_kept_whatever_there_is() -> None:
    """min_replicas, and what a person asked for, run on any machine."""
    assert allot([Claim(5, least=3), Claim(5, least=2)], Machine(2)) == [Allotted(3, "cores"), Allotted(2, "cores")]


def test_memory_limits_too() -> None:
    """Replicas that wait for something else than the processor are limited by memory alone."""
    gib = 2**30
    assert allot([Claim(9, cores=0.0, memory_bytes=3 * gib)], Machine(1, 8 * gib)) == [Allotted(2, "memory")]
    assert allot([Claim(9, cores=0.0)], Machine(1, 8 * gib)) == [Allotted(9)]


claims = st.builds(
    Claim,
    st.integers(0, 20),
    st.integers(0, 5),
    st.floats(0.1, 9),
    st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    st.integers(0, 9),
)


@given(st.lists(claims, max_size=5), st.builds(Machine, st.floats(0.5, 32), st.integers(0, 99)))
def test_any_machine_is_divided(asked: list[Claim], machine: Machine) -> None:
    """Nobody gets more than it wants or less than its least, nothing is given beyond the machine, and no room is left that
    somebody wants."""
    found = allot(asked, machine)
    for claim, (n, limit) in zip(asked, found, strict=True):
        assert min(claim.wanted, claim.least) <= n <= claim.wanted
        assert bool(limit) == (n < claim.wanted)
    beyond = [k for k, claim in enumerate(asked) if found[k].n > claim.least]
    if beyond:
        assert sum(claim.cores * one.n for claim, one in zip(asked, found, strict=True) if claim.cores) <= max(
            machine.cores + 1e-6, sum(claim.cores * min(claim.wanted, claim.least) for claim in asked)
        )


def test_replicas_that_miss_rows_carry_what_they_answer() -> None:
    """Where more is refused than measured rates explain, the rate is learnt; afterwards it is believed again, slowly."""
    rate = 100.0
    for _ in range(20):
        rate = learnt(rate, 100.0, Seen(answered=80.0, missed=40.0, replicas=2))
    assert 40 <= rate < 42
    assert rate < learnt(rate, 100.0, Seen(10.0, 0.0, 2)) < rate + 1


def test_replicas_that_answer_more_than_was_believed_carry_it() -> None:
    """An estimate that was too low does not start replicas for ever."""
    rate = 100.0
    for _ in range(20):
        rate = learnt(rate, 100.0, Seen(answered=300.0, missed=0.0, replicas=2))
    assert 148 < rate <= 150

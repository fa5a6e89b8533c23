"""Whether a cluster has room for a replica, as Ray's figures tell it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tenfold.engines.ray.orders import Needs
from tenfold.engines.ray.room import choose, crowded, lacking, machines

GIB = 2**30
WHOLE = {"a": {"CPU": 4.0, "memory": 8.0 * GIB}, "b": {"CPU": 2.0, "memory": 8.0 * GIB}}


def test_a_machine_with_enough_of_everything_has_room() -> None:
    """What the others lack does not matter."""
    assert lacking(Needs(2), WHOLE, {"a": {}, "b": {"CPU": 2.0}}) == ""
    assert lacking(Needs(0), WHOLE, {}) == ""


def test_what_no_machine_has_is_told_from_what_is_taken() -> None:
    """The one needs another machine, the other may only take time."""
    assert lacking(Needs(8), WHOLE, WHOLE) == "no machine of the 2 has that much; the largest has 4 cores"
    taken = {"a": {"CPU": 1.0, "memory": 1.0 * GIB}, "b": {"CPU": 1.5, "memory": 8.0 * GIB}}
    assert lacking(Needs(2), WHOLE, taken) == "2.5 of 6 cores are free on 2 machines; the emptiest has 1.5 cores"
    wanted = Needs(1, 16 * GIB)
    assert str(wanted) == "1 core and 16.0 GiB"
    assert lacking(wanted, WHOLE, WHOLE).endswith("the largest has 4 cores and 8.0 GiB")


def test_other_resources_have_to_be_there_too() -> None:
    """A GPU that somebody else has is told from one that no machine has."""
    needs, gpus = Needs(1, others={"GPU": 1.0}), {**WHOLE, "c": {"CPU": 1.0, "GPU": 1.0}}
    assert str(needs) == "1 core and 1 GPU"
    assert str(Needs(2, GIB, {"GPU": 0.5})) == "2 cores, 1.0 GiB and 0.5 GPU"
    assert lacking(needs, gpus, gpus) == ""
    assert lacking(needs, WHOLE, WHOLE).endswith("the largest has 4 cores and 0 GPU")
    taken = {**WHOLE, "c": {"CPU": 1.0}}
    assert lacking(needs, gpus, taken) == "7 of 7 cores are free on 3 machines; the emptiest has 4 cores and 0 GPU"


def test_a_machine_that_is_gone_has_nothing() -> None:
    """Ray goes on listing it."""
    nodes = [
        {"NodeID": "a", "Alive": True, "Resources": {"CPU": 1.0}},
        {"NodeID": "b", "Alive": False, "Resources": {"CPU": 9.0}},
    ]
    assert machines(nodes) == {"a": {"CPU": 1.0}}
    assert lacking(Needs(2), machines(nodes), {"b": {"CPU": 9.0}}).startswith("no machine of the 1")


def test_the_first_replica_of_a_release_goes_beside_the_fronts_and_others_where_fewest_are() -> None:
    """Of two machines with as many, the emptier one is taken."""
    free = {"a": {"CPU": 4.0}, "b": {"CPU": 2.0}, "c": {"CPU": 3.0}}
    assert choose(Needs(1), free, {}, "b", ()) == "b"
    assert choose(Needs(1), free, {"b": 1}, "b", ()) == "a"
    assert choose(Needs(1), free, {"b": 1, "a": 1}, "b", ()) == "c"
    assert choose(Needs(1), free, {"a": 2, "b": 2, "c": 1}, "b", ()) == "c"


def test_a_machine_without_room_or_that_seems_lost_gets_none() -> None:
    """Not even beside the fronts; where there is no other, Ray has to find one."""
    free = {"a": {"CPU": 4.0}, "b": {"CPU": 2.0}, "head": {}}
    assert choose(Needs(3), free, {}, "b", ()) == "a"
    assert choose(Needs(1), free, {}, "head", ()) == "a"
    assert choose(Needs(1), free, {}, "head", ("a",)) == "b"
    assert choose(Needs(1), free, {}, "b", ("b",)) == "a"
    assert choose(Needs(1), free, {}, "b", ("a", "b")) == ""


def test_a_replica_moves_where_a_machine_came_back_or_joined() -> None:
    """One that has two gives one away, and one goes beside the fronts where there is none; where it is as well, all stay."""
    free = {"a": {"CPU": 2.0}, "b": {"CPU": 4.0}, "full": {}}
    assert crowded(Needs(1), free, {"a": 2}, "", ()) == "a"
    assert crowded(Needs(1), free, {"a": 1}, "b", ()) == "a"
    assert crowded(Needs(1), free, {"a": 1, "b": 2}, "a", ()) == ""
    assert crowded(Needs(1), free, {"a": 1}, "full", ()) == ""
    assert crowded(Needs(1), free, {"a": 2}, "b", ("b",)) == ""
    assert crowded(Needs(1), free, {}, "b", ()) == ""


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4), min_size=1),
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 4), min_size=1),
    st.sampled_from("abcd"),
)
def test_moves_come_to_rest_with_all_spread(cores: dict[str, int], taken: dict[str, int], here: str) -> None:
    """However they began, after a few moves no machine with room has two fewer than another, and one is beside the fronts."""
    counts, left = Counter(taken), Counter(cores)
    for _ in range(sum(taken.values()) + 1):
        free = {name: {"CPU": float(left[name])} for name in cores}
        gives = crowded(Needs(1), free, counts, here, ())
        if not gives:
            break
        takes = choose(Needs(1), free, counts, here, ())
        counts.update({gives: -1, takes: 1})
        left.update({gives: 1, takes: -1})
    assert not gives
    with_room = [name for name in cores if left[name] > 0]
    assert all(counts[name] > max(counts.values()) - 2 for name in with_room)
    assert here not in with_room or counts[here]

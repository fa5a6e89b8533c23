"""Gates, rollouts and evidence: how releases fare on their way to traffic."""

from __future__ import annotations

import pytest

from tenfold.errors import Conflict, NotFound
from tenfold.store import Act, Store
from tenfold.store.records import Gate, Verdict
from tests.store.conftest import Clock

BEGIN = Act("anna", "rollout", "it is better")
STEP = Act("controller", "canary 10 %", "no harm in 1,200 requests")


def _gate(store: Store, name: str, verdict: Verdict) -> Gate:
    gate = Gate(service="tumour", release="r", name=name, verdict=verdict, because="so it is", at=store.clock())
    store.gates.add(gate)
    return gate


def test_the_last_word_of_each_gate_counts(store: Store, other: Store) -> None:
    """A gate that is passed at the second attempt is passed; the others keep their word."""
    _gate(store, "golden", "failed")
    digests = _gate(store, "digests", "passed")
    golden = _gate(store, "golden", "passed")
    assert other.gates.of("tumour", "r") == [golden, digests]
    assert other.gates.of("tumour", "other") == []


def test_a_rollout_goes_step_by_step(store: Store, other: Store) -> None:
    """Each state is on record with who and why, and a process that starts anew finds the last one."""
    rollout = store.rollouts.begin("tumour", "b", BEGIN, from_="a", plan={"steps": [0.01, 0.1]})
    rollout = store.rollouts.change(rollout, "canary", STEP, detail={"share": 0.1})
    found = other.rollouts.open("tumour")
    assert found == rollout
    assert found is not None
    assert other.rollouts.list("tumour", ended=False) == [rollout]
    assert other.rollouts.by_id(rollout.id) == rollout
    assert (found.state, found.detail, found.plan, found.version) == (
        "canary",
        {"share": 0.1},
        {"steps": [0.01, 0.1]},
        2,
    )
    other.rollouts.change(found, "promoted", Act("controller", "promote", "proof of no harm"), ended=True)
    assert store.rollouts.open("tumour") is None
    assert store.rollouts.by_id(rollout.id).state == "promoted"
    with pytest.raises(NotFound, match="no rollout nobody"):
        store.rollouts.by_id("nobody")
    assert store.rollouts.list(ended=False) == []
    assert [one.state for one in store.rollouts.list("tumour")] == ["promoted"]
    assert [event.n for event in store.events.list("tumour", what=("rollout", "promote"))] == [1, 3]
    assert [event.what for event in store.events.list(what=("rollout", "promote"), most=1)] == ["promote"]
    assert [event.what for event in store.events.list("tumour")] == ["rollout", "canary 10 %", "promote"]
    assert store.events.verify()


def test_two_controllers_do_not_both_go_on(store: Store, other: Store) -> None:
    """Whoever saw an older state changes nothing; and a service has one rollout at a time."""
    rollout = store.rollouts.begin("tumour", "b", BEGIN, plan={})
    with pytest.raises(Conflict, match="has not ended"):
        other.rollouts.begin("tumour", "c", BEGIN, plan={})
    other.rollouts.begin("fraud", "c", BEGIN, plan={})
    store.rollouts.change(rollout, "canary", STEP)
    count = len(store.events.list())
    with pytest.raises(Conflict, match="changed by somebody else"):
        other.rollouts.change(rollout, "rolled back", STEP, ended=True)
    assert len(store.events.list()) == count


def test_an_ended_rollout_stays_as_it_is(store: Store) -> None:
    """What was promoted cannot be rolled back afterwards by a late controller, and another rollout may begin."""
    rollout = store.rollouts.begin("tumour", "b", BEGIN, plan={})
    ended = store.rollouts.change(rollout, "promoted", STEP, ended=True)
    with pytest.raises(Conflict):
        store.rollouts.change(ended, "rolled back", STEP)
    assert store.rollouts.begin("tumour", "c", BEGIN, plan={}).id != rollout.id


def test_a_rollout_needs_the_lease_that_it_is_fenced_by(store: Store, clock: Clock) -> None:
    """A controller whose lease ran out changes no state."""
    rollout = store.rollouts.begin("tumour", "b", BEGIN, plan={})
    lease = store.leases.acquire("rollouts", "a", 10)
    clock.advance(11)
    with pytest.raises(Conflict, match="it ran out"):
        store.rollouts.change(rollout, "canary", STEP, fence=lease)
    assert store.rollouts.open("tumour") == rollout


def test_evidence_is_kept_by_machine_and_kind(store: Store, other: Store) -> None:
    """What is measured anew takes the place of what was measured there before, and of nothing else."""
    for machine, rate in (("big", 900), ("small", 90), ("small", 100)):
        store.evidence.put("tumour", "r", "capacity", {"rows_per_s": rate}, machine)
    store.evidence.put("tumour", "r", "golden", {"equal": 20})
    found = {(one.kind, one.machine): one.content for one in other.evidence.of("tumour", "r")}
    assert found == {
        ("capacity", "big"): {"rows_per_s": 900},
        ("capacity", "small"): {"rows_per_s": 100},
        ("golden", ""): {"equal": 20},
    }
    assert len(other.evidence.of("tumour", "r", "capacity")) == 2

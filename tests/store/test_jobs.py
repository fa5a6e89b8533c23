"""Jobs: each is worked at by one worker at a time, and none is lost with its worker."""

from __future__ import annotations

import pytest

from tenfold.errors import Conflict
from tenfold.store import Store
from tests.store.conftest import Clock


def test_jobs_are_taken_in_their_order(store: Store, other: Store) -> None:
    """The oldest first, each once."""
    jobs = [store.jobs.add("tumour", {"input": name}) for name in ("a.parquet", "b.parquet")]
    claimed = [
        worker.jobs.claim(name, 60, ["tumour"]) for worker, name in ((store, "w1"), (other, "w2"), (store, "w3"))
    ]
    assert [job.id if job else None for job in claimed] == [jobs[0].id, jobs[1].id, None]
    assert claimed[0] is not None
    assert (claimed[0].state, claimed[0].holder, claimed[0].plan) == ("running", "w1", {"input": "a.parquet"})


def test_a_job_outlives_its_worker(store: Store, other: Store, clock: Clock) -> None:
    """A worker that isn't heard of loses its job to the next, and can do nothing to it when it wakes up."""
    store.jobs.add("tumour", {})
    first = store.jobs.claim("w1", 60, ["tumour"])
    assert first is not None
    first = store.jobs.keep(first, 60, {"shards": 3})
    clock.advance(61)
    second = other.jobs.claim("w2", 60, ["tumour"])
    assert second is not None
    assert (second.id, second.result) == (first.id, {"shards": 3})
    with pytest.raises(Conflict, match="w2 has it"):
        store.jobs.keep(first, 60)
    done = other.jobs.finish(second, "done", {"rows": 10})
    assert store.jobs.get(first.id) == done
    assert store.jobs.claim("w1", 60, ["tumour"]) is None


def test_a_cancelled_job_tells_its_worker(store: Store, other: Store) -> None:
    """Whoever works at it learns of it at the next shard; what has ended cannot be cancelled."""
    job = store.jobs.add("tumour", {})
    working = store.jobs.claim("w1", 60, ["tumour"])
    assert working is not None
    cancelled = other.jobs.cancel(job.id)
    assert cancelled is not None
    with pytest.raises(Conflict, match="cancelled"):
        store.jobs.keep(working, 60)
    assert other.jobs.cancel(job.id) is None
    assert other.jobs.cancel("unknown") is None
    assert [one.state for one in store.jobs.list("tumour")] == ["cancelled"]


def test_jobs_of_other_services_are_left_to_others(store: Store) -> None:
    """A worker takes those of the services that it is for, and knows of them before it asks for one."""
    job = store.jobs.add("tumour", {})
    for services in ([], ["spam"]):
        assert not store.jobs.waits(services)
        assert store.jobs.claim("w1", 60, services) is None
    assert store.jobs.waits(["spam", "tumour"])
    claimed = store.jobs.claim("w1", 60, ["spam", "tumour"])
    assert claimed is not None
    assert claimed.id == job.id
    assert not store.jobs.waits(["tumour"])

"""Events and pointers: what was done is on record for good, and names move one step at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tenfold.errors import Conflict, GateFailed, NotFound
from tenfold.store import Act, Store
from tenfold.store.database import Database
from tenfold.store.history import EventfulPointers
from tenfold.store.records import Pointer
from tests.store.conftest import Backend, Clock
from tests.store.making import some_release

DEPLOY = Act("anna", "deploy", "it is better", {"ticket": 7})


def test_a_pointer_moves_with_its_event(store: Store, tmp_path: Path) -> None:
    """A deployment and its record are one: who, what, from, to and why."""
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    store.pointers.move("tumour", first.id, DEPLOY, expected=0)
    moved = store.pointers.move("tumour", second.id, DEPLOY, expected=1)
    assert (moved.release, moved.previous, moved.generation) == (second.id, first.id, 2)
    assert store.pointers.get("tumour") == moved
    event = store.events.list()[-1]
    assert (event.who, event.what, event.from_, event.to, event.why) == (
        *("anna", "deploy", first.id, second.id, "it is better"),
    )
    assert event.detail["ticket"] == 7
    assert moved.event == event.n


def test_whoever_saw_an_older_state_moves_nothing(store: Store, other: Store, tmp_path: Path) -> None:
    """Of two deployers at once one wins, and the other is told who; nothing of the loser's is on record."""
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    store.pointers.move("tumour", first.id, DEPLOY, expected=0)
    count = len(store.events.list())
    with pytest.raises(Conflict, match="was moved meanwhile"):
        other.pointers.move("tumour", second.id, Act("ben", "deploy"), expected=0)
    assert len(store.events.list()) == count
    assert store.pointers.get("tumour") == other.pointers.get("tumour")


def test_a_pointer_names_only_what_there_is(store: Store, tmp_path: Path) -> None:
    """A release that the store doesn't have is never deployed."""
    some_release(store, tmp_path / "service")
    with pytest.raises(NotFound):
        store.pointers.move("tumour", "0" * 64, DEPLOY, expected=0)
    assert store.pointers.list() == []


def test_the_same_release_again_keeps_the_one_before(store: Store, tmp_path: Path) -> None:
    """A deployment of what runs already doesn't forget what there is to roll back to."""
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    for generation, release in enumerate((first, second, second)):
        moved = store.pointers.move("tumour", release.id, DEPLOY, expected=generation)
    assert moved.previous == first.id


def test_those_who_poll_see_that_something_moved(store: Store, other: Store, tmp_path: Path) -> None:
    """One cheap number says whether what is to run has changed."""
    release = some_release(store, tmp_path / "service")
    before = other.generation()
    store.pointers.move("tumour", release.id, DEPLOY, expected=0)
    assert other.generation() > before


def test_a_lost_lease_moves_nothing(store: Store, clock: Clock, tmp_path: Path) -> None:
    """A controller that slept through the end of its lease can do no harm when it wakes up."""
    release = some_release(store, tmp_path / "service")
    lease = store.leases.acquire("rollouts", "a", 10)
    assert lease is not None
    clock.advance(11)
    assert store.leases.acquire("rollouts", "b", 10)
    with pytest.raises(Conflict, match="b has it"):
        store.pointers.move("tumour", release.id, DEPLOY, expected=0, fence=lease)
    assert store.pointers.get("tumour") is None


def test_events_are_listed_by_service_and_from_a_number_on(store: Store, tmp_path: Path) -> None:
    """A page of events shows those of one service, or what came since the last look."""
    for service in ("tumour", "fraud"):
        some_release(store, tmp_path / service, service=service)
    assert [event.service for event in store.events.list()] == ["tumour", "fraud"]
    assert [event.n for event in store.events.list("fraud")] == [2]
    assert [event.n for event in store.events.list(after=1)] == [2]
    assert [event.n for event in store.events.list(most=1)] == [2]


def test_a_whole_chain_holds(store: Store, tmp_path: Path) -> None:
    """Verification passes over an honest history, and over none."""
    assert store.events.verify() is None
    release = some_release(store, tmp_path / "service")
    store.pointers.move("tumour", release.id, DEPLOY, expected=0)
    last = store.events.verify()
    assert last == store.events.list()[-1]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE event SET who = 'ben' WHERE n = 2", "event 2 .* was altered"),
        ("UPDATE event SET why = 'it is worse' WHERE n = 2", "event 2 .* was altered"),
        ("UPDATE event SET at = '2026-01-01T00:00:00.000000Z' WHERE n = 1", "event 1 .* was altered"),
        ("UPDATE event SET detail = '{}' WHERE n = 3", "event 3 .* was altered"),
        ('UPDATE event SET "to" = "from" WHERE n = 3', "event 3 .* was altered"),
        ("DELETE FROM event WHERE n = 2", "event 2 is missing"),
        ("DELETE FROM event WHERE n = 4", "not where event 4 put it"),
        ("UPDATE event SET hash = 'x' WHERE n = 2", "event 2 .* was altered"),
        ("UPDATE event SET previous = 'x' WHERE n = 2", "event 2 does not follow"),
        ("UPDATE pointer SET release = previous", "current is not where event 4 put it"),
        ("DELETE FROM pointer", "current, which event 4 moved, is gone"),
    ],
)
def test_whatever_is_altered_is_found(backend: Backend, store: Store, tmp_path: Path, sql: str, said: str) -> None:
    """A changed or missing event, or a pointer that moved without one, breaks the chain at a place that is named."""
    releases = [some_release(store, tmp_path / "service", n) for n in (1, 2)]
    for generation, release in enumerate(releases):
        store.pointers.move("tumour", release.id, DEPLOY, expected=generation)
    backend.execute(sql)
    with pytest.raises(GateFailed, match=said):
        store.events.verify()


@pytest.mark.parametrize("sql", ["UPDATE event SET who = 'ben'", "DELETE FROM event", "DELETE FROM release"])
def test_the_database_itself_refuses_to_alter_the_record(store: Store, tmp_path: Path, sql: str) -> None:
    """Not even a mistake of ours can change or remove an event or a release."""
    some_release(store, tmp_path / "service")
    with pytest.raises(Exception, match="never"), store.transaction():
        store.database.run(sql)
    assert len(store.events.list()) == 1


def test_changes_that_belong_together_happen_together(store: Store, tmp_path: Path) -> None:
    """Where the second of two changes fails, the first has not happened."""
    release = some_release(store, tmp_path / "service")

    def twice() -> None:
        with store.transaction():
            store.pointers.move("tumour", release.id, DEPLOY, expected=0)
            store.pointers.move("tumour", release.id, DEPLOY, expected=0)

    with pytest.raises(Conflict):
        twice()
    assert store.pointers.list() == []
    assert len(store.events.list()) == 1


def test_a_part_that_failed_does_not_undo_the_whole(store: Store, tmp_path: Path) -> None:
    """Whoever expects a conflict within a transaction may go on."""
    release = some_release(store, tmp_path / "service")
    with store.transaction():
        with pytest.raises(Conflict):
            store.pointers.move("tumour", release.id, DEPLOY, expected=9)
        store.pointers.move("tumour", release.id, DEPLOY, expected=0)
    assert store.events.verify()


def test_a_move_meanwhile_is_no_fraud(
    store: Store, other: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record is verified while others deploy: a pointer that moved after its events were read is looked at again."""
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    store.pointers.move("tumour", first.id, DEPLOY, expected=0)
    read, moves = EventfulPointers.all, iter([True])

    def move_and_read(database: Database) -> Sequence[Pointer]:
        if next(moves, False):
            other.pointers.move("tumour", second.id, DEPLOY, expected=1)
        return read(database)

    monkeypatch.setattr(EventfulPointers, "all", staticmethod(move_and_read))
    last = store.events.verify()
    assert last is not None
    assert last.to == second.id

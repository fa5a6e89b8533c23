"""Going back: what was taken back does not come into service again by another rollback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.control import deployments, standings
from tenfold.control.stores import opened
from tenfold.errors import Conflict
from tenfold.store import Act
from tests.cli.conftest import Run
from tests.store.making import some_release

SERVICE = "tumour"


def made(folder: Path, count: int = 3) -> str:
    """A store with so many releases, none of them deployed."""
    place = str(folder / "store")
    with opened(place, create=True) as store:
        for number in range(1, count + 1):
            some_release(store, folder / "service", number)
    return place


def finish(place: str) -> None:
    """What a server does with the rollout that is on its way."""
    with opened(place) as store:
        rollout = store.rollouts.open(SERVICE)
        assert rollout is not None
        pointer = store.pointers.get(SERVICE)
        act = Act(rollout.who, "promote")
        store.pointers.move(SERVICE, rollout.to, act, expected=pointer.generation if pointer else 0)
        store.rollouts.change(rollout, "promoted", act, ended=True)


def deploy(place: str, number: int) -> None:
    """Deploy a release, all the way."""
    deployments.deploy(f"{SERVICE}@{number}", place, now=True)
    finish(place)


def answering(place: str) -> int:
    """The number of what answers."""
    with opened(place) as store:
        current = standings.current_of(store, SERVICE)
        assert current is not None
        return current.number


def test_a_second_rollback_never_brings_the_bad_release_back(tmp_path: Path, run: Run) -> None:
    """While the first is on its way it is refused; afterwards it goes one further back, and where there is none it says who
    took back what, and what to do who wants that."""
    place = made(tmp_path)
    for number in (1, 2, 3):
        deploy(place, number)
    assert deployments.rollback(SERVICE, place).release.number == 2
    with pytest.raises(Conflict, match=r"tumour@3 was taken back at ..:.. UTC by .*, and tumour@2 answers"):
        deployments.rollback(SERVICE, place)
    finish(place)
    assert deployments.rollback(SERVICE, place).release.number == 1
    finish(place)
    done = run("rollback", SERVICE, "--store", place)
    assert done.code == 5
    assert "tumour@2 was taken back at" in done.err
    assert f"tenfold deploy tumour@2 --store {place} if you mean it" in done.err
    assert answering(place) == 1


def test_what_is_deployed_again_by_somebody_counts_again(tmp_path: Path) -> None:
    """Of 1, 2 (taken back), 2 again and 3, a rollback goes to 2."""
    place = made(tmp_path)
    deploy(place, 1)
    deploy(place, 2)
    deployments.rollback(SERVICE, place)
    finish(place)
    deploy(place, 2)
    deploy(place, 3)
    assert deployments.rollback(SERVICE, place).release.number == 2


def test_what_is_being_done_is_said_as_it_is(tmp_path: Path, run: Run) -> None:
    """What answers and still bakes is not deployed again; what is on its way is taken back, and what answers stays."""
    place = made(tmp_path)
    deploy(place, 1)
    deployments.deploy(f"{SERVICE}@2", place)
    with opened(place) as store:
        rollout = store.rollouts.open(SERVICE)
        assert rollout is not None
        store.rollouts.change(rollout, "stepping", Act("tenfold", "shift"))
    done = run("rollback", SERVICE, "--store", place)
    assert "stays with tumour@1" in done.out
    assert "; tumour@2 is taken back" in done.out
    assert "tumour@2 is being taken back" in run("deploy", f"{SERVICE}@2", "--store", place).err
    with opened(place) as store:
        rollout = store.rollouts.open(SERVICE)
        assert rollout is not None
        pointer = store.pointers.get(SERVICE)
        assert pointer is not None
        store.pointers.move(SERVICE, rollout.to, Act("tenfold", "promote"), expected=pointer.generation)
        store.rollouts.change(rollout, "baking", Act("tenfold", "bake"), detail={})
    assert run("deploy", f"{SERVICE}@2", "--store", place).out.startswith("nothing")

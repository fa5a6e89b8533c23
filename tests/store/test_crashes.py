"""Killed at any moment: what was acknowledged is there, what is there is whole, and the next one goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold.store import Store, open_store, trees
from tenfold.store.archive import backup, unpack
from tests.store.making import some_release

REPOSITORY = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("TENFOLD_CRASH_ROUNDS", "5"))

WORKER = """
import random, sys
from pathlib import Path
from tenfold.errors import TenfoldError
from tenfold.store import Act, open_store
from tenfold.store.sqlite import SQLite
from tenfold.store.sweep import sweep
from tests.store.making import some_release

place, name, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
chance = random.Random(seed)
store = open_store(place, create=True)
print("ready", flush=True)
while True:
    n = chance.randrange(1, 60)
    try:
        release = some_release(store, place.parent / f"{name}-{seed}", n)
        print("pushed", release.number, release.id, flush=True)
        pointer = store.pointers.get("tumour")
        moved = store.pointers.move(
            "tumour", release.id, Act(name, "deploy", "to see"), expected=pointer.generation if pointer else 0
        )
        print("moved", moved.generation, moved.release, flush=True)
        store.materialise(release)
        lease = store.leases.acquire("rollouts", name, 0.05)
        rollout = store.rollouts.open("tumour")
        if lease and rollout is None:
            store.rollouts.begin("tumour", release.id, Act(name, "rollout"), plan={}, fence=lease)
        elif lease:
            store.rollouts.change(rollout, "promoted", Act(name, "promote"), ended=True, fence=lease)
        if chance.random() < 0.2:
            store.database.checkpoint()
        if chance.random() < 0.2:
            sweep(store, name, grace_s=0.2)
    except TenfoldError as error:
        if error.exit_code != 5:  # somebody else was quicker
            raise
"""


def killed(place: Path, chance: random.Random, workers: int) -> list[str]:
    """Let processes work on a store and kill each at a random moment; what they acknowledged."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(place), f"worker{k}", str(chance.randrange(10**6))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for k in range(workers)
    ]
    said: list[str] = []
    for worker in running:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in running:
        time.sleep(chance.uniform(0, 0.25))
        worker.send_signal(signal.SIGKILL)
    for worker in running:
        out, err = worker.communicate()
        assert not err, err
        said += out.splitlines()
    return said


def require_whole(store: Store, said: list[str]) -> None:
    """Raise unless everything acknowledged is there, and everything that is there is consistent."""
    store.events.verify()
    released = {release.number: release for release in store.releases.list("tumour")}
    assert sorted(released) == list(range(1, len(released) + 1)), "a number is missing or twice there"
    pointer = store.pointers.get("tumour")
    moves = [event for event in store.events.list("tumour") if event.what == "deploy"]
    assert len(moves) == (pointer.generation if pointer else 0)
    for line in said:
        match line.split():
            case ["pushed", number, digest]:
                assert released[int(number)].id == digest
            case ["moved", generation, digest]:
                assert moves[int(generation) - 1].to == digest
    for release in released.values():
        assert all(store.blobs.read(digest) is not None for digest in trees.needed(store.blobs, release))
    assert len([one for one in store.rollouts.list() if one.ended is None]) <= 1


@pytest.mark.slow
def test_processes_are_killed_at_any_moment(tmp_path: Path) -> None:
    """Pushers, deployers, checkpointers and sweepers die in the middle of it, again and again, on one store."""
    chance = random.Random(os.environ.get("TENFOLD_CRASH_SEED", "1"))
    said: list[str] = []
    for _ in range(ROUNDS):
        said += killed(tmp_path / "store", chance, workers=2)
        store = open_store(tmp_path / "store")
        require_whole(store, said)
        store.close()
    assert any(line.startswith("moved") for line in said)
    store = open_store(tmp_path / "store")
    backup(store, tmp_path / "backup.tar")
    unpack(tmp_path / "backup.tar", tmp_path / "again")
    again = open_store(tmp_path / "again")
    require_whole(again, said)
    for release in again.releases.list():
        again.materialise(release)
    for one in (store, again):
        one.close()


@pytest.mark.slow
def test_two_pushers_at_once_get_different_numbers(tmp_path: Path) -> None:
    """Whoever pushes something else at the same moment gets the next number; the same thing, the same number."""
    program = (
        "import sys; from pathlib import Path; from tenfold.store import open_store; "
        "from tests.store.making import some_release; "
        "store = open_store(Path(sys.argv[1]), create=True); "
        "print(*[some_release(store, Path(sys.argv[2]), n).number for n in map(int, sys.argv[3:])])"
    )
    pushers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "store"), str(tmp_path / f"service{k}"), *map(str, numbers)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
        for k, numbers in enumerate([range(1, 20), range(10, 30)])
    ]
    first, second = ([int(word) for word in pusher.communicate()[0].split()] for pusher in pushers)
    assert first[9:] == second[:10]
    assert len({*first, *second}) == 29
    store = open_store(tmp_path / "store")
    assert [release.number for release in store.releases.list()][::-1] == list(range(1, 30))
    assert some_release(store, tmp_path / "again", 7).number == first[6]
    store.close()

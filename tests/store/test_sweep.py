"""Collection: what nothing refers to goes in time, and nothing else ever does."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.errors import TenfoldError
from tenfold.store import Act, Store, trees
from tenfold.store.records import Profile
from tenfold.store.sweep import sweep
from tests.store.conftest import Backend, Clock, Embedded
from tests.store.making import push, some_release, write


def test_orphans_go_after_the_grace_and_not_before(
    backend: Backend, store: Store, clock: Clock, tmp_path: Path
) -> None:
    """What was pushed without its release being named, as by a push that was killed, is removed a day later."""
    release = some_release(store, tmp_path / "service")
    orphan = store.blobs.put(b"half of a push")
    backend.date(clock.now - timedelta(hours=12))
    assert sweep(store, "anna").blobs == 0
    backend.date(clock.now - timedelta(days=2))
    swept = sweep(store, "anna")
    assert (swept.blobs, swept.bytes) == (1, len(b"half of a push"))
    assert store.blobs.find(orphan) is None
    assert store.materialise(release).is_dir()


def test_old_releases_give_up_their_files_where_asked(
    backend: Backend, store: Store, clock: Clock, tmp_path: Path
) -> None:
    """The newest stay, and what answers, answered before or is on its way; numbers and events stay for good."""
    releases = [some_release(store, tmp_path / "service", n) for n in range(1, 8)]
    for generation, k in enumerate((0, 2)):
        store.pointers.move("tumour", releases[k].id, Act("anna", "deploy"), expected=generation)
    store.rollouts.begin("tumour", releases[3].id, Act("anna", "rollout"), from_=releases[2].id, plan={})
    folders = [store.materialise(release) for release in releases]
    (folders[0].parent / ".left").mkdir()
    os.utime(folders[0].parent / ".left", (0, 0))
    clock.advance(2 * 86_400)
    backend.date(clock.now - timedelta(days=2))
    swept = sweep(store, "anna", keep=2)
    assert [folder.exists() for folder in folders] == [True, False, True, True, False, True, True]
    assert not (folders[0].parent / ".left").exists()
    assert swept.releases == ("tumour@5", "tumour@2")
    assert swept.blobs > 0
    for k in (0, 2, 3, 5, 6):
        assert store.materialise(releases[k], tmp_path / f"made{k}").is_dir()
    assert [release.number for release in store.releases.list("tumour")] == [7, 6, 5, 4, 3, 2, 1]
    assert [event.what for event in store.events.list()][-2:] == ["collect", "collect"]
    assert store.events.verify()


def test_what_profiles_and_gates_refer_to_stays(backend: Backend, store: Store, clock: Clock) -> None:
    """Evidence outlives the sweep."""
    content = store.blobs.put(b"counts")
    now = clock()
    store.profiles.add(
        Profile(service="tumour", release="r", kind="live", since=now, until=now, rows=1, content=content)
    )
    backend.date(clock.now - timedelta(days=9))
    assert sweep(store, "anna").blobs == 0
    assert store.blobs.read(content) == b"counts"


def test_nothing_is_removed_where_a_manifest_is_damaged(
    backend: Backend, store: Store, clock: Clock, tmp_path: Path
) -> None:
    """Where it cannot be told what is needed, everything stays."""
    release = some_release(store, tmp_path / "service")
    orphan = store.blobs.put(b"orphan")
    store.blobs.remove(release.parts["code"])
    backend.date(clock.now - timedelta(days=9))
    with pytest.raises(TenfoldError):
        sweep(store, "anna")
    assert store.blobs.find(orphan)


def test_a_push_between_mark_and_sweep_loses_nothing(
    backend: Backend, store: Store, other: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that is added while a sweep is under way, of files that were orphans when it began, keeps them."""
    some_release(store, tmp_path / "service")
    write(tmp_path / "late", service__py="x = 1", model__skops="model")
    pushed = push(store, tmp_path / "late", "fraud")
    store.blobs.tidy(0)
    backend.date(clock.now - timedelta(days=9))
    each = type(store.blobs).each

    def each_and_push(blobs: object) -> object:
        found = list(each(store.blobs))
        some_release(other, tmp_path / "again", 7, "fraud")
        return iter(found)

    monkeypatch.setattr(type(store.blobs), "each", each_and_push)
    sweep(store, "anna", grace_s=0)
    for release in store.releases.list():
        assert store.materialise(release).is_dir()
    assert pushed.id in {release.id for release in store.releases.list()}


@settings(suppress_health_check=list(HealthCheck), max_examples=10)
@given(
    st.lists(st.tuples(st.sampled_from(["push", "orphan", "deploy", "sweep", "wait"]), st.integers(1, 4)), max_size=12)
)
def test_whatever_is_named_is_whole(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]) -> None:
    """After any sequence of pushes, deployments and sweeps, every release that has not given up its files is whole."""
    folder = tmp_path_factory.mktemp("sweep")
    clock = Clock()
    backend = Embedded(folder, clock)
    store = backend.open()
    try:
        for step, n in steps:
            match step:
                case "push":
                    some_release(store, folder / "service", n)
                case "orphan":
                    store.blobs.put(f"orphan {n}".encode())
                case "deploy" if release := store.releases.by_number("tumour", n):
                    if not release.collected:
                        pointer = store.pointers.get("tumour")
                        expected = pointer.generation if pointer else 0
                        store.pointers.move("tumour", release.id, Act("anna", "deploy"), expected=expected)
                case "sweep":
                    backend.date(clock.now - timedelta(days=1))
                    sweep(store, "anna", grace_s=n, keep=n - 1)
                case _:
                    clock.advance(n * 3)
        kept = [release for release in store.releases.list() if not release.collected]
        for release in kept:
            assert all(store.blobs.find(digest) for digest in trees.needed(store.blobs, release))
        for pointer in store.pointers.list():
            assert pointer.release in {release.id for release in kept}
        store.events.verify()
    finally:
        store.close()

"""Releases: the same is the same, numbers count up, and a person's name of one is understood or explained."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.errors import NotFound, TenfoldError, UsageError
from tenfold.service.manifest import release_id
from tenfold.store import Absent, Act, Store, resolve
from tests.store.making import some_release

DEPLOY = Act("anna", "deploy")


def test_the_same_parts_are_the_same_release(store: Store, other: Store, tmp_path: Path) -> None:
    """Pushed twice, by two people: one release, one number, one event."""
    first = some_release(store, tmp_path / "service")
    assert some_release(other, tmp_path / "service") == first
    assert first.id == release_id(first.parts)
    assert [event.what for event in store.events.list()] == ["push"]


def test_numbers_count_up_within_a_service(store: Store, tmp_path: Path) -> None:
    """Each service has its own numbers, and none is used twice."""
    names = [some_release(store, tmp_path / "service", n).name for n in (1, 2, 1, 3)]
    names.append(some_release(store, tmp_path / "other", service="fraud").name)
    assert names == ["tumour@1", "tumour@2", "tumour@1", "tumour@3", "fraud@1"]
    assert store.releases.services() == ["fraud", "tumour"]
    assert [release.number for release in store.releases.list("tumour")] == [3, 2, 1]
    assert len(store.releases.list()) == 4


def test_unknown_parts_are_kept(store: Store) -> None:
    """A part that only a newer version or a plug-in knows is a part of the id all the same."""
    digest = store.blobs.put(b"x\0" + b"0" * 64 + b"\n")
    release, _ = store.releases.add("tumour", {"code": digest, "profile": digest}, who="anna")
    assert store.releases.by_id("tumour", release.id) == release
    assert release.parts["profile"] == digest
    assert release.id != release_id({"code": digest})


def test_a_release_without_its_blobs_is_not_added(store: Store) -> None:
    """Whatever was swept away while it was pushed is told, and nothing is on record."""
    with pytest.raises(Absent) as caught:
        store.releases.add("tumour", {"code": "a" * 64}, who="anna", needs=["a" * 64])
    assert caught.value.digests == ["a" * 64]
    assert store.releases.list() == []
    assert store.events.list() == []


def test_names_are_understood(store: Store, tmp_path: Path) -> None:
    """By number, by the beginning of an id, as the latest, the current and the previous one; with or without the service."""
    first, second, third = (some_release(store, tmp_path / "service", n) for n in (1, 2, 3))
    assert resolve(store, "tumour") == third
    for generation, release in enumerate((first, second)):
        store.pointers.move("tumour", release.id, DEPLOY, expected=generation)
    found = {
        name: resolve(store, name).number
        for name in ("tumour", "tumour@current", "tumour@latest", "tumour@previous", "tumour@1", "@2", "@latest")
    }
    assert list(found.values()) == [2, 2, 3, 1, 1, 2, 3]
    assert resolve(store, f"tumour@{third.id[:7]}") == third
    assert resolve(store, f"@{first.id}") == first


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("tumour@9", "tumour has no release '9'", "the newest is tumour@2"),
        ("tumour@abcdef1", "tumour has no release 'abcdef1'", "tenfold releases tumour"),
        ("tumor@1", "no service 'tumor'", "did you mean tumour?"),
        ("@1", "the store has 2 services", "name one: fraud, tumour"),
        ("tumour@previous", "nothing answered for tumour before", "tenfold releases tumour"),
        ("tumour@canary", "tumour has no release 'canary'", "tenfold releases tumour"),
        ("tumour@", "is no name of a release", "NAME@N"),
        ("Tumour@1", "is no name of a release", "NAME@N"),
        ("../x@1", "is no name of a release", "NAME@N"),
    ],
)
def test_names_that_mean_nothing_are_explained(
    store: Store, tmp_path: Path, name: str, message: str, hint: str
) -> None:
    """An error says what there is, and what was probably meant."""
    for n in (1, 2):
        some_release(store, tmp_path / "service", n)
    some_release(store, tmp_path / "other", service="fraud")
    with pytest.raises(TenfoldError, match=message) as caught:
        resolve(store, name)
    assert hint in caught.value.hint


def test_an_empty_store_says_how_to_begin(store: Store) -> None:
    """Whoever asks too early is told the first step."""
    with pytest.raises(NotFound, match="no releases") as caught:
        resolve(store, "tumour@1")
    assert caught.value.hint.startswith("tenfold push")


def test_a_beginning_that_two_ids_share_is_not_guessed(store: Store) -> None:
    """Too few digits name none rather than the wrong one."""
    parts: dict[str, dict[str, str]] = {}
    alike: list[dict[str, str]] = []
    for n in range(5000):
        made = {"code": f"{n:064x}"}
        start = release_id(made)[:4]
        if start in parts and not start.isdecimal():
            alike = [parts[start], made]
            break
        parts[start] = made
    for made in alike:
        store.releases.add("tumour", made, who="anna")
    with pytest.raises(UsageError, match="several releases of tumour begin with"):
        resolve(store, f"tumour@{release_id(alike[0])[:4]}")

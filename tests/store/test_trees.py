"""A release as a folder: every byte proven, all of it or nothing, and nothing outside of it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import Conflict, GateFailed, NotFound
from tenfold.service.manifest import Tree, tree
from tenfold.store import Store, trees
from tenfold.store.records import Release
from tests.store.conftest import Backend
from tests.store.making import FORM, push, some_release, write


def test_a_release_becomes_the_folder_that_it_was(store: Store, tmp_path: Path) -> None:
    """Every file is there again with its content, and the folder says which release it is."""
    source = write(tmp_path / "service", service__py="x = 1", sub___features__py="y = 2", model__skops="weights")
    release = push(store, source)
    made = store.materialise(release)
    assert (made / "sub" / "features.py").read_text() == "y = 2"
    assert (made / "model.skops").read_text() == "weights"
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert files == {"service.py", "sub/features.py", "model.skops", ".tenfold/release.json"}
    said = msgspec.json.decode((made / ".tenfold" / "release.json").read_bytes())
    assert (said["service"], said["id"], said["parts"]) == ("tumour", release.id, release.parts)
    assert trees.forms(store.blobs, release) == (FORM, FORM)
    assert store.spec(release).name == "tumour"


def test_a_folder_that_is_whole_is_left_as_it_is(store: Store, tmp_path: Path) -> None:
    """A second start costs no copy; bytecode, which would run instead of the source, does not stay wherever the store is."""
    made = store.materialise(some_release(store, tmp_path / "service"))
    before = (made / "service.py").stat().st_ino
    (made / "__pycache__").mkdir()
    (made / "__pycache__" / "service.pyc").write_text("bytecode")
    (made / ".tenfold" / "evidence.json").write_text("{}")
    assert store.materialise(some_release(store, tmp_path / "service")) == made
    assert (made / "service.py").stat().st_ino == before
    assert not (made / "__pycache__").exists()


def test_planted_bytecode_does_not_run_below_any_folder(store: Store, tmp_path: Path) -> None:
    """Bytecode that claims to be the source's is gone, and a file is looked at whatever the folders above are called."""
    release = some_release(store, tmp_path / "service")
    made = trees.materialise(store.blobs, release, tmp_path / "__pycache__" / "made")
    (made / "sub" / "__pycache__").mkdir(parents=True)
    (made / "sub" / "__pycache__" / "features.cpython-311.pyc").write_bytes(b"evil")
    (made / "service.py").write_text("evil = 1")
    trees.materialise(store.blobs, release, made)
    assert (made / "service.py").read_text() == "VERSION = 1"
    assert not list(made.rglob("*.pyc"))


def test_a_release_that_loads_keeps_its_folder(store: Store, tmp_path: Path) -> None:
    """However often a folder is proven while a replica loads from it and Python keeps bytecode there, it stays the same."""
    release = some_release(store, tmp_path / "service")
    made = store.materialise(release)
    before, over = (made / "service.py").stat().st_ino, threading.Event()

    def load() -> None:
        while not over.is_set():
            with suppress(OSError):  # it was thrown away at that moment
                (made / "__pycache__").mkdir(exist_ok=True)
                (made / "__pycache__" / "service.pyc").write_bytes(b"bytecode")

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for _ in range(100):
            store.materialise(release)
            assert (made / "service.py").stat().st_ino == before
    finally:
        over.set()
        loading.join()


@pytest.mark.parametrize("change", ["altered", "added", "lost", "linked"])
def test_a_folder_that_was_changed_is_made_anew(store: Store, tmp_path: Path, change: str) -> None:
    """Nobody serves a file that was edited, slipped in, removed or linked after it was proven."""
    release = some_release(store, tmp_path / "service")
    made = store.materialise(release)
    match change:
        case "altered":
            (made / "service.py").write_text("evil = 1")
        case "added":
            (made / "numpy.py").write_text("evil = 1")
        case "lost":
            (made / "service.py").unlink()
        case _:
            (made / "model.skops").unlink()
            (made / "model.skops").symlink_to("/etc/hostname")
    store.materialise(release)
    assert (made / "service.py").read_text() == "VERSION = 1"
    assert (made / "model.skops").read_text() == "model 1"
    assert not (made / "model.skops").is_symlink()
    assert not (made / "numpy.py").exists()


def test_several_may_make_the_same_folder_at_once(store: Store, tmp_path: Path) -> None:
    """Servers that start together on one machine share the folder, and none of them fails."""
    release = some_release(store, tmp_path / "service")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: trees.materialise(store.blobs, release, tmp_path / "made"), range(16)))
    assert set(made) == {tmp_path / "made"}
    assert (tmp_path / "made" / "service.py").read_text() == "VERSION = 1"
    assert not list(tmp_path.glob(".made*"))


def test_tampered_contents_are_refused_with_the_reason(backend: Backend, store: Store, tmp_path: Path) -> None:
    """A file that was altered in the store makes no folder, not even half of one."""
    release = some_release(store, tmp_path / "service")
    digest = trees.files(store.blobs, release.parts["model"])["model.skops"]
    backend.alter(digest, b"evil")
    with pytest.raises(GateFailed, match="damaged or altered"):
        store.materialise(release, tmp_path / "made")
    assert not (tmp_path / "made").exists()
    assert not list(tmp_path.glob(".made*"))


def test_a_tampered_manifest_is_refused(store: Store, tmp_path: Path) -> None:
    """Parts that do not make the id are not the release."""
    first, second = (some_release(store, tmp_path / "service", n) for n in (1, 2))
    swapped = msgspec.structs.replace(first, parts=first.parts | {"model": second.parts["model"]})
    with pytest.raises(GateFailed, match="manifest of tumour@1 was altered"):
        store.materialise(swapped, tmp_path / "made")


ESCAPES = [
    "../evil.py",
    "/etc/evil",
    "a/../../b",
    "a//b",
    "./a",
    "",
    "a/",
    "..",
    "a\\b",
    ".tenfold/x",
    "__pycache__/service.cpython-311.pyc",
    "a\x01b",
    "x" * 2000,
]


@pytest.mark.parametrize("name", ESCAPES)
def test_no_name_leads_out_of_the_folder(store: Store, tmp_path: Path, name: str) -> None:
    """A listing with a name that would be written elsewhere is refused, whoever made it and however it was signed."""
    content = store.blobs.put(b"evil")
    listing = store.blobs.put(f"{name}\0{content}\n".encode())
    parts = {"code": listing, "contract": store.blobs.put(b"")}
    release, _ = store.releases.add("tumour", parts, who="mallory")
    with pytest.raises(GateFailed):
        store.materialise(release, tmp_path / "made")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "listing", [b"", b"x", b"x\0y\n", b"x\0" + b"0" * 64, b"a\0" + b"0" * 64 + b"\nb", b"\0" + b"0" * 64 + b"\n"]
)
def test_what_is_no_listing_is_refused(store: Store, listing: bytes) -> None:
    """Something else in the place of a list of files is named as such."""
    with pytest.raises(GateFailed, match="is no list of files"):
        trees.files(store.blobs, store.blobs.put(listing))


def test_parts_that_contradict_each_other_make_no_folder(store: Store, tmp_path: Path) -> None:
    """Two parts with different contents for one file, or a file where another has a folder, are a conflict."""
    for k, (one, two) in enumerate([("a.py", "a.py"), ("a", "a/b.py")]):
        parts: dict[str, str] = {"contract": store.blobs.put(b"")}
        for part, name in (("code", one), ("environment", two)):
            content = store.blobs.put(part.encode())
            parts[part] = store.blobs.put(f"{name}\0{content}\n".encode())
        release, _ = store.releases.add(f"s{k}", parts, who="anna")
        with pytest.raises(Conflict, match="disagree about a"):
            store.materialise(release, tmp_path / "made")


def test_a_part_stands_below_its_root(store: Store, tmp_path: Path) -> None:
    """A model in a folder of its own is found there again; a root leads nowhere else."""
    write(tmp_path / "service", models___model__skops="weights")
    part = tree([tmp_path / "service" / "models" / "model.skops"], tmp_path / "service" / "models")
    digest = trees.keep(store.blobs, part)[-1]
    contract = store.blobs.put(b"")
    release, _ = store.releases.add(
        "tumour", {"model": digest, "contract": contract}, who="anna", roots={"model": "models"}
    )
    assert (store.materialise(release) / "models" / "model.skops").read_text() == "weights"
    astray = msgspec.structs.replace(release, roots={"model": "../.."})
    with pytest.raises(GateFailed):
        store.materialise(astray, tmp_path / "made")


def test_a_collected_release_says_so(store: Store, tmp_path: Path) -> None:
    """Whoever asks for files that were given up is told how to get them back; and pushing does that."""
    release = some_release(store, tmp_path / "service")
    store.releases.collect(release)
    collected = store.releases.by_number("tumour", 1)
    assert collected is not None
    with pytest.raises(NotFound, match="were given up 2026-11-23"):
        store.materialise(collected)
    assert some_release(store, tmp_path / "service").number == 1
    back = store.releases.by_number("tumour", 1)
    assert back == release
    assert store.materialise(release).is_dir()


def _names() -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\\ufffd")
    part = st.text(letters, min_size=1, max_size=8).filter(lambda text: text not in (".", "..", ".tenfold"))
    return st.lists(part, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(_names(), st.binary(max_size=3), min_size=1, max_size=5))
def test_a_listing_is_read_as_it_was_written(contents: dict[str, bytes]) -> None:
    """Whatever a person calls a file, its name and its digest come back."""
    named = {name: f"{k:064x}" for k, name in enumerate(contents)}
    listing = Tree(Path(), tuple(named.items())).listing

    class Memory:
        def read(self, digest: str) -> bytes:
            return listing

    if all(not name.lower().startswith(".tenfold/") for name in named):
        assert trees.files(Memory(), "") == named  # type: ignore[arg-type]


def test_everything_that_a_release_needs_is_named(store: Store, tmp_path: Path) -> None:
    """A backup of what a release needs is whole."""
    release: Release = some_release(store, tmp_path / "service")
    assert set(trees.needed(store.blobs, release)) == {blob.digest for blob in store.blobs.each()}

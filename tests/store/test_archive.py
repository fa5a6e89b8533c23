"""Backups: a whole store in one file, and nothing from a file that is none."""

from __future__ import annotations

import hashlib
import io
import shutil
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tenfold.errors import Conflict, GateFailed, TenfoldError
from tenfold.store import Act, Store, archive, open_store
from tests.store.conftest import Backend
from tests.store.making import some_release


@pytest.fixture
def full(store: Store, tmp_path: Path) -> Store:
    """A store with two releases, of which one is deployed, and something that nothing refers to."""
    releases = [some_release(store, tmp_path / "service", n) for n in (1, 2)]
    store.pointers.move("tumour", releases[1].id, Act("anna", "deploy"), expected=0)
    store.blobs.put(b"orphan")
    return store


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz"])
def test_a_restored_store_is_the_same(full: Store, tmp_path: Path, name: str) -> None:
    """Releases, pointers and events are there again, every content is proven, and orphans stay behind."""
    archive.backup(full, tmp_path / name)
    archive.unpack(tmp_path / name, tmp_path / "again")
    again = open_store(tmp_path / "again")
    try:
        assert again.releases.list() == full.releases.list()
        assert again.pointers.list() == full.pointers.list()
        assert again.events.verify() == full.events.verify()
        for release in again.releases.list():
            again.materialise(release)
        assert {blob.digest for blob in full.blobs.each()} - {blob.digest for blob in again.blobs.each()} != set()
    finally:
        again.close()


def test_nothing_is_overwritten(full: Store, tmp_path: Path) -> None:
    """A store that is there stays as it is."""
    archive.backup(full, tmp_path / "backup.tar")
    archive.restore(tmp_path / "backup.tar", str(tmp_path / "again"))
    with pytest.raises(Conflict, match="there is a store"):
        archive.restore(tmp_path / "backup.tar", str(tmp_path / "again"))


def test_a_tampered_store_is_not_backed_up(full: Store, backend: Backend, tmp_path: Path) -> None:
    """A backup that could not be restored is not made; half of one is not left."""
    backend.alter(hashlib.sha256(b"model 1").hexdigest(), b"evil")
    with pytest.raises(GateFailed):
        archive.backup(full, tmp_path / "backup.tar")
    assert not list(tmp_path.glob("*backup.tar*"))


def _rewritten(
    source: Path, target: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]
) -> None:
    """A copy of an archive with other members."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            for info, data in change(member, content.read()):
                info.size = len(data) if info.isreg() else 0
                new.addfile(info, io.BytesIO(data))


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


BLOB = "blobs/00/" + "0" * 64
FOREIGN = {
    "path traversal": [(_member("../evil"), b"evil")],
    "an absolute path": [(_member("/tmp/evil"), b"evil")],
    "a path within a blob's folder": [(_member("blobs/00/../../evil"), b"evil")],
    "a symbolic link": [(_member(BLOB, tarfile.SYMTYPE, "/etc/passwd"), b"")],
    "a hard link": [(_member(BLOB, tarfile.LNKTYPE, "store.db"), b"")],
    "a folder": [(_member("blobs/00", tarfile.DIRTYPE), b"")],
    "a device": [(_member(BLOB, tarfile.CHRTYPE), b"")],
    "another file": [(_member("store.db-wal"), b"evil")],
    "a second database": [(_member("store.db"), b"evil")],
    "a content under another name": [(_member(BLOB), b"evil")],
}


@pytest.mark.parametrize("extra", FOREIGN.values(), ids=FOREIGN)
def test_an_archive_with_anything_else_in_it_is_refused(
    full: Store, tmp_path: Path, extra: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    """Names that lead elsewhere, links, devices and strangers are refused, and no store is made."""
    archive.backup(full, tmp_path / "backup.tar")
    added = iter([extra])
    _rewritten(tmp_path / "backup.tar", tmp_path / "evil.tar", lambda info, data: [*next(added, []), (info, data)])
    with pytest.raises(GateFailed):
        archive.unpack(tmp_path / "evil.tar", tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("lost", ["store.db", "blobs/"])
def test_an_archive_that_lacks_something_is_refused(full: Store, tmp_path: Path, lost: str) -> None:
    """Without its database, or with a content missing, an archive is no backup."""
    archive.backup(full, tmp_path / "backup.tar")
    dropped: list[str] = []

    def drop(info: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if info.name.startswith(lost) and not dropped:
            dropped.append(info.name)
            return []
        return [(info, data)]

    _rewritten(tmp_path / "backup.tar", tmp_path / "less.tar", drop)
    with pytest.raises(TenfoldError):
        archive.unpack(tmp_path / "less.tar", tmp_path / "again")
    assert not (tmp_path / "again" / "store.db").exists()


def test_an_archive_with_an_altered_history_is_refused(full: Store, tmp_path: Path) -> None:
    """Events that were rewritten within an archive are found before it becomes a store."""
    archive.backup(full, tmp_path / "backup.tar")

    def rewrite(info: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
        if info.name == "store.db":
            path = tmp_path / "altered.db"
            path.write_bytes(data)
            connection = sqlite3.connect(path)
            connection.executescript("DROP TRIGGER event_is_not_altered; UPDATE event SET who = 'ben' WHERE n = 1;")
            connection.close()
            data = path.read_bytes()
        return [(info, data)]

    _rewritten(tmp_path / "backup.tar", tmp_path / "altered.tar", rewrite)
    with pytest.raises(GateFailed, match=r"event 1 .* was altered"):
        archive.unpack(tmp_path / "altered.tar", tmp_path / "again")
    assert not (tmp_path / "again" / "store.db").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive_is_refused(full: Store, tmp_path: Path, share: float) -> None:
    """A copy that broke off is named as such, wherever it did."""
    archive.backup(full, tmp_path / "backup.tar")
    whole = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "half.tar").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(TenfoldError):
        archive.unpack(tmp_path / "half.tar", tmp_path / "again")
    assert not (tmp_path / "again" / "store.db").exists()


def test_an_archive_that_does_not_fit_is_refused_before_it_is_written(
    full: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An oversized file is said by its header, and the disk isn't filled with it."""
    archive.backup(full, tmp_path / "backup.tar")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(TenfoldError, match="no room"):
        archive.unpack(tmp_path / "backup.tar", tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []

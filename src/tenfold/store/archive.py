"""A whole store in one file, and back: a tar archive of the database as it was at one moment and what it refers to.

Whoever reads an archive trusts nothing in it: it has plain files of known names only, each blob is proven by its name, and
the chain of events has to hold before anything of it is a store.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tenfold.errors import Conflict, GateFailed, TenfoldError
from tenfold.store.blobs import BLOCK, sync, unwritable
from tenfold.store.database import Database, migrate
from tenfold.store.opening import Store, open_store
from tenfold.store.places import FILE, folder_of, is_shared
from tenfold.store.postgres import PostgreSQL
from tenfold.store.sqlite import SQLite
from tenfold.store.sweep import Referred

BLOBS = "blobs"
GENERATION = "generation"

_BLOB = re.compile(r"blobs/[0-9a-f]{2}/(?P<digest>[0-9a-f]{64})")


def backup(store: Store, target: Path) -> int:
    """Write the store to an archive (``.tar``, or ``.tar.gz``); its size in bytes. Others may write to the store meanwhile.

    ``GateFailed`` where a blob of it was altered: then there is no archive.
    """
    with (
        _told(target, target.parent),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name,
    ):
        work = Path(name)
        _snapshot(store.database, work / FILE)
        with tarfile.open(work / "archive", "w:gz" if target.suffix in (".gz", ".tgz") else "w") as archive:
            _pack(archive, work / FILE, FILE)
            for digest in sorted(Referred(store).now()):
                store.blobs.copy(digest, work / digest)
                _pack(archive, work / digest, f"{BLOBS}/{digest[:2]}/{digest}")
                (work / digest).unlink()
        with (work / "archive").open("rb") as file:
            os.fsync(file.fileno())
        (work / "archive").replace(target)
        sync(target.parent)
    return target.stat().st_size


def restore(archive: Path, place: str) -> None:
    """Make the store at ``place`` what an archive says, whatever kind of store that was. ``Conflict`` where there is one."""
    if not is_shared(place):
        unpack(archive, folder_of(place))
        return
    with tempfile.TemporaryDirectory(prefix="tenfold-") as name:
        store = open_store(unpack(archive, Path(name) / "store"), any_schema=True)
        try:
            migrate(store.database)
            _carry(store, place, Path(name))
        finally:
            store.close()


def _carry(source: Store, place: str, work: Path) -> None:
    """Fill an empty store for several machines: contents first, then everything that names them in one transaction."""
    assert isinstance(source.database, SQLite)
    target = open_store(place, create=True)
    try:
        for digest in sorted(Referred(source).now()):
            source.blobs.copy(digest, work / digest)
            target.blobs.put(work / digest, digest)
            (work / digest).unlink()
        with target.transaction():
            if target.events.list(most=1):
                raise Conflict(f"there is a store at {target.place} already", "name another; nothing is overwritten")
            _copy(source.database, target.database, source.database.tables())
        target.events.verify()
    finally:
        target.close()


def _snapshot(database: Database, path: Path) -> None:
    """Write a database as it is at this moment to a file of SQLite's."""
    if isinstance(database, SQLite):
        database.snapshot(path)
        return
    assert isinstance(database, PostgreSQL)
    target = SQLite(path, create=True)
    try:
        migrate(target)
        with database.frozen(), target.transaction():
            _copy(database, target, target.tables())
        target.checkpoint()
    finally:
        target.close()


def _copy(source: Database, target: Database, tables: Iterable[str]) -> None:
    for table in tables:
        if table == GENERATION:  # which has its row from the first
            target.run(f"DELETE FROM {GENERATION}")
        target.fill(table, source.each(table))


def unpack(archive: Path, folder: Path) -> Path:
    """Make ``folder`` what an archive says, ready to be opened as a store. ``Conflict`` where there is a store already."""
    if (folder / FILE).exists():
        raise Conflict(f"there is a store at {folder} already", "name a folder without one; nothing is overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    with _told(archive, folder), tempfile.TemporaryDirectory(dir=folder, prefix=".restore-") as name:
        work = Path(name)
        for member, file in _members(archive, folder):
            _unpack_one(work / member, file)
        _require_store(work, archive)
        for path in sorted((work / BLOBS).glob("??/*")):
            target = folder / BLOBS / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        (work / FILE).replace(folder / FILE)  # the last, so that half of it is no store
        sync(folder)
    return folder


def _pack(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = path.stat().st_size, 0o444
    with path.open("rb") as file:
        archive.addfile(member, file)


def _members(path: Path, folder: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of an archive, as long as they are what a backup consists of."""
    free = shutil.disk_usage(folder).free
    seen: set[str] = set()
    with tarfile.open(path) as archive:
        for member in archive:
            if not member.isreg():
                raise _foreign(path, f"{member.name[:80]!r} is no plain file")
            if member.name in seen or not (member.name == FILE or _BLOB.fullmatch(member.name)):
                raise _foreign(path, f"{member.name[:80]!r} is none of the names in a backup, or is there twice")
            free -= member.size
            if free < 0:
                raise TenfoldError(f"{folder} has no room for {path}", f"df -h {folder} shows what is free")
            seen.add(member.name)
            content = archive.extractfile(member)
            assert content is not None  # of a plain file there is one
            yield member.name, content


def _unpack_one(target: Path, file: IO[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    total = hashlib.sha256()
    with target.open("xb") as out:
        while block := file.read(BLOCK):
            total.update(block)
            out.write(block)
        out.flush()
        os.fsync(out.fileno())
    if target.name != FILE:
        target.chmod(0o444)
        if total.hexdigest() != target.name:
            raise GateFailed(f"{target.name[:12]} in the archive was altered", "read another backup")


def _require_store(work: Path, archive: Path) -> None:
    """Raise unless what was unpacked is a whole store."""
    if not (work / FILE).is_file():
        raise _foreign(archive, f"it has no {FILE}")
    store = open_store(work, any_schema=True)
    try:
        assert isinstance(store.database, SQLite)
        if damage := store.database.check():
            raise _foreign(archive, damage[0])
        store.events.verify()
        for digest in Referred(store).now():
            if store.blobs.find(digest) is None:
                raise _foreign(archive, f"the content {digest[:12]} is missing")
        store.database.checkpoint()
    finally:
        store.close()


@contextmanager
def _told(archive: Path, folder: Path) -> Iterator[None]:
    """What is wrong with an archive, or with the folder that is written to, in words of ours."""
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _foreign(archive, str(error) or "it ends early") from None
    except OSError as error:
        raise unwritable(folder, error) from error


def _foreign(path: Path, reason: str) -> GateFailed:
    return GateFailed(f"{path} is no backup of a store: {reason}", "tenfold store backup FILE writes one")

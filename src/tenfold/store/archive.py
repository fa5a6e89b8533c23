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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tenfold.errors import Conflict, GateFailed, TenfoldError, UsageError
from tenfold.store.blobs import BLOCK, sync, unwritable
from tenfold.store.opening import Store, open_store
from tenfold.store.sqlite import FILE, SQLite
from tenfold.store.sweep import Referred

BLOBS = "blobs"

_BLOB = re.compile(r"blobs/[0-9a-f]{2}/(?P<digest>[0-9a-f]{64})")


def backup(store: Store, target: Path) -> int:
    """Write the store to an archive (``.tar``, or ``.tar.gz``); its size in bytes. Others may write to the store meanwhile.

    ``GateFailed`` where a blob of it was altered: then there is no archive.
    """
    if not isinstance(store.database, SQLite):
        raise UsageError(f"{store.database.place} is no embedded store", "back it up with the tools of its database")
    with (
        _told(target, target.parent),
        tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as name,
    ):
        work = Path(name)
        store.database.snapshot(work / FILE)
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

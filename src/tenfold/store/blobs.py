"""Contents by their SHA-256, as files: written under another name, synced, renamed; proven whenever they are read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.errors import Conflict, GateFailed, NotFound, TenfoldError
from tenfold.store.nouns import Stored

BLOCK = 1 << 20
UNFINISHED = "unfinished"

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Files:
    """Blobs below a folder: ``3f/3f9c2a1…``, a file each, which nobody may write to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes | Path, digest: str = "") -> str:
        with self._told(self.folder):
            if isinstance(content, bytes):
                digest = hashlib.sha256(content).hexdigest()
                return digest if self._renew(digest) else self._write(digest, lambda write: write(content))
            digest = digest or digest_of(content)
            return digest if self._renew(digest) else self._write(digest, lambda write: _pour(content, write))

    def read(self, digest: str) -> bytes:
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise absent(digest, self.folder) from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise altered(digest, self.folder)
        return content

    def copy(self, digest: str, target: Path) -> None:
        with self._told(target.parent), proven(target, digest, self.folder) as write:
            _pour(self._path(digest), write)

    def find(self, digest: str) -> Stored | None:
        return _stored(self._path(digest))

    def each(self) -> Iterator[Stored]:
        found = map(_stored, self.folder.glob("[0-9a-f][0-9a-f]/*"))
        return (blob for blob in found if blob is not None)

    def remove(self, digest: str) -> None:
        with self._told(self.folder):
            self._path(digest).unlink(missing_ok=True)

    def tidy(self, before_s: float) -> None:
        for path in (self.folder / UNFINISHED).glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before_s:
                    path.unlink()

    def _path(self, digest: str) -> Path:
        require_digest(digest)
        return self.folder / digest[:2] / digest

    def _renew(self, digest: str) -> bool:
        """Whether the content is there, whole, and from now on as if it were new. One that was altered makes way."""
        path = self._path(digest)
        try:
            if digest_of(path) == digest:
                os.utime(path)
                return True
        except (FileNotFoundError, PermissionError):  # of another user's: it is written anew
            return False
        return False

    def _write(self, digest: str, fill: Callable[[Callable[[bytes], object]], object]) -> str:
        """Write a new blob; a reader sees all of it or nothing."""
        total = hashlib.sha256()
        unfinished = self.folder / UNFINISHED
        unfinished.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=unfinished)
        try:
            with os.fdopen(handle, "wb") as file:

                def write(block: bytes) -> None:
                    total.update(block)
                    file.write(block)

                fill(write)
                file.flush()
                os.fchmod(file.fileno(), 0o444)
                os.fsync(file.fileno())
            if total.hexdigest() != digest:
                raise Conflict("a file was written to while it was pushed", "push again, once nobody writes there")
            path = self._path(digest)
            path.parent.mkdir(exist_ok=True)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        sync(path.parent)
        return digest

    @contextlib.contextmanager
    def _told(self, place: Path) -> Iterator[None]:
        """The system's errors in words of ours; those about files of others are left alone."""
        try:
            yield
        except FileExistsError:
            raise
        except OSError as error:
            ours = error.filename is None or Path(error.filename).is_relative_to(self.folder)
            if isinstance(error, FileNotFoundError) and ours:
                raise absent(Path(error.filename).name, self.folder) from None
            if error.filename is not None and not Path(error.filename).is_relative_to(place):
                raise
            raise unwritable(place, error) from error


def unwritable(place: Path, error: OSError) -> TenfoldError:
    """The error for a place that has no room, or that only others may write to."""
    return TenfoldError(
        f"{place} cannot be written: {error.strerror or error}",
        f"df -h {place} shows what is free, ls -ld {place} who may write there; nothing was changed",
    )


def _stored(path: Path) -> Stored | None:
    try:
        seen = path.stat()
    except FileNotFoundError:
        return None
    return Stored(path.name, seen.st_size, seen.st_mtime)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(folder: Path) -> None:
    """Make what was renamed into a folder outlast a loss of power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def proven(target: Path, digest: str, place: Path | str) -> Iterator[Callable[[bytes], object]]:
    """Write a new file that holds this content of the store at ``place``; one that does not, or is not whole, goes."""
    total = hashlib.sha256()

    def write(block: bytes) -> None:
        total.update(block)
        file.write(block)

    file = target.open("xb")
    try:
        with file:
            yield write
            file.flush()
            os.fsync(file.fileno())
        if total.hexdigest() != digest:
            raise altered(digest, place)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _pour(source: Path, write: Callable[[bytes], object]) -> None:
    with source.open("rb") as file:
        while block := file.read(BLOCK):
            write(block)


def require_digest(digest: str) -> None:
    """Raise for what is no SHA-256, and might lead to another content."""
    if not _DIGEST.fullmatch(digest):
        raise GateFailed(f"{digest[:80]!r} is no digest", "a manifest in the store was altered; restore a backup")


def absent(digest: str, place: Path | str) -> NotFound:
    """The error for a content that is not there."""
    return NotFound(
        f"the content {digest[:12]} is not in {place}", "push the service again, or restore a backup: it puts it back"
    )


def altered(digest: str, place: Path | str) -> GateFailed:
    """The error for a content that is another by now."""
    return GateFailed(
        f"the content {digest[:12]} in {place} is not what was put there: it was damaged or altered",
        "push the service again, or restore a backup; then find out who can write there",
    )

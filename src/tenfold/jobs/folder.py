"""The folder that a job writes: parts, what was put aside and sampled, the manifest and the summary, none ever half written.

Everything is written under a hidden name first, flushed to the disk, and renamed; only then does the manifest say so.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import msgspec

from tenfold.errors import Conflict, TenfoldError
from tenfold.jobs.manifest import Job, Part, decode_job, decode_parts, differences

MANIFEST = "manifest.jsonl"
ASIDE = "quarantine"
SAMPLE = "sample"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Unwritable(TenfoldError):
    """The folder cannot be written, or not any more. What the manifest names is safe."""


class Folder:
    """The output of one job, which nobody else may write meanwhile."""

    def __init__(self, path: Path, job: Job, suffix: str) -> None:
        """Begins the job, or goes on with it.

        Raises ``Conflict`` where the folder holds anything else, or another process is at work in it; then nothing is
        written.
        """
        self.path = path
        self.job = job
        self.suffix = suffix
        self.parts: list[Part] = []
        self._handle = -1
        _require_ours(path)
        with self._writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path / MANIFEST, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                self._lock()
                (path / ASIDE).mkdir(exist_ok=True)
                self._begin()
            except BaseException:
                os.close(self._handle)
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
        self._handle = -1

    @property
    def rows(self) -> int:
        """The rows that are safe."""
        return sum(part.rows for part in self.parts)

    def name(self, number: int) -> str:
        """The name of a part."""
        return f"part-{number:05}{self.suffix}"

    def commit(self, part: Part, answers: bytes, aside: bytes, sample: bytes = b"") -> None:
        """Keep a part for good: all of it, or none. Raises ``Unwritable`` where the disk refuses."""
        place = self.path / part.part
        with self._writing(place):
            if sample:
                (self.path / SAMPLE).mkdir(exist_ok=True)
            for beside, data in ((self._aside(part), aside), (self._sample(part), sample)):
                if data:
                    self._put(beside, data)
                else:
                    beside.unlink(missing_ok=True)
            self._put(place, answers)
            self._append(msgspec.json.encode(part) + b"\n")
        self.parts.append(part)

    def samples(self) -> Iterator[bytes]:
        """What was sampled of each part that has any, in their order."""
        return (self._sample(part).read_bytes() for part in self.parts if part.sample)

    def write(self, name: str, data: bytes) -> None:
        """A further file, in one piece; one that has this content already is left alone."""
        place = self.path / name
        with self._writing(place):
            if not place.exists() or place.read_bytes() != data:
                self._put(place, data)

    def _begin(self) -> None:
        """Read the manifest, write its first line if there is none, and forget what was not finished."""
        *lines, torn = _read(self._handle).split(b"\n")
        first = msgspec.json.encode(self.job) + b"\n"
        if not lines and not first.startswith(torn):
            raise Conflict(
                f"{self.path / MANIFEST} is there already, and no job wrote it", "name another folder: -o NEW"
            )
        if lines:
            before = decode_job(lines[0], self.path)
            for difference in differences(before, self.job):
                raise Conflict(f"{self.path} belongs to another job: {difference}", "name another folder: -o NEW")
            self.parts = self._whole(decode_parts(lines[1:]))
            lines = lines[: len(self.parts) + 1]
        self._end = sum(len(line) + 1 for line in lines)
        if torn or os.fstat(self._handle).st_size != self._end:
            os.ftruncate(self._handle, self._end)
        if not lines:
            self._append(first)
            _flush_folder(self.path)
        for folder in (self.path, self.path / ASIDE, self.path / SAMPLE):
            for left in folder.glob(".*.tmp"):
                left.unlink()

    def _whole(self, parts: list[Part]) -> list[Part]:
        """The parts up to the first that is gone. One that somebody altered is theirs: it is not written over."""
        for k, part in enumerate(parts):
            written = (
                (self.path / part.part, part.digest),
                (self._aside(part), part.aside),
                (self._sample(part), part.sample),
            )
            for place, digest in written:
                if not digest:
                    continue
                if not place.exists():
                    return parts[:k]
                if hashlib.sha256(place.read_bytes()).hexdigest() != digest:
                    raise Conflict(
                        f"{place} was altered since the job wrote it", "delete it, and it is written anew; or -o NEW"
                    )
        return parts

    def _aside(self, part: Part) -> Path:
        return self.path / ASIDE / f"{part.part.removesuffix(self.suffix)}.ndjson"

    def _sample(self, part: Part) -> Path:
        return self.path / SAMPLE / f"{part.part.removesuffix(self.suffix)}.arrow"

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another process is at work in {self.path}", "wait for it, or name another folder: -o NEW"
            ) from None

    def _append(self, line: bytes) -> None:
        """Add a line to the manifest; a disk that refuses leaves no half of it."""
        try:
            os.lseek(self._handle, self._end, os.SEEK_SET)
            _write(self._handle, line)
            os.fsync(self._handle)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._handle, self._end)
            raise
        self._end += len(line)

    def _put(self, place: Path, data: bytes) -> None:
        """Write a file under another name, flush it to the disk, and rename it."""
        hidden = place.with_name(f".{place.name}.tmp")
        try:
            handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                _write(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            hidden.replace(place)
            _flush_folder(place.parent)
        except OSError:
            with suppress(OSError):
                hidden.unlink(missing_ok=True)
            raise

    @contextmanager
    def _writing(self, place: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            mend = "free some space" if error.errno in FULL else "see to the folder and its permissions"
            safe = f"; {self.rows:,} rows are safe" if self.parts else ""
            raise Unwritable(
                f"{place} cannot be written: {error.strerror}{safe}", f"{mend}, then run the same command: it goes on"
            ) from error


def _require_ours(path: Path) -> None:
    """Raise ``Conflict`` where a folder holds anything, and no job's manifest."""
    try:
        is_other = path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / MANIFEST).exists()))
    except PermissionError:
        raise Unwritable(f"{path} cannot be looked into", "see to its permissions") from None
    if is_other:
        raise Conflict(f"{path} is there already, and no job wrote it", "name another folder: -o NEW")


def _read(handle: int) -> bytes:
    pieces = iter(lambda: os.read(handle, 2**20), b"")
    os.lseek(handle, 0, os.SEEK_SET)
    return b"".join(pieces)


def _write(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _flush_folder(path: Path) -> None:
    """Make a rename last."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

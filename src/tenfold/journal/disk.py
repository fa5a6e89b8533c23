"""The journal's end at the disk: one segment after the other, and what is done when the disk refuses.

A new segment begins when one is full, an hour old, or when the wall clock jumped: within a segment, times follow the
monotonic clock. A disk that is full, or may only be read, stops the journal, which says so once and tries again each minute.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tenfold.journal.retention import Limits, lock, tidy
from tenfold.journal.segment import SEGMENT_S, Header, beginning, name_of, record

SEGMENT_BYTES = 16 * 2**20
SEGMENTS = 8  # at least so many share the bytes that are allowed, since they are deleted as a whole
AGAIN_S = 60.0
JUMP_S = 1.0  # the wall clock may be set by so much before a new segment begins
Clock = Callable[[], float]


class Tail:
    """A segment that is being written. ``began`` is the monotonic second that its first record has."""

    def __init__(self, folder: Path, start_us: int, began: float, header: bytes) -> None:
        self.began = began
        self.size = 0
        self._start_us = start_us
        self._path, self._file = _create(folder, start_us)
        self.append(header)

    def time_us(self, now: float) -> int:
        """A monotonic time in microseconds since 1970."""
        return self._start_us + round((now - self.began) * 1e6)

    @property
    def deleted(self) -> bool:
        """Whether somebody deleted the file: what is written to it is lost."""
        return not os.fstat(self._file).st_nlink

    def append(self, data: bytes) -> None:
        """Write all of it, or nothing: then the segment is closed, and an ``OSError`` is raised."""
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            with contextlib.suppress(OSError):
                if self.size:
                    os.ftruncate(self._file, self.size)
                else:
                    self._path.unlink()
            self.close()
            raise
        self.size += len(data)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)


def _create(folder: Path, start_us: int) -> tuple[Path, int]:
    """A new file that is ours alone. Names of other writers, and what another one deleted before it was locked, are
    passed over. A file system that cannot lock raises ``OSError``, since what is being written would not be safe there."""
    while True:
        path = folder / name_of(start_us, os.getpid())
        start_us += 1
        with contextlib.suppress(FileExistsError):
            file = _open_new(path)
            try:
                if lock(file) and os.fstat(file).st_nlink:
                    return path, file
            except OSError:
                path.unlink(missing_ok=True)
                os.close(file)
                raise
            os.close(file)


def _open_new(path: Path) -> int:
    """Create a file; its folder too, which may be deleted this moment, since it is empty."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
    for _ in range(2):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags, 0o600)
    return os.open(path, flags, 0o600)


class Disk:
    """Where the records of one release go. Before ``again_at``, of the monotonic clock, it takes none."""

    def __init__(
        self,
        root: Path,
        header: Header,
        limits: Limits,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        """``root`` is the journal of the service's folder, with a folder for each release. Limits are for all releases of
        the service."""
        self.again_at = 0.0
        self._root = root
        self._header = header
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic
        self._tail: Tail | None = None
        self._segment_bytes = min(SEGMENT_BYTES, limits.keep_bytes // SEGMENTS)
        self._said = False
        self._began = clock(), monotonic()
        self._tidied = -SEGMENT_S

    def write(self, records: Iterable[tuple[float, bytes]]) -> bool:
        """Append records, each with its time of the monotonic clock, in the order of these; False where the disk refuses
        them."""
        now = self._monotonic()
        if now < self.again_at:
            return False
        tail = self._fit(now)
        try:
            pieces = []
            for at, body in records:
                tail = tail or self._begin(now, at)
                pieces.append(record(tail.time_us(at), body))
            if tail:
                tail.append(b"".join(pieces))
        except OSError as error:
            self._stop(error, now)
            return False
        if self._said:
            self._said = False
            logging.getLogger("tenfold").warning("the journal of %s is kept again", self._header.release)
        return True

    def idle(self) -> None:
        """Nothing came for a while: let go of a segment that is over, and of what is too old."""
        now = self._monotonic()
        self._fit(now)
        if now - self._tidied >= SEGMENT_S:
            self._tidy(now, 0)

    def close(self) -> None:
        """The last segment is over."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def _fit(self, now: float) -> Tail | None:
        """The segment that is being written, if it may go on."""
        tail = self._tail
        if tail is None:
            return None
        jumped_s = abs(self._clock() - tail.time_us(now) / 1e6)
        over = tail.size >= self._segment_bytes or now - tail.began >= SEGMENT_S or jumped_s >= JUMP_S
        if not over and not tail.deleted:
            return tail
        self.close()
        return None

    def _begin(self, now: float, first: float) -> Tail:
        """A new segment, whose first record is of the monotonic time ``first``."""
        self._tidy(now, self._segment_bytes)
        start_us = round((self._clock() - (now - first)) * 1e6)
        folder = self._root / self._header.release
        self._tail = Tail(folder, start_us, first, beginning(self._header))
        return self._tail

    def _tidy(self, now: float, room_bytes: int) -> None:
        """Delete what need not be kept. A clock that is set forward while this runs makes nothing older."""
        self._tidied = now
        clock, monotonic = self._began
        today_us = round(min(self._clock(), clock + now - monotonic) * 1e6)
        tidy(list(self._root.glob(f"{self._header.service}@*")), self._limits, today_us, room_bytes)

    def _stop(self, error: OSError, now: float) -> None:
        self._tail = None
        self.again_at = now + AGAIN_S
        if not self._said:
            self._said = True
            logging.getLogger("tenfold").error(
                "the journal of %s has stopped: %s. Requests are answered; it is tried again each minute",
                self._header.release,
                error.strerror or error,
            )

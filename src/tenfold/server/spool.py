"""A body that is too large to be held, in a file while it arrives: as the admin process takes in rows of jobs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.server.wire import Connection, Head

LONGEST_S = 3600.0  # for rows to be sent
LEFT_S = 2 * LONGEST_S  # a file that nobody wrote to for so long was left by a process that was killed
HIDDEN = ".upload-"


class Spool:
    """A body in a file of its own, below ``place``; nowhere, where that is None. What cannot be written is not kept, and
    ``trouble`` says why. ``then`` is called with it once it is whole, ``over`` once no more of it will come."""

    def __init__(
        self,
        place: Path | None,
        then: Callable[[Connection, Head, Spool], None],
        over: Callable[[Spool], None] = lambda _: None,
    ) -> None:
        self.file: Path | None = None
        self.trouble = ""
        self._then = then
        self._over = over
        self._size = 0
        self._handle = -1
        if place is not None:
            with self._troubled():
                place.mkdir(parents=True, exist_ok=True)
                sweep(place)
                self.file = place / f"{HIDDEN}{os.urandom(8).hex()}"
                self._handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def __len__(self) -> int:
        return self._size

    def extend(self, data: bytes, /) -> None:
        """More of it is here."""
        self._size += len(data)
        if self._handle >= 0:
            with self._troubled():
                view = memoryview(data)
                while view:
                    view = view[os.write(self._handle, view) :]

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """All of it is here."""
        self._close()
        self._then(connection, head, self)

    def abandon(self) -> None:
        """Whoever sent it is gone."""
        self._close()
        if self.file is not None:
            self.file.unlink(missing_ok=True)

    def _close(self) -> None:
        self._over(self)
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    @contextlib.contextmanager
    def _troubled(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = error.strerror or str(error)
            self.abandon()
            self.file = None


def sweep(place: Path) -> None:
    """Remove what processes that were killed left behind."""
    for left in place.glob(f"{HIDDEN}*"):
        with contextlib.suppress(OSError):
            if is_left(left):
                left.unlink()


def is_left(file: Path) -> bool:
    """Whether nobody has written to a file for so long that nobody will."""
    return time.time() - file.stat().st_mtime > LEFT_S


class Refused:
    """A body of which nothing is read: that was told at once."""

    def __len__(self) -> int:
        return 0

    def extend(self, data: bytes, /) -> None:
        """More of it."""

    def complete(self, connection: Connection, head: Head, body: bytes, started: float) -> None:
        """The rest of it."""

    def abandon(self) -> None:
        """No rest of it."""

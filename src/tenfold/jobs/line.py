"""The line between a job and one of its workers: JSON messages, and parcels of bytes that are handed over, not copied.

A parcel is a file without a name, whose descriptor travels with its message (``SCM_RIGHTS``). Messages stay small, so
that nobody ever waits for the other one to read.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import tempfile
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from tenfold.errors import TenfoldError

Message = dict[str, Any]
RECEIVE_BYTES, MOST_PARCELS = 2**16, 16


class Line:
    """One end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._rest = b""
        self._parcels: deque[int] = deque()

    @classmethod
    def pair(cls) -> tuple[Line, socket.socket]:
        """The job's end, and the socket that a worker inherits."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    @classmethod
    def inherited(cls, fd: int) -> Line:
        """A worker's end."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    def send(self, message: Message, parcel: int = -1) -> None:
        """Say something, with a parcel or without; to nobody, if the other end is gone."""
        has_parcel = {"parcel": True} if parcel >= 0 else {}
        data = msgspec.json.encode({**message, **has_parcel}) + b"\n"
        with contextlib.suppress(ConnectionError):
            sent = socket.send_fds(self._socket, [data], [parcel]) if has_parcel else 0
            self._socket.sendall(data[sent:])

    def receive(self) -> list[tuple[Message, int]] | None:
        """What arrived, each message with its parcel (-1 for none); waits for some. None once the other end is gone."""
        try:
            data, parcels, _, _ = socket.recv_fds(self._socket, RECEIVE_BYTES, MOST_PARCELS)
        except ConnectionError:
            return None
        self._parcels.extend(parcels)
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        messages = [msgspec.json.decode(line) for line in lines]
        return [(message, self._parcels.popleft() if message.get("parcel") else -1) for message in messages]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        while self._parcels:
            os.close(self._parcels.popleft())


def parcel_of(write: Callable[[BinaryIO], None]) -> int:
    """A parcel with what is written into it: the descriptor of a file in memory, where the system has such files.

    Raises ``TenfoldError`` where it is not allowed to be as large.
    """
    parcel = _nameless()
    try:
        with os.fdopen(parcel, "wb", closefd=False) as file:
            write(file)
    except OSError as error:
        os.close(parcel)
        mend = "allow larger files (ulimit -f) or free memory; or answer fewer rows together with --shard-rows"
        raise TenfoldError(f"a block of rows cannot be handed over: {error.strerror}", mend) from error
    return parcel


def _nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("parcel")
    file, name = tempfile.mkstemp()
    os.unlink(name)  # noqa: PTH108 -- the descriptor is what is kept
    return file


def contents(parcel: int) -> bytes | mmap.mmap:
    """What a parcel holds, without reading it; the descriptor may be closed afterwards."""
    size = os.fstat(parcel).st_size
    return mmap.mmap(parcel, size, access=mmap.ACCESS_READ) if size else b""

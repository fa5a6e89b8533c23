"""The line between the supervisor and a child: JSON messages, one a line, over an inherited socket.

Its end of file is how a child learns that its supervisor is gone.
"""

from __future__ import annotations

import contextlib
import gc
import socket
from typing import Any

import msgspec

Message = dict[str, Any]

MAX_HANDED = 8


def settle_memory() -> None:
    """What was imported and built until now stays for good: collections need not look at it again, and may be rarer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


class Channel:
    """One end of the line."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._socket.setblocking(False)
        self._rest = b""

    @classmethod
    def pair(cls) -> tuple[Channel, socket.socket]:
        """The supervisor's end, and the socket that a child inherits."""
        ours, theirs = socket.socketpair()
        return cls(ours), theirs

    @classmethod
    def inherited(cls, fd: int) -> Channel:
        """A child's end."""
        return cls(socket.socket(fileno=fd))

    def fileno(self) -> int:
        """For selectors and event loops; -1 once closed."""
        return self._socket.fileno()

    def send(self, **message: Any) -> None:
        """Say something; to nobody, if the other end is gone."""
        with contextlib.suppress(OSError):
            self._socket.setblocking(True)
            try:
                self._socket.sendall(msgspec.json.encode(message) + b"\n")
            finally:
                self._socket.setblocking(False)

    def hand(self, *fds: int) -> None:
        """Hand over descriptors; to nobody, if the other end is gone."""
        with contextlib.suppress(OSError):
            socket.send_fds(self._socket, [b"\n"], fds)

    def handed(self) -> list[int] | None:
        """Wait for the next descriptors that are handed over; None once the other end is gone."""
        self._socket.setblocking(True)
        said, fds, _, _ = socket.recv_fds(self._socket, 1, MAX_HANDED)
        return fds if said else None

    def receive(self) -> list[Message] | None:
        """What arrived; None once the other end is gone."""
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [msgspec.json.decode(line) for line in lines]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

"""Fronts that somebody else let in: the connections of a replica that is reached over a network.

Whoever started the replica listens for it, asks each front for the proof, and hands the connection over. So the secret never
is in the process that runs the user's code, and a stranger never in front of it.
"""

from __future__ import annotations

import os
import socket

from tenfold.server.channel import Channel


class Handed:
    """In the place of a listening socket; ``path`` is where its address would be, had it one."""

    def __init__(self, fd: int, path: str) -> None:
        self._line = Channel.inherited(fd)
        self._path = path

    def fileno(self) -> int:
        """For selectors."""
        return self._line.fileno()

    def getsockname(self) -> str:
        """Beside this path is noted what is in hand."""
        return self._path

    def accept(self) -> tuple[socket.socket, None]:
        """The next front. Where nobody is there who lets them in, nobody needs this process."""
        handed = self._line.handed()
        if handed is None:
            os._exit(1)
        return socket.socket(fileno=handed[0]), None

    def close(self) -> None:
        """Let nobody in any more."""
        self._line.close()

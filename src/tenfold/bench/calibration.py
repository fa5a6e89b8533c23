"""How fast is this machine just now? A fixed piece of work, of the kind that a server does, timed between the trials.

A capacity divided by it compares between two machines, and between two days of one. A round is what serving a row takes
apart from its model: a row decoded, its values checked, an answer encoded, and both sent through a socket. It is timed
by the clock on the wall, since whatever else runs on the machine slows down a server, too.
"""

from __future__ import annotations

import socket
import time

import msgspec

ROUNDS_PER_S = 100_000.0  # of the machine that counts as 1
ROW = msgspec.json.encode({f"f{k}": 17.99 + k / 7 for k in range(30)})


def speed(seconds: float) -> float:
    """The rounds that one core does in so many seconds, against those of the machine that counts as 1."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        rounds = 0
        began = time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds:
            _round(ours, theirs)
            rounds += 1
        return rounds / spent / ROUNDS_PER_S


def _round(ours: socket.socket, theirs: socket.socket) -> None:
    ours.send(ROW)
    row: dict[str, float] = msgspec.json.decode(theirs.recv(4096))
    total = 0.0
    for value in row.values():
        if 0.0 <= value <= 1e6:
            total += value
    theirs.send(msgspec.json.encode({"label": "benign", "probability": 1 / total}))
    ours.recv(4096)

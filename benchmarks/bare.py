"""The limit of the shape: decode, batch, predict in a second process, answer, and nothing else.

`python -m benchmarks.bare PORT MODEL`, the model as `.joblib` or `.onnx`. No validation beyond the types, no
ids, deadlines, limits, counting or errors: a yardstick for what those cost, not a server.
"""

from __future__ import annotations

import asyncio
import operator
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import uvloop

from benchmarks.data import FIELDS
from benchmarks.protocol import Connection, serve

Row = msgspec.defstruct("Row", [(name, float) for name in FIELDS], gc=False)
Answer = msgspec.defstruct("Answer", [("probability", float)], gc=False)
decode_row = msgspec.json.Decoder(Row).decode
encode = msgspec.json.Encoder().encode
values = operator.attrgetter(*FIELDS)

MAX_ROWS = 256
COUNT = struct.Struct("<I")  # rows in the frame; the rows follow, in the dtype that the model takes
DTYPES = {".joblib": "d", ".onnx": "f"}


class Link(asyncio.Protocol):
    """The front's end of the socket: one batch is away at a time, what comes meanwhile is the next."""

    def __init__(self, dtype: str) -> None:
        self.pack = struct.Struct(f"<{len(FIELDS)}{dtype}").pack  # for so few rows faster than an array
        self.waiting: list[tuple[bytes, Connection]] = []
        self.away: list[tuple[bytes, Connection]] = []
        self.scores = b""
        self.sending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.loop = asyncio.get_running_loop()

    def add(self, body: bytes, connection: Connection) -> None:
        self.waiting.append((self.pack(*values(decode_row(body))), connection))
        if not self.away and not self.sending:
            self.sending = True
            self.loop.call_soon(self.send)  # so that every socket that is readable now joins the batch

    def send(self) -> None:
        self.sending = False
        if self.away or not self.waiting:
            return
        self.away, self.waiting = self.waiting[:MAX_ROWS], self.waiting[MAX_ROWS:]
        self.transport.write(COUNT.pack(len(self.away)) + b"".join([row for row, _ in self.away]))

    def data_received(self, data: bytes) -> None:
        self.scores += data
        if len(self.scores) < 8 * len(self.away):
            return
        scores = struct.unpack(f"<{len(self.away)}d", self.scores)
        answered, self.away, self.scores = self.away, [], b""
        for (_, connection), score in zip(answered, scores, strict=True):
            connection.reply(encode(Answer(score)))
        self.send()


async def run_front(link: socket.socket, path: Path, port: int) -> None:
    loop = asyncio.get_running_loop()
    _, replica = await loop.create_unix_connection(lambda: Link(DTYPES[path.suffix]), sock=link)
    await serve(replica.add, port)


def run_replica(link: socket.socket, path: Path) -> None:
    """Answer frames until the front closes its end."""
    import numpy as np

    predict, dtype = load(path), np.dtype(DTYPES[path.suffix])
    frames = link.makefile("rb", buffering=1 << 20)
    while head := frames.read(COUNT.size):
        (count,) = COUNT.unpack(head)
        block = np.frombuffer(frames.read(count * len(FIELDS) * dtype.itemsize), dtype)
        scores = predict(block.reshape(count, len(FIELDS)))
        link.sendall(np.ascontiguousarray(scores, np.float64).tobytes())


def load(path: Path) -> Callable[[Any], Any]:
    """The model as a function from a block of rows to probabilities."""
    if path.suffix == ".onnx":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda block: session.run(None, {"X": block})[1][:, 1]
    import joblib

    model = joblib.load(path)
    return lambda block: model.predict_proba(block)[:, 1]


def main(port: int, path: Path) -> None:
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()  # or the replica would hold the front's end open, and never see it close
        run_replica(theirs, path)
    else:
        theirs.close()
        uvloop.run(run_front(ours, path, port))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))

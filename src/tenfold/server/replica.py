"""The replica: a process that holds one release's model and runs the user's code.

It answers one batch at a time, in the order in which they came, from as many fronts as connect to its socket. It says
hello only once the model is loaded and warmed and a golden record (or, without one, an example row) has been answered.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np

from tenfold import parity
from tenfold.config import server
from tenfold.errors import TenfoldError, Violation
from tenfold.pipeline import Pipeline
from tenfold.rows import Answer, Rows
from tenfold.server import frames
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.channel import Channel, settle_memory
from tenfold.server.frames import Frame, Hello, Notes, Reader, encode_notes
from tenfold.service import Spec, find, spec

RECEIVE_BYTES = 1 << 18
SWEEP_S = 0.1
ORPHAN_S = 40.0  # longer than fronts may drain: whatever keeps a replica then, it has no business any more
_TIMES = struct.Struct("<4Q")


class Replica:
    """One loaded release and the fronts that it answers."""

    def __init__(self, pipeline: Pipeline, hello: Hello, channel: Channel, listening: socket.socket) -> None:
        self._pipeline = pipeline
        self._layout = pipeline.layout
        self._hello = hello
        self._channel = channel
        self._listening = listening
        self._fronts: dict[int, tuple[socket.socket, Reader, int]] = {}
        self._met = 0
        self._now = mapped(f"{listening.getsockname()}.now")
        self._poll = select.poll()

    def serve(self) -> None:
        """Answer batches until the supervisor hangs up, and then until the last front does."""
        self._poll.register(self._channel, select.POLLIN)
        self._poll.register(self._listening, select.POLLIN)
        hung_up = False
        while self._fronts or not hung_up:
            for fd, _ in self._poll.poll():
                if fd in self._fronts:
                    self._hear(fd)
                elif fd == self._listening.fileno():
                    self._welcome()
                elif self._channel.receive() is None:
                    hung_up = True
                    self._poll.unregister(self._channel)
                    self._poll.unregister(self._listening)
                    end = threading.Timer(ORPHAN_S, os._exit, (1,))
                    end.daemon = True
                    end.start()

    def _welcome(self) -> None:
        front, _ = self._listening.accept()
        self._met += 1
        self._fronts[front.fileno()] = front, Reader(), self._met
        self._poll.register(front, select.POLLIN)
        with contextlib.suppress(ConnectionError):
            front.sendall(frames.write_hello(msgspec.structs.replace(self._hello, peer=self._met)))

    def _hear(self, fd: int) -> None:
        front, reader, peer = self._fronts[fd]
        try:
            data = front.recv(RECEIVE_BYTES)
            for frame in reader.feed(data):
                frames.NOW.pack_into(self._now, 0, peer, frame.number)
                answer = self.answer(frame)
                frames.NOW.pack_into(self._now, 0, 0, 0)
                front.sendall(answer)
        except ConnectionError:
            data = b""
        if not data:
            del self._fronts[fd]
            self._poll.unregister(fd)
            front.close()

    def answer(self, frame: Frame) -> bytes:
        """The answer to one batch; whatever may go wrong, there is one."""
        if time.monotonic_ns() > frame.due_ns:
            return refuse_all(frame, "deadline", "no answer before the deadline")
        try:
            return write_answer(frame, self._pipeline.run(read_rows(self._layout, frame.rows, frame.parts)))
        except Exception:
            logging.getLogger("tenfold").exception("a batch of %d rows could not be answered", frame.rows)
            return refuse_all(frame, "internal", "the batch could not be answered")


def write_answer(frame: Frame, answer: Answer) -> bytes:
    """The frame that carries an answer to the batch in ``frame``."""
    times = _TIMES.pack(*[int(spent_s * 1e9) for spent_s in answer.seconds.values()])
    answered = len(answer.index)
    index = b"" if answered == frame.rows else np.ascontiguousarray(answer.index, dtype="<u4").tobytes()
    parts = [times, _notes(answer), index, *write_rows(answer.outputs)]
    return frames.pack(frames.ANSWER, frame.number, answered, 0, parts)


def refuse_all(frame: Frame, code: str, detail: str) -> bytes:
    """The frame that refuses every row of the batch in ``frame``."""
    notes = Notes(violations=[Violation(row, "", code, detail) for row in range(frame.rows)])
    return frames.pack(frames.ANSWER, frame.number, 0, 0, [_TIMES.pack(0, 0, 0, 0), encode_notes(notes), b""])


def mapped(path: str) -> mmap.mmap:
    """Eight bytes that outlive the process, and that writing costs next to nothing."""
    with Path(path).open("w+b") as file:
        file.write(frames.NOW.pack(0, 0))
        file.flush()
        return mmap.mmap(file.fileno(), 0)


def _notes(answer: Answer) -> bytes:
    if not (answer.violations or answer.changes or answer.flags or answer.put_aside or answer.fallbacks):
        return b""
    return encode_notes(
        Notes(
            violations=list(answer.violations),
            changes=list(answer.changes),
            flags=list(answer.flags),
            put_aside={row: list(reasons) for row, reasons in answer.put_aside.items()},
            fallbacks=dict(answer.fallbacks),
        )
    )


def load(folder: str, env: str) -> tuple[Pipeline, Spec, list[tuple[int, float]]]:
    """The service, started: its model loaded, its tables read, a record answered; and what batches cost."""
    service = find(folder, env).start()
    pipeline = Pipeline(service)
    rows = parity.rehearse(pipeline)
    return pipeline, spec(service), [] if rows is None else sweep(pipeline, rows)


def sweep(pipeline: Pipeline, rows: Rows) -> list[tuple[int, float]]:
    """The seconds that batches of 1, 4, 16, … rows take, up to a full one, as far as that is learnt quickly."""
    costs: list[tuple[int, float]] = []
    began = time.perf_counter()
    size, full = 1, pipeline.service.batching.max_rows
    while time.perf_counter() - began < SWEEP_S:
        batch = rows.take(np.zeros(size, dtype=np.intp))
        for _ in range(3):
            started = time.perf_counter()
            pipeline.run(batch)
            costs.append((size, time.perf_counter() - started))
        if size == full:
            break
        size = min(4 * size, full)
    return costs


def main(channel: int, listen: int, folder: str, env: str) -> None:
    """Run a replica on inherited descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    began = time.perf_counter()
    line = Channel.inherited(channel)
    try:
        pipeline, described, costs = load(folder, env)
    except TenfoldError as error:
        line.send(event="failed", message=error.message, hint=error.hint, code=error.exit_code)
        sys.exit(error.exit_code)
    limits = server(pipeline.service.folder, env)
    startup_s = time.perf_counter() - began
    release = f"{described.name}@{described.release[:7]}"
    hello = Hello(
        wire=frames.WIRE,
        tenfold=version("tenfold"),
        release=release,
        contract=described.input.digest,
        pid=os.getpid(),
        startup_s=startup_s,
        sample=parity.sample(pipeline.service.folder, pipeline.form),
        max_body_bytes=limits.max_body_bytes,
        costs=costs,
        service=msgspec.Raw(msgspec.json.encode(described)),
    )
    ready = {"release": release, "seconds": startup_s, "drain_delay_s": limits.drain_delay_s, "service": described}
    line.send(event="ready", **ready)
    settle_memory()
    Replica(pipeline, hello, line, socket.socket(fileno=listen)).serve()

"""The replica: a process that holds one release's model and runs the user's code.

It answers one batch at a time, in the order in which they came, from as many fronts as connect to its socket. It says
hello only once the model is loaded and warmed and a golden record (or, without one, an example row) has been answered.

The first replica of a release becomes the template of all others where it can: see ``tenfold.server.template``.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from tenfold import parity
from tenfold.config import Server, server
from tenfold.errors import TenfoldError, Violation
from tenfold.pipeline import Pipeline, Usage
from tenfold.rows import Answer, Rows
from tenfold.server import frames
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.channel import Channel, Message, settle_memory
from tenfold.server.counting import Counting
from tenfold.server.frames import Frame, Hello, Notes, Reader, encode_notes
from tenfold.server.handed import Handed
from tenfold.server.process import TELL_WHERE, come_back, end_with_parent, open_files, stand_back
from tenfold.server.template import Birth, fork_replicas, run_apart, unfit
from tenfold.service import Spec, find, spec

RECEIVE_BYTES = 1 << 18
SWEEP_S = 0.1
ORPHAN_S = 40.0  # longer than fronts may drain: whatever keeps a replica then, it has no business any more


_ANSWERED = attrgetter("answered")


class Front:
    """A front as the replica sees it: the batches ``waiting`` that it has handed over, oldest first."""

    def __init__(self, connection: socket.socket, number: int) -> None:
        self.connection = connection
        self.number = number
        self.reader = Reader()
        self.waiting: deque[Frame] = deque()
        self.answered = 0  # the batch of the replica's, counted from its first, that was this front's last


class Replica:
    """One loaded release and the fronts that it answers, a batch of each in turn: whichever had two of its own go before
    another's would have that one wait for three, and neither could foresee when it is answered."""

    def __init__(
        self, pipeline: Pipeline, hello: Hello, channel: Channel, listening: socket.socket | Handed, home: str
    ) -> None:
        self._pipeline = pipeline
        described = msgspec.json.decode(hello.service, type=Spec)
        self._counting = Counting(Path(home) if home else pipeline.service.folder, hello.release, described)
        self._layout = pipeline.layout
        self._hello = hello
        self._channel = channel
        self._listening = listening
        self._fronts: dict[int, Front] = {}
        self._waiting: set[Front] = set()
        self._answered = 0
        self._met = 0
        self._now = mapped(f"{listening.getsockname()}.now")
        self._poll = select.poll()
        self._received = memoryview(bytearray(RECEIVE_BYTES))  # recv would ask for so much memory each time

    def serve(self) -> None:
        """Answer batches until the supervisor hangs up, and then until the last front does."""
        self._poll.register(self._channel, select.POLLIN)
        self._poll.register(self._listening, select.POLLIN)
        hung_up = False
        end = threading.Timer(ORPHAN_S, os._exit, (1,))
        end.daemon = True
        while self._fronts or not hung_up:
            heard = self._poll.poll(0 if self._waiting else self._counting.patience_ms)
            if not heard and not self._waiting:
                self._counting.rest()
            for fd, _ in heard:
                if fd in self._fronts:
                    self._hear(fd)
                elif fd == self._listening.fileno():
                    self._welcome()
                elif self._channel.receive() is None:
                    hung_up = True
                    self._poll.unregister(self._channel)
                    self._poll.unregister(self._listening)
                    end.start()
            if self._waiting:
                self._answer_next()
        end.cancel()
        self._counting.close()

    def _welcome(self) -> None:
        connection, _ = self._listening.accept()
        self._met += 1
        self._fronts[connection.fileno()] = Front(connection, self._met)
        self._poll.register(connection, select.POLLIN)
        with contextlib.suppress(OSError):
            connection.sendall(frames.write_hello(msgspec.structs.replace(self._hello, peer=self._met)))

    def _hear(self, fd: int) -> None:
        """Take what a front hands over; what one waits for that is gone, nobody does. One that cannot be reached or is out of
        step is let go: it comes back, and the others are answered meanwhile."""
        front = self._fronts[fd]
        try:
            data = bytes(self._received[: front.connection.recv_into(self._received)])
            whole = list(front.reader.feed(data))
        except (OSError, ValueError, struct.error):
            data = b""
        if not data:
            self._forget(front)
            return
        front.waiting.extend(whole)
        if front.waiting:
            self._waiting.add(front)

    def _forget(self, front: Front) -> None:
        fd = front.connection.fileno()
        del self._fronts[fd]
        self._poll.unregister(fd)
        front.connection.close()
        self._waiting.discard(front)

    def _answer_next(self) -> None:
        """Answer the front that was answered longest ago, whichever's batch came first: one that hears of its last answer at
        once would always have the next one there."""
        front = min(self._waiting, key=_ANSWERED)
        frame = front.waiting.popleft()
        self._answered = front.answered = self._answered + 1
        frames.NOW.pack_into(self._now, 0, front.number, frame.number)
        reply, seen = self.answer(frame)
        frames.NOW.pack_into(self._now, 0, 0, frame.number)
        if not front.waiting:
            self._waiting.discard(front)
        try:
            front.connection.sendall(reply)
        except OSError:
            self._forget(front)
        else:
            if seen:
                self._counting.saw(*seen)

    def answer(self, frame: Frame) -> tuple[bytes, tuple[Rows, Answer] | None]:
        """The answer to one batch; whatever may go wrong, there is one. And what there is to be counted, once it is sent."""
        if time.monotonic_ns() > frame.due_ns:
            return refuse_all(frame, "deadline", "no answer before the deadline"), None
        try:
            rows = read_rows(self._layout, frame.rows, frame.parts)
            answer = self._pipeline.run(rows)
            return write_answer(frame, answer), (rows, answer)
        except Exception:
            logging.getLogger("tenfold").exception("a batch of %d rows could not be answered", frame.rows)
            return refuse_all(frame, "internal", "the batch could not be answered"), None


def write_answer(frame: Frame, answer: Answer) -> bytes:
    """The frame that carries an answer to the batch in ``frame``."""
    one, two, three, four = answer.seconds.values()
    spent_ns = int(one * 1e9), int(two * 1e9), int(three * 1e9), int(four * 1e9)  # as a loop this takes twice as long
    times = frames.TIMES.pack(*spent_ns, int(answer.waited_s * 1e9))
    answered = len(answer.index)
    index = b"" if answered == frame.rows else np.ascontiguousarray(answer.index, dtype="<u4").tobytes()
    parts = [times, _notes(answer), index, *write_rows(answer.outputs)]
    return frames.pack(frames.ANSWER, frame.number, answered, time.monotonic_ns(), parts)


def refuse_all(frame: Frame, code: str, detail: str) -> bytes:
    """The frame that refuses every row of the batch in ``frame``."""
    notes = Notes(violations=[Violation(row, "", code, detail) for row in range(frame.rows)])
    parts = [frames.TIMES.pack(0, 0, 0, 0, 0), encode_notes(notes), b""]
    return frames.pack(frames.ANSWER, frame.number, 0, time.monotonic_ns(), parts)


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


def load(folder: str, env: str) -> tuple[Pipeline, Spec, Rows | None]:
    """The service, started: its model loaded, its tables read, a record answered; and the row that was answered."""
    service = find(folder, env).start()
    pipeline = Pipeline(service, usage=thread_usage)
    rows = parity.rehearse(pipeline)
    return pipeline, spec(service), rows


def thread_usage() -> Usage:
    """What this thread used until now (getrusage(2)); on macOS, which does not say it of a thread, no waits."""
    thread = getattr(resource, "RUSAGE_THREAD", None)
    return Usage(time.thread_time(), 0 if thread is None else resource.getrusage(thread).ru_nvcsw)


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


def main(channel: int, listen: int, folder: str, env: str, home: str, template: bool, handed: str = "") -> None:
    """Run a replica on inherited descriptors; or, where ``template`` asks for it and it can be, what replicas are forked of.

    ``home`` is where its counts are left, "" for beside the service.
    Where fronts are ``handed`` over on ``listen``, that is the path beside which it notes what it has in hand, and it ends
    with whoever hands them over.
    Once loaded, it stands behind, however it was made to load (see ``process.take_place``)."""
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    faulthandler.enable()
    faulthandler.register(TELL_WHERE)
    began = time.perf_counter()
    line = Channel.inherited(channel)
    listening = Handed(listen, handed) if handed else socket.socket(fileno=listen)
    opened = open_files() if template else {}
    end_with_parent(True)
    if line.receive() is None:  # it is gone already
        sys.exit()
    try:
        pipeline, described, rows = load(folder, env)
    except TenfoldError as error:
        line.send(event="failed", message=error.message, hint=error.hint, code=error.exit_code)
        sys.exit(error.exit_code)
    settle_memory()
    come_back()
    stand_back()
    end_with_parent(bool(handed))
    hello, ready = introduce(pipeline, described, rows, server(pipeline.service.folder, env), began)
    alone = unfit(pipeline.service, opened) if template else "it was not asked for"
    line.send(event="ready" if alone else "template", **ready, alone=alone)
    if alone:
        Replica(pipeline, hello, line, listening, home).serve()
    else:
        birth = fork_replicas(line)
        listening.close()
        run_apart(lambda: serve_fork(pipeline, hello, ready, rows, birth, home))


def introduce(
    pipeline: Pipeline, described: Spec, rows: Rows | None, limits: Server, began: float
) -> tuple[Hello, Message]:
    """What a loaded replica says to its fronts, and to its supervisor."""
    costs = [] if rows is None else sweep(pipeline, rows)
    folder, release = pipeline.service.folder, f"{described.name}@{described.release[:7]}"
    startup_s = time.perf_counter() - began
    hello = Hello(
        wire=frames.WIRE,
        tenfold=version("tenfold"),
        release=release,
        contract=described.input.digest,
        pid=os.getpid(),
        startup_s=startup_s,
        sample=parity.sample(folder, pipeline.form),
        max_body_bytes=limits.max_body_bytes,
        costs=costs,
        service=msgspec.Raw(msgspec.json.encode(described)),
    )
    ready = {
        "release": release,
        "seconds": startup_s,
        "drain_delay_s": limits.drain_delay_s,
        "memory_bytes": limits.memory_bytes,
        "budget_s": described.deadline.budget_s,
        "batch_s": full_batch_s(costs, described.batching.max_rows),
        "service": described,
    }
    return hello, ready


def full_batch_s(costs: Sequence[tuple[int, float]], full: int) -> float | None:
    """What a full batch takes, as the largest one that was tried tells; None where none was."""
    if not costs:
        return None
    rows = max(rows for rows, _ in costs)
    return max(seconds for size, seconds in costs if size == rows) * full / rows


def serve_fork(pipeline: Pipeline, hello: Hello, ready: Message, rows: Rows | None, birth: Birth, home: str) -> None:
    """Answer as a replica that was forked just now: first the row again that its template answered."""
    if rows is not None:
        pipeline.run(rows)
    startup_s = time.perf_counter() - birth.began
    birth.line.send(event="ready", **ready | {"seconds": startup_s, "alone": ""})
    hello = msgspec.structs.replace(hello, pid=os.getpid(), startup_s=startup_s)
    Replica(pipeline, hello, birth.line, birth.listening, home).serve()

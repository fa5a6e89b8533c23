"""The front's side of the journal: what a batch answered is taken in its loop and written by a thread of its own.

The loop never waits: where the disk is slower than the answers, or refuses, predictions are dropped and counted. What is
taken in the loop are the bytes as they came over the wire; everything else happens in the thread, which wakes every tenth of
a second and writes once. No NumPy here.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Protocol

import msgspec

from tenfold.contract.form import layout_of
from tenfold.journal.disk import Clock, Disk
from tenfold.journal.picking import Picker, key_alone, public
from tenfold.journal.retention import Limits
from tenfold.journal.segment import ALONE, FOLDER, GONE, Header, Table
from tenfold.spec import Spec

FLUSH_S = 0.1
FLUSH_BYTES = 2**20
MOST_BYTES = 32 * 2**20  # may wait for the disk
IDLE_S = 600.0
CLOSE_S = 5.0  # what ending may wait for the disk
BREATH = 8  # records are made before the loop gets a chance to run
BREATH_S = 50e-6
ID_BYTES = 16
DROPPED = "journal_dropped"


class Item(Protocol):
    """A request of one row, or some rows of a larger one, which then has their ``places``."""

    @property
    def rows(self) -> int: ...
    @property
    def packed(self) -> Sequence[tuple[bytes, ...]]: ...
    @property
    def request(self) -> Any:
        """Has the ``id``, as 36 ASCII bytes, and knows whether it is ``done``."""


class Answer(Protocol):
    """An answer frame: how many rows were answered, and its parts, of which the first three are the stage times, the remarks
    and which rows were answered (see ``tenfold.server.frames``)."""

    @property
    def rows(self) -> int: ...
    @property
    def parts(self) -> Sequence[memoryview]: ...


Names = tuple[bytes, bytes]


class Taken(msgspec.Struct, gc=False, eq=False):
    """What the loop takes of a batch. ``data`` are the positions and outputs of the answer, ``lengths`` those of each of its
    parts, ``cells`` the packed columns of the input that are kept, ``size`` all bytes together."""

    now: float
    answered: int
    ids: bytes
    places: bytes
    data: bytes
    lengths: list[int]
    cells: list[list[bytes]]
    size: int


class Keeper:
    """Which columns of a service are kept, and how the record of a batch is made of them."""

    def __init__(self, spec: Spec, release: str) -> None:
        inputs, key = spec.drift.journal == "inputs", key_alone(spec.input)
        kept = public(spec.input) if inputs else key
        output, given = Table.of(public(spec.output)), Table.of(kept) if kept else None
        self.header = Header(
            service=spec.name,
            release=release,
            contracts={"input": spec.input.digest, "output": spec.output.digest},
            output=output,
            input=given,
            inputs=inputs,
            key=key.fields[0].wire if key else "",
        )
        self._head = self.header.head
        self._outputs = Picker(layout_of(spec.output), output.layout)
        self._inputs = Picker(layout_of(spec.input), given.layout) if given else None
        self.cells = self._inputs.cells if self._inputs else []

    def record(self, taken: Taken) -> bytes:
        """A record, but for its time."""
        ids = bytes.fromhex(taken.ids.replace(b"-", b"").decode())
        data, lengths = taken.data, taken.lengths
        if not self._outputs.whole:
            index, *outputs = _cut(data, lengths)
            parts = [index, *self._outputs.of_parts(outputs)]
            data, lengths = b"".join(parts), list(map(len, parts))
        given = self._inputs.of_rows(taken.cells) if self._inputs else []
        rows = len(ids) // ID_BYTES
        head = self._head.pack(rows, taken.answered, len(ids), len(taken.places), *lengths, *map(len, given))
        return b"".join((head, ids, taken.places, data, *given))


def _cut(data: bytes, lengths: Sequence[int]) -> Iterator[memoryview]:
    at, view = 0, memoryview(data)
    for length in lengths:
        yield view[at : at + length]
        at += length


class Writer:
    """The journal of one release in one front.

    ``add`` belongs to the loop; the rest to a thread, which ends with the process or with ``close``.
    """

    def __init__(
        self,
        home: Path,
        spec: Spec,
        release: str,
        count: Callable[[str, int], None],
        *,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        """``home`` is the service's folder. ``count`` is told, in the loop, of predictions that were dropped."""
        self._keeper = Keeper(spec, release)
        self._cells = self._keeper.cells
        limits = Limits(spec.drift.keep_s, spec.drift.keep_at_most_bytes)
        self._disk = Disk(home / FOLDER, self._keeper.header, limits, clock, monotonic)
        self._count = count
        self._most_bytes = MOST_BYTES
        self._queue: SimpleQueue[Taken | None] = SimpleQueue()
        self._wake = threading.Event()
        # Each of these is written by one side alone. By the loop: bytes that were queued, dropped predictions that were
        # counted. By the thread: bytes that are dealt with, predictions that the disk refused.
        self._queued = self._counted = 0
        self._dealt = self._refused = 0
        self._thread = threading.Thread(target=self._run, name=f"journal of {release}", daemon=True)
        self._thread.start()
        atexit.register(self.close, CLOSE_S)

    def add(self, now: float, items: Sequence[Item], answer: Answer, names: Names | None = None) -> None:
        """Take what a batch answers at ``now``, of the monotonic clock, to the requests that it is made of. ``names`` are
        what ``names_of`` made of them before they were answered, where that is done by now."""
        rows = answer.rows
        if not rows:
            return
        if self._refused != self._counted:
            refused = self._refused
            self._count(DROPPED, refused - self._counted)
            self._counted = refused
        waiting = self._queued - self._dealt
        if now < self._disk.again_at or waiting > self._most_bytes:
            self._count(DROPPED, rows)
            return
        ids, places = names or names_of(items)
        parts = answer.parts[2:]
        data = b"".join(parts)
        size = len(ids) + len(data)
        cells: list[list[bytes]] = []
        if self._cells:
            packed: list[tuple[bytes, ...]] = []
            for item in items:
                packed += item.packed
            for cell in self._cells:
                cells.append(pieces := [row[cell] for row in packed])
                size += sum(map(len, pieces))
        self._queue.put(Taken(now, rows, ids, places, data, list(map(len, parts)), cells, size))
        self._queued += size
        if waiting + size > FLUSH_BYTES and not self._wake.is_set():
            self._wake.set()

    def close(self, wait_s: float = 0.0) -> None:
        """Take nothing more; what was taken will be written, for which this waits so long."""
        self._most_bytes = -1
        self._queue.put(None)
        self._wake.set()
        if wait_s:
            self._thread.join(wait_s)

    # In the thread

    def _run(self) -> None:
        closed = False
        while not closed:
            taken = self._next()
            closed = None in taken
            for some in _shares([one for one in taken if one is not None]):
                self._write(some)
            if not taken:
                self._disk.idle()
        self._disk.close()
        atexit.unregister(self.close)

    def _next(self) -> list[Taken | None]:
        """What is taken within a tenth of a second, or until it is much; nothing where nothing comes for long."""
        try:
            taken = [self._queue.get(timeout=IDLE_S)]
        except Empty:
            return []
        self._wake.wait(FLUSH_S)
        self._wake.clear()
        with contextlib.suppress(Empty):
            while True:
                taken.append(self._queue.get_nowait())
        return taken

    def _write(self, taken: Sequence[Taken]) -> None:
        try:
            written = self._disk.write(self._records(taken))
        except Exception:
            logging.getLogger("tenfold").exception("predictions could not be written to the journal")
            written = False
        if not written:
            self._refused += sum(one.answered for one in taken)
        self._dealt += sum(one.size for one in taken)

    def _records(self, taken: Sequence[Taken]) -> Iterator[tuple[float, bytes]]:
        """Records with their times. The loop waits for the interpreter while one is made, so it is let through often."""
        for k, one in enumerate(taken, start=1):
            yield one.now, self._keeper.record(one)
            if k % BREATH == 0:
                time.sleep(BREATH_S)


def names_of(items: Sequence[Item]) -> Names:
    """The ids of all rows, one after the other, and their places as the segment has them. To be asked before the items are
    answered: one that is done by then was told something else."""
    alone: Sequence[Any] = items
    try:
        ids = [item.id for item in alone if not item.done]
        if len(ids) == len(items):
            return b"".join(ids), b""
    except AttributeError:  # not all of them are requests of their own
        pass
    ids = []
    places: list[int] = []
    for item in items:
        request = item.request
        ids.append(request.id * item.rows)
        places += [GONE] * item.rows if request.done else getattr(item, "places", (ALONE,))
    return b"".join(ids), struct.pack(f"<{len(places)}i", *places)


def _shares(taken: Sequence[Taken]) -> Iterator[Sequence[Taken]]:
    """Some at a time, as much as is written at once."""
    begin = size = 0
    for k, one in enumerate(taken):
        size += one.size
        if size >= FLUSH_BYTES:
            yield taken[begin : k + 1]
            begin, size = k + 1, 0
    if begin < len(taken):
        yield taken[begin:]

"""What replicas count while they answer, in pieces that add up: windows by the time of the answer, and a sample of rows.

A replica puts aside what it answered, which costs next to nothing, and counts when nobody waits, or once much has come
together. Where rows come faster than they can be counted beside answering, some are chosen by a hash of their number at the
replica and of its salt, 64 neighbours together, in whatever batches they came: ids of predictions stay with the fronts,
and to choose single rows would cost as much as to count them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from tenfold.drift.columns import Column, Floats
from tenfold.drift.counting import Counter, Counts
from tenfold.drift.live import Reader
from tenfold.drift.sampling import MASK, Keys, mix
from tenfold.rows import Answer, Rows

WINDOW_S = 3600.0  # where the service doesn't say how long a window is
SAMPLED = 2048  # rows of a window whose values are kept
COLLECTED = 8192  # where there is no reference yet: the first window becomes it
VALUES_PER_S = 120_000  # that are counted, such as all of 4,000 rows of 30 fields a second
MOST_PENDING = 1024  # rows that were answered and are not counted yet
RUN = 64  # neighbours that are chosen together
GOLDEN = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: its multiples are spread evenly


class Delta(msgspec.Struct):
    """What one replica answered between ``start`` and ``end``, in seconds since 1970, and has not told of before.

    ``answered`` counts all rows, ``counts`` those that were counted, None where the replica knows no bins yet. A sample of
    them has the hash of each row ``keys`` (m,), its ``times`` (m,) in seconds since 1970 and its ``values`` (m, k).
    """

    start: float
    end: float
    answered: int
    counts: Counts | None
    keys: Keys
    times: Floats
    values: Floats


class Tally:
    """Counts what one replica answers. ``pending`` is how many rows wait to be counted."""

    def __init__(
        self,
        columns: Sequence[Column],
        read: Callable[[Sequence[Column]], Reader],
        window_s: float,
        clock: Callable[[], float],
        seed: int,
        send: Callable[[Delta], None],
    ) -> None:
        """``columns`` are those that rows are collected by until ``know`` gives them bins; ``seed`` are 64 random bits.
        ``send`` takes what is to be kept."""
        self.pending = 0
        self._read = read
        self._reader = read(columns)
        self._width = len(columns)
        self._counter: Counter | None = None
        self._window_s = window_s
        self._clock = clock
        self._seed = np.uint64(seed)
        self._send = send
        self._waiting: list[tuple[float, Rows, Rows, Floats | None]] = []
        self._number = seed  # of the next row, modulo 2**64
        self._shift = 0  # of 2**shift rows, one is counted
        self._second, self._second_rows = clock(), 0
        self._seen = 0
        self._answered = 0
        self._fresh: list[tuple[Keys, Floats, Floats]] = []
        self._known: Keys = np.zeros(0, dtype=np.uint64)
        self._below = np.uint64(MASK)
        self._begin(clock())

    @property
    def knows(self) -> bool:
        """Whether there are bins to count by."""
        return self._counter is not None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to count or to tell."""
        return not self.pending and not self._answered

    def know(self, columns: Sequence[Column]) -> None:
        """From now on, count by the bins of a reference. What was collected before is sent."""
        self.flush()
        self._reader, self._counter, self._width = self._read(columns), Counter(columns), len(columns)
        self._begin(self._clock())

    def saw(self, rows: Rows, answer: Answer) -> None:
        """Put aside what was answered just now; mostly, that is all."""
        n = len(answer.index)
        if not n:
            return
        now = self._clock()
        if not self._start <= now < self._end:
            self.flush()
            self._begin(now)
        self._answered += n
        self._second_rows += n
        if now - self._second >= 1.0:
            self._adapt(now)
        first, self._number = self._number, self._number + n & MASK
        chosen = self._chosen(first, n) if self._shift else None
        if chosen is not None and not chosen:
            return
        given, said = _answered(rows, answer), answer.outputs
        if chosen is not None:
            given, said = given.take(chosen), said.take(chosen)
        pictures = self._reader.pictures(given) if self._reader.has_pictures else None
        self._waiting.append((now, _bare(given), _bare(said), pictures))
        self.pending += len(said)
        if self.pending >= MOST_PENDING:
            self.count()

    def _chosen(self, first: int, rows: int) -> list[int]:
        """Which of so many rows are counted, of which the first one has this number."""
        chosen: list[int] = []
        for run in range(first // RUN, (first + rows - 1) // RUN + 1):
            if not (run * GOLDEN & MASK) >> (64 - self._shift):
                chosen += range(max(run * RUN - first, 0), min((run + 1) * RUN - first, rows))
        return chosen

    def _adapt(self, now: float) -> None:
        """Take every second row, or every fourth, …, where they came faster in the last second than is affordable."""
        values = self._second_rows / (now - self._second) * self._width
        self._shift = max(0, (int(values) // VALUES_PER_S).bit_length())
        self._second, self._second_rows = now, 0

    def count(self) -> None:
        """Count what was put aside."""
        if not self._waiting:
            return
        times, rows, answers, pictures = zip(*self._waiting, strict=True)
        self._waiting, self.pending = [], 0
        shown = np.concatenate(pictures) if self._reader.has_pictures else None
        block = self._reader.block(Rows.concatenate(rows), Rows.concatenate(answers), shown)
        if self._counter is not None:
            self._counter.add(block.values, block.missing)
        self._choose(block.values, np.repeat(times, [len(some) for some in rows]))

    def _choose(self, values: Floats, times: Floats) -> None:
        """Keep those rows whose hash is among the smallest of the window."""
        first, self._seen = self._seen, self._seen + len(values)
        with np.errstate(over="ignore"):
            keys = mix(np.arange(first, self._seen, dtype=np.uint64) + self._seed)
        chosen = np.flatnonzero(keys < self._below)
        if not len(chosen):
            return
        self._fresh.append((keys[chosen], times[chosen], values[chosen]))
        most = COLLECTED if self._counter is None else SAMPLED
        self._known = np.sort(np.concatenate([self._known, keys[chosen]]))[:most]
        if len(self._known) == most:
            self._below = self._known[-1]

    def flush(self) -> None:
        """Send what was not sent yet."""
        self.count()
        if not self._answered:
            return
        keys, times, values = (
            np.concatenate(arrays) for arrays in zip(*(self._fresh or [_none(self._width)]), strict=True)
        )
        counts = self._counter.take() if self._counter is not None else None
        delta = Delta(self._start, self._end, self._answered, counts, keys, times, values)
        self._fresh, self._answered = [], 0
        self._send(delta)

    def _begin(self, now: float) -> None:
        """Begin the window that ``now`` lies in."""
        self._start = now // self._window_s * self._window_s
        self._end = self._start + self._window_s
        self._answered, self._fresh = 0, []
        self._known = np.zeros(0, dtype=np.uint64)
        self._below = np.uint64(MASK)


def _answered(rows: Rows, answer: Answer) -> Rows:
    """The rows that got an answer, as the model got them where that is known."""
    given, index = answer.given, answer.index
    if given is None or answer.given_index is None:
        return rows if len(index) == len(rows) else rows.take(index)
    return given if len(index) == len(given) else given.take(answer.given_index.searchsorted(index))


def _bare(rows: Rows) -> Rows:
    """Rows without text and pictures, which are not counted and may be large; a copy where they would keep those alive."""
    blocks, bits, own = rows.parts()
    if not own:
        return rows
    return Rows(rows.layout, len(rows), {name: block.copy() for name, block in blocks.items()}, bits)


def _none(width: int) -> tuple[Keys, Floats, Floats]:
    return np.zeros(0, dtype=np.uint64), np.zeros(0), np.zeros((0, width))

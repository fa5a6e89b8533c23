"""A replica's part in watching: it counts what it answered when nobody waits, and leaves the counts for the admin process.

A piece is a file in the service's folder, every two seconds while rows come. Nothing of it is on the way of an answer; where
the disk refuses, counts are lost, and that is said in the log.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tenfold.contract.form import layout_of
from tenfold.drift.columns import Column
from tenfold.drift.deltas import WINDOW_S, Delta, Tally
from tenfold.drift.folder import folder_of, profile_in, replace, spool_in
from tenfold.drift.live import Reader, pictures_of, watched
from tenfold.drift.profile import Profile, pack, unpack
from tenfold.rows import Answer, Rows
from tenfold.spec import Spec

FLUSH_S = 2.0
MOST_SEEN = 16  # batches that are put aside together,
MANY = 256  # of so many rows each
REST_MS = 20  # of silence, after which what was answered is counted
FOREVER_MS = -1


class Counting:
    """What one replica counts. ``patience_ms`` is how long there may be silence before ``rest`` has something to do."""

    def __init__(self, home: Path, release: str, spec: Spec, clock: Callable[[], float] = time.time) -> None:
        """``home`` is the service's folder."""
        self.patience_ms = FOREVER_MS
        self._folder = folder_of(home, release)
        self._clock = clock
        self._due = 0.0
        self._seen: list[tuple[Rows, Answer]] = []
        self._own, self._told = secrets.token_hex(6), 0
        columns = watched(spec.input, spec.output)
        given, answered = layout_of(spec.input), layout_of(spec.output)
        pictures = pictures_of(spec.input)

        def read(some: Sequence[Column]) -> Reader:
            return Reader(some, given, answered, pictures)

        window_s, seed = spec.drift.window_s or WINDOW_S, secrets.randbits(64)
        self._tally = Tally(columns, read, window_s, clock, seed, self._leave) if columns else None

    def saw(self, rows: Rows, answer: Answer) -> None:
        """Take note of what was answered. That is settled for a few batches together, since the next one may wait already."""
        if self._tally is None:
            return
        if self.patience_ms < 0:
            self._due = self._clock() + FLUSH_S
        self.patience_ms = REST_MS
        self._seen.append((rows, answer))
        is_heavy = rows.layout.own or answer.outputs.layout.own or len(rows) > MANY  # pictures and texts may be large
        if is_heavy or len(self._seen) >= MOST_SEEN or self._clock() >= self._due:
            with self._unharmed():
                self._settle(self._tally)
                if self._clock() >= self._due:  # it is never silent
                    self._tell(self._tally)

    def rest(self) -> None:
        """Count what was put aside; and leave it, once in a while."""
        if self._tally is None:
            return
        with self._unharmed():
            self._settle(self._tally)
            self._tally.count()
            left_s = self._due - self._clock()
            if not 0 < left_s <= FLUSH_S:
                self._tell(self._tally)
            else:
                self.patience_ms = int(left_s * 1000) + 1

    def _settle(self, tally: Tally) -> None:
        """Put what was seen aside."""
        for rows, answer in self._seen:
            tally.saw(rows, answer)
        self._seen.clear()

    def close(self) -> None:
        """Leave what is left."""
        if self._tally is not None:
            with self._unharmed():
                self._settle(self._tally)
                self._tally.flush()

    @contextlib.contextmanager
    def _unharmed(self) -> Iterator[None]:
        """A fault in counting ends the counting, and nothing else."""
        try:
            yield
        except Exception:
            self._give_up()

    def _give_up(self) -> None:
        logging.getLogger("tenfold").exception("rows are no longer counted for drift by this replica")
        self._tally, self.patience_ms = None, FOREVER_MS
        self._seen.clear()

    def _tell(self, tally: Tally) -> None:
        tally.flush()
        if not tally.knows:
            self._look(tally)
        self._due, self.patience_ms = self._clock() + FLUSH_S, FOREVER_MS

    def _look(self, tally: Tally) -> None:
        """Has the admin process made a reference meanwhile?"""
        try:
            data = profile_in(self._folder).read_bytes()
        except OSError:
            return
        tally.know(unpack(data, Profile).columns)

    def _leave(self, delta: Delta) -> None:
        self._told += 1
        try:
            spool = spool_in(self._folder)
            spool.mkdir(parents=True, exist_ok=True)
            replace(spool / f"{int(delta.start * 1000):015}-{self._own}-{self._told}", pack(delta))
        except OSError as error:
            said = "the counts of %d rows are lost, which drift is told by: %s"
            logging.getLogger("tenfold").warning(said, delta.answered, error)

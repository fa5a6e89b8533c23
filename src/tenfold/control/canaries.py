"""What the fronts cannot count of a canary: answers that were rare before, and answers that their labels prove wrong.

Both are read from what is kept anyway. Replicas leave pieces for drift, with the values of a sample of what they answered;
which of them are rare is said by the reference of the old release (``tenfold.drift.profile``). Labels were joined to answers
when they came; each counts once it is due. Neither is the word on a whole request, so that they only ever speak of harm.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tenfold.control import labelfiles
from tenfold.control.driftkept import read
from tenfold.control.driftlosses import matured, usual_loss
from tenfold.drift.columns import cells_of, offsets
from tenfold.drift.deltas import Delta
from tenfold.drift.folder import folder_of, profile_in, spool_in
from tenfold.drift.following import arranged
from tenfold.drift.live import watched
from tenfold.drift.profile import Profile
from tenfold.drift.truth import answer_field
from tenfold.releases.evidence import BLOCK, SAMPLED, Guard, Tally
from tenfold.spec import Spec

RARE = 0.01  # of the answers of the reference, at most, lie in the bins that are called rare
LOOK_S, AGAIN_S = 1.0, 60.0  # labels become due, too, where none comes
HISTORY_S = 30 * 86_400.0  # of labels tell which errors of numbers are usual


class Side(NamedTuple):
    """One of the two releases: what it declares, and how its answers call it."""

    spec: Spec
    label: str


class Answers:
    """The answers of a new release and of the old one beside it, for one rollout."""

    def __init__(self, home: Path, new: Side, old: Side, began: float) -> None:
        """``home`` is the service's folder; the rollout ``began`` then, in seconds since 1970."""
        self._home, self._sides, self._began = home, (new, old), began
        self._profile: Profile | None = None
        self._read: set[Path] = {path for side in self._sides for path in _pieces(home, side)}
        self._judged: set[str] = set()  # requests of which a labelled answer was counted
        self._limit: float | None = None
        self._touched, self._again = 0.0, 0.0
        self._due = 0.0
        self._waiting = {guard: Tally() for guard in SAMPLED}
        self._told = {guard: Tally() for guard in SAMPLED}

    def tallies(self, declared: Collection[Guard], since: float | None, now: float) -> Mapping[Guard, Tally]:
        """What was counted so far by these guard-rails, of answers ``since`` then (None: of none yet)."""
        if now >= self._due:
            self._due = now + LOOK_S
            with suppress(OSError):  # the next look finds it
                if Guard.PREDICTIONS in declared:
                    self._add(Guard.PREDICTIONS, self._rare(since))
                if Guard.LABELS in declared:
                    self._add(Guard.LABELS, self._wrong(now))
        return {guard: tally for guard, tally in self._told.items() if guard in declared}

    def _add(self, guard: Guard, more: Tally) -> None:
        """Tell of more once there is some of both sides: pieces of the two never come at the same moment."""
        waiting = self._waiting[guard].plus(more)
        if waiting.new_of and waiting.old_of and waiting.of >= BLOCK:
            self._told[guard], waiting = self._told[guard].plus(waiting), Tally()
        self._waiting[guard] = waiting

    # Answers that were rare before

    def _rare(self, since: float | None) -> Tally:
        _, old = self._sides
        self._profile = self._profile or read(profile_in(folder_of(self._home, old.label)), Profile)
        counts = [self._rare_of(side, since) for side in self._sides]
        return Tally(*counts[0], *counts[1])

    def _rare_of(self, side: Side, since: float | None) -> tuple[int, int]:
        """How many of the new answers of a release are rare by the reference, of how many."""
        bad = of = 0
        for path in _pieces(self._home, side):
            if path in self._read:
                continue
            self._read.add(path)
            delta = read(path, Delta)
            if delta is None or self._profile is None or since is None:
                continue
            values = delta.values[delta.times >= since]
            rare = rare_rows(self._profile, self._by_reference(side, delta, values))
            bad, of = bad + int(rare.sum()), of + len(values)
        return bad, of

    def _by_reference(self, side: Side, delta: Delta, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values of a piece as the reference has its columns."""
        assert self._profile is not None
        own = read(profile_in(folder_of(self._home, side.label)), Profile) if delta.counts is not None else None
        given = own.columns if own is not None else watched(side.spec.input, side.spec.output)
        return arranged(values, given, self._profile.columns)

    # Answers that labels prove wrong

    def _wrong(self, now: float) -> Tally:
        """What labels said since this was last asked. Of a request with many rows, one answer counts."""
        touched, limit = labelfiles.touched(self._home, self._began, now), self._most()
        if limit is None or touched is None or (touched == self._touched and now < self._again):
            return Tally()
        self._touched, self._again = touched, now + AGAIN_S
        counts = [[0, 0], [0, 0]]
        for k, side in enumerate(self._sides):
            for one in matured(self._home, side.spec, side.label, self._began, now):
                request = one.id.partition("/")[0]
                if request not in self._judged:
                    self._judged.add(request)
                    counts[k][0] += one.loss > limit
                    counts[k][1] += 1
        return Tally(*counts[0], *counts[1])

    def _most(self) -> float | None:
        """The loss beyond which an answer is wrong: any of a class, an unusual one of a number; None where nobody can say."""
        _, old = self._sides
        if self._limit is None:
            since = self._began - HISTORY_S
            self._limit = usual_loss(self._home, old.spec, old.label, since, self._began)
        field = answer_field(watched(old.spec.input, old.spec.output))
        return 0.0 if self._limit is None and (field is None or field.kind == "category") else self._limit


def rare_rows(profile: Profile, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of rows (n, k) by the columns of a reference, which have an answer (n,) that it hardly has."""
    cells, starts = cells_of(profile.columns, values), offsets(profile.columns)
    found = np.zeros(len(values), dtype=bool)
    for k, column in enumerate(profile.columns):
        if column.role in ("prediction", "score"):
            found |= rare_cells(profile.counts.cells[starts[k] : starts[k + 1]])[cells[:, k]]
    return found


def rare_cells(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The smallest bins (c,) that hold a hundredth of the rows at the most, together."""
    order = np.argsort(counts, kind="stable")
    rare = np.zeros(len(counts), dtype=bool)
    rare[order[np.cumsum(counts[order]) <= RARE * counts.sum()]] = True
    return rare


def _pieces(home: Path, side: Side) -> Iterator[Path]:
    spool = spool_in(folder_of(home, side.label))
    found = sorted(spool.iterdir()) if spool.is_dir() else []
    return (path for path in found if not path.name.startswith("."))

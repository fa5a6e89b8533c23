"""A job at work: shards are read in order, answered by whichever worker is free, and kept in order again.

Only what is kept counts. A part is kept when all before it are, so that a job which is interrupted, however that
happens, goes on behind the last one and writes what it would have written anyway.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from tenfold.errors import Conflict, TenfoldError
from tenfold.formats.places import File, unreadable
from tenfold.formats.shards import Limits, Place, Reader, Shard, pack
from tenfold.jobs.budget import Budget
from tenfold.jobs.line import Message, parcel_of
from tenfold.jobs.manifest import Part
from tenfold.jobs.suspects import Hopeless, Probe, Suspects, Whole
from tenfold.jobs.tasks import Task
from tenfold.jobs.workers import Done, Ended

AHEAD = 8  # shards for each worker that may be answered before an earlier one is
LISTEN_S = 0.5  # how soon a job notices that it shall stop


class Workers(Protocol):
    """Where shards are answered (see ``workers``)."""

    count: int

    @property
    def free(self) -> int:
        """How many tasks it takes without their waiting for long."""
        ...

    def send(self, task: Task, parcel: int) -> None:
        """Begin a task."""
        ...

    def wait(self, at_most_s: float) -> Sequence[Done | Ended]:
        """What became of tasks."""
        ...


class Keeper(Protocol):
    """What parts are kept by: a folder, or only counted."""

    parts: list[Part]

    def name(self, number: int) -> str:
        """The name of a part."""
        ...

    def commit(self, part: Part, answers: bytes, aside: bytes, sample: bytes) -> None:
        """Keep it for good."""
        ...


class Counted:
    """Keeps the counts alone."""

    def __init__(self) -> None:
        self.parts: list[Part] = []

    def name(self, number: int) -> str:
        return f"part-{number:05}"

    def commit(self, part: Part, *_: bytes) -> None:
        self.parts.append(part)


class Input(NamedTuple):
    """What is read: readers in order, with the file of each that can be looked at again."""

    readers: Sequence[Reader]
    files: Sequence[File | None]
    limits: Limits

    @property
    def rows(self) -> int | None:
        """The rows of all files; None where only reading tells."""
        counts = [reader.rows for reader in self.readers]
        return None if None in counts else sum(count or 0 for count in counts)


class Progress(NamedTuple):
    """How far a job is: rows and bad rows that are safe, those of an earlier run included, and the share of the whole
    input that they are."""

    rows: int
    bad: int
    share: float


class Stopped(NamedTuple):
    """Why a job ended before its input did."""

    why: str
    kind: str  # "asked", "budget" or "nothing"


@dataclass(slots=True)
class Case:
    """A shard that is being answered."""

    number: int
    file: int
    shard: Shard
    before: int
    parcel: int
    suspects: Suspects
    probing: bool = False
    result: Message | None = None
    data: bytes = b""

    def close(self) -> None:
        """Let go of the rows: they are answered, or never will be in this run."""
        if self.parcel >= 0:
            os.close(self.parcel)
            self.parcel = -1


class Run:
    """One run of a job, from where its keeper stands."""

    def __init__(
        self,
        source: Input,
        keeper: Keeper,
        workers: Workers,
        budget: Budget,
        *,
        verb: str = "answer",
        tell: Callable[[Progress], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._source = source
        self._keeper = keeper
        self._workers = workers
        self._budget = budget
        self._verb = verb
        self._tell = tell
        self._stopping = stopping
        self._cases: dict[int, Case] = {}
        self._sizes = [reader.size for reader in source.readers]
        self._shards = self._read()
        self._is_read = False
        self._last: int | None = None  # how many parts there will be, once the job was asked to stop

    def go(self) -> Stopped | None:
        """Answer what is left; why it stopped, if it did not come to the end. Raises what makes going on useless."""
        try:
            stopped = self._verdict()
            while stopped is None:
                self._feed()
                if not self._cases or self._is_enough():
                    break
                for event in self._workers.wait(LISTEN_S):
                    self._take(event)
                stopped = self._keep()
            return stopped or self._judge(is_end=self._is_read and not self._cases) or self._asked()
        finally:
            for case in self._cases.values():
                case.close()

    def _is_enough(self) -> bool:
        """Whether the job was asked to stop, and the shards that were in work then are kept."""
        if self._last is None and self._stopping():
            self._last = len(self._keeper.parts) + self._workers.count
        return self._last is not None and len(self._keeper.parts) >= self._last

    def _asked(self) -> Stopped | None:
        return None if self._is_read and not self._cases else Stopped("it was asked to", "asked")

    # -- in --------------------------------------------------------------------------------------------------

    def _read(self) -> Iterator[Case]:
        """The shards that are not kept yet, each as a case."""
        parts = self._keeper.parts
        number, before = len(parts), sum(part.rows for part in parts)
        first, place = (parts[-1].file, parts[-1].end) if parts else (0, Place())
        for file, reader in enumerate(self._source.readers[first:], start=first):
            for shard in reader.shards(place, self._source.limits):
                yield self._case(number, file, shard, before)
                number, before = number + 1, before + shard.rows
            place = Place()
        if not number:  # an empty input has an empty answer
            yield self._case(0, 0, Shard(Place(), Place(), 0, self._source.readers[0].nothing()), 0)

    def _case(self, number: int, file: int, shard: Shard, before: int) -> Case:
        parcel = parcel_of(partial(pack, shard.content))
        return Case(number, file, shard._replace(content=None), before, parcel, Suspects(shard.rows))

    def _feed(self) -> None:
        """Give the workers what they have room for."""
        while not self._is_read and self._workers.free > 0 and len(self._cases) < AHEAD * self._workers.count:
            if self._stopping():
                return
            case = next(self._shards, None)
            if case is None:
                self._is_read = True
                return
            self._cases[case.number] = case
            self._send(case)

    def _send(self, case: Case) -> None:
        """Try what is to be tried with a shard next."""
        todo = case.suspects.next()
        case.probing = isinstance(todo, Probe)
        reader, start = self._source.readers[case.file], case.shard.start
        task = Task(
            number=case.number,
            verb=self._verb,
            layout=reader.layout,
            file=reader.name,
            row=start.row,
            line=start.line,
            before=case.before,
        )
        self._workers.send(_as_said(task, todo, case), case.parcel)

    # -- out -------------------------------------------------------------------------------------------------

    def _take(self, event: Done | Ended) -> None:
        """Take note of what became of a task."""
        case = self._cases[event.number]
        match event:
            case Done() if case.probing:
                case.suspects.passed()
            case Done():
                case.result, case.data = event.result, event.data
                case.close()
                return
            case Ended(piece=None) if case.probing:
                case.suspects.lost(event.how)
            case Ended(piece=(first, stop)) if case.probing:
                case.suspects.died_at(first, stop, event.how)
            case Ended():
                case.suspects.died(event.how, late=event.late)
        self._send(case)

    def _keep(self) -> Stopped | None:
        """Keep every part that is next; why the job has to stop, if it has to."""
        while (case := self._cases.get(len(self._keeper.parts))) is not None and case.result is not None:
            self._require_unchanged(case)
            result = dict(case.result)
            pieces = _cut(case.data, result.pop("bytes", (0, 0, 0)))
            part = Part(
                part=self._keeper.name(case.number),
                file=case.file,
                start=case.shard.start,
                end=case.shard.end,
                **result,
            )
            self._keeper.commit(part, *pieces)
            del self._cases[case.number]
            if (stopped := self._verdict()) is not None:
                return stopped
        return None

    def _verdict(self) -> Stopped | None:
        """Tell how far the job is; and why it may not go on, if it may not."""
        parts = self._keeper.parts
        if not parts:
            return None
        self._tell(self._progress())
        if self._budget.is_open and not parts[0].answered and parts[0].rows:
            code = max(parts[0].codes, key=lambda code: parts[0].codes[code])
            return Stopped(f"none of the first {parts[0].rows:,} rows can be answered: {code}", "nothing")
        return self._judge(is_end=False)

    def _judge(self, *, is_end: bool) -> Stopped | None:
        """Whether too many rows are bad."""
        rows, bad, share = self._progress()
        total = rows if is_end else self._source.rows or (rows / share if share else 0)
        is_sure = is_end or self._source.rows is not None
        why = self._budget.broken(bad, total, is_sure=is_sure) if rows else ""
        return Stopped(why, "budget") if why else None

    def _progress(self) -> Progress:
        parts = self._keeper.parts
        if not parts:
            return Progress(0, 0, 0.0)
        last = parts[-1]
        passed = sum(self._sizes[: last.file]) + self._source.readers[last.file].passed(last.end)
        share = min(passed / max(sum(self._sizes), 1), 1.0)
        return Progress(sum(part.rows for part in parts), sum(part.quarantined for part in parts), share)

    def _require_unchanged(self, case: Case) -> None:
        """Raise ``Conflict`` where a file was written to while it was read: then its rows cannot be trusted."""
        file = self._source.files[case.file]
        if file is not None and _now(file) != (file.size, file.modified_ns):
            raise Conflict(
                f"{file.name} was written to while the job read it",
                "let the job read a file that stays as it is; answer it into a new folder: -o NEW",
            )


def _cut(data: bytes, sizes: Sequence[int]) -> tuple[bytes, bytes, bytes]:
    """Answers, rows put aside and rows that are sampled, which came in one piece."""
    answers, aside, _ = sizes
    return data[:answers], data[answers : answers + aside], data[answers + aside :]


def _now(file: File) -> tuple[int, int]:
    try:
        return file.now()
    except OSError as error:
        raise unreadable(file.name, error) from None


def _as_said(task: Task, todo: Whole | Probe | Hopeless, case: Case) -> Task:
    """The task for what is to be tried."""
    match todo:
        case Whole(without, hurried):
            return msgspec.structs.replace(task, without=dict(without), hurried=hurried)
        case Probe(first, stop, size):
            return msgspec.structs.replace(
                task, verb="probe", first=first, stop=stop, size=size, without=dict(case.suspects.guilty)
            )
        case Hopeless(how):
            start = case.shard.start.row
            raise TenfoldError(
                f"rows {start:,} to {start + case.shard.rows - 1:,} of {task.file} cannot be answered together, "
                f"although each of them can alone: {how}",
                "memory, perhaps: answer fewer rows together with --shard-rows, into a new folder",
            )

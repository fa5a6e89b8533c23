"""A job at work: in whatever order workers answer, and however often they end, the same is written."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.errors import Conflict, TenfoldError
from tenfold.formats.batches import Reading, unpack
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import open_files
from tenfold.formats.places import File, find
from tenfold.formats.shards import Limits
from tenfold.jobs.answering import Answering, Order
from tenfold.jobs.budget import Budget
from tenfold.jobs.folder import Folder
from tenfold.jobs.line import contents
from tenfold.jobs.manifest import Input as Named
from tenfold.jobs.manifest import Job
from tenfold.jobs.run import Input, Progress, Run, Stopped
from tenfold.jobs.tasks import Setup, Task
from tenfold.jobs.workers import Done, Ended
from tenfold.pipeline import Pipeline
from tenfold.service import Service, spec
from tenfold.service import find as find_service
from tests.jobs.making import content, digests, rows, service, trained, write

ROWS = 200
LIMITS = Limits(20)


class Here:
    """Workers in this process, which answer in an order drawn at random, and end as often as they are told to."""

    def __init__(self, answers: Answering, reading: Reading, chance: random.Random, deaths: int = 0) -> None:
        self.count = 3
        self._answers = answers
        self._reading = reading
        self._chance = chance
        self._deaths = deaths
        self._tasks: list[tuple[Task, int]] = []

    @property
    def free(self) -> int:
        return 2 * self.count - len(self._tasks)

    def send(self, task: Task, parcel: int) -> None:
        self._tasks.append((task, parcel))

    def wait(self, at_most_s: float) -> list[Done | Ended]:
        task, parcel = self._tasks.pop(self._chance.randrange(len(self._tasks)))
        if self._deaths and self._chance.random() < 0.5:
            self._deaths -= 1
            piece = (task.first, min(task.first + task.size, task.stop)) if task.verb == "probe" else None
            return [Ended(task.number, "signal SIGKILL", False, piece)]
        if task.verb == "probe":
            return [Done(task.number, {}, b"")]
        done = self._answers.answer(
            unpack(contents(parcel), task.layout, self._reading),
            Order(task.file, task.row, task.before, task.line, task.without),
        )
        sizes = [len(piece) for piece in done.pieces]
        return [Done(task.number, {**done.counts(), "bytes": sizes}, b"".join(done.pieces))]


class World:
    """A service, two files, and a job over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: Service = find_service(trained(service(folder / "doubled"))).start()
        for name, at in (("a", 0), ("b", 7)):
            table = rows(ROWS, x={at: 500.0, 133: 95.0, 190: 88.0}, y={at + 50: None})
            write(folder / f"{name}.parquet", table)
        self.files = find([str(folder / "*.parquet")])
        self.reading = Reading(self.started.input.form, ["code"], Dialect())
        pipeline = Pipeline(self.started, report=lambda _: None)
        self.answers = Answering(
            pipeline, spec(self.started), self.reading, Setup("job", "id", ["code"], Dialect(), "parquet")
        )
        self.job = Job(
            service="doubled",
            release="ab" * 32,
            inputs=tuple(Named(Path(file.name).name, file.size, "") for file in self.files),
            keep=("code",),
            format="parquet",
            dialect=Dialect(),
            shard_rows=LIMITS.rows,
            shard_bytes=LIMITS.bytes,
        )

    def source(self) -> Input:
        """The files, opened."""
        readers = open_files(self.files, self.started.input.form, Dialect(), ["code"])
        return Input(readers, list[File | None](self.files), LIMITS)

    def run(
        self,
        out: Path,
        seed: int = 0,
        deaths: int = 0,
        budget: Budget | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> Stopped | None:
        """One run of the job."""
        workers = Here(self.answers, self.reading, random.Random(seed), deaths)
        with Folder(out, self.job, ".parquet") as folder:
            return Run(self.source(), folder, workers, budget or Budget(), tell=tell, stopping=stopping).go()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The one that the tests share."""
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a job writes that nothing disturbs."""
    out = tmp_path_factory.mktemp("whole") / "out"
    assert world.run(out) is None
    return digests(out)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=8)
@given(seed=st.integers(0, 10**6), deaths=st.integers(0, 3), stop=st.integers(0, 20))
def test_however_it_goes_the_same_is_written(
    world: World, whole: dict[str, str], tmp_path_factory: pytest.TempPathFactory, seed: int, deaths: int, stop: int
) -> None:
    """Workers that answer out of order or end, and a job that is stopped and goes on, change no byte."""
    out = tmp_path_factory.mktemp("run") / "out"
    told: list[Progress] = []
    stopped = world.run(out, seed, deaths, tell=told.append, stopping=lambda: len(told) >= stop)
    assert stopped is None or stopped.kind == "asked"
    assert world.run(out, seed + 1, deaths) is None
    assert digests(out) == whole


def test_no_descriptor_is_left_open(world: World, tmp_path: Path) -> None:
    """A job of any length holds on to the shards that are in work, and to nothing else."""
    held = Path("/proc/self/fd")
    if not held.exists():
        pytest.skip("this system does not list them")
    before = len(list(held.iterdir()))
    told: list[Progress] = []
    world.run(tmp_path / "out", stopping=lambda: len(told) > 3, tell=told.append)
    assert len(list(held.iterdir())) <= before + 4  # files that readers hold until they are collected


def test_progress_is_told_for_each_part(world: World, tmp_path: Path) -> None:
    """Rows, bad rows and the share of the whole grow with each part, up to all of it."""
    told: list[Progress] = []
    world.run(tmp_path / "out", tell=told.append)
    assert told == sorted(told)
    assert told[-1] == Progress(2 * ROWS, 4, 1.0)
    assert len(told) == 20


def test_too_many_bad_rows_stop_the_job_where_they_become_too_many(world: World, tmp_path: Path) -> None:
    """The same part is the last one, whatever the order of answers; with a larger budget the job goes on."""
    ends = set()
    for seed in range(3):
        out = tmp_path / str(seed)
        stopped = world.run(out, seed, budget=Budget(most=2))
        assert stopped is not None
        assert stopped.kind == "budget"
        ends.add(tuple(sorted(content(out))))
    assert len(ends) == 1
    assert world.run(tmp_path / "0", budget=Budget(most=4)) is None
    assert world.run(tmp_path / "0", budget=Budget(share=0.001)) == Stopped(
        "4 of 400 rows are bad, and --max-bad allows 0.1 %", "budget"
    )


def test_a_file_that_changes_under_the_job_stops_it(world: World, tmp_path: Path) -> None:
    """Answers to rows that are no longer there would be worth nothing."""
    table = write(tmp_path / "x.parquet", rows(200))
    [file] = find([str(table)])
    readers = open_files([file], world.started.input.form, Dialect(), ["code"])

    def touch(_: Progress) -> None:
        os.utime(table, ns=(0, 0))

    workers = Here(world.answers, world.reading, random.Random(0))
    with (
        Folder(tmp_path / "out", world.job, ".parquet") as folder,
        pytest.raises(Conflict, match=r"x\.parquet was written to while"),
    ):
        Run(Input(readers, [file], LIMITS), folder, workers, Budget(), tell=touch).go()


def test_an_input_none_of_whose_first_rows_is_good_is_not_read_to_its_end(world: World, tmp_path: Path) -> None:
    """A wrong delimiter or unit is told at once; somebody who means it says --max-bad 100%."""
    [file] = find([str(write(tmp_path / "x.parquet", rows(200, x=dict.fromkeys(range(200), 500.0))))])
    source = Input(open_files([file], world.started.input.form, Dialect(), ["code"]), [file], LIMITS)
    for budget, expected in ((Budget(), 1), (Budget(share=1.0), 10)):
        workers = Here(world.answers, world.reading, random.Random(0))
        with Folder(tmp_path / str(expected), world.job, ".parquet") as folder:
            stopped = Run(source, folder, workers, budget).go()
            assert len(folder.parts) == expected
        assert (stopped is None) == (expected == 10)
        if stopped is not None:
            assert stopped.why == "none of the first 20 rows can be answered: out_of_range"


def test_rows_that_only_kill_together_end_the_job_with_a_mend(world: World, tmp_path: Path) -> None:
    """The parts before them are safe, and the error says what to try."""

    class Deadly(Here):
        def wait(self, at_most_s: float) -> list[Done | Ended]:
            for one in self._tasks:
                if one[0].number == 2 and one[0].verb == "answer":
                    self._tasks.remove(one)
                    return [Ended(2, "signal SIGKILL", False, None)]
            return super().wait(at_most_s)

    workers = Deadly(world.answers, world.reading, random.Random(0))
    with (
        Folder(tmp_path / "out", world.job, ".parquet") as folder,
        pytest.raises(TenfoldError, match=r"rows 40 to 59 of .* cannot be answered together") as caught,
    ):
        Run(world.source(), folder, workers, Budget()).go()
    assert "--shard-rows" in caught.value.hint

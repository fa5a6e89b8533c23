"""File jobs: what a command or request asks for, made ready, run, and summed up."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from tenfold import environment as environments
from tenfold.config import environment, require_environment, single_threaded
from tenfold.contract.form import Form, leaves
from tenfold.control.job_page import render_page
from tenfold.control.stores import opened, within
from tenfold.engines.folder import home
from tenfold.errors import NotFound, UsageError
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import absent, kept, open_files, unused
from tenfold.formats.pictures import digest_of
from tenfold.formats.places import File, find, fingerprint, is_sampled
from tenfold.formats.shards import SHARD_BYTES, SHARD_ROWS, Reader
from tenfold.formats.tables import SUFFIXES
from tenfold.jobs.budget import budget_of
from tenfold.jobs.folder import ASIDE, Folder
from tenfold.jobs.manifest import Input as Named
from tenfold.jobs.manifest import Job
from tenfold.jobs.run import Counted, Input, Progress, Run, Stopped
from tenfold.jobs.sampling import reference_in
from tenfold.jobs.summary import Drifted, Summary, summarise
from tenfold.jobs.tasks import Setup
from tenfold.jobs.through import require_url, shown
from tenfold.jobs.workers import Pool, worker
from tenfold.spec import Spec
from tenfold.store.naming import resolve
from tenfold.units import seconds

if TYPE_CHECKING:
    from tenfold.jobs.cluster import Cluster

__all__ = ["Batch", "Outcome", "Plan", "Progress"]

MOST_WORKERS = 4  # unless it is said otherwise: each holds the model
OWN_COLUMNS = ("changes", "flags", "fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for.

    ``max_bad`` are shares and counts ("1%", "1000"), ``timeout`` is the time for a block of rows, ``workers`` 0 is as many as
    there are cores (and 4 at the most), ``delimiter`` "" that of the file's name. ``reference`` is a table that the input is
    to be held against, instead of the profile that the service has of its training. ``on`` is "ray" for the machines of a Ray
    cluster; ``through`` is the URL of a live service that answers, and ``access`` a key for it. ``store`` is where a release
    is looked for.
    """

    service: str
    inputs: Sequence[str]
    out: Path | None
    keep: Sequence[str] = ()
    format: str = "parquet"
    max_bad: Sequence[str] = ()
    timeout: str = "10 min"
    workers: int = 0
    shard_rows: int = SHARD_ROWS
    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    decimal: str = "."
    encoding: str = "utf-8"
    nulls: Sequence[str] = ()
    reference: Path | None = None
    env: str = ""
    dry_run: bool = False
    on: str = ""
    through: str = ""
    access: str = ""
    store: str = ""

    @property
    def parts(self) -> str:
        """The parts of the output as a glob."""
        return f"part-*{SUFFIXES[self.format]}"

    def dialect(self, files: Sequence[File]) -> Dialect:
        """How the CSV files among these are written."""
        by_name = "\t" if ".tsv" in Path(files[0].name.lower()).suffixes else ","
        return Dialect(
            delimiter={"": by_name, r"\t": "\t"}.get(self.delimiter, self.delimiter),
            quote=self.quote,
            escape=self.escape,
            decimal=self.decimal,
            encoding=self.encoding,
            nulls=tuple(self.nulls),
        )


class Outcome(NamedTuple):
    """The summary of a job, why it stopped before its end (None if it did not), and what this run of it did: in how many
    seconds, after how many in which the service was loaded and the files were opened."""

    summary: Summary
    stopped: Stopped | None
    rows: int
    seconds: float
    loading_s: float


class Batch:
    """A job that is ready to run: its service loaded, its files opened, its folder its own.

    ``unused`` are columns that nobody wants, ``absent`` optional fields without a column, ``safe`` the rows that an
    earlier run answered.
    """

    def __init__(self, plan: Plan) -> None:
        """Raises whatever makes the job useless, before anything is written."""
        began = time.monotonic()
        self.plan = plan
        self._budget = budget_of(plan.max_bad)
        timeout_s = _seconds(plan.timeout)
        if plan.through:
            require_url(plan.through)
        service, python = _resolved(plan)
        if plan.reference is not None and not plan.reference.exists():
            raise NotFound(f"there is no file {plan.reference}", "check the path after --reference")
        files = _outside(find(plan.inputs), plan.out)
        dialect = plan.dialect(files)
        with ExitStack() as opened:
            pool = _workers(plan, service, python, timeout_s)
            opened.callback(pool.close)
            self.workers = pool.count
            self.spec = pool.start()
            self._known = reference_in(Path(home(service)))
            form = self.spec.input
            readers = open_files(files, form, dialect, plan.keep)
            self.keep = _with_key(form, readers, kept(readers, plan.keep))
            id_column = _id_column(self.keep, self.spec)
            self.unused, self.absent = unused(readers, form, self.keep), absent(readers, form)
            self.job = self._job(files, dialect)
            is_one_each = len(readers) == len(files) and files[0].kind != "pictures"
            self.source = Input(readers, files if is_one_each else [None], self.job.limits)
            self._keeper: Folder | Counted = Counted()
            if plan.out is not None and not plan.dry_run:
                self._keeper = opened.enter_context(Folder(plan.out, self.job, SUFFIXES[plan.format]))
            pool.begin(Setup(self.job.id, id_column, self.keep, dialect, plan.format, plan.through, plan.access))
            self._pool = pool
            self.safe = sum(part.rows for part in self._keeper.parts)
            self._opened = opened.pop_all()
        self._loading_s = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def run(
        self,
        tell: Callable[[Progress], None] = lambda _: None,
        asked: Callable[[], None] = lambda: None,
        say: Callable[[str], None] = lambda _: None,
    ) -> Outcome:
        """Answer what is left. ``tell`` hears of progress, ``asked`` once a signal asks the job to stop: it then keeps
        what is in work; a second one ends it at once, which loses nothing either. ``say`` is told of what comes after."""
        began = time.monotonic()
        verb = "check" if self.plan.dry_run else "answer"
        with _heeding(asked) as stopping:
            run = Run(
                self.source, self._keeper, self._pool, self._budget, verb=verb, tell=tell, stopping=stopping.is_set
            )
            stopped = run.go()
        parts = self._keeper.parts
        summary = summarise(self.job, parts, "stopped" if stopped else "finished", stopped.why if stopped else "")
        if stopped is None and summary.rows:
            summary = msgspec.structs.replace(summary, drift=self._drifted(summary.rows, say))
        if isinstance(self._keeper, Folder):
            self._keeper.write("summary.json", summary.to_json())
            self._keeper.write("summary.html", render_page(summary, self._keeper.path / ASIDE))
        return Outcome(summary, stopped, summary.rows - self.safe, time.monotonic() - began, self._loading_s)

    def _drifted(self, rows: int, say: Callable[[str], None]) -> Drifted | None:
        """Whether the input is such as the model knows; None where nothing was answered, and nobody named a reference."""
        from tenfold.control import job_drift

        if self.plan.reference is not None:
            return job_drift.judge(self.plan.reference, self.source, rows, self.spec.input, self.job.dialect, say)
        if not isinstance(self._keeper, Folder):
            return None
        if self._known is None:
            return job_drift.unknown(self.plan.service)
        return job_drift.judge_sample(self._known, self.spec.drift, self._keeper.samples(), rows)

    def _job(self, files: Sequence[File], dialect: Dialect) -> Job:
        inputs = (
            [digest_of(files)]
            if files[0].kind == "pictures"
            else [(one.name, one.size, fingerprint(one), one.modified_ns if is_sampled(one) else 0) for one in files]
        )
        return Job(
            service=self.spec.name,
            release=self.spec.release,
            inputs=tuple(Named(*one) for one in inputs),
            keep=tuple(self.keep),
            format=self.plan.format,
            dialect=dialect,
            shard_rows=self.plan.shard_rows,
            shard_bytes=SHARD_BYTES,
        )


def _workers(plan: Plan, service: str, python: str, timeout_s: float) -> Pool | Cluster:
    """Where the job is answered: by processes here, which may ask a live service, or on the machines of a cluster."""
    env, through = environment(plan.env), bool(plan.through)
    if through and plan.dry_run:
        raise UsageError(
            "a live service answers rows; it cannot only validate them", "leave --through or --dry-run out"
        )
    if plan.on == "ray":
        from tenfold.jobs.cluster import Cluster

        return Cluster(service, env, plan.workers, timeout_s, through=through)
    count = plan.workers or (1 if through else min(_cores(), MOST_WORKERS))
    command = worker(service, env, through=through, python=python)
    return Pool(command, count, timeout_s, single_threaded(), time.monotonic)


def _resolved(plan: Plan) -> tuple[str, str]:
    """The folder or file of the service, and the interpreter that has its libraries. An existing path beats a name."""
    name = plan.service
    if name.startswith(("http://", "https://")):
        url = shown(name)
        raise UsageError(
            f"{url} is a running service, and a job needs its contract", f"name its folder, and --through {url}"
        )
    if Path(name).exists() or Path(name.rpartition(":")[0]).is_file():
        require_environment(plan.env, name)
        return name, sys.executable
    try:
        with opened(plan.store, name) as store:
            release = resolve(store, within(store, name))
            folder = store.materialise(release).absolute()
            return str(folder / release.entry), str(environments.python_of(store, release))
    except NotFound as error:
        raise NotFound(
            f"there is no folder or file {name}, and {error.message}",
            "name a folder with a service.py, file.py:Class, or NAME@N of a store (--store URL)",
        ) from None


def _outside(files: Sequence[File], out: Path | None) -> list[File]:
    """The files that are no answers of the job itself, whose folder may lie in the folder that it reads."""
    if out is None:
        return list(files)
    ours = out.resolve()
    outside = [file for file in files if "://" in file.name or not Path(file.name).resolve().is_relative_to(ours)]
    if not outside:
        raise UsageError(f"all of the input lies in {out}", "name another folder: -o NEW")
    return outside


def _with_key(form: Form, readers: Sequence[Reader], keep: Sequence[str]) -> list[str]:
    """The columns to keep: the contract's Key before those that were asked for, where every file has it."""
    wire = form.key.wire if form.key else ""
    is_there = wire and all(not reader.columns or wire in reader.columns for reader in readers)
    return [wire, *keep] if is_there and wire not in keep else list(keep)


def _id_column(keep: Sequence[str], spec: Spec) -> str:
    """What the column of ids is called: "prediction_id", where the rows have an "id" of their own.

    Raises ``UsageError`` where a kept column has the name of any other that the answers have.
    """
    own = {*OWN_COLUMNS, *(wire for _, wire, _, _ in leaves(spec.output.fields))}
    for name in keep:
        if name in own - {"id"} or name == "prediction_id":
            raise UsageError(
                f"the answers have a column {name!r} of their own", f"do not keep {name}; --keep COL,COL names others"
            )
    return "prediction_id" if "id" in keep or "id" in own else "id"


def _seconds(text: str) -> float:
    try:
        return seconds(text)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}", '--timeout "10 min"') from None


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _heeding(asked: Callable[[], None]) -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second one interrupts."""
    stopping = threading.Event()

    def stop(*_: object) -> None:
        if stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()
        asked()

    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

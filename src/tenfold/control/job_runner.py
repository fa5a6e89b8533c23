"""The process that does the jobs of a queue, one after the other.

It holds the job that it works at by a lease. If it ends in whatever way, the lease runs out, and the next one goes on behind
the last part that is safe. It ends once nothing waits, and with the server that started it.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from tenfold.config import single_threaded
from tenfold.control.job_files import Files
from tenfold.control.job_requests import Wish
from tenfold.control.job_runners import LEASE_S
from tenfold.control.jobs import Batch, Outcome, Plan, Progress
from tenfold.errors import Conflict, TenfoldError
from tenfold.formats.weighing import require_modest
from tenfold.server.process import stand_aside
from tenfold.store import Store, open_store
from tenfold.store.jobs import ENDED
from tenfold.store.records import Job

KEEP_S = 3.0
TRIES = 5  # runners that may end over the same job without one more row being safe
DONE, FAILED = "done", "failed"
log = logging.getLogger("tenfold")


class Lease:
    """A job that this process works at, kept by a thread with a connection of its own to the store."""

    def __init__(self, store: Store, files: Files, job: Job) -> None:
        self.lost = False
        self._place = store.url
        self._files = files
        self._job = job
        self._kept_s = time.monotonic()
        self._now: dict[str, Any] = dict(job.result)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def note(self, progress: Progress) -> None:
        """Remember how far the job is, and from time to time what it has written."""
        if time.monotonic() - self._kept_s >= KEEP_S:
            self._now |= self.kept()
            self._kept_s = time.monotonic()
        self._now |= {"rows": progress.rows, "bad": progress.bad, "share": progress.share, "token": self._job.token}

    def kept(self) -> dict[str, Any]:
        """The files of the job that other machines may read, and go on behind; all that are there now."""
        files = self._files.keep(self._job, self._now.get("files", {}))
        return {"files": files} if files else {}

    @property
    def safe(self) -> dict[str, Any]:
        """Those that were kept before."""
        return {name: files for name, files in self._now.items() if name == "files"}

    def end(self) -> Job:
        """Keep it no longer."""
        self._over.set()
        self._thread.join()
        return self._job

    def _keep(self) -> None:
        while not self._over.wait(KEEP_S):
            try:
                with closing(open_store(self._place)) as store:
                    self._job = store.jobs.keep(self._job, LEASE_S, self._now)
            except Conflict:  # it was cancelled, or somebody took it over
                self.lost = True
                os.kill(os.getpid(), signal.SIGTERM)  # as who asks a command to stop
                return
            except TenfoldError as error:  # whoever takes the job over then does what is done here
                log.warning("job %s: %s", self._job.id, error.message)


def do(store: Store, job: Job) -> None:
    """Do a job that was claimed, and say what became of it."""
    files = Files(store)
    lease = Lease(store, files, job)
    try:
        if job.token - job.result.get("token", 0) > TRIES:
            raise TenfoldError(f"the process of the job ended {TRIES} times", "the server's log says how")
        rows = files.sent(job) if job.plan["upload"] else None
        if rows is not None:
            require_modest(rows, single_threaded())
        files.fetch(job)
        with Batch(_plan(store.url, job, rows, files.out(job))) as batch:
            outcome = batch.run(lease.note)
        ended = _ended(outcome, lease.kept())
        if outcome.stopped is not None and outcome.stopped.kind == "asked":
            lease.lost = True  # somebody ended this process: the next one goes on
    except TenfoldError as error:
        ended = FAILED, lease.safe | {"error": {"message": error.message, "hint": error.hint}}
    except Exception as error:
        said = f"tenfold itself failed: {type(error).__name__}: {error}"
        ended = FAILED, lease.safe | {"error": {"message": said, "hint": ""}}
    job = lease.end()
    if not lease.lost:
        with suppress(Conflict):
            store.jobs.finish(job, *ended)
    now = store.jobs.get(job.id)
    if now is not None and now.state in ENDED:
        files.forget(now)


def _plan(store: str, job: Job, rows: Path | None, out: Path) -> Plan:
    """What is to be done: by the release that answered when the job came, with its own libraries, or by a folder."""
    wish = msgspec.convert(job.plan["wish"], Wish)
    return Plan(
        service=job.plan["folder"] or f"{job.service}@{job.plan['release']}",
        store=store,
        env=job.plan["env"],
        inputs=wish.inputs if rows is None else [str(rows)],
        out=out,
        keep=wish.keep,
        format=wish.format,
        max_bad=wish.max_bad,
        shard_rows=wish.shard_rows,
        delimiter=wish.delimiter,
        encoding=wish.encoding,
        decimal=wish.decimal,
        nulls=wish.nulls,
        workers=1,
    )


def _ended(outcome: Outcome, kept: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The state that a job ends in, and what is said of it."""
    summary = msgspec.to_builtins(outcome.summary)
    result = kept | {"rows": summary["rows"], "bad": summary["quarantined"], "summary": summary}
    if outcome.stopped is None:
        return DONE, result | {"share": 1.0}
    return FAILED, result | {"error": {"message": outcome.stopped.why, "hint": "max_bad says how many may be bad"}}


def main(channel: int, store: str, services: Sequence[str]) -> None:
    """Do whatever waits in a store for these services, as long as the other end of ``channel`` is held."""
    threading.Thread(target=_follow, args=(channel,), daemon=True).start()
    stand_aside()
    holder = f"{socket.gethostname()}:{os.getpid()}"
    with closing(open_store(store)) as opened:
        Files(opened).sweep(opened.jobs)
        while (job := opened.jobs.claim(holder, LEASE_S, services)) is not None:
            do(opened, job)


def _follow(channel: int) -> None:
    os.read(channel, 1)
    os._exit(1)  # what is safe is safe

"""The process that does the jobs of a queue, one after the other.

It holds the job that it works at by a lease. If it ends in whatever way, the lease runs out, and the next one goes on behind
the last part that is safe. It ends once nothing waits, and with the server that started it.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from tenfold.config import single_threaded
from tenfold.control.job_requests import OUT, Wish
from tenfold.control.job_runners import JOBS, LEASE_S, OPEN
from tenfold.control.jobs import Batch, Outcome, Plan, Progress
from tenfold.errors import Conflict, TenfoldError
from tenfold.formats.weighing import require_modest
from tenfold.server.process import stand_back
from tenfold.store import open_store
from tenfold.store.records import Job

KEEP_S = 3.0
TRIES = 5  # runners that may end over the same job without one more row being safe
DONE, FAILED = "done", "failed"


class Lease:
    """A job that this process works at, kept by a thread with a connection of its own to the store."""

    def __init__(self, home: Path, job: Job) -> None:
        self.lost = False
        self._home = home
        self._job = job
        self._now: dict[str, Any] = dict(job.result)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def note(self, progress: Progress) -> None:
        """Remember how far the job is."""
        self._now |= {"rows": progress.rows, "bad": progress.bad, "share": progress.share, "token": self._job.token}

    def end(self) -> Job:
        """Keep it no longer."""
        self._over.set()
        self._thread.join()
        return self._job

    def _keep(self) -> None:
        with closing(open_store(self._home)) as store:
            while not self._over.wait(KEEP_S):
                try:
                    self._job = store.jobs.keep(self._job, LEASE_S, self._now)
                except Conflict:  # it was cancelled, or somebody took it over
                    self.lost = True
                    os.kill(os.getpid(), signal.SIGTERM)  # as who asks a command to stop
                    return


def do(home: Path, job: Job) -> None:
    """Do a job that was claimed, and say what became of it."""
    place = home / JOBS / job.id
    lease = Lease(home, job)
    try:
        if job.token - job.result.get("token", 0) > TRIES:
            raise TenfoldError(f"the process of the job ended {TRIES} times", "the server's log says how")
        if upload := job.plan["upload"]:
            require_modest(place / upload, single_threaded())
        with Batch(_plan(place, job)) as batch:
            outcome = batch.run(lease.note)
        ended = _ended(outcome)
        if outcome.stopped is not None and outcome.stopped.kind == "asked":
            lease.lost = True  # somebody ended this process: the next one goes on
    except TenfoldError as error:
        ended = FAILED, {"error": {"message": error.message, "hint": error.hint}}
    except Exception as error:
        ended = FAILED, {"error": {"message": f"tenfold itself failed: {type(error).__name__}: {error}", "hint": ""}}
    job = lease.end()
    if lease.lost:
        return
    with closing(open_store(home)) as store:
        state, result = ended
        store.jobs.finish(job, state, result)
    (place / OPEN).unlink(missing_ok=True)


def _plan(place: Path, job: Job) -> Plan:
    wish = msgspec.convert(job.plan["wish"], Wish)
    upload = job.plan["upload"]
    return Plan(
        service=job.plan["folder"],
        inputs=[str(place / upload)] if upload else wish.inputs,
        out=place / OUT,
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


def _ended(outcome: Outcome) -> tuple[str, dict[str, Any]]:
    """The state that a job ends in, and what is said of it."""
    summary = msgspec.to_builtins(outcome.summary)
    result = {"rows": summary["rows"], "bad": summary["quarantined"], "summary": summary}
    if outcome.stopped is None:
        return DONE, result | {"share": 1.0}
    return FAILED, result | {"error": {"message": outcome.stopped.why, "hint": "max_bad says how many may be bad"}}


def main(channel: int, home: str) -> None:
    """Do whatever waits, as long as the other end of ``channel`` is held."""
    threading.Thread(target=_follow, args=(channel,), daemon=True).start()
    stand_back()
    holder = f"{socket.gethostname()}:{os.getpid()}"
    while True:
        with closing(open_store(home)) as store:
            job = store.jobs.claim(holder, LEASE_S)
        if job is None:
            return
        do(Path(home), job)


def _follow(channel: int) -> None:
    os.read(channel, 1)
    os._exit(1)  # what is safe is safe

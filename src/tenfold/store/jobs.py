"""Jobs in SQL: a queue that one worker at a time takes from, and that outlives each of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from tenfold.errors import Conflict
from tenfold.store.clock import Clock, Entropy, identifier
from tenfold.store.database import Database, record
from tenfold.store.records import Job, json, written

WAITING, RUNNING, CANCELLED = "waiting", "running", "cancelled"
ENDED = ("done", "failed", CANCELLED)


def contents(job: Job) -> Iterator[str]:
    """The digests of what a job keeps among the contents of its store: what was sent to it, until it has ended, and the files
    that it wrote."""
    if "content" in job.plan and job.state not in ENDED:
        yield job.plan["content"]
    yield from job.result.get("files", {}).values()


class QueuedJobs:
    """``Jobs`` in the order in which they came. A worker that is not heard of loses its job to the next."""

    def __init__(self, database: Database, clock: Clock, entropy: Entropy) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy

    def add(self, service: str, plan: Mapping[str, Any]) -> Job:
        now = self._clock()
        told = msgspec.to_builtins(dict(plan))
        job = Job(id=identifier(self._entropy), service=service, state=WAITING, plan=told, at=now, changed=now)
        with self._database.transaction():
            self._database.run(
                "INSERT INTO job (id, service, state, plan, result, holder, token, at, changed) "
                "VALUES (?, ?, ?, ?, '{}', '', 0, ?, ?)",
                *(job.id, service, WAITING, json(told), written(now), written(now)),
            )
        return job

    def get(self, id: str) -> Job | None:  # noqa: A002 - its own word
        found = self._many("id = ?", id)
        return found[0] if found else None

    def list(self, service: str = "") -> Sequence[Job]:
        return self._many("(service = ? OR ? = '') ORDER BY at DESC, id", service, service)

    def waits(self, services: Collection[str]) -> bool:
        return bool(self._free(services))

    def claim(self, holder: str, ttl_s: float, services: Collection[str]) -> Job | None:
        now = self._clock()
        with self._database.transaction():
            free = self._free(services)
            if not free:
                return None
            job = msgspec.structs.replace(
                free[0],
                state=RUNNING,
                holder=holder,
                token=free[0].token + 1,
                expires=now + timedelta(seconds=ttl_s),
                changed=now,
            )
            self._save(job)
        return job

    def keep(self, job: Job, ttl_s: float, result: Mapping[str, Any] | None = None) -> Job:
        return self._change(job, RUNNING, job.result if result is None else result, ttl_s)

    def finish(self, job: Job, state: str, result: Mapping[str, Any]) -> Job:
        return self._change(job, state, result, 0.0)

    def cancel(self, id: str) -> Job | None:  # noqa: A002 - its own word
        with self._database.transaction():
            job = self.get(id)
            if job is None or job.state in ENDED:
                return None
            job = msgspec.structs.replace(job, state=CANCELLED, changed=self._clock())
            self._save(job)
        return job

    def _free(self, services: Collection[str]) -> Sequence[Job]:
        """The oldest job of these services that nobody works at, if there is one."""
        theirs = ", ".join("?" for _ in services) or "NULL"
        found = f"service IN ({theirs}) AND (state = ? OR (state = ? AND expires <= ?)) ORDER BY at, id LIMIT 1"
        return self._many(found, *services, WAITING, RUNNING, written(self._clock()))

    def _change(self, job: Job, state: str, result: Mapping[str, Any], ttl_s: float) -> Job:
        now = self._clock()
        with self._database.transaction():
            there = self.get(job.id)
            if there is None or there.token != job.token or there.state != RUNNING:
                whose = (
                    f"{there.holder} has it" if there and there.state == RUNNING else "it was cancelled, or has ended"
                )
                raise Conflict(f"job {job.id} is not worked at by {job.holder} any more: {whose}", "leave it to them")
            job = msgspec.structs.replace(
                there,
                state=state,
                result=msgspec.to_builtins(dict(result)),
                expires=now + timedelta(seconds=ttl_s),
                changed=now,
            )
            self._save(job)
        return job

    def _save(self, job: Job) -> None:
        self._database.run(
            "UPDATE job SET state = ?, result = ?, holder = ?, token = ?, expires = ?, changed = ? WHERE id = ?",
            *(job.state, json(job.result), job.holder, job.token, written(job.expires) if job.expires else None),
            *(written(job.changed), job.id),
        )

    def _many(self, where: str, *values: Any) -> Sequence[Job]:
        rows = self._database.rows(f"SELECT * FROM job WHERE {where}", *values)
        return [record(Job, row, "plan", "result") for row in rows]

"""Starts a runner wherever a job waits. Imports nothing of what a job needs: the admin process looks once a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.config import single_threaded
from tenfold.store import Store
from tenfold.store.database import EMBEDDED
from tenfold.store.following import Follower

LEASE_S = 10.0  # a runner that is not heard of for so long loses its job to the next
LOOK_S = 1.0


def store_of(about: Mapping[str, Any], place: str) -> str:
    """The store in which the jobs of a service wait: ``place``, the server's, from which it was deployed; or that of its
    folder, where it is served as it is on disk, which no other server could do."""
    return place if about["deployed"] else str(Path(about["home"], EMBEDDED))


class Runners:
    """One runner for each store, as long as something waits there for a service that answers here."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._queues: dict[str, Queue] = {}

    def tick(self, fleet: Sequence[Mapping[str, Any]], place: str) -> None:
        """Look after the jobs of every service that answers. ``place`` is the server's store."""
        services: dict[str, set[str]] = {}
        for about in fleet:
            services.setdefault(store_of(about, place), set()).add(about["service"]["name"])
        for store in services.keys() - self._queues.keys():
            self._queues[store] = Queue(store, self._clock)
        for store, queue in self._queues.items():
            queue.tick(services.get(store, ()))


class Queue:
    """The jobs that wait in a store, and the process that does them."""

    def __init__(self, store: str, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._services: Collection[str] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._ours = -1
        self._resumes = 0.0  # nothing is started before
        self._follower = Follower(store, self._look, every_s=LOOK_S)

    def _look(self, store: Store) -> bool | None:
        return store.jobs.waits(self._services) or None

    def tick(self, services: Collection[str]) -> None:
        """See to it that somebody does the jobs of these services."""
        self._services = sorted(services)
        waits = bool(self._follower.news())
        if self._process is not None:
            self._see_to(self._process)
        elif waits and self._services and self._clock() >= self._resumes:
            self._start()

    def _start(self) -> None:
        theirs, self._ours = os.pipe()
        command = [sys.executable, "-m", "tenfold", "jobs", "--channel", str(theirs), self._store, *self._services]
        self._process = subprocess.Popen(
            command, pass_fds=[theirs], stdin=subprocess.DEVNULL, process_group=0, env=single_threaded()
        )
        os.close(theirs)

    def _see_to(self, process: subprocess.Popen[bytes]) -> None:
        """A runner that ended by itself has found nothing more; another one would end as it did, for a while."""
        if process.poll() is None:
            return
        os.close(self._ours)
        self._process = None
        self._resumes = self._clock() + (LEASE_S if process.returncode > 0 else 0.0)

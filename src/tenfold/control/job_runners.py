"""Starts a runner wherever a job waits. Imports nothing of what a job needs: the admin process looks once a second."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tenfold.config import single_threaded

JOBS = Path(".tenfold", "jobs")  # in the home of a service
OPEN = "open"  # a file that is there as long as a job has not ended
LEASE_S = 15.0
LOOK_S = 2.0


class Runners:
    """Starts a runner wherever something waits: one for each home."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._next: dict[str, float] = {}

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """Look after the jobs of every service that answers."""
        for home in {about["home"] for about in fleet}:
            if home in self._running:
                self._look(home)
            elif self._clock() >= self._next.get(home, 0.0):
                self._next[home] = self._clock() + LOOK_S
                if any(Path(home, JOBS).glob(f"*/{OPEN}")):
                    self._start(home)

    def _start(self, home: str) -> None:
        theirs, ours = os.pipe()
        command = [sys.executable, "-m", "tenfold", "jobs", "--channel", str(theirs), home]
        process = subprocess.Popen(
            command, pass_fds=[theirs], stdin=subprocess.DEVNULL, start_new_session=True, env=single_threaded()
        )
        os.close(theirs)
        self._running[home] = process, ours

    def _look(self, home: str) -> None:
        process, ours = self._running[home]
        if process.poll() is None:
            return
        os.close(ours)
        del self._running[home]
        if process.returncode == 0:  # what is open still, somebody else works at
            self._next[home] = self._clock() + LEASE_S

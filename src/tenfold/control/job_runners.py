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
LEASE_S = 10.0  # a runner that is not heard of for so long loses its job to the next


class Runners:
    """One runner for each home, as long as something waits there."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._running: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        self._left: dict[str, set[Path]] = {}  # jobs that a runner found to be somebody else's, or lost
        self._again: dict[str, float] = {}  # when to try these again

    def tick(self, fleet: Sequence[Mapping[str, Any]]) -> None:
        """Look after the jobs of every service that answers."""
        for home in {about["home"] for about in fleet}:
            if home in self._running:
                self._look(home)
            elif waiting := _open(home):
                is_new = waiting - self._left.get(home, set())
                if is_new or self._clock() >= self._again.get(home, 0.0):
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
        self._left[home] = _open(home) if process.returncode == 0 else set()
        self._again[home] = self._clock() + LEASE_S


def _open(home: str) -> set[Path]:
    return set(Path(home, JOBS).glob(f"*/{OPEN}"))

"""What the processes of a server use: memory and processor time by role and service, as Linux tells in /proc.

Processor time is a counter, and must not go down when a process is replaced: what those used that are gone is kept, also over
a restart of the admin process, which is the one that looks. Other systems have no /proc; there, nothing is told.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenfold.server.totals import replace

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STAT_CPU, STAT_STARTED, STAT_RESIDENT = 11, 19, 21  # fields of /proc/PID/stat behind the name (proc(5), from 14 on)

Whose = tuple[str, str]
"""The role of a process, and the service that it belongs to, or ""."""


class Seen(msgspec.Struct, array_like=True):
    """A process when it was last looked at. ``started`` tells it from another one of the same number; ``before_s`` is what
    it had used before it took on its role, as a replica does that becomes a template."""

    role: str
    service: str
    started: int
    cpu_s: float
    resident_bytes: int
    before_s: float = 0.0


class Kept(msgspec.Struct):
    """What the next admin process has to know."""

    alive: dict[int, Seen] = {}
    gone_s: dict[str, dict[str, float]] = {}  # by role and service: the processor time of processes that are gone


class Used(NamedTuple):
    """The processes of one role for one service: how many, the memory that they hold, the processor time of all ever."""

    processes: int
    resident_bytes: int
    cpu_s: float


class Usage:
    """Looks at processes, and adds up."""

    def __init__(self, path: Path, proc: Path = PROC) -> None:
        """``path`` is where it is kept."""
        self._path = path
        self._proc = proc
        self._kept = Kept()
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            self._kept = msgspec.json.decode(path.read_bytes(), type=Kept)

    def look(self, processes: Mapping[int, Whose]) -> None:
        """See what each of these processes, by number, uses now; those that are not among them are gone."""
        before, self._kept.alive = self._kept.alive, {}
        for pid, whose in processes.items():
            seen, was = _read(self._proc / str(pid), whose), before.get(pid)
            if seen is None:
                continue
            self._kept.alive[pid] = seen
            if was is not None and was.started == seen.started:
                if (was.role, was.service) == whose:
                    seen.before_s = was.before_s
                    del before[pid]
                else:
                    seen.before_s = was.cpu_s
        for was in before.values():
            by_service = self._kept.gone_s.setdefault(was.role, {})
            by_service[was.service] = by_service.get(was.service, 0.0) + was.cpu_s - was.before_s
        if before:
            self.keep()

    def keep(self) -> None:
        """Write it down, before anybody is told: what was told once is never taken back."""
        replace(self._path, self._kept)

    def by_role(self) -> dict[Whose, Used]:
        """What each role uses for each service."""
        used = {
            (role, service): Used(0, 0, cpu_s)
            for role, by_service in self._kept.gone_s.items()
            for service, cpu_s in by_service.items()
        }
        for seen in self._kept.alive.values():
            processes, resident_bytes, cpu_s = used.get((seen.role, seen.service), Used(0, 0, 0.0))
            now = Used(processes + 1, resident_bytes + seen.resident_bytes, cpu_s + seen.cpu_s - seen.before_s)
            used[seen.role, seen.service] = now
        return used


def _read(folder: Path, whose: Whose) -> Seen | None:
    try:
        fields = (folder / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    cpu_s = sum(map(int, fields[STAT_CPU : STAT_CPU + 2])) / TICKS_PER_S
    return Seen(*whose, int(fields[STAT_STARTED]), cpu_s, int(fields[STAT_RESIDENT]) * PAGE_BYTES)

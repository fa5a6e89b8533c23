"""What a process asks of its kernel: a name of its own, a place behind others, whose orphans become its children.

Each is a favour: where a kernel (or a container) does not grant it, the process does without, and says so by what it returns.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
import threading
from pathlib import Path

IDLE_S = 15.0  # of loading only while nobody else wants the processor: on one that is never free, that is for ever
BEHIND = 10  # how nice a replica is: the front, which refuses and answers, comes first on a busy machine
TELL_WHERE = signal.SIGUSR1  # a replica answers it by writing down where each of its threads is, even while it hangs
FORK_SAFE = {"jemalloc_bg_thd"}  # of pyarrow's allocator, which stops it before a fork and starts it again after
LONG_SLICE_S = 0.02  # by default it is some milliseconds; the kernel allows 0.1 to 100

_SCHED_SETATTR, _KEEP_POLICY = {"x86_64": 314, "aarch64": 274}, 8  # the number of the call, and a flag of it
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_ARG_START, _ARG_END = 45, 46  # fields of /proc/PID/stat, counted from the state


def adopt_orphans() -> bool:
    """Be the parent of whatever process a descendant leaves behind, so that its end is heard of here."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(wanted: bool) -> None:
    """Be killed when the parent goes, or not any more."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL if wanted else 0)


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    return bool(ctypes.CDLL(None).prctl(option, value, 0, 0, 0) == 0)


def rename(former: str, role: str) -> None:
    """Have this process, started as a ``former`` of some folder, listed as another role of it: a fork has the command line of
    what it was forked from."""
    at = sys.orig_argv.index(former)
    words = [*sys.orig_argv[:at], role, sys.orig_argv[at + 1]]
    with contextlib.suppress(OSError, ValueError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, size = int(fields[_ARG_START]), int(fields[_ARG_END]) - int(fields[_ARG_START])
        line = b"\0".join(map(os.fsencode, words))[: size - 1].ljust(size, b"\0")
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            memory.write(line)


def stand_back(pid: int = 0) -> None:
    """Let the front go first; or have a child do so."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, max(BEHIND, os.getpriority(os.PRIO_PROCESS, pid)))


def stand_aside() -> None:
    """Answer nothing, and so be in nobody's way: stand back, and be interrupted by whoever wakes up. They wait for the end
    of a slice where one is merely nice, up to 4 ms. What is started from here is alike."""
    stand_back()
    _set_slice(LONG_SLICE_S)


def _set_slice(slice_s: float) -> None:
    """How long to run at a stretch, of what runs by turns: whoever has a shorter slice need not wait for it
    (sched_setattr(2), EEVDF from Linux 6.12 on; before, it changes nothing)."""
    number = _SCHED_SETATTR.get(os.uname().machine) if sys.platform == "linux" else None
    if number is not None:
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attributes = struct.pack("=IIQiIQQQ", 48, 0, _KEEP_POLICY, nice, 0, int(slice_s * 1e9), 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attributes, 0)


def take_place(haste: str) -> None:
    """How a replica begins and loads: before everything else ("first"), "behind" what answers already, or "idle": only while
    nobody else wants the processor."""
    if haste != "first":
        stand_back()
    if haste == "idle":
        go_idle()


def go_idle(pid: int = 0) -> None:
    """Let everything else go first, where there is a way back from that; or have a child do so."""
    if _may_return():
        with contextlib.suppress(OSError):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def come_back(pid: int = 0) -> None:
    """Be idle no more, in any thread: each has a priority of its own. Or have a child do so."""
    if not hasattr(os, "SCHED_IDLE"):
        return
    with contextlib.suppress(OSError):  # it ended meanwhile
        for task in Path(f"/proc/{pid or 'self'}/task").iterdir():
            if os.sched_getscheduler(int(task.name)) == os.SCHED_IDLE:
                os.sched_setscheduler(int(task.name), os.SCHED_OTHER, os.sched_param(0))


def _may_return() -> bool:
    """Whether a thread that went idle may come back: it takes CAP_SYS_NICE, or a limit (RLIMIT_NICE) that allows this
    niceness. Tried in a thread of its own, since each has its own priority."""
    came_back = []

    def go_and_return() -> None:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
            came_back.append(True)

    if hasattr(os, "SCHED_IDLE"):
        thread = threading.Thread(target=go_and_return)
        thread.start()
        thread.join()
    return bool(came_back)


def threads() -> list[str]:
    """The names of this process's further threads that a fork would miss."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it ended meanwhile
            if int(task.name) != os.getpid():
                found.append((task / "comm").read_text().strip())
    return [name for name in found if name not in FORK_SAFE]


def open_files() -> dict[int, str]:
    """What this process has open, by descriptor: a fork would share it, place in the file and all."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            found[int(entry.name)] = str(entry.readlink())
    return found

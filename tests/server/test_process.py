"""What a process asks of its kernel."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tenfold.server.process import BEHIND, LONG_SLICE_S, come_back, go_idle, stand_aside
from tests.server.running import Running, until

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="priorities of Linux")


def test_what_went_idle_comes_back_with_all_its_threads() -> None:
    """Threads that a library started while a model was loaded do not stay behind for ever."""
    code = "import threading; threading.Thread(target=input).start(); print(flush=True); threading.Event().wait()"
    with subprocess.Popen([sys.executable, "-c", f"input(); {code}"], stdin=-1, stdout=-1) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        go_idle(child.pid)
        if os.sched_getscheduler(child.pid) != os.SCHED_IDLE:
            child.kill()
            pytest.skip("this user has no way back from idle")
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        tasks = [int(task.name) for task in Path(f"/proc/{child.pid}/task").iterdir()]
        assert [os.sched_getscheduler(task) for task in tasks] == [os.SCHED_IDLE] * 2
        come_back(child.pid)
        assert [os.sched_getscheduler(task) for task in tasks] == [os.SCHED_OTHER] * 2
        child.kill()


def test_what_has_ended_is_no_error() -> None:
    """A release that could not be loaded is gone before it could come back."""
    with subprocess.Popen(["true"]) as child:
        child.wait()
    go_idle(child.pid)
    come_back(child.pid)


def test_the_processes_of_a_server_share_its_session(server: Running) -> None:
    """Linux shares the processor out among sessions first: across them, a low priority would be none."""
    until(lambda: server.pids("admin"), "the admin process")
    found = [pid for role in ("front", "replica", "admin") for pid in server.pids(role)]
    assert len(found) >= 3
    assert {os.getsid(pid) for pid in found} == {os.getsid(server.process.pid)}
    assert [os.getpgid(pid) for pid in found] == found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of a system call")
def test_what_stands_aside_is_interrupted_by_whoever_wakes_up() -> None:
    """Its turns are longer than those of others, which from Linux 6.12 on need not wait for their end."""
    found: list[int] = []

    def ask() -> None:
        stand_aside()
        attributes = ctypes.create_string_buffer(48)
        assert ctypes.CDLL(None).syscall(315, 0, attributes, 48, 0) == 0  # sched_getattr(2)
        found.extend(struct.unpack("=IIQiIQQQ", attributes.raw))

    thread = threading.Thread(target=ask)  # each has priorities of its own
    thread.start()
    thread.join()
    assert found[3] >= BEHIND
    if tuple(map(int, platform.release().split(".")[:2])) >= (6, 12):
        assert found[5] == int(LONG_SLICE_S * 1e9)

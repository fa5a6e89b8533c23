"""What a process asks of its kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.server.process import come_back, go_idle

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

"""What is seen of replicas several times a second."""

from __future__ import annotations

import os
import subprocess

import pytest

from tenfold.engines.local import Child
from tenfold.engines.rounds import Rounds
from tenfold.server.channel import Channel
from tenfold.server.process import IDLE_S, go_idle


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="priorities of Linux")
def test_a_release_does_not_load_for_ever_on_a_busy_machine() -> None:
    """It loads while nobody else wants the processor, for a while; then it takes its turn."""
    said: list[str] = []
    ours, theirs = Channel.pair()
    with theirs, subprocess.Popen(["sleep", "60"]) as process:
        go_idle(process.pid)
        before = os.sched_getscheduler(process.pid)
        replica = Child("replica", ours, process, process.pid, started=0.0)
        rounds = Rounds(0.0, lambda _, why: said.append(why), lambda _, why: said.append(why))
        rounds.look([replica], IDLE_S - 1.0)
        assert os.sched_getscheduler(process.pid) == before
        rounds.look([replica], IDLE_S + 1.0)
        assert os.sched_getscheduler(process.pid) == os.SCHED_OTHER
        assert said == []
        process.kill()
    ours.close()

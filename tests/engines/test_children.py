"""How processes begin and end beside those that answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tenfold.engines import children
from tenfold.engines.children import Children
from tenfold.server.process import IDLE_S, come_back


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="priorities of Linux")
def test_a_release_that_comes_or_goes_is_in_nobodys_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It works on what the processor has to spare from its first instruction on, and again once it is not needed any more."""
    monkeypatch.setattr(children, "adopt_orphans", lambda: False)  # those of other tests are not ours
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec sleep {IDLE_S}\n")
    python.chmod(0o700)

    async def begin_and_end() -> None:
        all_of_them = Children(tmp_path, os.environ, lambda *_: None, lambda *_: None)
        try:
            all_of_them.start_replica("folder", 1, {}, urgent=False, python=str(python))
            (first,) = all_of_them.replicas()
            assert os.sched_getscheduler(first.pid) == os.SCHED_OTHER
            first.ready = True
            all_of_them.start_replica("folder", 1, {}, urgent=False, python=str(python))
            second = all_of_them.replicas()[1]
            if os.sched_getscheduler(second.pid) != os.SCHED_IDLE:
                pytest.skip("this user has no way back from idle")
            come_back(second.pid)
            assert os.sched_getscheduler(second.pid) == os.SCHED_OTHER
            all_of_them.dismiss(second)
            assert os.sched_getscheduler(second.pid) == os.SCHED_IDLE
        finally:
            all_of_them.kill_all()
            for child in all_of_them:
                all_of_them.hang_up(child)
                child.end(-9, "")

    asyncio.run(begin_and_end())

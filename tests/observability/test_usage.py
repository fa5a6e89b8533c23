"""What processes use, by role: memory that is held now, processor time that never goes down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.server.usage import PAGE_BYTES, TICKS_PER_S, Usage, Used

FRONT, REPLICA = ("front", ""), ("replica", "f")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc of our own."""
    return tmp_path / "proc"


def runs(proc: Path, pid: int, cpu_s: float, started: int = 1, pages: int = 10) -> None:
    """A process as proc(5) shows it, with a name that has spaces and parentheses."""
    (proc / str(pid)).mkdir(parents=True, exist_ok=True)
    ticks = round(cpu_s * TICKS_PER_S)
    rest = ["S", *["0"] * 10, str(ticks - ticks // 4), str(ticks // 4), *["0"] * 6, str(started), "0", str(pages), "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (b) c) {' '.join(rest)}")


def ends(proc: Path, pid: int) -> None:
    """The process is gone."""
    (proc / str(pid) / "stat").unlink()


def test_processes_of_a_role_are_added_up(proc: Path, tmp_path: Path) -> None:
    """Two replicas hold and use what both do."""
    runs(proc, 1, 1.0)
    runs(proc, 2, 2.0)
    runs(proc, 3, 0.5)
    usage = Usage(tmp_path / "usage", proc)
    usage.look({1: REPLICA, 2: REPLICA, 3: FRONT})
    assert usage.by_role() == {REPLICA: Used(2, 20 * PAGE_BYTES, 3.0), FRONT: Used(1, 10 * PAGE_BYTES, 0.5)}


def test_processor_time_outlives_its_process(proc: Path, tmp_path: Path) -> None:
    """Where a process is replaced, memory is that of the new one, and processor time that of both."""
    runs(proc, 1, 5.0)
    usage = Usage(tmp_path / "usage", proc)
    usage.look({1: REPLICA})
    ends(proc, 1)
    runs(proc, 2, 0.25)
    usage.look({2: REPLICA})
    assert usage.by_role() == {REPLICA: Used(1, 10 * PAGE_BYTES, 5.25)}


def test_a_number_that_is_used_again_is_another_process(proc: Path, tmp_path: Path) -> None:
    """A new process may get the number of the old one between two looks."""
    runs(proc, 1, 5.0, started=1)
    usage = Usage(tmp_path / "usage", proc)
    usage.look({1: REPLICA})
    runs(proc, 1, 1.0, started=2)
    usage.look({1: REPLICA})
    assert usage.by_role()[REPLICA].cpu_s == 6.0


def test_a_process_may_change_its_role(proc: Path, tmp_path: Path) -> None:
    """What a replica used before it became a template stays with replicas: no sum goes down, and nothing counts twice."""
    runs(proc, 1, 5.0)
    usage = Usage(tmp_path / "usage", proc)
    usage.look({1: REPLICA})
    runs(proc, 1, 6.0)
    usage.look({1: ("template", "f")})
    runs(proc, 1, 8.0)
    usage.look({1: ("template", "f")})
    assert {whose: used.cpu_s for whose, used in usage.by_role().items()} == {REPLICA: 5.0, ("template", "f"): 3.0}
    ends(proc, 1)
    usage.look({})
    assert {whose: used.cpu_s for whose, used in usage.by_role().items()} == {REPLICA: 5.0, ("template", "f"): 3.0}


def test_what_was_told_is_not_taken_back(proc: Path, tmp_path: Path) -> None:
    """The next admin process knows of processes that ended before it, and while nobody looked."""
    runs(proc, 1, 5.0)
    runs(proc, 2, 1.0)
    usage = Usage(tmp_path / "usage", proc)
    usage.look({1: REPLICA, 2: REPLICA})
    usage.keep()
    ends(proc, 1)
    successor = Usage(tmp_path / "usage", proc)
    successor.look({2: REPLICA})
    assert successor.by_role()[REPLICA] == Used(1, 10 * PAGE_BYTES, 6.0)


def test_without_proc_nothing_is_told(tmp_path: Path) -> None:
    """Where the system does not say, no number is made up."""
    usage = Usage(tmp_path / "usage", tmp_path / "none")
    usage.look({1: REPLICA})
    assert usage.by_role() == {}


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")
def test_this_very_process(tmp_path: Path) -> None:
    """What is read of a real process is what it really has."""
    usage = Usage(tmp_path / "usage")
    usage.look({os.getpid(): FRONT})
    used = usage.by_role()[FRONT]
    assert used.resident_bytes > 10_000_000
    assert 0 < used.cpu_s <= os.times().user + os.times().system + 1

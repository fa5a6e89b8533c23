"""What can be seen of a process from outside, without asking it: Linux shows it under /proc, others show nothing."""

from __future__ import annotations

import contextlib
import os
import struct
from pathlib import Path

from tenfold.engines.health import Held, Signs
from tenfold.server.frames import NOW

_STATE, _USER, _SYSTEM = 0, 11, 12  # fields of /proc/PID/stat, counted from the state


def signs(pid: int, address: str, before: Held) -> Signs:
    """One look at a replica; closer where it holds the batch that it held before."""
    held = in_hand(address)
    if not held[0] or held != before:
        return Signs(held)
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return Signs(held)
    ticks = int(fields[_USER]) + int(fields[_SYSTEM])
    return Signs(held, fields[_STATE] == "S", ticks / os.sysconf("SC_CLK_TCK"))


def in_hand(address: str) -> Held:
    """Which front's which batch the replica at this address is working on, or (front 0) was working on last."""
    try:
        peer, number = NOW.unpack(Path(f"{address}.now").read_bytes())
    except (OSError, struct.error):
        return 0, 0
    return peer, number


def clear_hand(address: str) -> None:
    """Say that a replica which stands still works on nothing: its batch is not to blame."""
    with contextlib.suppress(OSError), Path(f"{address}.now").open("r+b") as file:
        file.write(NOW.pack(0, in_hand(address)[1]))


def resident_bytes(pid: int) -> int:
    """Memory that a process has, shared pages included; 0 where that cannot be seen."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def own_bytes(pid: int) -> int:
    """Memory of a process where a page that n processes share counts for an nth. It takes the kernel milliseconds for each
    gigabyte to say so."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return resident_bytes(pid)
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)

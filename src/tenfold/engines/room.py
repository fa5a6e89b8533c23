"""How much memory is left for another process: Linux says so, other systems do not."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

GROUP = Path("/sys/fs/cgroup")


def free_bytes(group: Path = GROUP) -> int | None:
    """The memory that a new process could have: what the system says is available, and no more than a control group (cgroup
    v2) has left; None where neither can be read."""
    found = [one for one in (_available(), _left_in(group)) if one is not None]
    return min(found, default=None)


def _available() -> int | None:
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in(group: Path) -> int | None:
    """Files that are only cached make way, and so are as good as free."""
    with suppress(OSError, ValueError):  # "max" is no number: there is no limit
        most, taken = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        lines = [line.split() for line in (group / "memory.stat").read_text().splitlines()]
        return most - taken + sum(int(size) for name, size in lines if name == "inactive_file")
    return None

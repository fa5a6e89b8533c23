"""Does memory grow? `python -m benchmarks.soak`, from the root of the repository, on Linux with two cores.

The service of the online benchmark is kept at 70 % of what it can answer, ten minutes long, while the resident memory of
each of its processes is read every second. What it can answer is found by `tenfold bench` first, unless `--rate` says it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from itertools import cycle, pairwise
from pathlib import Path
from statistics import median

import click

from benchmarks.data import prepare, write_bodies
from benchmarks.environments import machine
from benchmarks.repeat import bench
from benchmarks.running import RUN, command_line, family, running
from benchmarks.servers import OURS, SERVICE, Server
from benchmarks.steady import drive

LOAD = 0.7  # of what was found
DEADLINE_S = 1.0
EVERY_S = 1.0
SETTLED = 0.25  # of the time, after which nothing is new to the processes any more
GROWS_MB, GROWS = 2.0, 0.02  # both: by less than that, memory is taken to stay as it is
SERVER_CORE, CLIENT_CORE = 0, 1
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 860, 420, 60, 60, 40
INKS = ("#3438b8", "#156b3b", "#b3231a", "#8a5a00", "#6b2a86", "#2a6f86")
STYLE = (
    "text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #191a1c } .line { fill: none; stroke-width: 1.8 }"
)


@dataclass
class Memory:
    """The resident megabytes of one process, and the seconds at which they were read."""

    name: str
    seconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def growth_mb(self) -> float:
        """From the first third to the last of what was read once all had settled, by their medians."""
        settled = self.megabytes[int(len(self.megabytes) * SETTLED) :]
        third = max(len(settled) // 3, 1)
        return median(settled[-third:]) - median(settled[:third])

    @property
    def grows(self) -> bool:
        """Whether that is more than chance."""
        return self.growth_mb() > max(GROWS_MB, GROWS * self.megabytes[-1])


class Watch(threading.Thread):
    """Reads the memory of a process and its descendants until it is told to end."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.found: dict[int, Memory] = {}
        self._pid, self._end = pid, threading.Event()

    def run(self) -> None:
        began = time.monotonic()
        while not self._end.wait(EVERY_S):
            with suppress(OSError):  # a process has just ended
                for pid in family(self._pid):
                    memory = self.found.setdefault(pid, Memory(name_of(pid)))
                    memory.megabytes.append(resident_mb(pid))
                    memory.seconds.append(time.monotonic() - began)

    def end(self) -> list[Memory]:
        """What was read."""
        self._end.set()
        self.join()
        return list(self.found.values())


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long.")
@click.option("--rate", default=0.0, help="Requests a second; without it, 70 % of what `tenfold bench` finds.")
@click.option("--svg", default=str(RUN / "soak.svg"), show_default=True, help="Where the picture goes.")
def main(minutes: float, rate: float, svg: str) -> None:
    """Keep a service at a steady load and watch its memory; exits with 1 where that of a process grows."""
    RUN.mkdir(exist_ok=True)
    work, bodies = prepare(), RUN / "soak.ndjson"
    write_bodies(list(work.rows), bodies)
    (server,) = (server for server in OURS if server.name == "tenfold-sklearn")
    print(machine(), flush=True)
    rate = rate or LOAD * bench(f"{SERVICE}:TumourCheck", bodies, "--for", "5 s")["rows_per_s"]
    print(f"{rate:,.0f} requests/s for {minutes:g} minutes", flush=True)
    os.sched_setaffinity(0, {CLIENT_CORE})
    with running(server, work, SERVER_CORE) as at_work:
        watch = Watch(at_work.pid)
        watch.start()
        driven = drive(at_work.url, work.rows, rate, 60 * minutes, DEADLINE_S)
        found = watch.end()
    counts = driven.counts
    print(
        f"{counts['good']:,} of {counts['requests']:,} answered in time; p99 {1000 * driven.answer.quantile(0.99):.1f} ms"
    )
    for memory in found:
        print(f"{memory.name:<12}{memory.megabytes[-1]:8.1f} MB, {memory.growth_mb():+.1f} MB since it had settled")
    Path(svg).write_text(picture(server, rate, found), "utf-8")
    print(f"plot        {svg}")
    sys.exit(any(memory.grows for memory in found))


def resident_mb(pid: int) -> float:
    """What a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def name_of(pid: int) -> str:
    """What kind of process it is: they are named by the word behind `tenfold`."""
    words = command_line(pid).split()
    after = [word for before, word in pairwise(words) if before.rpartition("/")[2] == "tenfold"]
    return (after or words or ["?"])[0]


def picture(server: Server, rate: float, found: Sequence[Memory]) -> str:
    """Memory over time, a line for each process."""
    last_s = max(memory.seconds[-1] for memory in found)
    most_mb = 1.1 * max(max(memory.megabytes) for memory in found)
    x = (WIDTH - 2 * LEFT) / last_s
    y = (HEIGHT - TOP - BOTTOM) / most_mb
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"><style>{STYLE}</style>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fbfbf9"/>',
        f'<text x="{LEFT}" y="26">{escape(server.name)} at {rate:,.0f} requests/s: resident MB over minutes</text>',
    ]
    parts += [
        f'<text x="{LEFT + 60 * minute * x:.0f}" y="{HEIGHT - 14}">{minute}</text>'
        for minute in range(0, int(last_s // 60) + 1, max(1, int(last_s // 600)))
    ]
    parts += [
        f'<text x="12" y="{HEIGHT - BOTTOM - share * most_mb * y:.0f}">{share * most_mb:.0f}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    for memory, ink in zip(found, cycle(INKS), strict=False):
        points = zip(memory.seconds, memory.megabytes, strict=True)
        line = " ".join(f"{LEFT + second * x:.1f},{HEIGHT - BOTTOM - mb * y:.1f}" for second, mb in points)
        parts.append(f'<polyline class="line" stroke="{ink}" points="{line}"/>')
        label_y = HEIGHT - BOTTOM - memory.megabytes[-1] * y - 6
        parts.append(
            f'<text x="{WIDTH - LEFT - 90}" y="{label_y:.0f}" style="fill: {ink}">{escape(memory.name)}</text>'
        )
    return "\n".join([*parts, "</svg>", ""])


if __name__ == "__main__":
    main()

"""The journal in processes that are killed, run at the same time, or fill their disk."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.journal.segment import FOLDER
from tests.journal.answering import everything
from tests.server.running import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
START = """
import json, resource, sys, time
from pathlib import Path
from tenfold.drift import Drift
from tenfold.journal.writer import Writer
from tests.journal.answering import RELEASE, given, spec, told
home, first = Path(sys.argv[1]), float(sys.argv[2])
"""
FOREVER = """
journal = Writer(home, spec(), RELEASE, print)
answers, items = [told(8, first + 8 * k) for k in range(3_000)], given(*"abcdefgh")
for answer in answers:
    journal.add(time.monotonic(), items, answer)
    time.sleep(0.0002)
time.sleep(60)
"""
SEVERAL_MIB = """
journal = Writer(home, spec(drift=Drift(keep_at_most="4 MiB")), RELEASE, print)
answers, items = [told(64, first + 64 * k) for k in range(500)], given(*map(str, range(64)))
for answer in answers:
    journal.add(time.monotonic(), items, answer)
    time.sleep(0.0002)
journal.close(30.0)
"""
LITTLE_ROOM = """
dropped, slowest, since_boot = [], 0.0, 1000.0
journal = Writer(home, spec(), RELEASE, lambda name, rows: dropped.append(rows), monotonic=lambda: since_boot)
items = given(*"abcdefgh")

def add(batches, value):
    global slowest
    for k in range(batches):
        began = time.perf_counter()
        journal.add(since_boot, items, told(8, value + 8 * k))
        slowest = max(slowest, time.perf_counter() - began)
        if k % 50 == 49:
            journal._wake.set()
            while journal._dealt < journal._queued:
                time.sleep(0.001)

_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, most))
add(400, first)
full = sum(dropped)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
since_boot += 61.0
add(100, first + 1e6)
journal.close(30.0)
print(json.dumps({"dropped_when_full": full, "dropped": sum(dropped), "slowest_s": slowest}))
"""


@contextmanager
def front(program: str, home: Path, first: int = 0) -> Iterator[subprocess.Popen[str]]:
    """A process that answers for a while; its scores count up from ``first``."""
    command = [sys.executable, "-c", START + program, str(home), str(first)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def scores(home: Path) -> list[float]:
    """Every score that is kept."""
    return [score for found in everything(home) for score in found.outputs.score.tolist()]


def test_a_kill_costs_the_last_moment_and_nothing_before(tmp_path: Path) -> None:
    """A front that is killed again and again loses nothing that could be read before, and the next one goes on."""
    before = 0
    for life in range(4):
        first = life * 1_000_000
        with front(FOREVER, tmp_path, first) as process:
            until(lambda: len(scores(tmp_path)) > before + 200, "some flushes")  # noqa: B023 -- called at once
            time.sleep(0.013 * life)
            seen = scores(tmp_path)
            process.kill()
            process.wait()
        kept = scores(tmp_path)
        assert kept[: len(seen)] == seen
        mine = [score for score in kept if score >= first]
        assert mine == [first + k for k in range(len(mine))]
        assert len(mine) % 8 == 0
        before = len(kept)


def test_several_fronts_write_at_once_while_it_is_read(tmp_path: Path) -> None:
    """Fronts never mix their records, readers never see half of one, and nobody waits for anybody."""
    with (
        front(SEVERAL_MIB, tmp_path) as one,
        front(SEVERAL_MIB, tmp_path, 1_000_000) as two,
        front(SEVERAL_MIB, tmp_path, 2_000_000) as three,
    ):
        fronts = [one, two, three]
        seen: Counter[float] = Counter()
        while any(process.poll() is None for process in fronts):
            now = Counter(scores(tmp_path))
            assert not seen - now
            seen = now
        assert [process.returncode for process in fronts] == [0, 0, 0]
    kept = Counter(scores(tmp_path))
    assert kept == Counter(first + k for first in (0, 1_000_000, 2_000_000) for k in range(64 * 500))
    files = list((tmp_path / FOLDER).rglob("*.journal"))
    assert len({path.name.partition("-")[2] for path in files}) == 3
    assert len(files) > 3


def test_a_full_disk_stops_the_journal_and_not_the_front(tmp_path: Path) -> None:
    """Where no byte can be written any more, predictions are dropped and counted, the front goes on, and so does the
    journal once there is room."""
    with front(LITTLE_ROOM, tmp_path) as process:
        out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    told = json.loads(out)
    assert said.count("has stopped: File too large") == 1
    assert said.count("is kept again") == 1
    assert told["dropped_when_full"] > 1000
    assert told["dropped"] == told["dropped_when_full"]
    assert told["slowest_s"] < 1.0
    kept = scores(tmp_path)
    early = [score for score in kept if score < 1e6]
    assert early == list(range(len(early)))
    assert len(early) == 3200 - told["dropped"]
    assert kept[len(early) :] == [1e6 + k for k in range(800)]

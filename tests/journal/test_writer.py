"""The front's side: its loop never waits, whatever the disk does."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from tenfold.drift import Drift
from tenfold.journal import writer as room
from tenfold.journal.segment import FOLDER
from tenfold.journal.writer import DROPPED, Writer
from tests.journal.answering import INPUT, RELEASE, everything, given, pack, part, spec, told, writer
from tests.server.running import until


def scores(home: Path) -> list[float]:
    """Every score that is kept, in order."""
    return [score for found in everything(home) for score in found.outputs.score.tolist()]


def test_what_was_taken_is_written_soon(tmp_path: Path) -> None:
    """A prediction can be looked up a moment after it was given, while the service runs."""
    journal = writer(tmp_path)
    journal.add(time.monotonic(), given("a", "b"), told(2))
    until(lambda: scores(tmp_path) == [0.5, 1.5], "the first predictions")
    journal.add(time.monotonic(), given("c"), told(1, 7.0))
    until(lambda: scores(tmp_path) == [0.5, 1.5, 7.0], "the next one")
    journal.close(5.0)


def test_closing_keeps_what_was_taken(tmp_path: Path) -> None:
    """A release that goes, or a server that stops, forgets nothing."""
    journal = writer(tmp_path)
    for k in range(100):
        journal.add(time.monotonic(), given("a"), told(1, k))
    journal.close(5.0)
    assert scores(tmp_path) == list(range(100))


def test_a_process_that_ends_keeps_what_was_taken(tmp_path: Path) -> None:
    """Nobody has to close the journal before the interpreter ends."""
    program = """
import sys, time
from pathlib import Path
from tests.journal.answering import given, told, writer
journal = writer(Path(sys.argv[1]))
journal.add(time.monotonic(), given("a", "b"), told(2))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[2])
    assert scores(tmp_path) == [0.5, 1.5]


class Slow:
    """A disk that takes nothing before it is told to."""

    def __init__(self, journal: Writer) -> None:
        self.go = threading.Event()
        self._write = journal._disk.write
        journal._disk.write = self.write  # type: ignore[method-assign]

    def write(self, records: Iterable[tuple[float, bytes]]) -> bool:
        """Wait, and then write."""
        assert self.go.wait(20)
        return self._write(records)


def test_a_slow_disk_costs_predictions_and_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for the disk is bounded; beyond it predictions are dropped and counted, and the rest is kept in order."""
    monkeypatch.setattr(room, "MOST_BYTES", 2_000)
    dropped: list[int] = []
    journal = Writer(tmp_path, spec(), RELEASE, lambda name, rows: dropped.append(rows))
    slow = Slow(journal)
    items, began = given("a", "b"), time.monotonic()
    for k in range(1000):
        journal.add(time.monotonic(), items, told(2, 2 * k))
    assert time.monotonic() - began < 5.0
    assert 1000 < sum(dropped) < 2000
    slow.go.set()
    journal.close(5.0)
    assert scores(tmp_path) == list(range(2000 - sum(dropped)))


def test_what_a_disk_refuses_is_counted(tmp_path: Path) -> None:
    """Predictions that the thread could not write are counted with the next that come, and none twice."""
    (tmp_path / ".tenfold").write_text("a file, where a folder should be")
    counted: list[tuple[str, int]] = []
    since_boot = [1000.0]
    journal = Writer(tmp_path, spec(), RELEASE, lambda *said: counted.append(said), monotonic=lambda: since_boot[0])
    journal.add(since_boot[0], given("a", "b", "c"), told(3))
    until(lambda: journal._refused == 3, "the refusal")
    journal.add(since_boot[0], given("d", "e"), told(2))
    assert counted == [(DROPPED, 3), (DROPPED, 2)]
    (tmp_path / ".tenfold").unlink()
    since_boot[0] += 60.0
    journal.add(since_boot[0], given("f"), told(1, 9.0))
    journal.close(5.0)
    assert counted == [(DROPPED, 3), (DROPPED, 2)]
    assert scores(tmp_path) == [9.0]


def test_who_was_told_something_else_is_left_out(tmp_path: Path) -> None:
    """An answer that came after its deadline was not given, and an answer to nobody leaves no trace."""
    journal = writer(tmp_path)
    late, fine = given("late", "fine")
    late.done = True
    journal.add(time.monotonic(), [late, fine], told(2))
    journal.add(time.monotonic(), [late], told(1))
    journal.close(5.0)
    (found,) = everything(tmp_path)
    assert found.keys is not None
    assert (found.keys.tolist(), found.outputs.score.tolist()) == (["fine"], [1.5])


def test_rows_of_many_are_found_by_their_places(tmp_path: Path) -> None:
    """Row k of a request of many is ``<id>/k``, whichever batches its rows travelled in."""
    journal = writer(tmp_path)
    rows = pack(INPUT, [{"the sample": key, "x": 0} for key in "abcd"])
    some = part([5, 0], rows[:2])
    (alone,) = given("e")
    journal.add(time.monotonic(), [alone, some], told(3))
    journal.close(5.0)
    (found,) = everything(tmp_path)
    many = some.request.id.decode()
    assert found.ids == [alone.id.decode(), f"{many}/5", f"{many}/0"]
    assert found.places.tolist() == [-1, 5, 0]
    assert found.keys is not None
    assert found.keys.tolist() == ["e", "a", "b"]


def test_times_are_those_of_the_answers(tmp_path: Path) -> None:
    """Each row has the time at which it was answered, to the microsecond, in UTC."""
    journal = writer(tmp_path, clock=lambda: 1_800_000_000.0, monotonic=lambda: 500.0)
    journal.add(499.75, given("a"), told(1))
    journal.add(499.875, given("b", "c"), told(2))
    journal.close(5.0)
    (found,) = everything(tmp_path)
    assert found.times.astype(str).tolist() == [
        "2027-01-15T07:59:59.750000",
        "2027-01-15T07:59:59.875000",
        "2027-01-15T07:59:59.875000",
    ]


def test_a_key_alone_brings_no_input(tmp_path: Path) -> None:
    """Where inputs are not wanted, only the key of a row is kept of it."""
    journal = writer(tmp_path, spec(drift=Drift(journal="outputs")))
    journal.add(time.monotonic(), given("sample 17"), told(1))
    journal.close(5.0)
    (file,) = (tmp_path / FOLDER).rglob("*.journal")
    (found,) = everything(tmp_path)
    assert found.inputs is None
    assert b"sample 17" in file.read_bytes()
    assert b'"x"' not in file.read_bytes()

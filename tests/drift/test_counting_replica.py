"""A replica leaves what it counted in time, whatever the traffic, and answers whatever happens to its counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.contract.form import Form
from tenfold.drift.deltas import Delta
from tenfold.drift.folder import folder_of, profile_in, replace, spool_in
from tenfold.drift.profile import pack, unpack
from tenfold.server.counting import FLUSH_S, FOREVER_MS, Counting
from tests.drift.test_following import Repaid, answered, training_rows
from tests.drift.watching import RELEASE, spec_of


class World:
    """A replica's counting at a time that the test sets."""

    def __init__(self, home: Path, output: Form = Repaid.form) -> None:
        self.now = 1_790_000_040.0
        self.home = home
        spec = spec_of(output)
        self.counting = Counting(home, RELEASE, spec, lambda: self.now)
        self.random = np.random.default_rng(1)

    def left(self) -> list[Delta]:
        """The pieces that lie in the spool."""
        folder = spool_in(folder_of(self.home, RELEASE))
        return [unpack(path.read_bytes(), Delta) for path in sorted(folder.iterdir())] if folder.is_dir() else []


def test_steady_traffic_is_left_every_two_seconds(tmp_path: Path) -> None:
    """A row every hundredth of a second leaves no silence in which to count, and is counted in time all the same."""
    world = World(tmp_path)
    for _ in range(1000):
        world.counting.saw(*answered(world.random, 1))
        world.now += 0.01
    assert sum(delta.answered for delta in world.left()) >= 1000 - FLUSH_S * 100
    assert len(world.left()) <= 6


def test_silence_is_used_to_count(tmp_path: Path) -> None:
    """Once nothing comes, it counts; after two seconds it leaves what it has, and then it sleeps."""
    world = World(tmp_path)
    assert world.counting.patience_ms == FOREVER_MS
    world.counting.saw(*answered(world.random, 5))
    assert 0 < world.counting.patience_ms < 100
    world.now += 0.1
    world.counting.rest()
    assert 0 < world.counting.patience_ms <= FLUSH_S * 1000
    assert not world.left()
    world.now += FLUSH_S
    world.counting.rest()
    assert [delta.answered for delta in world.left()] == [5]
    assert world.counting.patience_ms == FOREVER_MS


def test_what_is_left_when_a_replica_ends_is_not_lost(tmp_path: Path) -> None:
    """A replica that is told to go leaves the rest."""
    world = World(tmp_path)
    world.counting.saw(*answered(world.random, 5))
    world.counting.close()
    assert [delta.answered for delta in world.left()] == [5]


def test_a_reference_is_taken_up_as_soon_as_it_is_there(tmp_path: Path) -> None:
    """First it collects values; once the admin process has made bins of them, it counts."""
    world = World(tmp_path)
    for _ in range(3):
        world.counting.saw(*answered(world.random, 5))
        world.now += FLUSH_S
        world.counting.rest()
        folder = folder_of(tmp_path, RELEASE)
        replace(profile_in(folder), pack(training_rows(500)))
    first, *_, last = world.left()
    assert first.counts is None
    assert last.counts is not None
    assert last.counts.rows == 5


def test_a_full_disk_costs_counts_and_no_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Where the spool cannot be written, that is said, and rows are answered as before."""
    (tmp_path / ".tenfold").write_text("a file where a folder should be")
    world = World(tmp_path)
    world.counting.saw(*answered(world.random, 5))
    world.counting.close()
    assert "the counts of 5 rows are lost" in caplog.text


def test_a_fault_in_counting_ends_the_counting_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Rows that are not of the contract, say: the replica goes on answering, and says once that it counts no more."""
    world = World(tmp_path)
    rows, answer = answered(world.random, 5)
    for _ in range(3):
        world.counting.saw(answer.outputs, answer)
        world.counting.rest()
    world.counting.saw(rows, answer)
    world.counting.close()
    assert caplog.text.count("rows are no longer counted for drift") == 1
    assert world.counting.patience_ms == FOREVER_MS

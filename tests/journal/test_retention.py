"""What is deleted, and what never is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tenfold.journal.retention import Limits, lock, tidy
from tenfold.journal.segment import FOLDER, SEGMENT_S, name_of
from tests.journal.test_disk import NOON, Clocks, disk, files, write

DAY = 86400.0
KEEP = Limits(keep_s=10 * DAY, keep_bytes=10_000)


def put(folder: Path, days_old: float, size: int = 1000, writer: int = 1) -> Path:
    """A segment that was over so many days before noon."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name_of(round((NOON - days_old * DAY - SEGMENT_S) * 1e6), writer)
    path.write_bytes(bytes(size))
    return path


def left(folder: Path) -> list[Path]:
    """What is still there."""
    return sorted(folder.glob("*.journal"))


def test_what_is_too_old_is_deleted(tmp_path: Path) -> None:
    """A segment goes when its last record is older than what is kept."""
    paths = [put(tmp_path, days) for days in (30.0, 10.1, 9.9, 0.0)]
    tidy([tmp_path], KEEP, round(NOON * 1e6))
    assert left(tmp_path) == sorted(paths[2:])


def test_the_oldest_go_first_where_there_is_too_much(tmp_path: Path) -> None:
    """Of all releases together, as many as are needed."""
    old, new = tmp_path / "echo@1", tmp_path / "echo@2"
    paths = [put(old, 5.0, 4000), put(new, 4.0, 4000), put(old, 3.0, 4000), put(new, 2.0, 4000)]
    tidy([old, new], KEEP, round(NOON * 1e6))
    assert left(old) + left(new) == [paths[2], paths[3]]


def test_room_is_made_for_the_next(tmp_path: Path) -> None:
    """The segment that is about to be written counts as well, so that the limit holds when it is full."""
    paths = [put(tmp_path, days, 3000) for days in (3.0, 2.0, 1.0)]
    tidy([tmp_path], KEEP, round(NOON * 1e6), room_bytes=2000)
    assert left(tmp_path) == sorted(paths[1:])


@pytest.mark.parametrize("limits", [Limits(1.0, 2**30), Limits(1e9, 1)])
def test_what_is_being_written_is_never_deleted(tmp_path: Path, limits: Limits) -> None:
    """Another front's segment is safe, however old and large it is; once its writer is gone it is not."""
    mine, others = put(tmp_path, 400.0), put(tmp_path, 300.0)
    writing = os.open(others, os.O_WRONLY)
    assert lock(writing)
    tidy([tmp_path], limits, round(NOON * 1e6))
    assert left(tmp_path) == [others]
    assert not mine.exists()
    os.close(writing)
    tidy([tmp_path], limits, round(NOON * 1e6))
    assert left(tmp_path) == []


def test_empty_folders_go_too(tmp_path: Path) -> None:
    """Of a release whose predictions are all too old nothing remains; what a person put there does."""
    gone, kept = tmp_path / "echo@1", tmp_path / "echo@2"
    put(gone, 30.0)
    put(kept, 30.0)
    (kept / "notes.txt").write_text("mine")
    tidy([gone, kept], KEEP, round(NOON * 1e6))
    assert [path.name for path in tmp_path.iterdir()] == ["echo@2"]
    assert [path.name for path in kept.iterdir()] == ["notes.txt"]


def test_a_writer_tidies_before_each_segment(tmp_path: Path) -> None:
    """All releases of the service count, those that no longer answer too; other services' do not."""
    root = tmp_path / FOLDER
    old, other = put(root / "echo@0000000", 30.0), put(root / "another@0000000", 30.0)
    clocks = Clocks()
    assert write(disk(tmp_path, clocks, KEEP), clocks)
    assert not old.exists()
    assert other.exists()


def test_a_service_that_nobody_asks_forgets_too(tmp_path: Path) -> None:
    """What is too old is deleted while nothing new comes."""
    clocks = Clocks()
    journal = disk(tmp_path, clocks, KEEP)
    old = put(tmp_path / FOLDER / "echo@0000000", 9.99)
    journal.idle()
    assert old.exists()
    clocks.pass_(2 * SEGMENT_S)
    journal.idle()
    assert not old.exists()


def test_a_clock_that_is_set_forward_deletes_nothing(tmp_path: Path) -> None:
    """A clock that is wrong by a year for a moment costs no prediction."""
    clocks = Clocks()
    journal = disk(tmp_path, clocks, KEEP)
    yesterday = put(tmp_path / FOLDER / "echo@0000000", 1.0)
    clocks.wall += 365 * DAY
    assert write(journal, clocks)
    clocks.pass_(2 * SEGMENT_S)
    journal.idle()
    assert yesterday.exists()


def test_the_limit_holds_while_it_is_written(tmp_path: Path) -> None:
    """However long it runs, there are never more bytes than may be kept, but for one flush."""
    clocks = Clocks()
    journal = disk(tmp_path, clocks, Limits(1e9, 80_000))
    for _ in range(200):
        assert write(journal, clocks, 1_000)
        clocks.pass_(1.0)
        assert sum(segment.size for segment in files(tmp_path)) <= 81_100
    assert sum(segment.size for segment in files(tmp_path)) > 60_000

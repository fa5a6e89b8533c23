"""When a new segment begins, what time a record has, and what is done when the disk refuses."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tenfold.journal.disk import AGAIN_S, Disk
from tenfold.journal.retention import Limits
from tenfold.journal.segment import FOLDER, SEGMENT_S, TIME, Segment, read_header, segments
from tenfold.journal.writer import Keeper
from tests.journal.answering import RELEASE, spec

NOON = 1_800_000_000.0
EVER = Limits(keep_s=1e9, keep_bytes=2**30)


class Clocks:
    """A wall clock that may be set, and a monotonic one that only goes on."""

    def __init__(self) -> None:
        self.wall = NOON
        self.since_boot = 5000.0

    def pass_(self, seconds: float) -> None:
        """Time goes by."""
        self.wall += seconds
        self.since_boot += seconds


@pytest.fixture
def clocks() -> Clocks:
    """Noon, some time after the machine was started."""
    return Clocks()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A service's folder."""
    return tmp_path


def disk(home: Path, clocks: Clocks, limits: Limits = EVER) -> Disk:
    """The journal's end at the disk, at the time of these clocks."""
    header = Keeper(spec(), RELEASE).header
    return Disk(home / FOLDER, header, limits, lambda: clocks.wall, lambda: clocks.since_boot)


def write(disk: Disk, clocks: Clocks, size: int = 10) -> bool:
    """One record of this moment."""
    return disk.write([(clocks.since_boot, bytes(size))])


def files(home: Path) -> list[Segment]:
    """The segments, oldest first."""
    return segments((home / FOLDER).glob("*"))


def times(home: Path) -> list[list[float]]:
    """The times of the records of each segment, in seconds after noon."""
    return [list(_times(segment.path)) for segment in files(home)]


def _times(path: Path) -> Iterator[float]:
    data = path.read_bytes()
    _, spans = read_header(data, path)
    yield from (TIME.unpack_from(data, begin)[0] / 1e6 - NOON for begin, _ in spans)


def test_nothing_is_made_before_there_is_something_to_keep(home: Path, clocks: Clocks) -> None:
    """A service that nobody asks leaves no files."""
    journal = disk(home, clocks)
    journal.idle()
    assert journal.write([])
    journal.close()
    assert not (home / FOLDER).exists()


def test_records_have_the_time_of_their_answers(home: Path, clocks: Clocks) -> None:
    """What waited for the disk has the time at which it was answered, and the file is named after the first."""
    journal = disk(home, clocks)
    assert journal.write([(clocks.since_boot - 0.25, b"a"), (clocks.since_boot - 0.125, b"b")])
    assert times(home) == [[-0.25, -0.125]]
    assert files(home)[0].start_us == round((NOON - 0.25) * 1e6)


def test_a_segment_is_over_after_an_hour(home: Path, clocks: Clocks) -> None:
    """So that what is too old can be deleted hour by hour."""
    journal = disk(home, clocks)
    for _ in range(5):
        assert write(journal, clocks)
        clocks.pass_(SEGMENT_S / 2)
    assert [len(found) for found in times(home)] == [2, 2, 1]


def test_a_segment_is_over_when_it_is_full(home: Path, clocks: Clocks) -> None:
    """A segment has 16 MiB, or an eighth of what may be kept where that is less."""
    journal = disk(home, clocks, Limits(keep_s=1e9, keep_bytes=8 * 10_000))
    for _ in range(10):
        assert write(journal, clocks, 4_000)
        clocks.pass_(1)
    assert [len(found) for found in times(home)] == [3, 3, 3, 1]


@pytest.mark.parametrize("jump_s", [-7200.0, -3.0, 3.0, 86400.0])
def test_a_clock_that_is_set_begins_a_new_segment(home: Path, clocks: Clocks, jump_s: float) -> None:
    """Within a segment time never goes back, and what comes after a jump has the new time."""
    journal = disk(home, clocks)
    assert write(journal, clocks)
    clocks.pass_(1.0)
    assert write(journal, clocks)
    clocks.wall += jump_s
    assert write(journal, clocks)
    clocks.pass_(1.0)
    assert write(journal, clocks)
    assert sorted(times(home)) == sorted([[0.0, 1.0], [1.0 + jump_s, 2.0 + jump_s]])


def test_a_clock_that_is_slewed_does_not(home: Path, clocks: Clocks) -> None:
    """Keeping time by the network moves the clock all day; that is no reason for another file."""
    journal = disk(home, clocks)
    for _ in range(3):
        assert write(journal, clocks)
        clocks.pass_(10.0)
        clocks.wall += 0.01
    assert len(files(home)) == 1


def test_a_clock_that_goes_back_overwrites_nothing(home: Path, clocks: Clocks) -> None:
    """The same second comes twice, and both are kept."""
    journal = disk(home, clocks)
    for _ in range(3):
        assert write(journal, clocks)
        clocks.since_boot += 100.0  # the wall clock was set back by as much
    assert times(home) == [[0.0], [0.0], [0.0]]


def test_a_disk_that_refuses_is_tried_again_each_minute(
    home: Path, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal stops, says so once, and goes on by itself when the disk takes it again."""
    (home / ".tenfold").write_text("a file, where a folder should be")
    journal = disk(home, clocks)
    for _ in range(4):
        assert not write(journal, clocks)
        assert clocks.since_boot < journal.again_at
        clocks.pass_(AGAIN_S / 2)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert f"the journal of {RELEASE} has stopped: " in caplog.text
    (home / ".tenfold").unlink()
    clocks.pass_(AGAIN_S)
    assert write(journal, clocks)
    assert "is kept again" in caplog.records[-1].message
    assert len(times(home)[0]) == 1


def test_a_folder_that_is_deleted_is_made_anew(home: Path, clocks: Clocks) -> None:
    """Whoever deletes the journal of a running service has a new one from then on."""
    journal = disk(home, clocks)
    assert write(journal, clocks)
    shutil.rmtree(home / ".tenfold")
    clocks.pass_(1.0)
    assert write(journal, clocks)
    assert times(home) == [[1.0]]

"""The file itself: what is whole is read, and what is not is recognised."""

from __future__ import annotations

import struct
import tempfile
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.errors import TenfoldError
from tenfold.journal.segment import FOLDER, MAGIC, name_of, pieces, read_header, segments
from tests.journal.answering import everything, spec, told, writer
from tests.journal.answering import given as asked

BATCHES = 5


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A segment of some batches."""
    home = tmp_path_factory.mktemp("whole")
    journal = writer(home)
    for batch in range(BATCHES):
        journal.add(time.monotonic(), asked(*"abc"[: batch % 3 + 1]), told(batch % 3 + 1, 10.0 * batch))
    journal.close(5.0)
    (file,) = (home / FOLDER).rglob("*.journal")
    return file.read_bytes()


def read(data: bytes) -> list[float]:
    """The scores in a segment of these bytes."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home, FOLDER, "echo@1234567")
        folder.mkdir(parents=True)
        (folder / name_of(0, 1)).write_bytes(data)
        return [score for found in everything(Path(home)) for score in found.outputs.score.tolist()]


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_torn_tail_costs_no_whole_record(whole: bytes, data: st.DataObject) -> None:
    """A file that ends anywhere gives every record before that place."""
    end = data.draw(st.integers(0, len(whole)))
    records = [until for _, until in list(pieces(whole))[1:] if until <= end]
    expected = [10.0 * batch + k for batch in range(len(records)) for k in range(batch % 3 + 1)]
    assert read(whole[:end]) == expected


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_damaged_record_is_never_given(whole: bytes, data: st.DataObject) -> None:
    """A byte that changed on the disk ends the segment there; nothing wrong is read."""
    _, begin = next(pieces(whole))
    at = data.draw(st.integers(begin, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    scores = read(bytes(damaged))
    assert scores == read(whole)[: len(scores)]
    assert len(scores) < len(read(whole))


def test_zeros_are_no_records(whole: bytes) -> None:
    """A machine that lost its power may leave a file longer than what was written."""
    assert read(whole + bytes(4096)) == read(whole)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    """What a person puts beside the segments is not read, and breaks nothing."""
    folder = tmp_path / FOLDER / "echo@1234567"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "copy of 3.journal").write_bytes(MAGIC)
    (folder / name_of(0, 1)).write_bytes(b"")
    (folder / name_of(1, 1)).write_bytes(b"not ours at all")
    assert everything(tmp_path) == []


def test_a_later_format_is_named(tmp_path: Path, whole: bytes) -> None:
    """A segment of a later tenfold is an error that names the file, and not nonsense."""
    header = whole[slice(*next(pieces(whole)))].replace(b'"version":1', b'"version":9')
    folder = tmp_path / FOLDER / "echo@1234567"
    folder.mkdir(parents=True)
    (folder / name_of(0, 1)).write_bytes(MAGIC + struct.pack("<II", len(header), zlib.crc32(header)) + header)
    with pytest.raises(TenfoldError, match=r"\.journal was written by another version of tenfold"):
        everything(tmp_path)


def test_names_are_in_the_order_of_time(tmp_path: Path) -> None:
    """A listing of the folder is a listing of time, to the microsecond."""
    times = [0, 1, 999_999, 10**6, 1_700_000_000_000_000, 1_800_000_000_000_001]
    for time_us in times:
        (tmp_path / name_of(time_us, 7)).touch()
    assert [segment.start_us for segment in segments([tmp_path])] == times
    assert sorted(path.name for path in tmp_path.iterdir()) == [s.path.name for s in segments([tmp_path])]
    assert name_of(1_700_000_000_000_000, 7) == "20231114T221320.000000Z-7.journal"


def test_a_segment_says_what_it_holds(whole: bytes) -> None:
    """The file alone tells release, contracts and columns: a reader needs nothing else."""
    header, _ = read_header(whole, Path("x"))
    assert header is not None
    stated = spec()
    assert (header.service, header.release) == ("echo", "echo@1234567")
    assert header.contracts == {"input": stated.input.digest, "output": stated.output.digest}
    assert [column.wire for column in header.output.columns] == ["label", "the score"]
    assert (header.key, header.inputs) == ("the sample", False)
    assert header.input is not None
    assert [column.wire for column in header.input.columns] == ["the sample"]

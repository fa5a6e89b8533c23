"""What a segment of the journal is: a file that says what it holds, and then a record for each batch that was answered.

    segment   TENFOLDJ | header | record | record | …
    either    length u32 | CRC-32 of what follows, u32 | length bytes
    header    JSON: ``Header``
    record    time i64 | rows u32 | answered u32 | length of each part u32 | the parts

(little-endian). The time, in microseconds since 1970 in UTC, never goes back within a segment. The parts of a record, of
which some may be empty:

    ids       16 bytes for each row: the id of its request, a UUID of version 7
    places    i32 for each row: its position in its request, ``ALONE`` where the request was one row, ``GONE`` where nobody
              waited for it any more; empty where all were alone
    answered  u32 positions of the rows that have an output; empty where all have
    outputs   the parts of ``Header.output`` (see ``tenfold.layout``), a row for each that was answered
    inputs    the parts of ``Header.input``, a row for each

A file is only ever appended to, by one process. Whoever reads stops at the first piece that is not whole: a process that was
killed, or one that is writing this moment, leaves such a tail.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import msgspec

from tenfold.contract.form import Form, layout_of
from tenfold.errors import TenfoldError
from tenfold.journal.picking import part_count
from tenfold.layout import Column, Layout

FOLDER = Path(".tenfold", "journal")
SUFFIX = ".journal"
VERSION = 1
SEGMENT_S = 3600.0  # after which a segment is over
MAGIC = b"TENFOLDJ"
ALONE, GONE = -1, -2
FIXED_PARTS = 3
TIME = struct.Struct("<q")
_PIECE = struct.Struct("<II")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Table(msgspec.Struct, frozen=True):
    """A contract, as far as it is kept, and where each of its columns stands."""

    form: Form
    columns: tuple[Column, ...]

    @classmethod
    def of(cls, form: Form) -> Table:
        """The table of a contract as it is laid out today."""
        return cls(form, layout_of(form).columns)

    @property
    def layout(self) -> Layout:
        """Where the columns stood when the segment was written."""
        return Layout(
            self.columns,
            dict(Counter(column.block for column in self.columns)),
            sum(column.bit >= 0 for column in self.columns),
        )


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What a segment holds: whose predictions, under which contracts (their digests), and which columns.

    ``key`` is the field of ``input`` that joins labels and files, "" where none is kept. ``inputs`` says whether the input is
    kept as such; where it is not, ``input`` has the key alone, if anything.
    """

    version: int = VERSION
    service: str
    release: str
    contracts: dict[str, str]
    output: Table
    input: Table | None = None
    inputs: bool = False
    key: str = ""

    @property
    def head(self) -> struct.Struct:
        """What stands between the time of a record and its parts."""
        return struct.Struct(f"<II{self.part_count}I")

    @property
    def part_count(self) -> int:
        """How many parts a record has."""
        count = FIXED_PARTS + part_count(self.output.layout)
        return count + part_count(self.input.layout) if self.input else count


class Segment(NamedTuple):
    """A file of the journal. ``start_us`` is the time of its first record, by its name; ``end_us`` is later than any of its
    records can be. What the file system says of its age is not asked: copies and other machines' clocks do not count."""

    path: Path
    start_us: int
    size: int

    @property
    def end_us(self) -> int:
        """An hour after the start, and a second, since names are passed over that are taken."""
        return self.start_us + round((SEGMENT_S + 1) * 1e6)


def name_of(start_us: int, writer: int) -> str:
    """The name of a segment, in the order of time: when it began, and which process writes it."""
    return f"{_EPOCH + timedelta(microseconds=start_us):%Y%m%dT%H%M%S.%fZ}-{writer}{SUFFIX}"


def segments(folders: Iterable[Path]) -> list[Segment]:
    """The segments in these folders, oldest first. Other files are none of ours; one that has just been deleted is gone."""
    found = []
    for path in (path for folder in folders for path in folder.glob(f"*{SUFFIX}")):
        try:
            start = datetime.fromisoformat(path.name.partition("-")[0])
            size = path.stat().st_size
        except (ValueError, OSError):
            continue
        found.append(Segment(path, (start - _EPOCH) // timedelta(microseconds=1), size))
    return sorted(found, key=lambda segment: (segment.start_us, segment.path.name))


def beginning(header: Header) -> bytes:
    """The first bytes of a segment."""
    body = msgspec.json.encode(header)
    return b"".join((MAGIC, _PIECE.pack(len(body), crc32(body)), body))


def record(time_us: int, body: bytes) -> bytes:
    """A record as it stands in the file; ``body`` is what follows its time."""
    stamp = TIME.pack(time_us)
    return b"".join((_PIECE.pack(len(stamp) + len(body), crc32(body, crc32(stamp))), stamp, body))


def pieces(data: bytes) -> Iterator[tuple[int, int]]:
    """Where the header and each record begin and end, as far as they are whole."""
    at, view = len(MAGIC), memoryview(data)
    if not data.startswith(MAGIC):
        return
    while at + _PIECE.size <= len(data):
        length, checksum = _PIECE.unpack_from(data, at)
        begin = at + _PIECE.size
        at = begin + length
        if not length or at > len(data) or crc32(view[begin:at]) != checksum:
            return
        yield begin, at


def read_header(data: bytes, path: Path) -> tuple[Header | None, Iterator[tuple[int, int]]]:
    """What a segment holds, and where its records are; None for a file whose header was never written.

    Raises ``TenfoldError`` for one that a newer tenfold wrote.
    """
    found = pieces(data)
    begin, end = next(found, (0, 0))
    if not end:
        return None, found
    version = msgspec.json.decode(data[begin:end], type=dict[str, msgspec.Raw]).get("version")
    if version is None or bytes(version) != b"%d" % VERSION:
        raise TenfoldError(f"{path} was written by another version of tenfold", "read it with that version")
    return msgspec.json.decode(data[begin:end], type=Header), found

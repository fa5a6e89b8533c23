"""CSV and NDJSON: lines of text, cut into shards without looking at what they say.

Where a shard ends depends on the text from its beginning on, and on nothing else, so that a job which is resumed cuts
as one that was never interrupted. A file that is stored as it is read is entered in the middle; a compressed one, or
one in UTF-16, is read over from the beginning.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import Any

from tenfold.errors import TenfoldError, UsageError
from tenfold.formats.dialect import Cutter, Dialect, header
from tenfold.formats.places import File, unreadable
from tenfold.formats.shards import Layout, Limits, Place, Shard, arrow

CHUNK_BYTES = 2**20
BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
MOST_HEADER_BYTES = 2**22


class Lines:
    """A file of lines that is open."""

    columns: tuple[str, ...] = ()
    rows: int | None = None

    def __init__(self, file: File, wide: str = "") -> None:
        """``wide`` is the encoding of a file that has to be decoded before it can be cut. Raises ``UsageError`` where the
        beginning is in another encoding than it should be."""
        self.name = file.name
        self.size = file.size
        self._file = file
        self._wide = wide
        self._newline = b"\n"
        self._stored: Any = None  # a compressed file as it lies there
        try:
            with self._open(0) as text:
                self._first, self._first_line = self._read_head(_Ahead(text))
        except OSError as error:
            raise unreadable(file.name, error) from None

    def _read_head(self, text: _Ahead) -> tuple[int, int]:
        """Look at what stands before the first row; how many bytes and lines these are."""
        raise NotImplementedError

    def _count(self, text: bytes, lines: Sequence[bytes], most: int, at_end: bool) -> tuple[int, int]:
        """How many rows the lines of a text hold, ``most`` at the most, and how many lines they take up. Unless the lines are
        ``at_end``, those of a row that may go on beyond them are left over."""
        raise NotImplementedError

    def nothing(self) -> bytes:
        """No lines."""
        return b""

    def passed(self, place: Place) -> int:
        """The bytes of the file before a place; of compressed text, those that were read so far."""
        if self._stored is not None:
            return int(self._stored.tell())
        return min(place.byte * 2, self.size) if self._wide else place.byte

    def shards(self, start: Place, limits: Limits) -> Iterator[Shard]:
        """The shards from a place on."""
        place = start if start.byte else Place(start.row, self._first, self._first_line)
        try:
            with self._open(place.byte) as text:
                yield from self._cut(_Ahead(text), place, limits)
        except (OSError, UnicodeError) as error:
            raise unreadable(self.name, error) from None

    def _cut(self, text: _Ahead, place: Place, limits: Limits) -> Iterator[Shard]:
        wanted = limits.bytes
        while True:
            held, count, taken, is_rest = self._take(text, limits.rows, wanted)
            if not count and not is_rest:
                wanted *= 2  # a row that is larger than a shard
                if wanted > limits.longest:
                    raise TenfoldError(
                        f"{self.name} has a row longer than {limits.longest:,} bytes, on line {place.line + 1:,}",
                        "is it what its name says? A row of NDJSON is a line; jq -c '.[]' makes lines of an array",
                    )
                continue
            end = Place(place.row + count, place.byte + len(held), place.line + taken)
            if count:
                yield Shard(place, end, count, held)
            if is_rest:
                return
            text.step(len(held))
            place, wanted = end, limits.bytes

    def _take(self, text: _Ahead, most: int, wanted: int) -> tuple[bytes, int, int, bool]:
        """The first rows of what is ahead, as many as ``most`` or as ``wanted`` bytes hold; how many rows and lines
        these are; and whether nothing is left behind them. Looks no further ahead than it has to."""
        look = min(CHUNK_BYTES, wanted)
        while True:
            held = text.look(look + 1)
            is_rest = len(held) <= look
            seen = held[:look]
            lines = seen.split(self._newline)
            if not is_rest or not lines[-1]:
                lines.pop()  # a line that goes on, or the nothing after the last one
            count, taken = self._count(seen, lines, most, is_rest)
            if count == most or is_rest or look >= wanted:
                size = sum(map(len, lines[:taken])) + taken * len(self._newline)
                return held[:size], count, taken, is_rest and taken == len(lines)
            look = min(4 * look, wanted)

    def _open(self, at: int) -> Any:
        """The text from a byte on."""
        stored = self._file.open()
        if not self._file.codec and not self._wide:
            stored.seek(at)
            return stored
        text: Any = stored
        if self._file.codec:
            self._stored = stored
            text = arrow().CompressedInputStream(stored, self._file.codec)
        if self._wide:
            text = _Transcoded(text, self._wide)
        while at:
            skipped = len(text.read(min(at, CHUNK_BYTES)))
            if not skipped:
                break
            at -= skipped
        return text


class _Ahead:
    """A stream that can be looked at before it is read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._held = b""
        self._at = 0

    def look(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only where no more are left."""
        if len(self._held) - self._at < size:
            pieces = [self._held[self._at :]]
            missing = size - len(pieces[0])
            while missing > 0 and (more := self._stream.read(max(missing, CHUNK_BYTES))):
                pieces.append(more)
                missing -= len(more)
            self._held, self._at = b"".join(pieces), 0
        return self._held[self._at : self._at + size]

    def step(self, size: int) -> None:
        """Go on by this many bytes."""
        self._at += size


class Ndjson(Lines):
    """An NDJSON file that is open: each line is a row, unless it is empty."""

    layout = Layout("ndjson")

    def _read_head(self, text: _Ahead) -> tuple[int, int]:
        return len(_bom(self.name, text.look(4), "utf-8")), 0

    def _count(self, text: bytes, lines: Sequence[bytes], most: int, at_end: bool) -> tuple[int, int]:  # noqa: ARG002
        count = end = 0
        for at, line in enumerate(lines, start=1):
            if line and not line.isspace():
                count, end = count + 1, at
                if count == most:
                    return count, end
        return count, len(lines) if at_end else end


class Csv(Lines):
    """A CSV file that is open; its first row names the columns."""

    def __init__(self, file: File, dialect: Dialect) -> None:
        self._dialect = dialect
        super().__init__(file, dialect.encoding if dialect.wide else "")
        self.layout = Layout("csv", self.columns, self._newline.decode())
        self._cutter = Cutter(dialect, len(self.columns))

    def _read_head(self, text: _Ahead) -> tuple[int, int]:
        bom = _bom(self.name, text.look(4), self._dialect.read_as)
        start = text.look(CHUNK_BYTES)
        self._newline = b"\r" if b"\r" in start and b"\n" not in start else b"\n"
        data = start if len(start) < CHUNK_BYTES else text.look(MOST_HEADER_BYTES)
        lines = data[len(bom) :].split(self._newline)
        self.columns, taken = header(self.name, lines, self._dialect)
        return len(bom) + sum(map(len, lines[:taken])) + taken * len(self._newline), taken

    def _count(self, text: bytes, lines: Sequence[bytes], most: int, at_end: bool) -> tuple[int, int]:
        return self._cutter.count(lines, most, at_end, plain=self._cutter.is_plain(text))


class _Transcoded:
    """Text in UTF-16 or UTF-32, read as UTF-8."""

    def __init__(self, stream: Any, encoding: str) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder(encoding)().decode
        self._held = b""

    def read(self, size: int) -> bytes:
        while len(self._held) < size:
            piece = self._stream.read(CHUNK_BYTES)
            self._held += self._decode(piece, not piece).encode()
            if not piece:
                break
        read, self._held = self._held[:size], self._held[size:]
        return read

    def __enter__(self) -> _Transcoded:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()


def _bom(name: str, start: bytes, encoding: str) -> bytes:
    """The mark of an encoding at the beginning of a file, if it is that of the encoding meant."""
    mark = next((mark for mark in BOMS if start.startswith(mark)), b"")
    if mark and codecs.lookup(BOMS[mark]) != codecs.lookup(encoding.removesuffix("-sig")):
        raise UsageError(f"{name} begins with the mark of {BOMS[mark]}", f"--encoding {BOMS[mark]}")
    return mark

"""How a CSV file is written (RFC 4180 unless it is said otherwise), and where its rows begin and end.

A row is a line. Where a quoted field goes on beyond its line, so does the row; but only if the whole of it is well
formed. A line that opens a quote which nothing closes, or closes one in the middle of a field, is a bad row by itself,
and the next row begins on the next line: one stray quote never takes its neighbours with it.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from tenfold.errors import UsageError

MAX_ROW_BYTES = 2**20  # a quoted field that goes on for longer was never meant
MOST_HEADER_LINES = 100
ENCODINGS = "--encoding latin-1, cp1252, utf-16, …, as the file was written"
WIDE = ("utf-16", "utf-32")  # encodings in which a newline is no single byte


class Dialect(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a CSV file is written. ``quote`` "" takes quotes for text; ``nulls`` are cells, beside the empty one, that
    stand for nothing."""

    delimiter: str = ","
    quote: str = '"'
    escape: str = ""
    decimal: str = "."
    encoding: str = "utf-8"
    nulls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option in ("delimiter", "quote", "escape", "decimal"):
            value = getattr(self, option)
            if len(value.encode()) > 1 or value in ("\r", "\n") or (not value and option in ("delimiter", "decimal")):
                raise UsageError(f"--{option} {value!r} is not one character of ASCII", f"write --{option} ';', say")
        special = [one for one in (self.delimiter, self.quote, self.escape) if one]
        if len(set(special)) < len(special):
            raise UsageError("delimiter, quote and escape have to differ", "--delimiter, --quote and --escape set them")
        if self.delimiter == self.decimal:
            raise UsageError(
                f"{self.delimiter!r} cannot part cells and decimals", "--decimal ',' needs --delimiter ';', say"
            )
        try:
            "".encode(self.encoding)  # which those of bytes to bytes refuse
        except (LookupError, ValueError):
            raise UsageError(f"there is no encoding {self.encoding!r}", "utf-8, latin-1, cp1252, utf-16, …") from None

    @property
    def wide(self) -> bool:
        """Whether the file has to be decoded before its lines can be told apart."""
        return codecs.lookup(self.encoding).name.startswith(WIDE)

    @property
    def read_as(self) -> str:
        """The encoding of a shard's bytes."""
        return "utf-8" if self.wide else self.encoding


class Cut(NamedTuple):
    """The rows that some lines hold: their text, the line that each begins on, and what is wrong with the form of
    some."""

    texts: list[bytes]
    lines: Sequence[int]
    faults: dict[int, str]


class Cutter:
    """Cuts lines into the rows of one file, each of which has to have ``width`` cells."""

    def __init__(self, dialect: Dialect, width: int) -> None:
        self._width = width
        self._delimiter = dialect.delimiter.encode()
        self._quote = dialect.quote.encode()
        self._escape = dialect.escape.encode()
        cell = _cell(self._delimiter, self._quote, self._escape)
        after = re.escape(self._delimiter)
        self._row = re.compile(b"%b(?:%b%b){%d}\r?" % (cell, after, cell, width - 1), re.DOTALL)
        self._cells = re.compile(b"(?:\\A|%b)%b" % (after, cell), re.DOTALL)

    def is_plain(self, text: bytes) -> bool:
        """Whether each line of a text that has something on it is a row of cells and delimiters, and no more."""
        return not any(mark in text for mark in (self._quote, self._escape, b"\r") if mark)

    def rows(self, lines: Sequence[bytes], *, plain: bool = False) -> Cut:
        """The rows that these lines hold, of a text that is ``plain`` or may not be. Empty lines are no rows."""
        if plain:
            texts = [line for line in lines if line]
            uneven = [row for row, text in enumerate(texts) if text.count(self._delimiter) != self._width - 1]
            places = [at for at, line in enumerate(lines) if line]
            return Cut(texts, places, {row: self.fault(texts[row]) for row in uneven})
        spans = list(self._spans(lines, at_end=True))
        texts = [lines[at] if taken == 1 else b"\n".join(lines[at : at + taken]) for at, taken in spans]
        faults = {row: fault for row, text in enumerate(texts) if (fault := self.fault(text))}
        return Cut(texts, [at for at, _ in spans], faults)

    def each(self, lines: Sequence[bytes]) -> Iterator[tuple[bytes, str]]:
        """The rows that these lines hold, one after the other, each with what is wrong with its form."""
        for at, taken in self._spans(lines, at_end=True):
            text = lines[at] if taken == 1 else b"\n".join(lines[at : at + taken])
            yield text, self.fault(text)

    def count(self, lines: Sequence[bytes], most: int, at_end: bool, *, plain: bool = False) -> tuple[int, int]:
        """How many rows these lines hold, ``most`` at the most, and how many lines they take up. Unless the lines are
        ``at_end``, those of a row that may go on beyond them are left over."""
        if plain and b"" not in lines:
            count = min(most, len(lines))
            return count, count
        count = end = 0
        for at, taken in self._spans(lines, at_end):
            count, end = count + 1, at + taken
            if count == most:
                return count, end
        return count, len(lines) if at_end else end

    def fault(self, text: bytes) -> str:
        """What is wrong with the form of a row; "" if nothing is."""
        if not self._is_marked(text):
            found = text.count(self._delimiter) + 1
        elif self._row.fullmatch(text):
            return ""
        else:
            cells = self._cells.findall(text)
            found = len(cells) if b"".join(cells) == text.removesuffix(b"\r") else 0
        if found == self._width:
            return ""
        return f"the row has {found} cells, the header {self._width}" if found else "a quote or newline is out of place"

    def cells(self, text: bytes) -> list[bytes | None]:
        """The cells of a row whose form is right, without their quotes; None for one that is empty and not quoted. Not for
        dialects with an ``escape``."""
        text = text.removesuffix(b"\r")
        if not (self._quote and self._quote in text):
            return [cell or None for cell in text.split(self._delimiter)]
        found = self._cells.findall(text)
        return [self._unquoted(cell[1:] if k else cell) for k, cell in enumerate(found)]

    def _unquoted(self, cell: bytes) -> bytes | None:
        if not cell.startswith(self._quote):
            return cell or None
        return cell[1:-1].replace(self._quote * 2, self._quote)

    def _is_marked(self, text: bytes) -> bool:
        """Whether there is more to a row than cells and delimiters."""
        if self._quote and self._quote in text:
            return True
        return b"\r" in text[:-1] or b"\n" in text or bool(self._escape and self._escape in text)

    def _spans(self, lines: Sequence[bytes], at_end: bool) -> Iterator[tuple[int, int]]:
        """The first line of each row, and how many it takes up."""
        at, end = 0, len(lines)
        while at < end:
            line = lines[at]
            if line == b"" or line == b"\r":
                at += 1
                continue
            taken = 1
            if self._quote and self._quote in line and self._opens(line):
                taken = self._closed_after(lines, at)
                if not taken and not at_end and sum(map(len, lines[at:])) <= MAX_ROW_BYTES:
                    return
                if not taken or self.fault(b"\n".join(lines[at : at + taken])):
                    taken = 1
            yield at, taken
            at += taken

    def _opens(self, line: bytes) -> bool:
        """Whether a quoted field may go on in the next line: quotes that open outnumber those that close."""
        if self._escape:
            line = line.replace(self._escape * 2, b"").replace(self._escape + self._quote, b"")
        return bool(line.count(self._quote) & 1)

    def _closed_after(self, lines: Sequence[bytes], first: int) -> int:
        """After how many lines a quote that the first one opens is closed; 0 if it is not, or not soon."""
        size = len(lines[first])
        for k in range(first + 1, len(lines)):
            size += len(lines[k]) + 1
            if size > MAX_ROW_BYTES:
                return 0
            if self._opens(lines[k]):
                return k + 1 - first
        return 0


def header(name: str, lines: Sequence[bytes], dialect: Dialect) -> tuple[tuple[str, ...], int]:
    """The names of the columns of a file, and how many lines they take up. Raises ``UsageError`` where there are none."""
    first = next((k for k, line in enumerate(lines) if line.strip()), len(lines))
    read = partial(
        csv.reader,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape or None,
        strict=True,
    )
    quotes = size = 0
    for taken in range(first + 1, min(first + MOST_HEADER_LINES, len(lines)) + 1):
        line = lines[taken - 1]
        size += len(line) + 1
        if size > MAX_ROW_BYTES:
            raise UsageError(
                f"the header of {name} is longer than {MAX_ROW_BYTES:,} bytes", "it names the columns alone"
            )
        if dialect.quote and not dialect.escape:
            quotes += line.count(dialect.quote.encode())
            if quotes % 2:  # one is not closed yet: what is long is not read again and again
                continue
        text = b"\n".join(lines[first:taken]).removesuffix(b"\r")
        try:
            return tuple(next(read(text.decode(dialect.read_as).splitlines(keepends=True)))), taken
        except UnicodeDecodeError as error:
            raise UsageError(f"the header of {name} is not in {dialect.encoding}: {error.reason}", ENCODINGS) from None
        except csv.Error:
            if not dialect.escape:
                break  # nothing is open, and so no further line mends it
    raise UsageError(
        f"{name} has no header", "the first row names the columns, as RFC 4180 quotes them; --delimiter ';', say"
    )


def _cell(delimiter: bytes, quote: bytes, escape: bytes) -> bytes:
    """The pattern of one cell, quoted or not. Quantifiers are possessive: no text takes longer than to read it."""
    special = re.escape(delimiter + quote + escape)
    escaped = b"|%b." % re.escape(escape) if escape else b""
    bare = b"(?:[^%b\\r\\n]%b)*+" % (special, escaped)
    if not quote:
        return bare
    mark = re.escape(quote)
    inside = b"(?:[^%b%b]%b|%b%b)*+" % (mark, re.escape(escape), escaped, mark, mark)
    return b"(?:%b%b%b|%b)" % (mark, inside, mark, bare)

"""What a reader gives: a shard is the rows that are answered, kept and resumed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, Protocol

import msgspec

from tenfold.errors import UsageError

SHARD_ROWS = 100_000
SHARD_BYTES = 24 * 2**20
LONGEST_BYTES = 256 * 2**20


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a shard begins within its file: rows and, in text, bytes and lines before it."""

    row: int = 0
    byte: int = 0
    line: int = 0


class Limits(NamedTuple):
    """How large a shard may become. A row that is larger than ``bytes`` makes a larger one, up to ``longest``."""

    rows: int = SHARD_ROWS
    bytes: int = SHARD_BYTES
    longest: int = LONGEST_BYTES


class Layout(msgspec.Struct, frozen=True, omit_defaults=True):
    """What whoever reads a shard's bytes has to know of its file: the kind, and for CSV its header and newline."""

    kind: str
    header: tuple[str, ...] = ()
    newline: str = "\n"


class Shard(NamedTuple):
    """``rows`` rows of a file from ``start`` on; the next shard begins at ``end``. ``content`` is an Arrow table or
    the bytes of whole lines."""

    start: Place
    end: Place
    rows: int
    content: Any


class Reader(Protocol):
    """One file, or one folder of pictures, that is open.

    ``columns`` are the names that it has; empty where each row says its own. ``rows`` is None where only reading
    tells; ``size`` and what ``passed`` makes of a place are in the same unit, for progress.
    """

    @property
    def name(self) -> str: ...

    @property
    def layout(self) -> Layout: ...

    @property
    def columns(self) -> Sequence[str]: ...

    @property
    def rows(self) -> int | None: ...

    @property
    def size(self) -> int: ...

    def shards(self, start: Place, limits: Limits) -> Iterator[Shard]:
        """The shards from a place on; the same ones whether or not those before it were read."""
        ...

    def nothing(self) -> Any:
        """The content of a shard without rows."""
        ...

    def passed(self, place: Place) -> int:
        """How much of ``size`` stands before a place."""
        ...


def pack(content: Any, into: BinaryIO) -> None:
    """Write a shard's content as bytes: a table as an Arrow stream, text as it is."""
    if isinstance(content, bytes | bytearray | memoryview):
        into.write(content)
        return
    with arrow().ipc.new_stream(into, content.schema) as stream:
        stream.write_table(content)


def arrow() -> Any:
    """pyarrow, or an error that says how to get it."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.ipc
    except ImportError:
        raise UsageError(
            "files of rows are read with pyarrow",
            "pip install 'tenfold[batch]'; a release with libraries of its own names tenfold[batch] among them",
        ) from None
    return pyarrow

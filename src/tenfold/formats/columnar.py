"""Parquet and Arrow: columns that have types already, cut into shards of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tenfold.formats.places import File, unreadable
from tenfold.formats.shards import Layout, Limits, Place, Shard, arrow

READ_ROWS = 2**16
SAMPLE_ROWS = 2**10
READ_BYTES = 2**20  # of one column at a time, so that a row group need not fit into memory

Wanted = Callable[[Sequence[str]], Sequence[str]]


class Columnar:
    """What the two have in common: a table whose rows are counted, and of which only some columns are wanted."""

    layout = Layout("table")
    rows: int
    schema: Any

    def __init__(self, file: File, wanted: Wanted) -> None:
        """``wanted`` chooses among the names of the columns."""
        self.name = file.name
        self._file = file
        try:
            with self._file.open() as opened:
                self._begin(opened)
        except (OSError, ValueError) as error:  # pyarrow's own errors are among these
            raise unreadable(file.name, error) from None
        self.size = self.rows
        self._wanted = list(wanted(self.columns))

    @property
    def columns(self) -> Sequence[str]:
        """The names of all columns, whether they are wanted or not."""
        names: list[str] = self.schema.names
        return names

    @property
    def _is_near(self) -> bool:
        """Whether the file is on this machine."""
        return bool(self._file.filesystem.type_name == "local")

    def _begin(self, opened: Any) -> None:
        """Learn the schema, and how many rows there are."""
        raise NotImplementedError

    def _batches(self, opened: Any, row: int, size: int) -> tuple[Iterable[Any], int]:
        """Record batches of the wanted columns, from a row at or before ``row`` on, and which one that is. Where the
        file does not say how large they are, they have ``size`` rows."""
        raise NotImplementedError

    def _row_bytes(self, opened: Any) -> float:
        """What a row takes up in memory, as the first ones do."""
        batches, _ = self._batches(opened, 0, SAMPLE_ROWS)
        sample = next((batch.slice(0, SAMPLE_ROWS) for batch in batches if batch.num_rows), None)
        return sample.nbytes / sample.num_rows if sample is not None else 0.0

    def nothing(self) -> Any:
        """A table without rows."""
        return self.schema.empty_table().select(self._wanted)

    def passed(self, place: Place) -> int:
        """The rows before a place."""
        return place.row

    def shards(self, start: Place, limits: Limits) -> Iterator[Shard]:
        """The shards from a place on."""
        place = start
        try:
            with self._file.open() as opened:
                size = max(1, min(limits.rows, int(limits.bytes / max(self._row_bytes(opened), 1e-9))))
                batches, first = self._batches(opened, start.row, min(size, READ_ROWS))
                for table in _tables(batches, start.row - first, size):
                    end = Place(place.row + table.num_rows)
                    yield Shard(place, end, table.num_rows, table)
                    place = end
        except (OSError, ValueError) as error:
            raise unreadable(f"{self.name}, from row {place.row} on,", error) from None


class Parquet(Columnar):
    """A Parquet file. Of one on this machine, a piece of each column is read at a time; of one in an object store, where
    each request takes its time, the columns of a row group."""

    def _begin(self, opened: Any) -> None:
        from pyarrow import parquet

        table = parquet.ParquetFile(opened)
        self._meta = table.metadata
        self.schema = table.schema_arrow
        self.rows = self._meta.num_rows

    def _row_bytes(self, opened: Any) -> float:
        total = 0
        for k in range(self._meta.num_row_groups):
            group = self._meta.row_group(k)
            chunks = (group.column(c) for c in range(group.num_columns))
            total += sum(c.total_uncompressed_size for c in chunks if self._is_wanted(c.path_in_schema))
        return max(total / max(self.rows, 1), super()._row_bytes(opened))

    def _is_wanted(self, path: str) -> bool:
        return any(path == name or path.startswith(f"{name}.") for name in self._wanted)

    def _batches(self, opened: Any, row: int, size: int) -> tuple[Iterable[Any], int]:
        from pyarrow import parquet

        first, group, last = 0, 0, self._meta.num_row_groups
        while group < last and first + self._rows_of(group) <= row:
            first += self._rows_of(group)
            group += 1
        near = {"pre_buffer": False, "buffer_size": READ_BYTES} if self._is_near else {"pre_buffer": True}
        table = parquet.ParquetFile(opened, metadata=self._meta, **near)
        return table.iter_batches(size, row_groups=list(range(group, last)), columns=self._wanted), first

    def _rows_of(self, group: int) -> int:
        return int(self._meta.row_group(group).num_rows)


class Arrow(Columnar):
    """An Arrow file, in the format for files (Feather 2) or for streams."""

    def _begin(self, opened: Any) -> None:
        is_mapped = self._is_near and self._file.size  # so that counting the rows reads no more than their counts
        batches, self.schema = _arrow_batches(arrow().memory_map(self._file.path) if is_mapped else opened)
        self._counts = [batch.num_rows for batch in batches]
        self.rows = sum(self._counts)

    def _batches(self, opened: Any, row: int, size: int) -> tuple[Iterable[Any], int]:  # noqa: ARG002 -- as written
        first, k = 0, 0
        while k < len(self._counts) and first + self._counts[k] <= row:
            first += self._counts[k]
            k += 1
        batches, _ = _arrow_batches(opened, k)
        return (batch.select(self._wanted) for batch in batches), first


def _arrow_batches(opened: Any, first: int = 0) -> tuple[Iterator[Any], Any]:
    """The record batches of an Arrow file from one on, and its schema."""
    ipc = arrow().ipc
    opened.seek(0)
    try:
        table = ipc.open_file(opened)
    except ValueError:  # no footer: it is a stream
        opened.seek(0)
        stream = ipc.open_stream(opened)
        return (batch for k, batch in enumerate(stream) if k >= first), stream.schema
    return (table.get_batch(k) for k in range(first, table.num_record_batches)), table.schema


def _tables(batches: Iterable[Any], skip: int, size: int) -> Iterator[Any]:
    """Tables of ``size`` rows each (the last may have fewer), after ``skip`` rows were left out."""
    pa = arrow()
    held: list[Any] = []
    count = 0
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        rest, skip = batch.slice(skip), 0
        while count + rest.num_rows >= size:
            taken = size - count
            yield pa.Table.from_batches([*held, rest.slice(0, taken)])
            held, count, rest = [], 0, rest.slice(taken)
        if rest.num_rows:
            held.append(rest)
            count += rest.num_rows
    if count:
        yield pa.Table.from_batches(held)

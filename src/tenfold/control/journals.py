"""Looking predictions up: what the journal of a service's folder holds, as rows for people, as JSON and as Parquet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.errors import NotFound, UsageError
from tenfold.journal import arrow
from tenfold.journal.reader import Journal, Predictions
from tenfold.journal.segment import Table
from tenfold.rows import Rows
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.outputs import Outputs
from tenfold.units import seconds

SUFFIXES = (".ndjson", ".jsonl", ".parquet")


class Wish(NamedTuple):
    """Which predictions: those of the last while ("1 h"), the one of an id, or those for a key; all where nothing is said."""

    since: str = ""
    id: str = ""
    key: str = ""


class Prediction(NamedTuple):
    """One prediction. ``output`` and ``input`` are JSON objects; ``input`` is empty where it is not kept, ``key`` None."""

    id: str
    key: str | int | None
    time: str
    release: str
    output: bytes
    input: bytes

    def json(self) -> bytes:
        """The prediction as one JSON object."""
        document: dict[str, Any] = {"id": self.id}
        if self.key is not None:
            document["key"] = self.key
        document |= {"time": self.time, "release": self.release, "output": msgspec.Raw(self.output)}
        if self.input:
            document["input"] = msgspec.Raw(self.input)
        return msgspec.json.encode(document)


class Release(NamedTuple):
    """What is kept of one release: so many predictions, of these times, in so many bytes; with their inputs or not, and by
    which key they are found ("" for none)."""

    release: str
    rows: int
    first: str
    last: str
    bytes: int
    inputs: bool
    key: str


def releases(target: str) -> list[Release]:
    """What is kept in a folder, in the order in which its releases first answered."""
    return [
        Release(
            release=held.header.release,
            rows=held.rows,
            first=_moment(held.first_us),
            last=_moment(held.last_us),
            bytes=held.size,
            inputs=held.header.inputs,
            key=held.header.key,
        )
        for held in _journal(target).held()
    ]


def _moment(time_us: int) -> str:
    """A time in microseconds since 1970 as ISO 8601 has it."""
    return f"{datetime.fromtimestamp(time_us // 10**6, UTC):%Y-%m-%dT%H:%M:%S}.{time_us % 10**6:06}Z"


def predictions(target: str, wish: Wish) -> Iterator[Prediction]:
    """The predictions that are wished for. Raises ``NotFound`` where an id or a key has none."""
    encoders: dict[Table, Outputs] = {}
    for found in _found(target, wish):
        header = found.header
        outputs = _objects(encoders, header.output, found.outputs)
        inputs = _objects(encoders, header.input, found.inputs)
        keys = [None] * found.size if found.keys is None else found.keys.tolist()
        times = found.times.astype(str).tolist()
        for name, key, at, output, given in zip(found.ids, keys, times, outputs, inputs, strict=False):
            yield Prediction(name, key, f"{at}Z", header.release, output, given)


def save(target: str, wish: Wish, file: Path) -> int:
    """Write the predictions that are wished for to a new file, NDJSON or Parquet by its suffix; how many these are.

    Parquet has a column for each field, ``output.label`` and ``input.age``, and needs pyarrow.
    """
    if file.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{file.name} is of no kind that the journal writes", "name it .parquet or .ndjson")
    if file.suffix.lower() == ".parquet":
        return _save_parquet(target, wish, file)
    rows = 0
    with _new(file) as partial, partial.open("wb") as lines:
        for prediction in predictions(target, wish):
            lines.write(prediction.json() + b"\n")
            rows += 1
    return rows


def _journal(target: str) -> Journal:
    """The journal of a folder, or of the folder of a ``file.py[:Class]``. The service itself is not imported."""
    path = Path(target)
    if not path.exists() and ":" in target:
        path = Path(target.rpartition(":")[0])
    if not path.exists():
        raise NotFound(f"there is no folder or file {target}", "name the folder of a service")
    return Journal((path if path.is_dir() else path.parent).resolve(), read_rows)


def _found(target: str, wish: Wish) -> Iterator[Predictions]:
    """What is wished for, in batches."""
    if wish.id and wish.key:
        raise UsageError("--id and --key name a prediction each", "give one of them")
    journal = _journal(target)
    if not wish.id and not wish.key:
        yield from journal.read(_since_us(wish.since))
        return
    since_us, any_found = _since_us(wish.since), False
    for found in journal.by_id(wish.id) if wish.id else journal.by_key(wish.key):
        recent = found.take(found.times.astype("int64") >= since_us)
        if recent.size:
            any_found = True
            yield recent
    if not any_found:
        named = f"the id {wish.id}" if wish.id else f"the key {wish.key}"
        raise NotFound(f"no prediction of {named} is kept in {target}", f"tenfold journal {target} shows what is kept")


def _since_us(since: str) -> int:
    """The beginning of the last while, in microseconds since 1970; of all time for ""."""
    if not since:
        return -(2**62)
    try:
        return round((time.time() - seconds(since)) * 1e6)
    except ValueError as error:
        raise UsageError(f"--since: {error}", 'write "1h" or "30 days"') from None


def _objects(encoders: dict[Table, Outputs], table: Table | None, rows: Rows | None) -> Iterator[bytes]:
    """Each row as a JSON object, as clients read an output; "" without end where nothing is kept."""
    if table is None or rows is None:
        return repeat(b"")
    if not table.columns:  # all of them are Private
        return repeat(b"{}", len(rows))
    encoder = encoders.get(table) or encoders.setdefault(table, Outputs(table.form))
    return iter(encoder.encode(len(rows), [memoryview(part) for part in write_rows(rows)]))


def _save_parquet(target: str, wish: Wish, file: Path) -> int:
    headers = [held.header for held in _journal(target).held()]
    if not headers:
        raise NotFound(f"no predictions are kept in {target}", f"tenfold serve {target} keeps them from now on")
    wanted = arrow.schema(headers)
    from pyarrow.parquet import ParquetWriter

    rows = 0
    with _new(file) as partial, ParquetWriter(partial, wanted) as writer:
        for found in _found(target, wish):
            writer.write_table(arrow.table(found, wanted))
            rows += found.size
    return rows


@contextlib.contextmanager
def _new(file: Path) -> Iterator[Path]:
    """A place to write to, which takes the name of the file once it is whole."""
    partial = file.with_name(f".{file.name}.partial")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)

"""What a columnar file that a stranger sent comes to once it is decoded: a few kilobytes may say gigabytes.

Sizes that such a file tells of itself are its author's, so it is decoded, a few rows at a time, in a process of its own whose
memory is limited: ``python -m tenfold.formats.weighing FILE``. It writes why the file is refused, or nothing.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.errors import TenfoldError
from tenfold.formats.shards import arrow

MOST_ROWS = 10_000_000
MOST_BYTES = 512 * 2**20  # decoded, of all columns
MOST_TOGETHER_BYTES = 128 * 2**20  # of the rows that are decoded together
TOGETHER_ROWS = 2**10
MEMORY_BYTES = 2**30  # of the process that decodes
LIMIT_S = 120.0
COLUMNAR = (".parquet", ".arrow")


def require_modest(path: Path, environment: Mapping[str, str]) -> None:
    """Raise ``TenfoldError`` where a file decodes to more than an upload may. Other formats are as large as they look."""
    if path.suffix not in COLUMNAR:
        return
    command = [sys.executable, "-m", __name__, str(path.absolute())]
    alone = {**environment, "ARROW_DEFAULT_MEMORY_POOL": "system"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=alone)
        why = done.stdout.strip() if done.returncode == 0 else "they need too much memory to be decoded"
    except subprocess.TimeoutExpired:
        why = f"they take more than {LIMIT_S:.0f} s to be decoded"
    if why:
        raise TenfoldError(f"the rows cannot be answered as an upload: {why}", "send fewer, or the file written anew")


class Most(NamedTuple):
    """How many rows there may be, and bytes that they decode to; and what is said where there are more of either."""

    rows: int
    bytes: int
    otherwise: str


class TooMuch(Exception):
    """What it comes to is more than it may be."""


def refusal(path: Path) -> str:
    """Why a file is too much for an upload, or cannot be decoded; "" where it is neither."""
    otherwise = f"they are more than {MOST_ROWS:,}, or decode to more than {MOST_BYTES >> 20} MiB"
    try:
        with path.open("rb") as file:
            _, batches = opened(path if path.suffix == ".parquet" else file, path.suffix.removeprefix("."))
            for _ in weighed(batches, Most(MOST_ROWS, MOST_BYTES, otherwise)):
                pass
    except TooMuch as error:
        return str(error)
    except MemoryError:
        return "they need too much memory to be decoded"
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        return f"the file cannot be read: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return ""


def weighed(batches: Iterable[Any], most: Most) -> Iterator[Any]:
    """The same batches, each once it is known to be sound, and not too much. Raises ``TooMuch``."""
    rows = size = 0
    for batch in batches:
        batch.validate(full=True)
        for start in range(0, batch.num_rows, TOGETHER_ROWS):
            some = batch.slice(start, TOGETHER_ROWS)
            together = sum(_size(column) for column in some.columns)
            rows, size = rows + some.num_rows, size + together
            if together > MOST_TOGETHER_BYTES:
                raise TooMuch(f"{some.num_rows:,} of them decode to more than {MOST_TOGETHER_BYTES >> 20} MiB")
            if rows > most.rows or size > most.bytes:
                raise TooMuch(most.otherwise)
        yield batch


def opened(source: Any, kind: str) -> tuple[Any, Iterator[Any]]:
    """The schema and the record batches of what is read from ``source``, "parquet" or "arrow"; of Parquet small ones."""
    if kind == "parquet":
        from pyarrow import parquet

        file = parquet.ParquetFile(source, pre_buffer=False, buffer_size=2**20)
        return file.schema_arrow, file.iter_batches(TOGETHER_ROWS, use_threads=False)
    ipc = arrow().ipc
    try:
        table = ipc.open_file(source)
    except ValueError:  # no footer: it is a stream
        source.seek(0)
        stream = ipc.open_stream(source)
        return stream.schema, iter(stream)
    return table.schema, (table.get_batch(k) for k in range(table.num_record_batches))


def _size(column: Any) -> int:
    """The bytes of an array, each value by itself."""
    types = arrow().types
    if types.is_dictionary(column.type):
        column = column.dictionary_decode()
    _require_plain(column.type)
    return int(column.nbytes)


def _require_plain(kind: Any) -> None:
    """Raise for a type in which many rows may share the bytes of one value."""
    if "dictionary" in (name := str(kind).partition("<")[0]) or "view" in name or "run_end" in name:
        raise ValueError(f"columns of type {name} are not read here; write them as plain ones")
    for k in range(kind.num_fields):
        _require_plain(kind.field(k).type)


def main(path: str) -> None:
    """Write why a file is refused, with little memory to find out."""
    arrow().set_cpu_count(1)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, hard))
    sys.stdout.write(refusal(Path(path)))


if __name__ == "__main__":
    main(sys.argv[1])

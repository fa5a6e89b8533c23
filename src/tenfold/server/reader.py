"""The reader: a process that turns Arrow and Parquet bodies into typed rows for one front, on a socket that it inherits.

What it reads is a stranger's, so its memory is limited, and its front ends it when it takes too long (see ``reading``).
Columns are read and validated as those of a job's file are; but one that the contract does not know refuses the rows, as a
key of an object does.
"""

from __future__ import annotations

import logging
import resource
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form, escape
from tenfold.errors import Violation
from tenfold.formats.batches import TWICE, Reading, Table
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import names_of
from tenfold.formats.shards import Layout, arrow
from tenfold.formats.weighing import MEMORY_BYTES, Most, TooMuch, opened, weighed
from tenfold.server.blocks import rows_apart
from tenfold.server.process import end_with_parent
from tenfold.server.reading import LENGTH_BYTES, LONG, MOST_ANSWER_BYTES, Read, Task, framed
from tenfold.validation import block
from tenfold.validation.parsing import Repeated
from tenfold.validation.scalar import MAX_NAMED

MOST_BYTES = 128 * 2**20  # decoded, of all columns
UNKNOWN = "the contract has no field of this name"
NAMES = {"arrow": "an Arrow stream", "parquet": "a Parquet file"}
_encode = msgspec.json.Encoder(enc_hook=str).encode


def read(task: Task) -> Read:
    """The rows of a body, or why they cannot be had."""
    otherwise = f"one request may carry {task.most_rows:,} rows; tenfold batch scores files"
    try:
        schema, batches = opened(arrow().BufferReader(task.body), task.kind)
        table = arrow().Table.from_batches(list(weighed(batches, Most(task.most_rows, MOST_BYTES, otherwise))), schema)
    except TooMuch as error:
        return Read("too_large", str(error))
    except (OSError, ValueError, TypeError, NotImplementedError):  # what pyarrow says may repeat what it read
        return Read("malformed", f"the body is not {NAMES[task.kind]} that can be read")
    return _checked(table, _form_of(task.form))


def read_or_fail(task: Task) -> Read:
    """``read``, whatever happens meanwhile."""
    try:
        return read(task)
    except MemoryError:
        return Read("too_large", "the rows need too much memory to be decoded")
    except Exception:
        logging.getLogger("tenfold").exception("a body could not be read")
        return Read("internal")


def warm_up() -> None:
    """Read a little of each kind. The first time, libraries load more of themselves (pyarrow even pandas), which takes longer
    than many a deadline: no body should wait for that, or be given up."""
    from pyarrow import parquet

    form = Form(name="Warm", fields=(Field(name="x", wire="x", kind="float"), Field(name="y", wire="y", kind="text")))
    table = arrow().table({"x": [0.5, 1.5], "y": ["a", None], "z": [1, 2]})
    for some in (table.select(["x", "y"]).slice(0, 1), table):
        for kind in NAMES:
            sink = arrow().BufferOutputStream()
            if kind == "parquet":
                parquet.write_table(some, sink)
            else:
                with arrow().ipc.new_stream(sink, some.schema) as stream:
                    stream.write_table(some)
            read_or_fail(Task(kind, form.to_json(), sink.getvalue().to_pybytes(), some.num_rows))


@lru_cache(maxsize=16)
def _form_of(text: bytes) -> Form:
    return msgspec.json.decode(text, type=Form)


def _checked(table: Any, form: Form) -> Read:
    """Every row of a table, validated."""
    known = names_of(form)
    columns = {
        name: k for k, name in enumerate(table.column_names)
    }  # the last of those that stand twice, as in an object
    twice = Repeated([(name, None) for name in table.column_names]).names[:MAX_NAMED]
    unknown = [name for name in columns if name not in known][:MAX_NAMED]
    pointers = [(f"/{escape(name)}", "duplicate_key", TWICE) for name in twice]
    pointers += [(f"/{escape(name)}", "unknown_field", UNKNOWN) for name in unknown]
    table = table.select([k for name, k in columns.items() if name in known])
    total = table.num_rows
    lines = b"\n".join(_lines(table))
    if not table.num_columns:
        data: Any = [{}] * total
    else:
        data = Table(table, Layout("table"), Reading(form, (), Dialect())).batch(range(total)).data
    checked = block.check(form, data)
    if not pointers:
        return Read(
            total=total,
            index=checked.index.tolist(),
            parts=rows_apart(checked.rows),
            violations=[*checked.violations],
            changes=[*checked.changes],
            flags=[*checked.flags],
            put_aside={row: [*reasons] for row, reasons in checked.put_aside.items()},
            fallbacks={**checked.fallbacks},
            lines=lines,
        )
    everywhere = [Violation(row, *reason) for row in range(total) for reason in pointers]
    violations = sorted([*checked.violations, *everywhere], key=lambda violation: violation.row)
    put_aside = {row: [*reasons] for row, reasons in checked.put_aside.items()}
    return Read(total=total, violations=violations, put_aside=put_aside, lines=lines)


def _lines(table: Any) -> Iterator[bytes]:
    """Rows as JSON, for what is kept of one that is put aside."""
    if not table.num_columns:
        return (b"{}" for _ in range(table.num_rows))
    columns = [_values(column) for column in table.columns]
    names = table.column_names
    return (_line(dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True))


def _line(record: dict[str, Any]) -> bytes:
    try:
        return _encode(record)
    except (TypeError, ValueError, OverflowError):  # what no JSON can say
        return b"{}"


def _values(column: Any) -> Sequence[Any]:
    """The values of a column as Python's own."""
    types = arrow().types
    if types.is_timestamp(column.type):  # nanoseconds are none of Python's
        column = column.cast(arrow().timestamp("us", column.type.tz), safe=False)
    try:
        values: Sequence[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [None] * len(column)
    return values


def main(channel: int) -> None:
    """Read what a front sends until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_parent(True)
    pa = arrow()
    pa.set_cpu_count(1)
    pa.set_memory_pool(pa.system_memory_pool())  # which gives back what it does not need
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, hard))
    warm_up()
    with socket.socket(fileno=channel) as line:
        line.sendall(framed(b""))
        while head := _receive(line, LENGTH_BYTES):
            task = msgspec.msgpack.decode(_receive(line, int.from_bytes(head, "little")), type=Task)
            answer = msgspec.msgpack.encode(read_or_fail(task))
            line.sendall(framed(answer if len(answer) <= MOST_ANSWER_BYTES else msgspec.msgpack.encode(LONG)))


def _receive(line: socket.socket, size: int) -> bytes:
    """So many bytes; none where the other end is gone."""
    pieces = bytearray()
    while len(pieces) < size:
        piece = line.recv(min(size - len(pieces), 1 << 20))
        if not piece:
            return b""
        pieces += piece
    return bytes(pieces)


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""The process that reads bodies for a front: started with the first one, ended when it takes too long, started anew."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from pyarrow import parquet

from tenfold import Contract
from tenfold.server import reading
from tenfold.server.reading import Order, Read, Reader, Task


class Row(Contract):
    x: float


def task(rows: int, columns: int = 1) -> Task:
    """A body of Parquet."""
    sink = io.BytesIO()
    names = ["x", *(f"unknown{k}" for k in range(columns - 1))]
    parquet.write_table(pa.table({name: [0.5 + k for k in range(rows)] for name in names}), sink)
    return Task("parquet", msgspec.json.encode(Row.form), sink.getvalue(), 10_000)


def streamed(rows: int) -> Task:
    """A body of Arrow."""
    table, sink = pa.table({"x": [0.5 + k for k in range(rows)]}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return Task("arrow", msgspec.json.encode(Row.form), sink.getvalue(), 10_000)


def order(what: Task, seconds: float, *, is_patient: bool = True, is_gone: bool = False) -> Order:
    """Somebody who waits for so long."""
    return Order(what, time.monotonic() + seconds, is_patient, lambda: is_gone)


def talk(conversation: Callable[[Reader], Awaitable[None]]) -> None:
    """Hold a conversation with a reader, which ends with it."""

    async def run() -> None:
        reader = Reader()
        try:
            async with asyncio.timeout(100):
                await conversation(reader)
        finally:
            if reader._process is not None:
                reader._process.kill()
                reader._process.wait()

    asyncio.run(run())


def test_the_first_body_waits_for_the_reader_beyond_its_deadline() -> None:
    """That time is given back; but not to a client that said how long it waits, which hears so at once."""

    async def conversation(reader: Reader) -> None:
        hurried, patient = order(task(1), 0.001, is_patient=False), order(task(2), 30.0)
        due = patient.due
        answers = await asyncio.gather(reader.read(hurried), reader.read(patient))
        assert [answer.code for answer in answers] == ["not_ready", ""]
        assert patient.held_s > 0
        assert patient.due == pytest.approx(due + patient.held_s)
        assert (answers[1].total, len(answers[1].parts), answers[1].lines) == (2, 2, b'{"x":0.5}\n{"x":1.5}')
        later = order(task(1), 30.0)
        assert ((await reader.read(later)).total, later.held_s) == (1, 0.0)

    talk(conversation)


def test_a_reader_that_is_ready_has_loaded_what_reading_takes() -> None:
    """The first body that it reads takes no longer than any other."""
    program = """
import sys
import msgspec
from tenfold.server.reader import read, warm_up
from tenfold.server.reading import Task

warm_up()
loaded = set(sys.modules)
for one in msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[Task]):
    assert not read(one).code
assert set(sys.modules) == loaded, set(sys.modules) - loaded
"""
    bodies = msgspec.msgpack.encode([task(2), task(2, columns=3), streamed(2)])
    subprocess.run([sys.executable, "-c", program], input=bodies, check=True, timeout=100)


def test_a_body_that_takes_too_long_ends_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client hears that there is no time; the next body is read by another process."""
    monkeypatch.setattr(reading, "GRACE_S", 0.0)

    async def conversation(reader: Reader) -> None:
        assert not (await reader.read(order(task(1), 30.0))).code
        first = reader._process
        long = order(task(9_000, columns=40), 0.001)
        assert (await reader.read(long)).code == "deadline"
        assert (await reader.read(order(task(3), 60.0))).total == 3
        assert reader._process is not first

    talk(conversation)


def test_an_answer_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is taken, and whoever gave it is replaced."""

    async def conversation(reader: Reader) -> None:
        monkeypatch.setattr(reading, "MOST_ANSWER_BYTES", 100)
        assert (await reader.read(order(task(1_000), 60.0))).code == "too_large"
        monkeypatch.undo()
        assert (await reader.read(order(task(1), 60.0))).total == 1

    talk(conversation)


def test_bodies_that_nobody_waits_for_are_not_read() -> None:
    """And no more wait than there is room for."""

    async def conversation(reader: Reader) -> None:
        some: list[Any] = [order(task(1), 60.0, is_gone=k % 2 == 0) for k in range(reading.MOST_WAITING + 1)]
        answers: list[Read] = await asyncio.gather(*map(reader.read, some))
        codes = [answer.code for answer in answers]
        assert codes == ["deadline" if k % 2 == 0 else "" for k in range(reading.MOST_WAITING)] + ["overloaded"]

    talk(conversation)


def test_a_reader_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """503, and whoever comes later has it tried again."""
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def conversation(reader: Reader) -> None:
        assert (await reader.read(order(task(1), 60.0))).code == "not_ready"
        monkeypatch.undo()
        assert (await reader.read(order(task(1), 60.0))).total == 1

    talk(conversation)


def test_a_reader_that_neither_ends_nor_gets_ready_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever waits hears that it is not ready, and whoever comes later has another one."""
    stuck = tmp_path / "stuck"
    stuck.write_text("#!/bin/sh\nexec sleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stuck))
    monkeypatch.setattr(reading, "START_S", 0.05)

    async def conversation(reader: Reader) -> None:
        assert (await reader.read(order(task(1), 60.0))).code == "not_ready"
        monkeypatch.undo()
        while (answer := await reader.read(order(task(1), 60.0))).code == "not_ready":
            pass  # the former one is on its way out
        assert answer.total == 1

    talk(conversation)

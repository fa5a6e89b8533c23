"""Rows that come one by one wait for nobody; as soon as several come together, they go together again."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tenfold.batching import Batching
from tenfold.contract.form import Field, Form
from tenfold.deadline import Deadline
from tenfold.drift import Drift
from tenfold.server import frames
from tenfold.server.lane import LONE, Lane
from tenfold.server.link import Batch
from tenfold.server.metrics import Counters, names_for
from tenfold.server.requests import Single
from tenfold.server.wire import Head
from tests.service.specs import bare

FORM = Form(name="F", fields=(Field(name="x", wire="x", kind="float"),))
SPEC = bare("f", FORM, FORM, batching=Batching(max_rows=64), deadline=Deadline("1 s"), drift=Drift(journal="off"))


class Client:
    """Waits for one answer."""

    def __init__(self) -> None:
        self.transport = self
        self.answered = False

    def send(self, response: bytes, keep_alive: bool = True) -> None:
        self.answered = True


class Replica:
    """Answers when it is told to."""

    ahead_ns = 0

    def __init__(self, lane: Lane, number: int) -> None:
        self.address = f"replica {number}"
        self.running: deque[Batch] = deque()
        self.began = 0.0
        self.sizes: list[int] = []
        self._lane = lane

    def send(self, batch: Batch, parts: list[bytes]) -> None:
        self.began = self.began if self.running else batch.sent
        self.running.append(batch)
        self.sizes.append(batch.rows)

    def answer(self) -> None:
        """Give back the oldest batch."""
        batch = self.running.popleft()
        parts = [frames.TIMES.pack(0, 0, 0, 0, 0), b"", b"", struct.pack(f"<{batch.rows}d", *[1.0] * batch.rows)]
        data = frames.pack(frames.ANSWER, batch.number, batch.rows, time.monotonic_ns(), parts)
        self._lane.answered(self, batch, frames.unpack(data))  # type: ignore[arg-type]


Talk = Callable[[Lane, list[Replica], Callable[[], Client]], Awaitable[None]]


def talk(tmp_path: Path, replicas: int, conversation: Talk) -> None:
    """A lane and its replicas, on a loop."""

    async def run() -> None:
        counters = Counters(tmp_path / "counters", names_for(FORM))
        lane = Lane(SPEC, "f@1", counters, tmp_path, lambda *a, **k: None)
        hello = frames.Hello(1, "", "f@1", "", 1, 1.0, b"{}", costs=[(1, 0.001), (64, 0.001)])  # type: ignore[arg-type]
        links = [Replica(lane, k) for k in range(replicas)]
        for link in links:
            lane.greeted(link, hello)  # type: ignore[arg-type]
        head = Head("POST", b"/", {}, True)
        head.budget_s = 1.0

        def ask() -> Client:
            client = Client()
            waiting: Any = client
            now = time.monotonic()
            lane.offer(Single(lane, waiting, head, b"0" * 36, now, now, now + 1.0, b"{}", ((struct.pack("<d", 1.0),),)))
            return client

        await turns()
        await conversation(lane, links, ask)

    asyncio.run(run())


async def turns() -> None:
    """Let the loop go round."""
    for _ in range(8):
        await asyncio.sleep(0)


async def alone(links: list[Replica], ask: Callable[[], Client]) -> None:
    """Rows one by one, each answered before the next one comes."""
    for _ in range(LONE):
        client = ask()
        await turns()
        next(link for link in links if link.running).answer()
        await turns()
        assert client.answered


def test_whoever_comes_alone_waits_for_nobody(tmp_path: Path) -> None:
    """After some rows that came one by one, the next is handed over before the turn of the loop is over."""

    async def conversation(lane: Lane, links: list[Replica], ask: Callable[[], Client]) -> None:
        (link,) = links
        ask()
        assert not link.running
        await turns()
        link.answer()
        await alone(links, ask)
        ask()
        assert link.sizes[-1:] == [1]
        assert link.running

    talk(tmp_path, 1, conversation)


@pytest.mark.parametrize("together", [2, 5])
def test_rows_that_come_together_go_together_again(tmp_path: Path, together: int) -> None:
    """Only the first time the first one goes ahead of the others."""

    async def conversation(lane: Lane, links: list[Replica], ask: Callable[[], Client]) -> None:
        (link,) = links
        await alone(links, ask)
        del link.sizes[:]
        for _ in range(6):
            clients = [ask() for _ in range(together)]
            await turns()
            while link.running:
                link.answer()
                await turns()
            assert all(client.answered for client in clients)
        assert link.sizes == [1, together - 1, *[together] * 5]

    talk(tmp_path, 1, conversation)


def test_idle_replicas_are_not_given_a_row_each(tmp_path: Path) -> None:
    """Where several replicas are free, rows that come together are one batch nevertheless."""

    async def conversation(lane: Lane, links: list[Replica], ask: Callable[[], Client]) -> None:
        await alone(links, ask)
        for link in links:
            del link.sizes[:]
        for _ in range(3):
            for _ in range(4):
                ask()
            await turns()
            while busy := [link for link in links if link.running]:
                for link in busy:
                    link.answer()
                await turns()
        assert sorted(size for link in links for size in link.sizes) == [1, 3, 4, 4]

    talk(tmp_path, 4, conversation)

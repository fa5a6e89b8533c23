"""What becomes of a request that a front itself stumbles over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tenfold.server import frames
from tenfold.server.channel import Channel
from tenfold.server.front import Front
from tenfold.server.link import Link
from tenfold.service import find, spec
from tenfold.validation.scalar import Decoder
from tests.server.running import write_service


def broken_steps(*_: object) -> Iterator[None]:
    """Rows whose third step fails."""
    yield
    yield
    raise RuntimeError("a step failed")


def test_a_step_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Many rows are judged in steps; whoever's rows a step fails on is told so, and the log says why."""
    monkeypatch.setattr(Decoder, "many_in_steps", broken_steps)
    described = spec(find(str(write_service(tmp_path)), ""))
    hello = frames.Hello(
        wire=frames.WIRE,
        tenfold="0",
        release="echoes@1",
        contract=described.input.digest,
        pid=1,
        startup_s=0.0,
        sample=b"",
        max_body_bytes=1 << 16,
        costs=[],
        service=msgspec.Raw(msgspec.json.encode(described)),
    )

    async def ask() -> bytes:
        supervisor, its_end = Channel.pair()
        channel = Channel(its_end)
        front = Front(channel, tmp_path, 1, 1)
        front.greeted(Link(front, "nowhere", tmp_path), hello)
        server = await asyncio.get_running_loop().create_server(front.connection, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"POST /predict HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]")
            answer = await reader.read()
            writer.close()
        supervisor.close()
        channel.close()
        return answer

    assert asyncio.run(asyncio.wait_for(ask(), 5)).startswith(b"HTTP/1.1 500")
    assert "a step failed" in caplog.text

"""Who may ask a replica over a network: both sides of the handshake, on a real pair of sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any

import pytest

from tenfold.server.handshake import GREETING, NONCE_BYTES, PROOF_BYTES, Stranger, admit, enter, keep_alive

SECRET, OTHER = bytes(32), bytes(31) + b"\x01"


async def meet(fronts: bytes, replicas: bytes) -> list[BaseException | None]:
    """What comes of it on either side, when these are the secrets that they know."""

    async def one(line: socket.socket, side: Coroutine[Any, Any, None]) -> None:
        try:
            await side
        except OSError:
            line.shutdown(socket.SHUT_RDWR)  # by which the other side hears that it is refused
            raise

    ours, theirs = lines()
    with ours, theirs:
        sides = one(ours, enter(ours, fronts)), one(theirs, admit(theirs, replicas))
        return list(await asyncio.gather(*sides, return_exceptions=True))


def lines() -> tuple[socket.socket, socket.socket]:
    """The two ends of a connection."""
    ours, theirs = socket.socketpair()
    for line in (ours, theirs):
        line.setblocking(False)
    return ours, theirs


def test_both_know_the_secret() -> None:
    """Then both go on, and not a byte more than the handshake was read."""
    assert asyncio.run(meet(SECRET, SECRET)) == [None, None]


def test_a_front_with_another_secret_is_refused() -> None:
    """Neither side goes on, and the replica's side says nothing that proves anything."""
    front, replica = asyncio.run(meet(OTHER, SECRET))
    assert isinstance(front, Stranger)
    assert isinstance(replica, Stranger)


def test_whoever_only_listens_where_a_replica_was_is_found_out() -> None:
    """A front sends its rows to nobody who answers with its own proof."""

    async def pretend() -> None:
        ours, theirs = lines()
        with ours, theirs:
            front = asyncio.ensure_future(enter(ours, SECRET))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(theirs, GREETING + bytes(NONCE_BYTES))
            said = await loop.sock_recv(theirs, NONCE_BYTES + PROOF_BYTES)
            await loop.sock_sendall(theirs, said[NONCE_BYTES:])
            with pytest.raises(Stranger, match="does not know the secret"):
                await front

    asyncio.run(pretend())


def test_something_else_that_listens_there_is_no_replica() -> None:
    """The front says so, and sends it nothing."""

    async def pretend() -> None:
        ours, theirs = lines()
        with ours, theirs:
            front = asyncio.ensure_future(enter(ours, SECRET))
            await asyncio.get_running_loop().sock_sendall(
                theirs, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"
            )
            with pytest.raises(Stranger, match="no replica"):
                await front
            with pytest.raises(BlockingIOError):
                theirs.recv(1)

    asyncio.run(pretend())


def test_a_connection_notices_that_the_other_machine_is_gone() -> None:
    """It is probed while nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as line:
        keep_alive(line)
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

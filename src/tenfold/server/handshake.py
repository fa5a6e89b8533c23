"""Who may ask a replica over a network: each side proves that it knows the replica's secret, before anything else is read.

The replica's side begins with a nonce; the front answers with one of its own and a proof over both; only when that is right
the replica's side proves itself, and the wire begins. A proof is HMAC-SHA-256 (RFC 2104) over its side's name and both
nonces, in three passes as in ISO/IEC 9798-4: neither a recorded nor a reflected one is worth anything, and the secret itself
is never sent. What follows is not encrypted: like all of a cluster's own traffic, it is for a network that is trusted.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket

GREETING = b"tenfold\x01"
LIMIT_S = 5.0  # for a handshake
NONCE_BYTES = PROOF_BYTES = 32
SILENT_S = 5  # what is sent has to arrive within, or the other machine is gone
PROBE_AFTER_S, PROBE_EVERY_S, PROBES = 2, 1, 3  # of a line on which nothing is said


class Stranger(ConnectionError):
    """The other side does not know the secret, or does not speak of it."""


async def enter(line: socket.socket, secret: bytes) -> None:
    """As a front: prove oneself on a connected, non-blocking socket, and see that the other side is the replica's. Raises
    ``OSError``."""
    async with asyncio.timeout(LIMIT_S):
        greeting = await _read(line, len(GREETING) + NONCE_BYTES)
        theirs, ours = greeting[len(GREETING) :], secrets.token_bytes(NONCE_BYTES)
        if not greeting.startswith(GREETING):
            raise Stranger("what listens there is no replica, or one of another version")
        await _write(line, ours + _proof(secret, b"front", theirs, ours))
        if not hmac.compare_digest(await _read(line, PROOF_BYTES), _proof(secret, b"replica", theirs, ours)):
            raise Stranger("what listens there does not know the secret")


async def admit(line: socket.socket, secret: bytes) -> None:
    """As a replica: let in whoever proves to be a front of its server, and nobody else. Raises ``OSError``."""
    async with asyncio.timeout(LIMIT_S):
        ours = secrets.token_bytes(NONCE_BYTES)
        await _write(line, GREETING + ours)
        said = await _read(line, NONCE_BYTES + PROOF_BYTES)
        theirs, proof = said[:NONCE_BYTES], said[NONCE_BYTES:]
        if not hmac.compare_digest(proof, _proof(secret, b"front", ours, theirs)):
            raise Stranger("whoever asked does not know the secret")
        await _write(line, _proof(secret, b"replica", ours, theirs))


def keep_alive(line: socket.socket) -> None:
    """Send at once, and notice soon that the other machine is gone without a word."""
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wanted = {
        "TCP_KEEPIDLE": PROBE_AFTER_S,
        "TCP_KEEPINTVL": PROBE_EVERY_S,
        "TCP_KEEPCNT": PROBES,
        "TCP_USER_TIMEOUT": SILENT_S * 1000,
    }
    for name, value in wanted.items():
        if hasattr(socket, name):  # each system has some of them
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _proof(secret: bytes, side: bytes, replicas: bytes, fronts: bytes) -> bytes:
    return hmac.digest(secret, side + replicas + fronts, "sha256")


async def _read(line: socket.socket, size: int) -> bytes:
    """Just so many bytes: what follows them is somebody else's to read."""
    said = b""
    while len(said) < size:
        more = await asyncio.get_running_loop().sock_recv(line, size - len(said))
        if not more:
            raise Stranger("the other side hung up")
        said += more
    return said


async def _write(line: socket.socket, said: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(line, said)

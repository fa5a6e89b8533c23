"""Requests that carry a number, by which an answer is told from that to another request."""

from __future__ import annotations

import asyncio


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> tuple[int, bytes]:
    """Status and body of the reply to one request."""
    body = b'{"number":%d}' % number
    writer.write(b"POST /predict HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)

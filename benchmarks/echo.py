"""The limit of the HTTP stack: every body goes back as it came. `python -m benchmarks.echo PORT`."""

from __future__ import annotations

import sys

import uvloop

from benchmarks.protocol import Connection, serve


def echo(body: bytes, connection: Connection) -> None:
    connection.reply(body)


if __name__ == "__main__":
    uvloop.run(serve(echo, int(sys.argv[1])))

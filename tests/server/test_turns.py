"""A replica and the fronts that share it: a batch of each in turn."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tenfold.config import server
from tenfold.engines.local import listen_unix
from tenfold.server import frames
from tenfold.server.channel import Channel
from tenfold.server.frames import Frame, Reader
from tenfold.server.replica import Replica, introduce, load

SERVICE = '''
import time
from pathlib import Path

from tenfold import Contract, Service

HERE = Path(__file__).parent


class Number(Contract):
    number: float


def answered(numbers):
    """In the order of this file; the first waits for a word."""
    with (HERE / "order").open("a") as order:
        order.write(f"{numbers[0]:g} ")
    while numbers[0] == 1 and not (HERE / "go").exists():
        time.sleep(0.001)
    return numbers


class Echoes(Service):
    """Echoes numbers."""

    input, output, model = Number, Number, answered

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, numbers):
        return {"number": numbers}
'''


class Front:
    """A front's end of a connection."""

    def __init__(self, address: Path) -> None:
        self.line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.line.settimeout(60.0)
        self.line.connect(str(address))
        self.reader = Reader()
        (hello,) = self.hear(1)
        assert frames.read_hello(hello).release.startswith("echoes@")

    def ask(self, *numbers: float) -> None:
        """Hand over a batch of one row for each number."""
        due_ns = time.monotonic_ns() + 60 * 10**9
        batches = [frames.pack(frames.BATCH, int(n), 1, due_ns, [struct.pack("<d", n)]) for n in numbers]
        self.line.sendall(b"".join(batches))

    def hear(self, count: int) -> list[Frame]:
        """So many frames."""
        found: list[Frame] = []
        while len(found) < count:
            found += self.reader.feed(self.line.recv(1 << 16))
        return found

    def close(self) -> None:
        """Be gone."""
        self.line.close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Path]:
    """Where a replica listens that runs in this process."""
    (tmp_path / "service.py").write_text(SERVICE, "utf-8")
    (tmp_path / "go").touch()
    pipeline, described, rows = load(str(tmp_path), "")
    hello, _ = introduce(pipeline, described, rows, server(tmp_path, ""), time.perf_counter())
    (tmp_path / "order").unlink(missing_ok=True)
    (tmp_path / "go").unlink()
    with ExitStack() as stack:
        supervisor, theirs = Channel.pair()
        channel = Channel(theirs)
        stack.callback(channel.close)
        listening = stack.enter_context(listen_unix(tmp_path / "replica"))
        replica = Replica(pipeline, hello, channel, listening, str(tmp_path))
        thread = threading.Thread(target=replica.serve, daemon=True)
        thread.start()
        yield tmp_path / "replica"
        (tmp_path / "go").touch()
        supervisor.close()
        thread.join(60.0)
    assert not thread.is_alive()


def _began(folder: Path, number: str) -> None:
    until = time.monotonic() + 60.0
    while time.monotonic() < until:
        if (folder / "order").exists() and number in (folder / "order").read_text().split():
            return
        time.sleep(0.001)
    raise AssertionError(f"{number} has not begun")


def test_whoever_was_answered_longest_ago_comes_next(address: Path) -> None:
    """A front that had two batches waiting does not keep another one from its turn, whoever came first."""
    folder, one, other = address.parent, Front(address), Front(address)
    one.ask(1, 2, 3)
    _began(folder, "1")
    other.ask(10, 11)
    (folder / "go").touch()
    assert [frame.number for frame in one.hear(3)] == [1, 2, 3]
    assert [frame.number for frame in other.hear(2)] == [10, 11]
    assert (folder / "order").read_text().split() == ["1", "10", "2", "11", "3"]
    one.close()
    other.close()


@pytest.mark.parametrize(
    "sent",
    [struct.pack("<I", 2**32 - 1) + bytes(60), struct.pack("<I", 4) + bytes(4), struct.pack("<I", 40) + b"\xff" * 40],
)
def test_a_front_that_is_out_of_step_is_let_go(address: Path, sent: bytes) -> None:
    """What it sends is no batch: the connection is closed, and the others go on being answered."""
    one, other = Front(address), Front(address)
    one.line.sendall(sent)
    assert one.line.recv(1) == b""
    other.ask(10)
    assert [frame.number for frame in other.hear(1)] == [10]
    one.close()
    other.close()


def test_what_a_front_waits_for_that_is_gone_is_not_begun(address: Path) -> None:
    """The others are answered as if it had never been there."""
    folder, one, other = address.parent, Front(address), Front(address)
    one.ask(1, 2, 3)
    _began(folder, "1")
    one.close()
    other.ask(10)
    (folder / "go").touch()
    assert [frame.number for frame in other.hear(1)] == [10]
    other.ask(11)
    assert [frame.number for frame in other.hear(1)] == [11]
    assert (folder / "order").read_text().split()[-1] == "11"
    assert "3" not in (folder / "order").read_text().split()
    other.close()

"""What placer and members say to each other, and how a folder comes to a machine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec

from tenfold.errors import TenfoldError
from tenfold.server.channel import Message

LOST = "its machine, or Ray's process there, is gone"


class Order(msgspec.Struct, frozen=True):
    """A replica that is to be started: of which state of which folder, with which options of its process. ``home`` is where
    its counts belong on the server's machine, ``secret`` in hexadecimal. ``python`` is the interpreter of its release's own
    environment, "" for the one that Ray runs in."""

    folder: str
    generation: int
    options: dict[str, str]
    home: str
    secret: str
    python: str = ""

    @property
    def state(self) -> tuple[str, int]:
        """Of which state of which folder."""
        return self.folder, self.generation


class Needs(msgspec.Struct, frozen=True):
    """What a replica takes of a machine, as its service declares it; 0 bytes where it does not. ``others`` are resources by
    Ray's name of them: GPU, or one that the machines of this cluster were given."""

    cores: float = 1.0
    memory_bytes: int = 0
    others: dict[str, float] = {}

    def __str__(self) -> str:
        said = [f"{self.cores:g} core{'s' * (self.cores != 1)}"]
        if self.memory_bytes:
            said.append(f"{self.memory_bytes / 2**30:.1f} GiB")
        *first, last = (*said, *(f"{amount:g} {name}" for name, amount in self.others.items()))
        return f"{', '.join(first)} and {last}" if first else last


class Born(msgspec.Struct, frozen=True, tag=True):
    """Where a replica is that was started; ``node`` is its machine by Ray's name of it."""

    host: str
    port: int
    machine: str
    node: str


class Ended(msgspec.Struct, frozen=True):
    """How the process of a replica ended."""

    code: int
    because: str = ""


class Heard(msgspec.Struct, frozen=True):
    """What became of a replica since this was last asked: what it told its supervisor, what it printed, the counts that it
    left, by the names of their files; what it weighs; and how it ended, if it has."""

    messages: list[Message] = []
    printed: bytes = b""
    counts: list[tuple[str, bytes]] = []
    size_bytes: int = 0
    answered: bool = False
    ended: Ended | None = None


class Failure(msgspec.Struct, frozen=True, tag=True):
    """An error of ours, which travels as what it says."""

    message: str
    hint: str
    exit_code: int

    @classmethod
    def of(cls, error: TenfoldError) -> Failure:
        """What an error says."""
        return cls(error.message, error.hint, error.exit_code)

    def error(self) -> TenfoldError:
        """It, again."""
        error = TenfoldError(self.message, self.hint)
        error.exit_code = self.exit_code
        return error


def unpack_folder(packed: bytes, into: str, name: str) -> str:
    """Lay a folder out as ``pack_folder`` packed it; what ``find`` is to be given, for the service ``name`` in it."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(into, filter="data")
    return str(Path(into, "service", name))

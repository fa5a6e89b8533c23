from collections.abc import Callable, Sequence
from typing import Any

from tenfold.server.books import Books
from tenfold.server.frames import Buffer, Frame
from tenfold.server.items import Item
from tenfold.server.remarks import Outcome
from tenfold.server.replies import Ids
from tenfold.server.requests import Single
from tenfold.server.routes import Site
from tenfold.server.wire import Connection, Head
from tenfold.validation.packing import Parts, Place

source: str

def receiver(connection: type[Connection], head: type[Head], most: int) -> Callable[[Connection, bytes], None]: ...
def giver(
    single: type[Single],
) -> Callable[[Sequence[Item], Outcome, float, Books, list[float]], None]: ...
def predictor(
    site: type[Site], ids: Ids, digits: list[bytes], expected: tuple[type[Exception], ...]
) -> Callable[[Site, Connection, Head, bytes, float], None]: ...
def count_latencies(slots: memoryview, first: int, places: bytes, now: float, came: list[float]) -> None: ...
def moments(items: Any) -> tuple[float, float] | None: ...
def row_reader(
    decode: Callable[[bytes], Any],
    row: type[Any],
    fields: list[Place],
    sizes: list[int],
    bit_bytes: int,
    sign: bytes,
    times: int,
    otherwise: Callable[[bytes], Parts],
    /,
) -> Callable[[bytes], Parts]: ...

Pack = Callable[[int, int, int, int, Sequence[Buffer]], bytes]
Unpack = Callable[[Buffer], Frame]

def framer(frame: type[Frame], pack: Pack, unpack: Unpack, /) -> tuple[Pack, Unpack]: ...

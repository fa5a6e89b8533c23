from collections.abc import Callable, Sequence
from typing import Any

from tenfold.server.replies import Ids
from tenfold.server.requests import Lane, Outcome, Part, Single
from tenfold.server.routes import Site
from tenfold.server.wire import Connection, Head

def receiver(connection: type[Connection], head: type[Head], most: int) -> Callable[[Connection, bytes], None]: ...
def giver(
    single: type[Single],
) -> Callable[[Sequence[Single | Part], Outcome, float, Lane, list[float]], None]: ...
def predictor(
    site: type[Site], ids: Ids, digits: list[bytes], expected: tuple[type[Exception], ...]
) -> Callable[[Site, Connection, Head, bytes, float], None]: ...
def count_latencies(slots: memoryview, first: int, places: bytes, now: float, came: list[float]) -> None: ...
def moments(items: Any) -> tuple[float, float] | None: ...

"""Following a store without ever waiting for it: a thread of its own looks, and whoever asks gets what it found since.

A database may be away for a while, or on another machine. A process that watches others must not stand still over that.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from tenfold.errors import TenfoldError
from tenfold.store.opening import Store, open_store

EVERY_S = 0.2
FIRST_S = 10.0  # how long a server that starts waits for the first look

Found = TypeVar("Found")


class Follower(Generic[Found]):
    """``look`` is called again and again with the store at ``place``, on a thread of its own; what it returns is news, unless
    it is None. The store may come into being later; while it cannot be read there are no news."""

    def __init__(self, place: str, look: Callable[[Store], Found | None], *, every_s: float = EVERY_S) -> None:
        self._place = place
        self._look = look
        self._every_s = every_s
        self._found: SimpleQueue[Found] = SimpleQueue()
        self._looked, self._ended = threading.Event(), threading.Event()
        threading.Thread(target=self._follow, name=f"follows {place.partition('?')[0][-20:]}", daemon=True).start()
        self._looked.wait(FIRST_S)

    def news(self) -> list[Found]:
        """What was found since this was last asked, the newest last."""
        found: list[Found] = []
        while True:
            try:
                found.append(self._found.get_nowait())
            except Empty:
                return found

    def close(self) -> None:
        """Look no more."""
        self._ended.set()

    def _follow(self) -> None:
        store: Store | None = None
        while not self._ended.is_set():
            try:
                store = store or open_store(self._place, wait_s=0.0)
                found = self._look(store)
            except (TenfoldError, OSError):  # it comes into being, or back
                found = None
            if found is not None:
                self._found.put(found)
            self._looked.set()
            self._ended.wait(self._every_s)
        if store is not None:
            store.close()

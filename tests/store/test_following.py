"""Following a store: news come by themselves, and nobody stands still while there are none."""

from __future__ import annotations

import threading
from pathlib import Path

from tenfold.store import Act, Store, open_store
from tenfold.store.following import Follower
from tests.server.running import until


def test_what_changes_is_news_once(tmp_path: Path) -> None:
    """A store that comes into being later is found, each change is told once, and the last one is the newest."""
    seen = 0

    def look(store: Store) -> int | None:
        nonlocal seen
        last = store.events.list(most=1)
        if not last or last[0].n == seen:
            return None
        seen = last[0].n
        return seen

    follower = Follower(str(tmp_path / "store"), look, every_s=0.01)
    assert follower.news() == []
    store = open_store(tmp_path / "store", create=True)
    for n in (1, 2):
        store.events.append(Act("anna", "note"))
        assert until(follower.news, f"event {n}") == [n]
    follower.close()
    store.close()


def test_nobody_waits_for_a_look(tmp_path: Path) -> None:
    """While a look takes as long as it likes, whoever asks for news gets none at once."""
    open_store(tmp_path / "store", create=True).close()
    entered, go_on = threading.Event(), threading.Event()
    looks = 0

    def look(store: Store) -> int | None:
        nonlocal looks
        looks += 1
        if looks > 1:
            entered.set()
            go_on.wait(60)
        return looks

    follower = Follower(str(tmp_path / "store"), look, every_s=0.01)
    assert follower.news() == [1]
    assert entered.wait(60)
    assert follower.news() == []
    follower.close()
    go_on.set()
    until(follower.news, "the look that was under way")

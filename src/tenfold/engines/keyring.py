"""The keys that a server asks for: those of its store, looked at again whenever the store's generation changes."""

from __future__ import annotations

from ipaddress import ip_address

from tenfold.auth import Access, required
from tenfold.store import Store
from tenfold.store.clock import now
from tenfold.store.following import Follower
from tenfold.store.keys import access
from tenfold.store.records import Key

LOOK_S = 0.2


class Keyring:
    """What the processes of a server have to know of keys. ``store`` is a place, or "" for a server without one; it may come
    into being while the server runs. One that cannot be read for a while leaves everything as it was."""

    def __init__(self, store: str, anonymous: bool) -> None:
        self._anonymous = anonymous
        self._generation = -1
        self._keys: tuple[Key, ...] | None = None
        self._follower = Follower(store, self._look, every_s=LOOK_S) if store else None
        self.has_changed()

    def has_changed(self) -> bool:
        """Whether keys may have been created or revoked since this was last asked."""
        news = self._follower.news() if self._follower else []
        if news:
            self._keys = news[-1]
        return bool(news)

    def access(self, host: str) -> str:
        """Who may do what at an address of this server, as its processes are told."""
        scopes = required(self._anonymous, is_loopback(host))
        if self._keys is None:
            return Access(required=scopes).to_bytes().decode()
        return access(self._keys, scopes, now()).to_bytes().decode()

    def _look(self, store: Store) -> tuple[Key, ...] | None:
        """The keys, where they may have changed."""
        generation = store.generation()
        if generation == self._generation:
            return None
        keys = tuple(store.keys.list())
        self._generation = generation
        return keys


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

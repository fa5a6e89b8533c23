"""The keys that a server asks for: those of its store, looked at again whenever the store's generation changes."""

from __future__ import annotations

from ipaddress import ip_address

from tenfold.auth import Access, required
from tenfold.errors import TenfoldError
from tenfold.store import Store, open_store
from tenfold.store.keys import access
from tenfold.store.records import Key

LOOK_S = 0.2


class Keyring:
    """What the processes of a server have to know of keys. ``store`` is a place, or "" for a server without one; it may come
    into being while the server runs. One that cannot be read for a while leaves everything as it was."""

    def __init__(self, store: str, anonymous: bool) -> None:
        self._place = store
        self._anonymous = anonymous
        self._store: Store | None = None
        self._generation = -1
        self._keys: tuple[Key, ...] = ()
        self.has_changed()

    def has_changed(self) -> bool:
        """Whether keys may have been created or revoked since this was last asked."""
        if not self._place:
            return False
        try:
            self._store = self._store or open_store(self._place)
            generation = self._store.generation()
            if generation == self._generation:
                return False
            self._keys, self._generation = tuple(self._store.keys.list()), generation
        except TenfoldError:
            return False
        return True

    def access(self, host: str) -> str:
        """Who may do what at an address of this server, as its processes are told."""
        scopes = required(self._anonymous, is_loopback(host))
        if self._store is None:
            return Access(required=scopes).to_bytes().decode()
        return access(self._keys, scopes, self._store.clock()).to_bytes().decode()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""Keys in the store: only hashes are kept, and each that is handed out or revoked is on record."""

from __future__ import annotations

from tenfold import auth
from tenfold.store import Store
from tenfold.store.records import Key
from tests.store.conftest import Backend


def _key(store: Store, name: str = "laboratory") -> tuple[Key, str]:
    made = auth.fresh(store.entropy)
    key = Key(id=made.id, name=name, digest=made.digest, scopes=("predict", "feedback"), at=store.clock(), who="anna")
    store.keys.add(key)
    return key, made.text


def test_a_key_is_kept_as_its_hash(backend: Backend, store: Store, other: Store) -> None:
    """Whoever reads the store's files finds no key in them."""
    key, text = _key(store)
    assert other.keys.list() == [key]
    secret = text.split("_", 2)[2].encode()
    assert secret not in backend.raw()
    assert key.digest.encode() in backend.raw()


def test_a_revoked_key_stays_on_record(store: Store) -> None:
    """It is listed with when it was revoked; revoking it again changes nothing, and a stranger is None."""
    key, _ = _key(store)
    revoked = store.keys.revoke(key.id, "ben")
    assert revoked is not None
    assert revoked.revoked
    assert store.keys.list() == [revoked]
    assert store.keys.revoke(key.id, "ben") == revoked
    assert store.keys.revoke("nobody", "ben") is None
    assert [(event.who, event.what) for event in store.events.list()] == [
        ("anna", "key created"),
        ("ben", "key revoked"),
    ]
    assert store.events.list()[0].detail["name"] == "laboratory"


def test_servers_see_that_keys_changed(store: Store, other: Store) -> None:
    """A server that polls the generation learns of a new and of a revoked key."""
    seen = [other.generation()]
    key, _ = _key(store)
    seen.append(other.generation())
    store.keys.revoke(key.id, "ben")
    seen.append(other.generation())
    assert seen == sorted(set(seen))

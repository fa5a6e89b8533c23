"""Blobs: what was put is what is read, or nothing is."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tenfold.errors import Conflict, GateFailed, NotFound
from tenfold.store import Store
from tests.store.conftest import Backend

CONTENT = b"weights" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_what_was_put_is_read(store: Store, tmp_path: Path) -> None:
    """A content comes back under its SHA-256, from bytes and from a file, and as a new file."""
    (tmp_path / "model").write_bytes(CONTENT)
    assert store.blobs.put(CONTENT) == store.blobs.put(tmp_path / "model") == DIGEST
    assert store.blobs.read(DIGEST) == CONTENT
    store.blobs.copy(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == CONTENT
    assert [blob.digest for blob in store.blobs.each()] == [DIGEST]
    found = store.blobs.find(DIGEST)
    assert found is not None
    assert found.size == len(CONTENT)


def test_what_is_not_there_is_said(store: Store, tmp_path: Path) -> None:
    """A missing content is named, and no empty file is left in its place."""
    assert store.blobs.find(DIGEST) is None
    with pytest.raises(NotFound, match=DIGEST[:12]):
        store.blobs.read(DIGEST)
    with pytest.raises(NotFound, match=DIGEST[:12]):
        store.blobs.copy(DIGEST, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_file_that_is_there_is_not_overwritten(store: Store, tmp_path: Path) -> None:
    """A copy makes a new file or none."""
    store.blobs.put(CONTENT)
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(FileExistsError):
        store.blobs.copy(DIGEST, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"


def test_a_file_that_changes_while_it_is_pushed_is_refused(store: Store, tmp_path: Path) -> None:
    """A digest that was taken a moment ago has to be that of what is kept."""
    (tmp_path / "model").write_bytes(b"other")
    with pytest.raises(Conflict, match="while it was pushed"):
        store.blobs.put(tmp_path / "model", DIGEST)
    assert list(store.blobs.each()) == []


def test_removed_is_gone(store: Store) -> None:
    """What is removed is not there any more; twice is no error."""
    store.blobs.put(CONTENT)
    store.blobs.remove(DIGEST)
    store.blobs.remove(DIGEST)
    assert store.blobs.find(DIGEST) is None


def test_an_altered_content_is_never_given_out(backend: Backend, store: Store, tmp_path: Path) -> None:
    """Whoever reads or copies what was tampered with gets the reason, and no file."""
    store.blobs.put(CONTENT)
    backend.alter(DIGEST, CONTENT[:-1] + b"!")
    with pytest.raises(GateFailed, match="damaged or altered"):
        store.blobs.read(DIGEST)
    with pytest.raises(GateFailed, match="damaged or altered"):
        store.blobs.copy(DIGEST, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_putting_again_heals(backend: Backend, store: Store) -> None:
    """The mend that the error names is true: pushed again, the content is whole."""
    store.blobs.put(CONTENT)
    backend.alter(DIGEST, CONTENT[:-1] + b"!")
    store.blobs.put(CONTENT)
    assert store.blobs.read(DIGEST) == CONTENT


def test_putting_again_renews(backend: Backend, store: Store) -> None:
    """A content that is pushed again is as young as a new one, so that no sweep takes it."""
    store.blobs.put(CONTENT)
    backend.date(datetime(2020, 1, 1, tzinfo=UTC), DIGEST)
    store.blobs.put(CONTENT)
    found = store.blobs.find(DIGEST)
    assert found is not None
    assert time.time() - found.put_s < 60


@pytest.mark.parametrize("digest", ["../../store.db", "", "A" * 64, "0" * 63, "0" * 64 + "/x"])
def test_only_digests_name_contents(store: Store, digest: str) -> None:
    """No name leads to another file."""
    with pytest.raises(GateFailed, match="is no digest"):
        store.blobs.read(digest)

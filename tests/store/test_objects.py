"""Contents in objects: what holds of files holds of them, also where they are large, contested or out of reach."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from tenfold.errors import Conflict, NotFound, TenfoldError
from tenfold.store.objects import PART, Objects
from tests.store.servers import BUCKET, client, environment

LARGE = PART + (PART >> 1)  # two parts


@pytest.fixture
def blobs(running_objects: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Objects:
    """An empty place in a bucket."""
    for name, value in environment(running_objects, tmp_path).items():
        monkeypatch.setenv(name, value)
    return Objects(f"s3://{BUCKET}/{tmp_path.name}")


def asked(monkeypatch: pytest.MonkeyPatch, blobs: Objects) -> list[str]:
    """What is sent from now on."""
    sent: list[str] = []
    store = type(blobs._store)
    honest = store.put

    def put(self: Any, path: str, content: Any, **options: Any) -> Any:
        sent.append(path)
        return honest(self, path, content, **options)

    monkeypatch.setattr(store, "put", put)
    return sent


def test_large_contents_go_in_parts(blobs: Objects, tmp_path: Path) -> None:
    """A file larger than a part is the same when it comes back, and memory holds some parts of it at most."""
    content = os.urandom(LARGE)
    (tmp_path / "model").write_bytes(content)
    digest = blobs.put(tmp_path / "model")
    assert digest == hashlib.sha256(content).hexdigest()
    blobs.copy(digest, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    found = blobs.find(digest)
    assert found is not None
    assert found.size == LARGE


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_what_is_there_is_not_sent_again(
    blobs: Objects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A second push of a model sends no byte of it, however large it is; it is as young as a new one all the same."""
    (tmp_path / "model").write_bytes(b"x" * size)
    digest = blobs.put(tmp_path / "model")
    sent = asked(monkeypatch, blobs)
    assert blobs.put(tmp_path / "model") == digest
    assert sent == [f"again/{digest}"]
    assert [one.digest for one in blobs.each()] == [digest]


def test_a_large_file_that_changes_while_it_is_sent_is_refused(blobs: Objects, tmp_path: Path) -> None:
    """Nothing appears under a name that is not its own, not even when most of it was sent."""
    (tmp_path / "model").write_bytes(b"x" * LARGE)
    with pytest.raises(Conflict, match="while it was pushed"):
        blobs.put(tmp_path / "model", "0" * 64)
    assert list(blobs.each()) == []


def test_of_two_who_push_the_same_both_have_it(blobs: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another was quicker, between the look and the sending, theirs is as good."""
    other = Objects(blobs.place)
    honest = Objects._head

    def look_and_lose(self: Objects, path: str) -> Any:
        seen = honest(self, path)
        if self is blobs:
            other.put(b"content")
        return seen

    monkeypatch.setattr(Objects, "_head", look_and_lose)
    digest = blobs.put(b"content")
    monkeypatch.undo()
    assert other.read(digest) == b"content"


def test_removed_and_tidied_leave_nothing(blobs: Objects) -> None:
    """What is removed takes what was noted of it along; notes that say nothing any more go with time."""
    digest = blobs.put(b"content")
    blobs.put(b"content")
    blobs.tidy(2e9)
    blobs.put(b"content")
    blobs.remove(digest)
    prefix = blobs.place.rpartition("/")[2]
    assert "Contents" not in client().list_objects_v2(Bucket=BUCKET, Prefix=f"{prefix}/")


def test_who_cannot_be_reached_is_named(blobs: Objects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wrong address, a missing bucket or missing rights are said with the place and the variable to look at."""
    missing = Objects("s3://nobody-has-this/x")
    with pytest.raises(TenfoldError, match="s3://nobody-has-this/x") as caught:
        missing.put(b"content")
    assert "AWS_" in caught.value.hint
    monkeypatch.setattr("tenfold.store.objects.WAIT_S", 0.2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    away = Objects(f"s3://{BUCKET}/x")
    with pytest.raises(TenfoldError, match="cannot be reached") as caught:
        away.read("0" * 64)
    assert "AWS_ENDPOINT_URL" in caught.value.hint
    with pytest.raises(TenfoldError, match="cannot be reached"):
        away.copy("0" * 64, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_missing_file_is_no_missing_content(blobs: Objects, tmp_path: Path) -> None:
    """What is missing here and what is missing there are told apart."""
    with pytest.raises(FileNotFoundError):
        blobs.put(tmp_path / "nowhere")
    with pytest.raises(NotFound, match="0000"):
        blobs.read("0" * 64)

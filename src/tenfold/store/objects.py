"""Contents by their SHA-256 in an S3-compatible object store, for a store that several machines share.

An object appears whole or not at all, and is proven whenever it is read, as a file is. A new one is made under the condition
that there is none (``If-None-Match``), an altered one replaced under the condition that it is still the one that was seen
(``If-Match``; https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). S3 cannot touch an object, so
that one which is put again gets an empty object beside it, whose age is then that of the content.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.errors import Conflict, TenfoldError
from tenfold.store.blobs import absent, altered, digest_of, proven, require_digest
from tenfold.store.nouns import Stored

if TYPE_CHECKING:
    from obstore.store import S3Store

PART = 16 << 20  # bytes that are sent together; larger contents go in several parts
AT_A_TIME = 4  # parts that are sent at a time
AGAIN = "again"  # where the ages of contents are that were put again
WAIT_S = 15.0  # for a store that went away


class Objects:
    """Blobs in a bucket: ``PREFIX/3f/3f9c2a1…``, an object each.

    ``url`` is ``s3://BUCKET/PREFIX``. Region, keys and endpoint come from where Amazon's own tools take them, the variables
    ``AWS_…`` first.
    """

    def __init__(self, url: str) -> None:
        self.place = url.rstrip("/")
        self._library = _library()
        self._store = self._opened()

    def _opened(self) -> S3Store:
        errors = self._library.exceptions
        try:
            store: S3Store = self._library.store.S3Store.from_url(
                self.place,
                client_options={"connect_timeout": "3s", "timeout": "60s", "allow_http": True},
                retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=WAIT_S)},
            )
        except (errors.BaseError, ValueError) as error:
            raise TenfoldError(
                f"{self.place} cannot be used: {_first_line(error)}", "write s3://BUCKET/PREFIX; see docs/store.md"
            ) from None
        return store

    def put(self, content: bytes | Path, digest: str = "") -> str:
        if isinstance(content, bytes):
            digest = hashlib.sha256(content).hexdigest()
            size, tag = len(content), _tag(_blocks_of(content))
        else:
            digest = digest or digest_of(content)
            size, tag = content.stat().st_size, _tag(_blocks_in(content))
        with self._told(digest):
            seen = self._head(self._path(digest))
            if seen is not None and seen["size"] == size and seen["e_tag"] == tag:
                self._store.put(self._age(digest), b"")
                return digest
            return self._write(content, digest, size, seen)

    def read(self, digest: str) -> bytes:
        with self._told(digest):
            content = bytes(self._store.get(self._path(digest)).bytes())
        if hashlib.sha256(content).hexdigest() != digest:
            raise altered(digest, self.place)
        return content

    def copy(self, digest: str, target: Path) -> None:
        with self._told(digest):
            found = self._store.get(self._path(digest))
        with proven(target, digest, self.place) as write, self._told(digest):
            for block in found.stream(min_chunk_size=PART):
                write(block)

    def find(self, digest: str) -> Stored | None:
        with self._told(digest):
            seen = self._head(self._path(digest))
            if seen is None:
                return None
            again = self._head(self._age(digest))
        latest = max(one["last_modified"] for one in (seen, again) if one is not None)
        return Stored(digest, seen["size"], latest.timestamp())

    def each(self) -> Iterator[Stored]:
        with self._told():
            again = {_name(one): one["last_modified"] for one in self._listed(f"{AGAIN}/")}
            for one in self._listed(""):
                if not one["path"].startswith(f"{AGAIN}/"):
                    name = _name(one)
                    latest = max(one["last_modified"], again.get(name, one["last_modified"]))
                    yield Stored(name, one["size"], latest.timestamp())

    def remove(self, digest: str) -> None:
        with self._told(digest), contextlib.suppress(FileNotFoundError):
            self._store.delete([self._path(digest), self._age(digest)])

    def tidy(self, before_s: float) -> None:
        """An object that was half sent never appears; a rule of the bucket (AbortIncompleteMultipartUpload) frees its parts.
        Ages from before say no more than those of the objects themselves."""
        with self._told():
            old = [one["path"] for one in self._listed(f"{AGAIN}/") if one["last_modified"].timestamp() < before_s]
            if old:
                self._store.delete(old)

    def _path(self, digest: str) -> str:
        require_digest(digest)
        return f"{digest[:2]}/{digest}"

    def _age(self, digest: str) -> str:
        return f"{AGAIN}/{digest}"

    def _head(self, path: str) -> Any:
        """What is known of an object; None where there is none."""
        try:
            return self._store.head(path)
        except FileNotFoundError:
            return None

    def _listed(self, prefix: str) -> Iterator[Any]:
        for some in self._store.list(prefix or None):
            yield from some

    def _write(self, content: bytes | Path, digest: str, size: int, seen: Any) -> str:
        """Send a content, unless somebody else has meanwhile: then theirs is as good."""
        errors, path = self._library.exceptions, self._path(digest)
        if (
            size > PART
        ):  # in parts there are no conditions; what is sent under this name is the same content in any case
            assert isinstance(content, Path) or content
            blocks = _blocks_in(content) if isinstance(content, Path) else _blocks_of(content)
            proven = _proven(blocks, digest)
            self._store.put(path, proven, use_multipart=True, chunk_size=PART, max_concurrency=AT_A_TIME)
            return digest
        known = content if isinstance(content, bytes) else content.read_bytes()
        if hashlib.sha256(known).hexdigest() != digest:
            raise _changed()
        with contextlib.suppress(errors.AlreadyExistsError, errors.PreconditionError):
            self._store.put(path, known, mode="create" if seen is None else {"e_tag": seen["e_tag"]})
        return digest

    @contextlib.contextmanager
    def _told(self, digest: str = "") -> Iterator[None]:
        """The errors of objects in words of ours, with the place and the mend."""
        errors = self._library.exceptions
        try:
            yield
        except FileNotFoundError as error:
            if error.filename is not None:  # a file of ours, not an object
                raise
            if "NoSuchBucket" in str(error):
                raise TenfoldError(
                    f"{self.place}: there is no such bucket", "make it, or look at AWS_ENDPOINT_URL"
                ) from None
            raise absent(digest, self.place) from None
        except (errors.PermissionDeniedError, errors.UnauthenticatedError) as error:
            raise TenfoldError(
                f"{self.place} refuses: {_first_line(error)}",
                "look at AWS_ACCESS_KEY_ID and at its rights for this bucket",
            ) from None
        except errors.BaseError as error:
            raise TenfoldError(
                f"{self.place} cannot be reached: {_first_line(error)}",
                "nothing was changed; look at AWS_ENDPOINT_URL, AWS_REGION and the bucket, and try again",
            ) from None


def _proven(blocks: Iterator[bytes], digest: str) -> Iterator[bytes]:
    """Blocks as they are, unless all of them together are something else: then the end is an error, and nothing is kept."""
    total = hashlib.sha256()
    for block in blocks:
        total.update(block)
        yield block
    if total.hexdigest() != digest:
        raise _changed()


def _changed() -> Conflict:
    return Conflict("a file was written to while it was pushed", "push again, once nobody writes there")


def _blocks_in(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(PART):
            yield block


def _blocks_of(content: bytes) -> Iterator[bytes]:
    return (content[k : k + PART] for k in range(0, len(content), PART))


def _tag(blocks: Iterator[bytes]) -> str:
    """The tag that S3 gives a content: its MD5, or that of the MD5s of its parts. A bucket that encrypts with keys of its own
    gives another; then a content that is put again is sent again."""
    parts = [hashlib.md5(block, usedforsecurity=False).digest() for block in blocks]
    if len(parts) < 2:
        return f'"{(parts[0] if parts else hashlib.md5(usedforsecurity=False).digest()).hex()}"'
    return f'"{hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"'


def _name(one: Any) -> str:
    return str(one["path"]).rpartition("/")[2]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]


def _library() -> Any:
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError:
        raise TenfoldError("contents in objects need obstore", "pip install 'tenfold[s3]'") from None
    return obstore

"""Every backend of the store is held to the same suite: a test that asks for ``store`` runs once for each of them.

Another backend joins by a class like ``Embedded``, which opens a store and knows how to write to it past everything.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import psycopg
import pytest

from tenfold.store import Store, open_store
from tests.store.servers import BUCKET, MISSING, Postgres, client, environment, objects, postgres


class Clock:
    """A clock that moves when it is told to, and by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Backend(Protocol):
    """One kind of store, empty at the beginning of a test."""

    def open(self) -> Store:
        """Another connection to the one store of the test."""
        ...

    def alter(self, digest: str, content: bytes) -> None:
        """Write another content in the place of a blob, as somebody would who means harm."""
        ...

    def date(self, moment: datetime, digest: str = "") -> None:
        """Let a blob, or every one, have been put at that moment."""
        ...

    def execute(self, sql: str) -> None:
        """Change the database past everything that guards it."""
        ...

    def raw(self) -> bytes:
        """All that is kept, as whoever steals the disks reads it."""
        ...


class Embedded:
    """SQLite and files."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder / "store"
        self._clock = clock

    def open(self) -> Store:
        return open_store(self.folder, create=True, clock=self._clock, entropy=random.Random(1).randbytes)

    def alter(self, digest: str, content: bytes) -> None:
        path = self.folder / "blobs" / digest[:2] / digest
        path.chmod(0o644)
        path.write_bytes(content)

    def date(self, moment: datetime, digest: str = "") -> None:
        for path in (self.folder / "blobs").glob(f"??/{digest or '*'}"):
            os.utime(path, (moment.timestamp(), moment.timestamp()))

    def execute(self, sql: str) -> None:
        connection = sqlite3.connect(self.folder / "store.db")
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        connection.executescript("".join(f"DROP TRIGGER {name};" for (name,) in triggers) + sql)
        connection.close()

    def raw(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


class Shared:
    """PostgreSQL and objects."""

    def __init__(self, postgres: Postgres, clock: Clock, prefix: str) -> None:
        self.database = postgres.create()
        self.url = f"{self.database}&blobs=s3://{BUCKET}/{prefix}"
        self._clock = clock
        self._s3 = client()
        self._prefix = prefix

    def open(self) -> Store:
        return open_store(self.url, create=True, clock=self._clock, entropy=random.Random(1).randbytes)

    def alter(self, digest: str, content: bytes) -> None:
        self._s3.put_object(Bucket=BUCKET, Key=f"{self._prefix}/{digest[:2]}/{digest}", Body=content)

    def date(self, moment: datetime, digest: str = "") -> None:
        from moto.s3.models import s3_backends  # its server is a thread of ours; S3 itself dates nothing back

        for key in s3_backends["123456789012"]["aws"].buckets[BUCKET].keys.values():
            if key.name.startswith(self._prefix) and key.name.endswith(digest):
                key.last_modified = moment

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.database) as connection:
            connection.execute(f"SET session_replication_role = replica; {sql}".encode())

    def raw(self) -> bytes:
        listed = self._s3.list_objects_v2(Bucket=BUCKET, Prefix=self._prefix).get("Contents", [])
        contents = [self._s3.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read() for one in listed]
        with psycopg.connect(self.database) as connection:
            names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
            rows = [connection.execute(f'SELECT * FROM "{name}"'.encode()).fetchall() for (name,) in names]
        return b"".join(contents) + repr(rows).encode()


BACKENDS = ("sqlite", "postgres")


@pytest.fixture
def clock() -> Clock:
    """The time of day in these tests."""
    return Clock()


@pytest.fixture(scope="session")
def running_postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests, each of which gets a database of its own."""
    if MISSING:
        pytest.skip(f"no {MISSING} of PostgreSQL on this machine; Debian: make debian")
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def running_objects() -> Iterator[str]:
    """An S3 server for all tests; its address."""
    with objects() as url:
        yield url


@pytest.fixture
def shared(
    running_postgres: Postgres, running_objects: str, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Shared:
    """A store for several machines."""
    for name, value in environment(running_objects, tmp_path).items():
        monkeypatch.setenv(name, value)
    return Shared(running_postgres, clock, tmp_path.name)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Backend:
    """The kind of store that this run is about."""
    made: Backend = request.getfixturevalue("shared") if request.param == "postgres" else Embedded(tmp_path, clock)
    return made


@pytest.fixture
def store(backend: Backend) -> Iterator[Store]:
    """An empty store."""
    opened = backend.open()
    yield opened
    opened.close()


@pytest.fixture
def other(backend: Backend, store: Store) -> Iterator[Store]:
    """The same store, as another process sees it."""
    opened = backend.open()
    yield opened
    opened.close()

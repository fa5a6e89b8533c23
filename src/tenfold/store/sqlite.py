"""SQLite as the embedded database of a store: WAL, short immediate transactions, and checkpoints that nobody writes during.

SQLite 3.7.0 to 3.51.2 may lose commits where a checkpoint races with a commit of another connection
(https://sqlite.org/wal.html#walresetbug; mended in 3.51.3, 3.50.7 and 3.44.6). So no connection checkpoints by itself, the
admin process alone does, and with such a version everybody who writes or checkpoints takes turns by a lock file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tenfold.errors import Conflict, TenfoldError
from tenfold.store.database import Row, Taken
from tenfold.store.places import FILE, folder_of, missing

BUSY_S = 10.0  # how long to wait for another writer; ours are done in milliseconds
POLL_S = 0.002

Version = tuple[int, int, int]


def loses_commits(version: Version) -> bool:
    """Whether a version of SQLite has the WAL-reset bug."""
    if version < (3, 7, 0) or version >= (3, 51, 3):
        return False
    return not ((3, 44, 6) <= version < (3, 45, 0) or (3, 50, 7) <= version < (3, 51, 0))


class SQLite:
    """A connection to a database file. ``create`` makes the file; without it, a missing one is ``NotFound``."""

    dialect = "sqlite"

    def __init__(
        self, path: Path, *, create: bool = False, busy_s: float = BUSY_S, version: Version | None = None
    ) -> None:
        self.place = str(path.parent) if path.name == FILE else f"sqlite:///{path}"
        self.path = path
        self._busy_s = busy_s
        self._depth = 0
        self._turns = loses_commits(version or sqlite3.sqlite_version_info)
        if create:
            self._make()
        elif not path.is_file():
            raise missing(self.place)
        with self._told():
            self._connection = self._connect()

    def _make(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(self.place, error.strerror or str(error)) from None

    def _connect(self) -> sqlite3.Connection:
        frozen = self._is_frozen()
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}{'?immutable=1' if frozen else ''}",
            uri=True,
            timeout=self._busy_s,
            isolation_level=None,
            cached_statements=256,
        )
        connection.row_factory = sqlite3.Row
        if not frozen:
            self._prepare(connection)
        return connection

    def _is_frozen(self) -> bool:
        """Whether nobody can be writing to it: then SQLite need not make the files that writers share, and cannot."""
        log = Path(f"{self.path}-wal")
        may_write = os.access(self.path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
        return self.path.is_file() and not may_write and not (log.exists() and log.stat().st_size)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode == "delete":  # it was just made, maybe by several at once
            with self._turn(always=True):
                mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            connection.close()
            raise TenfoldError(
                f"the store {self.place} is on a file system without shared memory (journal mode {mode})",
                "put it on a local disk; over a network, SQLite loses data",
            )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")

    @property
    def about(self) -> str:
        """Which SQLite this is, and what is done about it."""
        turns = "; it may lose commits, so writers take turns" if self._turns else ""
        return f"SQLite {sqlite3.sqlite_version}{turns}"

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        name = f"within_{self._depth}"
        self._depth += 1
        try:
            with contextlib.nullcontext() if self._depth > 1 else self._turn(), self._told():
                self._connection.execute("BEGIN IMMEDIATE" if self._depth == 1 else f"SAVEPOINT {name}")
                try:
                    yield
                    self._connection.execute("COMMIT" if self._depth == 1 else f"RELEASE {name}")
                except BaseException:
                    self._undo(name)
                    raise
        finally:
            self._depth -= 1

    def _undo(self, name: str) -> None:
        """SQLite itself has undone everything where the disk was full, and knows the savepoint no more."""
        if not self._connection.in_transaction:
            return
        with contextlib.suppress(sqlite3.Error):
            if self._depth > 1:
                self._connection.execute(f"ROLLBACK TO {name}")
                self._connection.execute(f"RELEASE {name}")
            else:
                self._connection.execute("ROLLBACK")

    def run(self, sql: str, *values: Any) -> int:
        assert self._depth, "changes are made within a transaction"
        try:
            with self._told():
                return self._connection.execute(sql, values).rowcount
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from None

    def rows(self, sql: str, *values: Any) -> Sequence[Row]:
        with self._told():
            return [dict(row) for row in self._connection.execute(sql, values)]

    def script(self, sql: str) -> None:
        statement = ""
        for line in sql.splitlines(keepends=True):
            statement += line
            if sqlite3.complete_statement(statement):
                self.run(statement)
                statement = ""

    def each(self, table: str) -> Iterator[Row]:
        with self._told():
            yield from (dict(row) for row in self._connection.execute(f'SELECT * FROM "{table}"'))

    def fill(self, table: str, rows: Iterable[Row]) -> None:
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            self.run(f'INSERT INTO "{table}" ({names}) VALUES ({", ".join("?" * len(row))})', *row.values())

    def tables(self) -> list[str]:
        """The tables of the nouns."""
        found = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'migration' ORDER BY name")
        return [str(row["name"]) for row in found]

    def checkpoint(self) -> bool:
        """Move what was written from the log into the database, and empty the log; whether that was possible. For the
        admin process alone."""
        with self._told(), self._turn():
            busy: int = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not busy

    def snapshot(self, target: Path) -> None:
        """Write the database as it is at this moment to a new file."""
        with self._told():
            self._connection.execute("VACUUM INTO ?", (str(target),))

    def check(self) -> list[str]:
        """What is wrong with the file itself; nothing where it is whole."""
        with self._told():
            found = [str(row[0]) for row in self._connection.execute("PRAGMA quick_check")]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _turn(self, always: bool = False) -> Iterator[None]:
        """Alone among those who write or checkpoint, where SQLite needs that. A process that dies gives it up."""
        if not (self._turns or always):
            yield
            return
        try:
            file = os.open(f"{self.path}-turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise _unwritable(self.place, error.strerror or str(error)) from None
        try:
            self._wait_for(file)
            yield
        finally:
            os.close(file)

    def _wait_for(self, file: int) -> None:
        until = time.monotonic() + self._busy_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise _busy(self.place) from None
                time.sleep(POLL_S)
            else:
                return

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors in words of ours, with the place and the mend."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise _told(self.place, error) from error


def _told(place: str, error: sqlite3.DatabaseError) -> TenfoldError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return _busy(place)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return _unwritable(place, str(error))
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
            return TenfoldError(
                f"the store {place} cannot be written: {error}",
                f"df -h {folder_of(place)} shows what is free; nothing was changed",
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return TenfoldError(
                f"the store {place} is damaged: {error}", "tenfold store restore FILE --store OTHER reads a backup"
            )
        case _:
            return TenfoldError(f"the store {place}: {error}", "TENFOLD_DEBUG=1 shows the statement; please report it")


def _busy(place: str) -> Conflict:
    return Conflict(f"the store {place} is busy: somebody else has been writing to it all the time", "try again")


def _unwritable(place: str, reason: str) -> TenfoldError:
    return TenfoldError(f"the store {place} cannot be written: {reason}", "look at who may write to this folder")

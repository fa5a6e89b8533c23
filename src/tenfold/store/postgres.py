"""PostgreSQL as the database of a store that several machines share: one writer at a time, and patience when it goes away.

Transactions that change something take an advisory lock first, so that they happen one after the other as they do in SQLite;
they are done in milliseconds. A lost connection is made anew, for a bounded time, wherever nothing has been done that would
be done twice. A commit whose answer was lost is asked after: PostgreSQL knows what became of each transaction
(https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT, ``pg_xact_status``).
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from tenfold.errors import Conflict, TenfoldError
from tenfold.store.database import Row, Taken, Unreachable
from tenfold.store.places import missing, without_secrets

if TYPE_CHECKING:
    import psycopg

WAIT_S = 10.0  # for a database that went away, and for another writer
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0
LOCK = 0x7E4F01D  # of all stores in one database: a number like no other
AT_ONCE = 1000  # rows read or written together where whole tables are
CONNECTION: dict[str, Any] = {
    "application_name": "tenfold",
    "connect_timeout": 3,
    # a server that vanished without a word is found out within 15 s
    "keepalives_idle": 5,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
SESSION = (
    "SET client_min_messages = warning; SET statement_timeout = '30s'; SET lock_timeout = '{wait_ms}ms'; "
    "SET idle_in_transaction_session_timeout = '60s'"  # a writer that vanished holds nobody up for longer
)
BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({LOCK}); SELECT pg_current_xact_id()::text AS id"

_FATAL_FOR_GOOD = re.compile(r"FATAL:(?!.*(starting up|shutting down|recovery|too many|reserved))", re.DOTALL)
_LOST = ("08", "57P")  # classes of errors: connection exception, operator intervention
Value = TypeVar("Value")


class PostgreSQL:
    """A connection to a database, made when it is needed and made anew when it is lost.

    ``create`` makes the first table; without it, a database that has none is ``NotFound``. ``Unreachable`` where it does not
    answer for ``wait_s``; nothing has been changed then.
    """

    dialect = "postgres"

    def __init__(self, url: str, *, create: bool = False, wait_s: float = WAIT_S) -> None:
        self.place = without_secrets(url)
        self._url = url
        self._wait_s = wait_s
        self._depth = 0
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._library = _library()
        if create:
            with self.transaction():
                self.run("CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL)")
        elif self.rows("SELECT to_regclass('migration')::text AS name")[0]["name"] is None:
            self.close()
            raise missing(self.place)

    @property
    def about(self) -> str:
        """Which PostgreSQL this is."""
        version = self.rows("SELECT current_setting('server_version') AS version")[0]["version"]
        return f"PostgreSQL {version.partition(' ')[0]}"

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        if self._depth:
            with self._part():
                yield
            return
        with self._told():
            number = self._again(self._begin)
        self._depth = 1
        try:
            yield
            with self._told():
                self._commit(number)
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._depth = 0

    @contextlib.contextmanager
    def _part(self) -> Iterator[None]:
        """A transaction within another, undone alone where it fails."""
        name = f"within_{self._depth}"
        self._execute(f"SAVEPOINT {name}")
        self._depth += 1
        try:
            yield
            self._execute(f"RELEASE {name}")
        except BaseException:
            with contextlib.suppress(TenfoldError):
                self._execute(f"ROLLBACK TO {name}; RELEASE {name}")
            raise
        finally:
            self._depth -= 1

    def run(self, sql: str, *values: Any) -> int:
        assert self._depth, "changes are made within a transaction"
        try:
            return self._execute(marked(sql), values).rowcount
        except self._library.errors.UniqueViolation as error:
            raise Taken(str(error)) from None

    def rows(self, sql: str, *values: Any) -> Sequence[Row]:
        if self._depth:
            return self._execute(marked(sql), values).fetchall()
        with self._told():
            return self._again(lambda connection: connection.execute(marked(sql).encode(), values).fetchall())

    def script(self, sql: str) -> None:
        """Run a step of the schema. Whole numbers have 64 bits, and text is sorted by its code points, as in SQLite."""
        sql = re.sub(r"\bINTEGER\b", "BIGINT", sql)
        self._execute(re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', sql))

    def fill(self, table: str, rows: Iterable[Row]) -> None:
        """Put many rows into a table, within a transaction."""
        assert self._depth, "changes are made within a transaction"
        batch: list[Row] = []
        for row in rows:
            batch.append(row)
            if len(batch) == AT_ONCE:
                self._put(table, batch)
                batch = []
        self._put(table, batch)

    def _put(self, table: str, rows: Sequence[Row]) -> None:
        if rows:
            names = ", ".join(f'"{name}"' for name in rows[0])
            marks = ", ".join(["%s"] * len(rows[0]))
            with self._told(), self._connected().cursor() as cursor:
                statement = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'
                cursor.executemany(statement.encode(), [tuple(row.values()) for row in rows])

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Whatever is read within is as it was at one moment, while others go on writing."""
        with self._told():
            self._again(lambda connection: connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        self._depth = 1
        try:
            yield
        finally:
            self._roll_back()
            self._depth = 0

    def each(self, table: str) -> Iterator[Row]:
        """The rows of a table, some at a time; within ``frozen``."""
        with self._told(), self._connected().cursor("each") as cursor:
            cursor.itersize = AT_ONCE
            cursor.execute(f'SELECT * FROM "{table}"'.encode())
            yield from cursor

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(self._library.Error):
                self._connection.close()
            self._connection = None

    # -- the connection ------------------------------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection[dict[str, Any]]:
        if self._connection is None:
            known = CONNECTION if self._wait_s else CONNECTION | {"connect_timeout": 2}
            rows: Any = self._library.rows.dict_row
            connection = self._library.connect(
                self._url, autocommit=True, prepare_threshold=None, row_factory=rows, **known
            )
            connection.execute(SESSION.format(wait_ms=max(100, round(self._wait_s * 1000))).encode())
            self._connection = connection
        return self._connection

    def _again(self, do: Callable[[psycopg.Connection[dict[str, Any]]], Value]) -> Value:
        """Do something that may be done twice, as often as the connection is lost over it, for a while."""
        until, pause_s = time.monotonic() + self._wait_s, FIRST_PAUSE_S
        while True:
            try:
                return do(self._connected())
            except self._library.OperationalError as error:
                if not self._is_lost(error):
                    raise
                self.close()
                if time.monotonic() + pause_s > until or _FATAL_FOR_GOOD.search(str(error)):
                    raise self._unreachable(error) from None
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _begin(self, connection: psycopg.Connection[dict[str, Any]]) -> str:
        """Begin a transaction as the only writer; its number."""
        try:
            cursor = connection.execute(BEGIN.encode())
        except self._library.Error:
            self._roll_back()
            raise
        while cursor.nextset():
            pass
        row = cursor.fetchone()
        assert row is not None
        return str(row["id"])

    def _commit(self, number: str) -> None:
        try:
            done = self._connected().execute("COMMIT")
        except self._library.OperationalError as error:
            if not self._is_lost(error):
                raise
            self.close()
            self._settle(number, error)
        else:
            if done.statusmessage != "COMMIT":
                raise TenfoldError(f"the store {self.place} undid a change in which something failed", "try again")

    def _settle(self, number: str, error: Exception) -> None:
        """Find out what became of a transaction whose commit was not answered."""
        until = time.monotonic() + self._wait_s
        while True:
            try:
                found = self.ask_of(number)
            except TenfoldError:
                found = None
            if found == "committed":
                return
            if found == "aborted":
                raise self._unreachable(error)
            if time.monotonic() > until:
                raise Unreachable(
                    f"the store {self.place} went away while it was keeping a change: whether it did is not known",
                    "look at it once it is back: tenfold releases --events; then try again",
                )
            time.sleep(FIRST_PAUSE_S)

    def ask_of(self, number: str) -> str | None:
        """What became of a transaction: committed, aborted, in progress; None where it was too long ago."""
        with self._told():
            rows = self._again(
                lambda connection: connection.execute(b"SELECT pg_xact_status(%s::xid8) AS state", (number,)).fetchall()
            )
        state: str | None = rows[0]["state"]
        return state

    def _roll_back(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(self._library.Error):
                self._connection.execute("ROLLBACK")

    def _execute(self, sql: str, values: Sequence[Any] | None = None) -> psycopg.Cursor[dict[str, Any]]:
        """A statement within a transaction. Where the connection is lost, all of it is undone."""
        with self._told():
            if self._connection is None:  # lost earlier in this transaction
                raise self._unreachable(None)
            try:
                return self._connection.execute(sql.encode(), values)
            except self._library.OperationalError as error:
                if self._is_lost(error):
                    self.close()
                    raise self._unreachable(error) from None
                raise

    def _is_lost(self, error: psycopg.OperationalError) -> bool:
        """Whether it is the connection that failed, and not the statement."""
        gone = self._connection is None or self._connection.broken or self._connection.closed
        return gone or (error.sqlstate or "").startswith(_LOST)

    def _unreachable(self, error: Exception | None) -> Unreachable:
        reason = str(error).strip().splitlines()[-1] if error and str(error).strip() else "the connection was lost"
        return Unreachable(
            f"the store {self.place} cannot be reached: {reason}",
            "nothing was changed; look at the address, at PostgreSQL and at its log, and try again",
        )

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """PostgreSQL's errors in words of ours, with the place and the mend."""
        try:
            yield
        except self._library.errors.UniqueViolation:
            raise
        except self._library.Error as error:
            raise _told(self.place, error) from error


@lru_cache
def marked(sql: str) -> str:
    """A statement with the marks for values that psycopg knows."""
    return sql.replace("%", "%%").replace("?", "%s")


def _told(place: str, error: psycopg.Error) -> TenfoldError:
    reason = str(error).strip().splitlines()[0]
    match error.sqlstate:
        case "55P03" | "57014" | "40001" | "40P01":  # lock, statement cancelled, serialisation, deadlock
            return Conflict(
                f"the store {place} is busy: somebody else has been writing to it all the time", "try again"
            )
        case "42501" | "25006":  # privileges, read-only
            return TenfoldError(f"the store {place} cannot be written: {reason}", "look at the rights of this user")
        case "53100":
            return TenfoldError(
                f"the store {place} cannot be written: {reason}", "its disk is full; nothing was changed"
            )
        case _:
            return TenfoldError(f"the store {place}: {reason}", "TENFOLD_DEBUG=1 shows the statement; please report it")


def _library() -> Any:
    try:
        import psycopg
        import psycopg.rows
    except ImportError:
        raise TenfoldError("a store in PostgreSQL needs psycopg", "pip install 'tenfold[postgres]'") from None
    return psycopg

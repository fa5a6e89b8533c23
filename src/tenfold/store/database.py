"""What the nouns need of a database: plain SQL with ``?`` for values, and transactions. One class for each engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from tenfold.errors import Conflict, TenfoldError
from tenfold.store.records import Record

EMBEDDED = ".tenfold"  # the folder of a store within that of its service

AnyRecord = TypeVar("AnyRecord", bound=Record)
Row = Mapping[str, Any]


class Database(Protocol):
    """A connection, for one thread. Transactions happen one after the other, over all connections: the nouns rely on what
    they read within one staying so until its end."""

    dialect: str
    place: str  # where it is, for messages

    @property
    def about(self) -> str:
        """Which engine it is, for people."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Everything within happens or nothing does; others see it when it has happened. Within another it is a part of
        that, undone alone where it fails."""
        ...

    def run(self, sql: str, *values: Any) -> int:
        """Change rows, within a transaction; how many were changed. ``Taken`` where a key is there already."""
        ...

    def rows(self, sql: str, *values: Any) -> Sequence[Row]: ...

    def script(self, sql: str) -> None:
        """Run several statements, within a transaction."""
        ...

    def each(self, table: str) -> Iterator[Row]:
        """Every row of a table, some at a time."""
        ...

    def fill(self, table: str, rows: Iterable[Row]) -> None:
        """Put many rows into a table, within a transaction."""
        ...

    def close(self) -> None: ...


class Taken(Exception):
    """A row with this key is there already."""


class Unreachable(TenfoldError):
    """The database does not answer. Nothing was changed, unless the message says otherwise; it may come back."""


class Migration(NamedTuple):
    """One step of the schema."""

    number: int
    name: str
    sql: str


def record(kind: type[AnyRecord], row: Row, *parsed: str) -> AnyRecord:
    """A row as the value of its noun; the columns ``parsed`` hold JSON."""
    values = {name: msgspec.json.decode(value) if name in parsed else value for name, value in row.items()}
    return msgspec.convert(values, kind, strict=False)


def migrations(dialect: str) -> list[Migration]:
    """The steps of the schema in order: ``0001_name.sql`` for every engine, ``0002_name.sqlite.sql`` for one."""
    found = []
    for file in files("tenfold.store").joinpath("migrations").iterdir():
        name, _, only = file.name.removesuffix(".sql").partition(".")
        if file.name.endswith(".sql") and only in ("", dialect):
            found.append(Migration(int(name[:4]), name, file.read_text("utf-8")))
    return sorted(found)


def schema(database: Database) -> int:
    """The number of the last step that was taken; 0 for an empty database."""
    return int(database.rows("SELECT COALESCE(MAX(number), 0) AS number FROM migration")[0]["number"])


def migrate(database: Database) -> list[Migration]:
    """Take the steps that are missing, all of them or none; those that were taken."""
    with database.transaction():
        missing = [step for step in migrations(database.dialect) if step.number > schema(database)]
        for step in missing:
            database.script(step.sql)
            database.run("INSERT INTO migration (number, name) VALUES (?, ?)", step.number, step.name)
    return missing


def require_current(database: Database) -> None:
    """Raise where the schema is older or newer than what this code was written for."""
    there, here = schema(database), migrations(database.dialect)[-1].number
    if there < here:
        raise Conflict(
            f"the store {database.place} has schema {there}, and this tenfold needs {here}",
            f"tenfold store backup FILE --store {database.place}, then tenfold store migrate --store {database.place}",
        )
    if there > here:
        raise TenfoldError(
            f"the store {database.place} has schema {there}, and this tenfold knows {here}: a newer one has migrated it",
            "upgrade tenfold here, too",
        )

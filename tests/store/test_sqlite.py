"""SQLite as the embedded database: which versions need care, who takes turns, and what is said where it fails."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tenfold.errors import Conflict, NotFound, TenfoldError, UsageError
from tenfold.store import Act, Store, open_store
from tenfold.store.database import Migration, migrate, schema
from tenfold.store.sqlite import SQLite, loses_commits
from tests.store.making import some_release


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_versions_that_may_lose_commits_are_known(version: tuple[int, int, int], affected: bool) -> None:
    """The WAL-reset bug and the releases that mended it."""
    assert loses_commits(version) == affected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a database is to be."""
    return tmp_path / "store" / "store.db"


@contextmanager
def connected(path: Path, version: tuple[int, int, int] = (3, 40, 1), busy_s: float = 0.05) -> Iterator[SQLite]:
    """A connection with a table to write to."""
    database = SQLite(path, create=True, busy_s=busy_s, version=version)
    with database.transaction():
        database.run("CREATE TABLE IF NOT EXISTS t (x INTEGER)")
    yield database
    database.close()


def test_with_an_affected_version_nobody_writes_during_a_checkpoint(path: Path) -> None:
    """Whoever checkpoints holds the same lock as whoever writes, so that the two never meet."""
    with connected(path) as database, Path(f"{path}-turn").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="is busy"):
            database.checkpoint()
        with pytest.raises(Conflict, match="is busy"), database.transaction():
            raise AssertionError("it is not our turn")
        assert database.rows("SELECT * FROM t") == []
        fcntl.flock(file, fcntl.LOCK_UN)
        assert database.checkpoint()


def test_with_a_mended_version_nobody_waits_for_a_turn(path: Path) -> None:
    """The lock is not taken where SQLite doesn't need it."""
    with connected(path, (3, 51, 3)) as database, Path(f"{path}-turn").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with database.transaction():
            database.run("INSERT INTO t VALUES (1)")
        assert database.checkpoint()


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 51, 3)])
def test_only_whoever_is_told_to_checkpoints(path: Path, version: tuple[int, int, int]) -> None:
    """However much is written, the log grows until the admin process empties it; nothing is lost thereby."""
    with connected(path, version) as database, connected(path, version) as reader:
        before = path.stat().st_size
        for _ in range(3):
            with database.transaction():
                for k in range(5000):
                    database.run("INSERT INTO t VALUES (?)", k)
        log = Path(f"{path}-wal")
        assert path.stat().st_size == before
        assert log.stat().st_size > 4096
        assert reader.checkpoint()
        assert log.stat().st_size == 0
        assert database.rows("SELECT COUNT(*) AS n FROM t") == [{"n": 15000}]


@pytest.mark.parametrize("version", [(3, 40, 1), (3, 51, 3)])
def test_writers_at_once_all_get_their_turn(path: Path, version: tuple[int, int, int]) -> None:
    """Transactions of several connections wait for each other, and none is lost."""

    def write() -> None:
        with connected(path, version, busy_s=30) as database:
            for _ in range(20):
                with database.transaction():
                    n = database.rows("SELECT COUNT(*) AS n FROM t")[0]["n"]
                    database.run("INSERT INTO t VALUES (?)", n)

    with connected(path, version):
        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    with connected(path, version) as database:
        assert [row["x"] for row in database.rows("SELECT x FROM t ORDER BY x")] == list(range(80))


def test_many_may_make_the_store_at_once(tmp_path: Path) -> None:
    """Ten first pushes at the same moment find one store."""
    errors: list[Exception] = []

    def make() -> None:
        try:
            open_store(tmp_path / "store", create=True).close()
        except Exception as error:
            errors.append(error)

    makers = [threading.Thread(target=make) for _ in range(10)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert errors == []


def test_a_failed_transaction_leaves_nothing(path: Path) -> None:
    """Whatever is raised within, nothing has happened, and the connection goes on."""
    with connected(path) as database:

        def fail(error: type[BaseException]) -> None:
            with database.transaction():
                database.run("INSERT INTO t VALUES (1)")
                raise error

        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error):
                fail(error)
        with database.transaction():
            database.run("INSERT INTO t VALUES (2)")
        assert database.rows("SELECT x FROM t") == [{"x": 2}]


# -- opening -----------------------------------------------------------------------------------------------------------


def test_where_a_store_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, a service's folder, or a URL; anything else is refused by name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tumour").mkdir()
    (tmp_path / "tumour" / "service.py").write_text("")
    places = {
        "stores/one": "stores/one/store.db",
        "tumour": "tumour/.tenfold/store.db",
        "sqlite:///two": "two/store.db",
        "sqlite:///three/my.db": "three/my.db",
        f"sqlite:///{tmp_path}/four.db": "four.db",
    }
    for place, file in places.items():
        open_store(place, create=True).close()
        assert (tmp_path / file).is_file(), place
        open_store(place).close()
    for place in ("mysql://host/x", "sqlite://host/x", "ftp://x"):
        with pytest.raises(UsageError, match="no store that this tenfold knows"):
            open_store(place)


def test_a_store_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    """Whoever only reads learns that there is none, and finds no new folder afterwards."""
    with pytest.raises(NotFound, match="there is no store at"):
        open_store(tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_was_only_begun_is_none(path: Path) -> None:
    """Where a first push was killed before the schema was there, the next one makes it."""
    SQLite(path, create=True).close()
    with pytest.raises(NotFound):
        open_store(path.parent)
    open_store(path.parent, create=True).close()


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 10, b"SQLite format 3\0garbage" * 90]
)
def test_a_file_that_is_no_database_is_said_to_be_damaged(path: Path, content: bytes) -> None:
    """A damaged file is named, with the way back."""
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(TenfoldError, match="is damaged") as caught:
        open_store(path.parent)
    assert "restore" in caught.value.hint


def test_an_older_store_asks_to_be_migrated(path: Path) -> None:
    """Nobody's schema is changed behind their back; the message has the two commands."""
    store = open_store(path.parent, create=True)
    with store.transaction():
        store.database.run("DELETE FROM migration WHERE number > 1")
        for name in ("event_is_not_altered", "event_is_not_deleted", "release_is_not_deleted"):
            store.database.run(f"DROP TRIGGER {name}")
    store.close()
    with pytest.raises(Conflict, match="has schema 1") as caught:
        open_store(path.parent)
    assert "store backup" in caught.value.hint
    assert "store migrate" in caught.value.hint
    older = open_store(path.parent, any_schema=True)
    assert [step.number for step in migrate(older.database)] == [*range(2, schema(older.database) + 1)]
    older.close()
    open_store(path.parent).close()


def test_a_newer_store_is_left_alone(path: Path) -> None:
    """A store of a newer version is not misread."""
    store = open_store(path.parent, create=True)
    with store.transaction():
        store.database.run("INSERT INTO migration VALUES (999, 'from the future')")
    store.close()
    with pytest.raises(TenfoldError, match="a newer one has migrated it"):
        open_store(path.parent)


def test_a_step_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration happens whole or not at all, however many steps it has."""
    steps = [
        Migration(1, "first", "CREATE TABLE a (x);"),
        Migration(2, "second", "CREATE TABLE b (x);\nCREATE TABLE b (x);"),
    ]
    monkeypatch.setattr("tenfold.store.database.migrations", lambda _: steps)
    with connected(path) as database:
        with pytest.raises(TenfoldError):
            migrate(database)
        assert schema(database) == 0
        tables = {row["name"] for row in database.rows("SELECT name FROM sqlite_master")}
        assert tables.isdisjoint("ab")


# -- disks -------------------------------------------------------------------------------------------------------------

LIMITED = """
import resource, signal, sys
from pathlib import Path
from tenfold.errors import TenfoldError
from tenfold.store import open_store
from tests.store.making import some_release

folder = Path(sys.argv[1])
store = open_store(folder / "store")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[2])
(folder / "service").mkdir(exist_ok=True)
(folder / "service" / "large.py").write_text("#" * 50_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    some_release(store, folder / "service", 2)
except TenfoldError as error:
    print(error.message, error.hint, sep="|")
    sys.exit(3)
"""


@pytest.mark.parametrize("limit", [30_000, 60_000])
def test_a_full_disk_is_said_and_harms_nothing(tmp_path: Path, limit: int) -> None:
    """Where a file (30 kB) or the database (60 kB) cannot grow any more, the push is refused, and the store is as before."""
    store = open_store(tmp_path / "store", create=True)
    first = some_release(store, tmp_path / "service")
    fill(store)
    before = store.events.list()
    done = limited(tmp_path, limit)
    assert done.returncode == 3, done.stderr
    assert "cannot be written" in done.stdout
    assert "df -h" in done.stdout
    assert store.events.verify() == before[-1]
    assert store.releases.list() == [first]
    assert not list((Path(store.place) / "blobs" / "unfinished").iterdir())
    assert some_release(store, tmp_path / "service", 2).number == 2
    store.close()


def fill(store: Store) -> None:
    """Let the database's log be larger than the file that is pushed."""
    for k in range(8):
        store.events.append(Act("anna", "note", "x" * 8000, {"k": k}))


def limited(folder: Path, limit: int) -> subprocess.CompletedProcess[str]:
    """A push by a process that may write files of so many bytes."""
    command = [sys.executable, "-c", LIMITED, str(folder), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write anywhere: give that up for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_read_only_store_can_be_read_and_says_that_it_cannot_be_written() -> None:
    """Whoever may not write still sees the releases, and is told why a change isn't made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with_one = open_store(folder / "store", create=True)
        some_release(with_one, folder / "service")
        with_one.close()
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(0o555 if path.is_dir() else 0o444)
        with nobody():
            store = open_store(folder / "store")
            assert [release.name for release in store.releases.list()] == ["tumour@1"]
            with pytest.raises(TenfoldError, match="cannot be written"):
                store.blobs.put(b"new")
            with pytest.raises(TenfoldError, match="cannot be written"):
                store.events.append(Act("ben", "note"))
            with pytest.raises(TenfoldError, match="cannot be written"):
                open_store(folder / "other", create=True)
            store.close()
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_statement_that_cannot_work_names_the_store(path: Path) -> None:
    """Even a mistake of ours is an error with the place, not a stranger from the library."""
    with connected(path) as database, pytest.raises(TenfoldError, match=str(path.parent)) as caught:
        database.rows("SELECT * FROM nowhere")
    assert isinstance(caught.value.__cause__, sqlite3.Error)

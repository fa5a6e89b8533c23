"""PostgreSQL as the database of a shared store: it goes away and comes back, and several write at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest

from tenfold.control import stores
from tenfold.control.stores import sealed
from tenfold.errors import Conflict, NotFound, TenfoldError, UsageError
from tenfold.store import Act, Store, open_store
from tenfold.store.database import Unreachable, migrate, schema
from tenfold.store.places import without_secrets
from tenfold.store.postgres import PostgreSQL, marked
from tests.store.conftest import Clock, Shared
from tests.store.making import some_release
from tests.store.servers import MISSING, Postgres, postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} of PostgreSQL on this machine; Debian: make debian"),
]

NOTE = Act("anna", "note")


@pytest.fixture(scope="module")
def mortal() -> Iterator[Postgres]:
    """A PostgreSQL that these tests may stop and kill."""
    with postgres() as server:
        yield server


@pytest.fixture
def place(mortal: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where a shared store may be, with its contents in a folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"{mortal.create()}&blobs=file://{tmp_path}/blobs"


@pytest.fixture
def kept(place: str) -> Iterator[Store]:
    """An empty store on it."""
    store = open_store(place, create=True)
    yield store
    store.close()


# -- going away ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_it_goes_away_and_comes_back(mortal: Postgres, kept: Store, ending: signal.Signals) -> None:
    """Whoever asks while it is down waits for it; what was kept before is there, and nothing has to be opened anew."""
    kept.events.append(NOTE)
    mortal.stop(ending)
    back = threading.Timer(0.3, mortal.start)
    back.start()
    try:
        assert [event.n for event in kept.events.list()] == [1]
    finally:
        back.join()
    mortal.stop(ending)
    mortal.start()
    kept.events.append(NOTE)
    last = kept.events.verify()
    assert last is not None
    assert last.n == 2


def test_waiting_has_an_end(mortal: Postgres, place: str) -> None:
    """A database that stays away is said to be, with the place and without the password; nothing has been changed."""
    store = open_store(place, create=True, wait_s=0.3)
    mortal.stop()
    try:
        with pytest.raises(Unreachable, match="cannot be reached") as caught:
            store.events.append(NOTE)
        assert "nothing was changed" in caught.value.hint
        with pytest.raises(Unreachable):
            store.generation()
        with pytest.raises(Unreachable):
            open_store(place, wait_s=0.0)
    finally:
        mortal.start()
    assert store.events.list() == []
    store.close()


def test_what_was_begun_is_undone(mortal: Postgres, kept: Store) -> None:
    """A connection that is lost in the middle of a change leaves nothing of it, and the next change is whole."""

    def interrupted() -> None:
        with kept.transaction():
            kept.events.append(NOTE)
            mortal.stop(signal.SIGQUIT)
            mortal.start()
            kept.events.append(NOTE)

    with pytest.raises(Unreachable, match="cannot be reached"):
        interrupted()
    assert kept.events.list() == []
    kept.events.append(NOTE)
    assert kept.events.verify()


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_was_lost_is_asked_after(
    mortal: Postgres, kept: Store, committed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the change happened is found out, so that nobody does it twice or believes that it was done."""
    database = kept.database
    assert isinstance(database, PostgreSQL)
    honest = psycopg.Connection.execute

    def lose(connection: Any, query: Any, *values: Any) -> Any:
        if query == "COMMIT":
            if committed:
                honest(connection, b"COMMIT")
            connection.close()
        return honest(connection, query, *values)

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "execute", lose)
        if committed:
            kept.events.append(NOTE)
        else:
            with pytest.raises(Unreachable, match="connection is closed"):
                kept.events.append(NOTE)
    assert len(kept.events.list()) == committed
    assert kept.events.verify() or not committed


# -- several at once -------------------------------------------------------------------------------------------------------


def test_writers_at_once_keep_one_chain(place: str, kept: Store) -> None:
    """Several write at the same time: each gets its turn, and the chain of events has no gap."""

    def write(name: str) -> None:
        store = open_store(place)
        for _ in range(10):
            store.events.append(Act(name, "note"))
        store.close()

    writers = [threading.Thread(target=write, args=(name,)) for name in ("anna", "ben", "carla", "dora")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    last = kept.events.verify()
    assert last is not None
    assert last.n == 40


def test_many_may_make_the_store_at_once(place: str) -> None:
    """Six first pushes at the same moment find one store."""
    errors: list[Exception] = []

    def make() -> None:
        try:
            open_store(place, create=True).close()
        except Exception as error:
            errors.append(error)

    makers = [threading.Thread(target=make) for _ in range(6)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert errors == []


def test_a_writer_who_takes_too_long_is_not_waited_for(place: str, kept: Store) -> None:
    """Whoever cannot write for a while is told that the store is busy, and may try again."""
    hasty = open_store(place, wait_s=0.2)
    with kept.transaction():
        with pytest.raises(Conflict, match="is busy"):
            hasty.events.append(NOTE)
        assert hasty.events.list() == []
    hasty.events.append(NOTE)
    hasty.close()


WORKER = """
import random, sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from tenfold.errors import TenfoldError
from tenfold.store import Act, open_store
from tests.store.making import some_release

place, folder, name = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
chance = random.Random(name)
store = open_store(place)
print("ready", flush=True)
while True:
    release = some_release(store, folder / name, chance.randrange(30))
    pointer = store.pointers.get("tumour")
    try:
        moved = store.pointers.move("tumour", release.id, Act(name, "deploy"), expected=pointer.generation if pointer else 0)
        print("moved", moved.generation, moved.release, flush=True)
    except TenfoldError as error:
        if error.exit_code != 5:
            raise
"""


def test_two_are_killed_at_any_moment(shared: Shared, clock: Clock, tmp_path: Path) -> None:
    """Two processes push and deploy on one store, and are killed in the middle of it: all that they were told was done is
    there, in one chain, and every content that is named can be read."""
    shared.open().close()
    command = [sys.executable, "-c", WORKER, shared.url, str(tmp_path)]
    workers = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
        for name in ("anna", "ben")
    ]
    said = []
    for worker in workers:
        assert worker.stdout is not None
        while not (line := worker.stdout.readline()).startswith("moved"):
            assert line, "it ended by itself"
        said.append(line)
    for worker in workers:
        worker.kill()
        said += worker.communicate()[0].splitlines()
    store = shared.open()
    store.events.verify()
    moves = [event for event in store.events.list("tumour") if event.what == "deploy"]
    for line in said:
        match line.split():
            case ["moved", generation, digest]:
                assert moves[int(generation) - 1].to == digest
    for release in store.releases.list():
        assert store.materialise(release).is_dir()
    store.close()


# -- opening ---------------------------------------------------------------------------------------------------------------


def test_the_place_of_contents_is_said_once(place: str, tmp_path: Path) -> None:
    """The first one says where contents are kept; all others look there, and nobody can mean another place by mistake."""
    alone = place.partition("&blobs=")[0]
    with pytest.raises(UsageError, match="where its contents are kept"):
        open_store(alone, create=True)
    with pytest.raises(NotFound, match="there is no store"):
        open_store(place)
    first = open_store(place, create=True)
    digest = first.blobs.put(b"content")
    again = open_store(alone)
    assert again.blobs.read(digest) == b"content"
    with pytest.raises(Conflict, match="are in file://"):
        open_store(f"{alone}&blobs=file://{tmp_path}/elsewhere")
    for store in (first, again):
        store.close()


@pytest.mark.parametrize("blobs", ["ftp://x", "s3://", "folder", "file://relative"])
def test_what_holds_no_contents_is_refused(mortal: Postgres, blobs: str) -> None:
    """A place that this version does not know is said, before anything is made."""
    url = mortal.create()
    with pytest.raises(UsageError, match="is no place for contents"):
        open_store(f"{url}&blobs={blobs}", create=True)
    with pytest.raises(NotFound):
        open_store(url)


def test_a_password_is_never_shown() -> None:
    """Messages name the database, not how to get in."""
    shown = without_secrets("postgres://anna:hunter2@db.example:5433/tenfold?password=x&blobs=s3://b")
    assert shown == "postgres://anna@db.example:5433/tenfold"


@pytest.mark.parametrize("password", ["hunter2", "a:b\\c d@e/f%?&é"])
def test_a_server_hands_on_no_password(mortal: Postgres, password: str) -> None:
    """What a server tells its processes can be seen by others; the password is in a file that they cannot read."""
    mortal.guard("guarded", password)
    inside = mortal.url.replace("tenfold@", f"guarded:{quote(password, safe='')}@")
    for place in (inside, f"{mortal.url.replace('tenfold@', 'guarded@')}&password={quote(password, safe='')}"):
        told = sealed(place)
        assert password not in told
        assert quote(password, safe="") not in told
        with psycopg.connect(told) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("guarded",)
        file = Path(parse_qs(urlsplit(told).query)["passfile"][0])
        assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(mortal.url.replace("tenfold@", "guarded:wrong@"))
    assert sealed(mortal.url) == mortal.url
    assert sealed("folder") == "folder"


def test_whoever_is_let_in_nowhere_hears_it_at_once(mortal: Postgres) -> None:
    """A database that does not exist is not waited for."""
    with pytest.raises(Unreachable, match="does not exist"):
        open_store(mortal.url.replace("/postgres?", "/nowhere?"))


def test_an_older_store_asks_to_be_migrated(place: str, kept: Store) -> None:
    """Nobody's schema is changed behind their back."""
    with kept.transaction():
        kept.database.run("DELETE FROM migration WHERE number > 1")
        kept.database.script("DROP TABLE place; DROP FUNCTION refuse CASCADE;")
    with pytest.raises(Conflict, match="has schema 1"):
        open_store(place)
    assert [step.number for step in migrate(kept.database)] == [*range(2, schema(kept.database) + 1)]


def test_a_mistake_of_ours_names_the_store(kept: Store) -> None:
    """An error of the database is one with the place; text that it cannot hold is one, too."""
    with pytest.raises(TenfoldError, match="postgres://tenfold@"):
        kept.database.rows("SELECT * FROM nowhere")
    with pytest.raises(TenfoldError, match="postgres://tenfold@"):
        kept.events.append(Act("anna", "a\0b"))
    assert kept.events.list() == []


def test_marks_are_those_of_the_library() -> None:
    """A question mark is a value, a percent sign is itself."""
    assert marked("SELECT 5 % ? WHERE a = ?") == "SELECT 5 %% %s WHERE a = %s"


def test_it_is_taken_care_of_as_a_folder_is(mortal: Postgres, place: str, kept: Store, tmp_path: Path) -> None:
    """``tenfold store`` and its commands work on it: what is in it, backup, restore, migration, collection."""
    some_release(kept, tmp_path / "service")
    about = stores.describe(place)
    assert about.engine.startswith("PostgreSQL ")
    assert (about.services, about.releases, about.events) == (["tumour"], 1, 1)
    assert stores.backup(tmp_path / "backup.tar.gz", place) > 0
    other = f"{mortal.create()}&blobs=file://{tmp_path}/other"
    restored = stores.restore(tmp_path / "backup.tar.gz", other)
    assert (restored.services, restored.releases, restored.events) == (["tumour"], 1, 2)
    assert "blobs" not in restored.place
    assert stores.migrate(other).steps == []
    assert stores.collect(other, grace="1 h").blobs == 0


# -- moving ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["sqlite", "postgres"])
def test_a_backup_is_of_any_kind_and_for_any(
    mortal: Postgres, shared: Shared, clock: Clock, tmp_path: Path, to: str
) -> None:
    """A store moves from one kind to another and back through one file: the same releases, pointers, events and contents."""
    from tenfold.store import archive

    store = shared.open()
    releases = [some_release(store, tmp_path / "service", n) for n in (1, 2)]
    for generation, release in enumerate(releases):
        store.pointers.move("tumour", release.id, Act("anna", "deploy"), expected=generation)
    archive.backup(store, tmp_path / "backup.tar")
    place = str(tmp_path / "again") if to == "sqlite" else f"{mortal.create()}&blobs=file://{tmp_path}/contents"
    archive.restore(tmp_path / "backup.tar", place)
    again = open_store(place)
    assert again.events.list() == store.events.list()
    assert again.events.verify() == store.events.verify()
    assert again.pointers.list() == store.pointers.list()
    assert again.generation() == store.generation()
    assert [again.materialise(release).is_dir() for release in again.releases.list()] == [True, True]
    with pytest.raises(Conflict, match="there is a store"):
        archive.restore(tmp_path / "backup.tar", place)
    some_release(again, tmp_path / "service", 3)
    assert again.events.verify()
    for one in (store, again):
        one.close()

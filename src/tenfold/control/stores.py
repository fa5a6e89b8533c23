"""Stores: which one is meant, who acts on it, and its care: backup, restore, migration, collection."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from tenfold.errors import Conflict, NotFound, UsageError
from tenfold.store import Act, Store, archive, open_store
from tenfold.store.database import migrate as take_steps
from tenfold.store.database import schema
from tenfold.store.places import apart, at, is_shared, place_of, without_secrets
from tenfold.store.sqlite import SQLite
from tenfold.store.sweep import Swept, sweep
from tenfold.units import seconds

__all__ = ["Swept", "at", "place_of"]


class Migrated(NamedTuple):
    """A store whose schema is the newest now, and the steps that it took."""

    place: str
    steps: Sequence[str]


class Restored(NamedTuple):
    """A store that was read from an archive, and what is in it."""

    place: str
    services: Sequence[str]
    releases: int
    events: int


class About(NamedTuple):
    """A store in figures: where and of which engine it is, and what is in it."""

    place: str
    engine: str
    schema: int
    services: Sequence[str]
    releases: int
    events: int
    blobs: int
    bytes: int


def describe(place: str = "") -> About:
    """What a store is, and how much is in it."""
    with opened(place) as store:
        sizes = [blob.size for blob in store.blobs.each()]
        last = store.events.list(most=1)
        return About(
            place=store.place,
            engine=store.database.about,
            schema=schema(store.database),
            services=store.releases.services(),
            releases=len(store.releases.list()),
            events=last[0].n if last else 0,
            blobs=len(sizes),
            bytes=sum(sizes),
        )


def shown(place: str) -> str:
    """A place as it may be printed: without a password."""
    return without_secrets(place) if is_shared(place) else place


def sealed(place: str) -> str:
    """The same place without a password, which stands in a file that only this user can read, for as long as this process
    lives: whatever is told the place as an argument could be seen by others."""
    if not is_shared(place):
        return place
    url, password = apart(place)
    if not password:
        return place
    folder = Path(tempfile.mkdtemp(prefix="tenfold-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "pgpass"
    file.touch(0o600)
    file.write_text("*:*:*:*:" + password.replace("\\", "\\\\").replace(":", "\\:") + "\n", "utf-8")
    return f"{url}{'&' if urlsplit(url).query else '?'}passfile={quote(str(file))}"


def is_there(place: str = "") -> bool:
    """Whether there is a store at a place."""
    try:
        with opened(place):
            return True
    except NotFound:
        return False


def are_there(names: Sequence[str] = ()) -> bool:
    """Whether there is a store here, and in it all of these services."""
    try:
        with opened("") as store:
            return set(names) <= {*store.releases.services()}
    except NotFound:
        return False


def within(store: Store, name: str) -> str:
    """A person's NAME or NAME@N as the store knows it: a folder is named for the services in its store."""
    service, at, which = name.partition("@")
    return at + which if service not in store.releases.services() and Path(service).is_dir() else name


@contextmanager
def opened(place: str, target: str = ".", *, create: bool = False) -> Iterator[Store]:
    """The store that is meant (``place_of``), closed afterwards."""
    store = open_store(place_of(place, target), create=create)
    try:
        yield store
    finally:
        store.close()


def who() -> str:
    """Whoever runs this command, for the record: anna@laptop."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        user = f"uid-{os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def backup(file: Path, place: str = "") -> int:
    """Write a store to an archive; its size in bytes."""
    if file.exists():
        raise Conflict(f"{file} exists already", "name a new file; nothing is overwritten")
    with opened(place) as store:
        return archive.backup(store, file)


def restore(file: Path, place: str = "") -> Restored:
    """Make a store of an archive, where there is none yet."""
    if not file.is_file():
        raise NotFound(f"there is no file {file}", "tenfold store backup FILE writes one")
    place = place_of(place)
    archive.restore(file, place)
    migrate(place)
    with opened(place) as store:
        with store.transaction():
            last = store.events.append(Act(who(), "restore", f"from {file.name}"))
        return Restored(shown(place), store.releases.services(), len(store.releases.list()), last.n)


def migrate(place: str = "") -> Migrated:
    """Bring a store's schema up to date, all steps or none."""
    store = open_store(place_of(place), any_schema=True)
    try:
        return Migrated(store.place, [step.name for step in take_steps(store.database)])
    finally:
        store.close()


def collect(place: str = "", *, grace: str = "24 h", keep: int = 0) -> Swept:
    """Remove what nothing refers to for ``grace``; with ``keep``, the files of all but the newest releases, too."""
    from tenfold import environment

    try:
        grace_s = seconds(grace)
    except ValueError as error:
        raise UsageError(f"--grace: {error}", "tenfold store gc --help") from None
    with opened(place) as store:
        swept = sweep(store, who(), grace_s=grace_s, keep=keep)
        environment.tidy(store, store.clock().timestamp() - grace_s)
        if isinstance(store.database, SQLite):
            store.database.checkpoint()
        return swept

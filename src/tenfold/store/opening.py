"""A store as a whole: all of its nouns over one database and one place for blobs, and how it is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import msgspec

from tenfold.config import cache, trusted_keys
from tenfold.errors import Conflict, NotFound, UsageError
from tenfold.spec import Spec
from tenfold.store import signing, trees
from tenfold.store.blobs import Files
from tenfold.store.clock import Clock, Entropy, chance, now
from tenfold.store.database import Database, migrate, require_current, schema
from tenfold.store.findings import JoinedLabels, WindowProfiles
from tenfold.store.history import EventfulPointers, EventLog
from tenfold.store.jobs import QueuedJobs
from tenfold.store.keys import HashedKeys
from tenfold.store.leases import FencedLeases
from tenfold.store.nouns import (
    Blobs,
    Events,
    Evidences,
    Gates,
    Jobs,
    Keys,
    Labels,
    Leases,
    Pointers,
    Profiles,
    Releases,
    Rollouts,
)
from tenfold.store.objects import Objects
from tenfold.store.places import at, file_of, is_shared, missing
from tenfold.store.postgres import WAIT_S, PostgreSQL
from tenfold.store.progress import KeptEvidence, KeptGates, VersionedRollouts
from tenfold.store.records import Release
from tenfold.store.releases import NumberedReleases
from tenfold.store.sqlite import SQLite

CHECKPOINT_BUSY_S = 1.0  # somebody who reads for long is not waited for: the next checkpoint comes in a minute


@dataclass
class Store:
    """Everything that is remembered, by its noun. For one thread; ``folder`` is where releases are made into folders."""

    database: Database
    blobs: Blobs
    folder: Path
    clock: Clock = now
    entropy: Entropy = chance
    url: str = ""  # how it was opened, with all that may be secret in it
    leases: Leases = field(init=False)
    events: Events = field(init=False)
    pointers: Pointers = field(init=False)
    releases: Releases = field(init=False)
    gates: Gates = field(init=False)
    rollouts: Rollouts = field(init=False)
    evidence: Evidences = field(init=False)
    keys: Keys = field(init=False)
    labels: Labels = field(init=False)
    profiles: Profiles = field(init=False)
    jobs: Jobs = field(init=False)

    def __post_init__(self) -> None:
        database, clock = self.database, self.clock
        self.leases = FencedLeases(database, clock)
        self.events = events = EventLog(database, self.leases, clock)
        self.pointers = EventfulPointers(database, events)
        self.releases = NumberedReleases(database, events, self.blobs, clock)
        self.gates = KeptGates(database)
        self.rollouts = VersionedRollouts(database, events, clock, self.entropy)
        self.evidence = KeptEvidence(database, clock)
        self.keys = HashedKeys(database, events, clock)
        self.labels = JoinedLabels(database, clock)
        self.profiles = WindowProfiles(database)
        self.jobs = QueuedJobs(database, clock, self.entropy)

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.database.place

    def at(self, name: str = "") -> str:
        """What a command about ``name`` needs besides, so that it means this store."""
        return at(self.place, name)

    def transaction(self) -> AbstractContextManager[None]:
        """Changes within happen together or not at all."""
        return self.database.transaction()

    def generation(self) -> int:
        """A number that grows whenever what is to run changes: a pointer, a rollout, a key."""
        return int(self.database.rows("SELECT n FROM generation")[0]["n"])

    def spec(self, release: Release) -> Spec:
        """What a release declares, without running its code."""
        return msgspec.json.decode(self.blobs.read(release.spec), type=Spec)

    def materialise(self, release: Release, path: Path | None = None, signed_by: tuple[Path, ...] = ()) -> Path:
        """The folder of a release, ready to be served: ``path``, or one that the store keeps for it.

        Every file is proven against the id of the release, and the release against ``signed_by``, public keys of which one
        has to have signed it: those of TENFOLD_SIGNED_BY where none are named. Raises ``GateFailed`` where either does not
        hold.
        """
        if keys := signed_by or trusted_keys():
            signing.verify(release, self.releases.signatures(release.service, release.id), keys)
        return trees.materialise(self.blobs, release, path or self.home(release))

    def home(self, release: Release) -> Path:
        """Where the store keeps the folder that it makes of a release."""
        return self.folder / "releases" / f"{release.service}-{release.id[:32]}"

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def open_store(
    place: str | Path,
    *,
    create: bool = False,
    any_schema: bool = False,
    wait_s: float = WAIT_S,
    clock: Clock = now,
    entropy: Entropy = chance,
) -> Store:
    """The store at ``place``: a folder, a service's folder (then its ``.tenfold``), ``sqlite:///FILE``, or, for several
    machines, ``postgres://HOST/DATABASE?blobs=s3://BUCKET/PREFIX``; ``blobs`` is said once, and kept.

    ``create`` makes it where it is not. ``NotFound`` where it is not; ``Conflict`` where its schema is older than this code
    and has to be migrated, unless ``any_schema``. A database that does not answer is waited for, ``wait_s`` at most, now and
    whenever it is asked, and ``Unreachable`` then.
    """
    place = str(place)
    if is_shared(place):
        return Store(*_shared(place, create, any_schema, wait_s), clock, entropy, place)
    file = file_of(place)
    database = SQLite(file, create=create)
    with _closed_if_not(database):
        _require_schema(database, create, any_schema)
    return Store(database, Files(file.parent / "blobs"), file.parent, clock, entropy, place)


def _shared(place: str, create: bool, any_schema: bool, wait_s: float) -> tuple[Database, Blobs, Path]:
    """A database in PostgreSQL, its contents, and a folder of this machine for what is made of them."""
    parts = urlsplit(place)
    options = parse_qsl(parts.query, keep_blank_values=True)
    said = next((value for name, value in options if name == "blobs"), "")
    others = urlencode([(name, value) for name, value in options if name != "blobs"], quote_via=quote)
    database = PostgreSQL(urlunsplit(parts._replace(query=others)), create=create, wait_s=wait_s)
    with _closed_if_not(database), database.transaction() if create else nullcontext():
        if create and schema(database) == 0:
            _require_blobs(database.place, said)
        _require_schema(database, create, any_schema)
        blobs = _blobs(_agreed(database, said, create))
    return database, blobs, cache() / "stores" / hashlib.sha256(database.place.encode()).hexdigest()[:16]


def _agreed(database: Database, said: str, create: bool) -> str:
    """Where the contents are: what the first one said, so that all servers look at the same place."""
    kept = [str(row["url"]) for row in database.rows("SELECT url FROM place WHERE what = 'blobs'")]
    if kept and said not in ("", kept[0]):
        raise Conflict(
            f"the contents of {database.place} are in {kept[0]}, not in {said}", "leave blobs=… out: the store knows it"
        )
    if not kept:
        _require_blobs(database.place, said)
        if create:
            database.run("INSERT INTO place (what, url) VALUES ('blobs', ?)", said)
    return kept[0] if kept else said


def _require_blobs(place: str, said: str) -> None:
    if not said:
        raise UsageError(
            f"{place} has to know where its contents are kept, where every server reaches them",
            f"{place}?blobs=s3://BUCKET/PREFIX, or blobs=file:///FOLDER for one that all of them have",
        )


def _blobs(url: str) -> Blobs:
    """Contents in objects, or in a folder that every server has."""
    scheme, _, path = url.partition("://")
    if scheme == "s3" and path:
        return Objects(url)
    if scheme == "file" and path.startswith("/"):
        return Files(Path(unquote(path)))
    raise UsageError(f"blobs={url} is no place for contents", "blobs=s3://BUCKET/PREFIX, or blobs=file:///FOLDER")


def _require_schema(database: Database, create: bool, any_schema: bool) -> None:
    """Make the schema where there is none, if it may be; else it has to be that of this code."""
    if schema(database) == 0:
        if not create:
            raise missing(database.place)
        migrate(database)
    elif not any_schema:
        require_current(database)


@contextmanager
def _closed_if_not(database: Database) -> Iterator[None]:
    """Let go of a database that turns out to be of no use."""
    try:
        yield
    except BaseException:
        database.close()
        raise


def checkpoint(place: str) -> None:
    """Move what was written from the log of an embedded database into the database itself. For the admin process, which
    alone may; where there is no such database (yet), nothing is done."""
    if is_shared(place):
        return
    try:
        database = SQLite(file_of(place), busy_s=CHECKPOINT_BUSY_S)
    except NotFound:
        return
    try:
        database.checkpoint()
    finally:
        database.close()

"""A store as a whole: all of its nouns over one database and one place for blobs, and how it is opened."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from tenfold.errors import NotFound, UsageError
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
from tenfold.store.progress import KeptEvidence, KeptGates, VersionedRollouts
from tenfold.store.records import Release
from tenfold.store.releases import NumberedReleases
from tenfold.store.sqlite import FILE, SQLite

EMBEDDED = ".tenfold"
CHECKPOINT_BUSY_S = 1.0  # somebody who reads for long is not waited for: the next checkpoint comes in a minute


@dataclass
class Store:
    """Everything that is remembered, by its noun. For one thread; ``folder`` is where releases are made into folders."""

    database: Database
    blobs: Blobs
    folder: Path
    clock: Clock = now
    entropy: Entropy = chance
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
        has to have signed it. Raises ``GateFailed`` where either does not hold.
        """
        if signed_by:
            signing.verify(release, self.releases.signatures(release.service, release.id), signed_by)
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
    clock: Clock = now,
    entropy: Entropy = chance,
) -> Store:
    """The store at ``place``: a folder, a service's folder (then its ``.tenfold``), or ``sqlite:///FILE``.

    ``create`` makes it where it is not. ``NotFound`` where it is not; ``Conflict`` where its schema is older than this code
    and has to be migrated, unless ``any_schema``.
    """
    file = _file(str(place))
    database = SQLite(file, create=create)
    try:
        if schema(database) == 0:
            if not create:
                raise NotFound(f"there is no store at {database.place}", "tenfold push SERVICE makes one")
            migrate(database)
        elif not any_schema:
            require_current(database)
    except BaseException:
        database.close()
        raise
    return Store(database, Files(file.parent / "blobs"), file.parent, clock, entropy)


def checkpoint(place: str) -> None:
    """Move what was written from the log of an embedded database into the database itself. For the admin process, which
    alone may; where there is no such database (yet), nothing is done."""
    try:
        database = SQLite(_file(place), busy_s=CHECKPOINT_BUSY_S)
    except NotFound:
        return
    try:
        database.checkpoint()
    finally:
        database.close()


def folder_of(place: str) -> Path:
    """The folder that an embedded store is in."""
    return _file(place).parent


def _file(place: str) -> Path:
    """The database file of a place. The one function to widen for other engines."""
    scheme, separator, rest = place.partition("://")
    if not separator:
        path = Path(place)
        return (path / EMBEDDED if (path / "service.py").is_file() else path) / FILE
    if scheme != "sqlite" or not rest.startswith("/"):
        raise UsageError(f"{place} names no store that this tenfold knows", "name a folder, or sqlite:///FILE")
    path = Path(unquote(urlsplit(place).path)[1:])
    return path if path.suffix else path / FILE

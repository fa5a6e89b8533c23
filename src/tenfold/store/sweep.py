"""What nothing refers to any more is removed from a store, once it has been so for a while.

A push keeps its blobs first and names them last, so that a blob without a release may be one that is being pushed. Hence the
grace; and removal happens in transactions in which nobody can add a release.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import NamedTuple

from tenfold.store.jobs import contents
from tenfold.store.nouns import Act, Stored
from tenfold.store.opening import Store
from tenfold.store.records import Release
from tenfold.store.trees import needed

GRACE_S = 24 * 3600.0
AT_ONCE = 100  # blobs removed while writers wait


class Swept(NamedTuple):
    """What was removed: blobs, their bytes, and the releases whose files were given up before."""

    blobs: int
    bytes: int
    releases: tuple[str, ...]


def sweep(store: Store, who: str, *, grace_s: float = GRACE_S, keep: int = 0) -> Swept:
    """Remove what nothing refers to and nobody has put for ``grace_s``.

    With ``keep``, releases that are older than that give up their files first, but for the newest ``keep`` of each service
    and those that a pointer or a rollout names. Their numbers, manifests and events stay.
    """
    before_s = store.clock().timestamp() - grace_s
    collected = _collect(store, who, before_s, keep) if keep else []
    store.blobs.tidy(before_s)
    _tidy_folders(store, before_s)
    referred = Referred(store)
    old = [blob for blob in store.blobs.each() if blob.put_s < before_s]
    removed = [
        blob for k in range(0, len(old), AT_ONCE) for blob in _remove(store, referred, old[k : k + AT_ONCE], before_s)
    ]
    return Swept(len(removed), sum(blob.size for blob in removed), tuple(collected))


class Referred:
    """The digests of all that is to stay. Raises where a manifest cannot be read, since then nothing may be removed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of: dict[tuple[str, int], frozenset[str]] = {}

    def now(self) -> set[str]:
        """What is referred to at this moment. Releases never change, so that each is looked at once."""
        store = self._store
        rows = store.database.rows(
            "SELECT evidence AS digest FROM gate WHERE evidence <> '' UNION SELECT content AS digest FROM profile"
        )
        found = {str(row["digest"]) for row in rows}
        found |= {digest for job in store.jobs.list() for digest in contents(job)}
        for release in store.releases.list():
            if not release.collected:
                key = release.service, release.number
                if key not in self._of:
                    self._of[key] = frozenset(needed(store.blobs, release))
                found |= self._of[key]
        return found


def _collect(store: Store, who: str, before_s: float, keep: int) -> list[str]:
    collected = []
    for service in store.releases.services():
        with store.transaction():
            for release in _superseded(store, service, before_s, keep):
                store.releases.collect(release)
                store.events.append(Act(who, "collect", f"not among the newest {keep}"), service=service, to=release.id)
                collected.append(release.name)
    return collected


def _tidy_folders(store: Store, before_s: float) -> None:
    """Remove the folders of releases that gave up their files, and what was left of making others."""
    for release in store.releases.list():
        if release.collected:
            shutil.rmtree(store.home(release), ignore_errors=True)
    for unfinished in (store.folder / "releases").glob(".*"):
        if unfinished.stat().st_mtime < before_s:
            shutil.rmtree(unfinished, ignore_errors=True)


def _superseded(store: Store, service: str, before_s: float, keep: int) -> Sequence[Release]:
    """Releases that nobody would miss."""
    named = {id_ for pointer in store.pointers.list(service) for id_ in (pointer.release, pointer.previous)}
    under_way = store.rollouts.open(service)
    named |= {under_way.from_, under_way.to} if under_way else set()
    older = sorted(store.releases.list(service), key=lambda release: -release.number)[keep:]
    return [
        release
        for release in older
        if release.id not in named and not release.collected and release.at.timestamp() < before_s
    ]


def _remove(store: Store, referred: Referred, blobs: Sequence[Stored], before_s: float) -> list[Stored]:
    """Remove some, unless they were put again or are referred to by now. Nobody can add a release meanwhile."""
    with store.transaction():
        stay = referred.now()
        seen = [store.blobs.find(blob.digest) for blob in blobs if blob.digest not in stay]
        gone = [blob for blob in seen if blob is not None and blob.put_s < before_s]
        for blob in gone:
            store.blobs.remove(blob.digest)
    return gone

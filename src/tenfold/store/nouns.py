"""What a store can do: one small interface for each noun, the same on every backend.

Every change is one transaction. Changes that belong together are made within ``Store.transaction``. A ``fence`` is a
lease that has to be held still when the change is made; otherwise nothing is changed and ``Conflict`` is raised.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from tenfold.store.records import (
    Event,
    Evidence,
    Gate,
    Job,
    Key,
    Label,
    Lease,
    Pointer,
    Profile,
    Release,
    Rollout,
    Signature,
)

CURRENT = "current"  # the pointer to the release that answers


class Act(NamedTuple):
    """What somebody does, and why: what an event says beside from where to where. ``detail`` is for programs."""

    who: str
    what: str
    why: str = ""
    detail: Mapping[str, Any] = {}


class Stored(NamedTuple):
    """A blob: its digest, its size, and when it was last put, in seconds of Unix time."""

    digest: str
    size: int
    put_s: float


class Blobs(Protocol):
    """Contents by their SHA-256."""

    def put(self, content: bytes | Path, digest: str = "") -> str:
        """Keep a content and return its digest. One that is there is kept as new, so that it is not swept.

        ``digest`` is what a file was seen to have: ``Conflict`` where it was written to since.
        """
        ...

    def read(self, digest: str) -> bytes:
        """A content, proven to have this digest. ``NotFound``, or ``GateFailed`` where it was tampered with."""
        ...

    def copy(self, digest: str, target: Path) -> None:
        """Write a content to a new file, proven while it is copied. Errors as of ``read``; then there is no file."""
        ...

    def find(self, digest: str) -> Stored | None: ...

    def each(self) -> Iterator[Stored]: ...

    def remove(self, digest: str) -> None: ...

    def tidy(self, before_s: float) -> None:
        """Remove what interrupted writers left before this moment, in seconds of Unix time."""
        ...


class Releases(Protocol):
    """Releases, which never change."""

    def add(
        self, service: str, parts: Mapping[str, str], *, who: str, needs: Collection[str] = (), **about: Any
    ) -> tuple[Release, bool]:
        """The release of these parts, and whether it is new; the same parts are the same release.

        ``needs`` are the blobs that it consists of: ``Absent`` where one of them is not there. ``about`` has ``roots``,
        ``entry``, ``spec``, ``source`` and ``why``.
        """
        ...

    def by_number(self, service: str, number: int) -> Release | None: ...

    def by_id(self, service: str, id: str) -> Release | None: ...  # noqa: A002 - its own word

    def latest(self, service: str) -> Release | None: ...

    def list(self, service: str = "") -> Sequence[Release]:
        """Those of a service, or all; the newest first."""
        ...

    def services(self) -> Sequence[str]: ...

    def collect(self, release: Release) -> None:
        """Note that the files of a release are given up."""
        ...

    def sign(self, signature: Signature) -> None: ...

    def signatures(self, service: str, release: str) -> Sequence[Signature]: ...


class Pointers(Protocol):
    """What is to run: names that move from release to release."""

    def get(self, service: str, name: str = CURRENT) -> Pointer | None: ...

    def list(self, service: str = "") -> Sequence[Pointer]: ...

    def move(
        self, service: str, to: str, act: Act, *, expected: int, name: str = CURRENT, fence: Lease | None = None
    ) -> Pointer:
        """Let a name mean the release with the id ``to``, and put that on record as an event.

        ``expected`` is the generation that the mover saw, 0 for a name that did not exist: ``Conflict`` where it has
        moved meanwhile. ``NotFound`` for a release that the store doesn't have.
        """
        ...


class Events(Protocol):
    """What was done, by whom and why. None is ever changed or taken away."""

    def append(
        self, act: Act, *, service: str = "", from_: str = "", to: str = "", fence: Lease | None = None
    ) -> Event: ...

    def list(self, service: str = "", *, after: int = 0, most: int = 0, what: Sequence[str] = ()) -> Sequence[Event]:
        """Events in order, from the one after number ``after`` on; the last ``most`` of them, 0 for all; only of
        these kinds, where ``what`` names some."""
        ...

    def verify(self) -> Event | None:
        """Go through the whole chain and hold the pointers against it; the last event. ``GateFailed`` says what broke."""
        ...


class Gates(Protocol):
    """What the gates said of releases."""

    def add(self, gate: Gate) -> None: ...

    def of(self, service: str, release: str) -> Sequence[Gate]:
        """The last word of each gate on a release, in the order in which they spoke first."""
        ...


class Rollouts(Protocol):
    """Releases on their way; of each service at most one at a time."""

    def begin(
        self,
        service: str,
        to: str,
        act: Act,
        *,
        from_: str = "",
        plan: Mapping[str, Any],
        state: str = "pending",
        fence: Lease | None = None,
    ) -> Rollout:
        """``Conflict`` where another rollout of the service has not ended."""
        ...

    def change(
        self,
        rollout: Rollout,
        state: str,
        act: Act,
        *,
        detail: Mapping[str, Any] | None = None,
        ended: bool = False,
        fence: Lease | None = None,
    ) -> Rollout:
        """The next state, put on record as an event. ``Conflict`` where the rollout is not what was seen any more."""
        ...

    def by_id(self, id: str) -> Rollout:  # noqa: A002 - its own word
        """``NotFound`` where no rollout has this id; they are never deleted."""
        ...

    def open(self, service: str) -> Rollout | None:
        """The one that has not ended."""
        ...

    def list(self, service: str = "", *, ended: bool = True) -> Sequence[Rollout]:
        """The newest first; those that have ``ended`` too, or without them."""
        ...


class Evidences(Protocol):
    """What was measured of releases, by machine."""

    def put(self, service: str, release: str, kind: str, content: Mapping[str, Any], machine: str = "") -> None:
        """Newer evidence of the same kind, release and machine takes the place of the older."""
        ...

    def of(self, service: str, release: str, kind: str = "") -> Sequence[Evidence]: ...


class Leases(Protocol):
    """Who may do something alone."""

    def acquire(self, name: str, holder: str, ttl_s: float) -> Lease | None:
        """The lease, if nobody else holds it; a holder that comes again gets a new token."""
        ...

    def renew(self, lease: Lease, ttl_s: float) -> Lease:
        """``Conflict`` where it ran out and somebody else may have it."""
        ...

    def release(self, lease: Lease) -> None: ...

    def check(self, lease: Lease) -> None:
        """``Conflict`` where the lease is not held any more."""
        ...


class Keys(Protocol):
    """Keys that were handed out."""

    def add(self, key: Key) -> None: ...

    def list(self) -> Sequence[Key]: ...

    def revoke(self, id: str, who: str) -> Key | None:  # noqa: A002 - its own word
        """Allow nothing to a key any more; None where there is no such key."""
        ...


class Counted(NamedTuple):
    """How many labels were new, how many took the place of another, and how many were known."""

    new: int = 0
    corrected: int = 0
    known: int = 0


class Labels(Protocol):
    """What turned out to be true. Of two labels for one row, the one with the later ``at`` holds."""

    def add(self, labels: Iterable[Label]) -> Counted: ...

    def find(self, service: str, by: str, refs: Collection[str]) -> Mapping[str, Label]: ...

    def since(self, service: str, moment: datetime | None = None) -> Iterator[Label]:
        """Those that arrived at ``moment`` or later, in order."""
        ...


class Profiles(Protocol):
    """Counts of what releases saw."""

    def add(self, profile: Profile) -> None:
        """A profile of the same release, kind and window takes the place of the one before."""
        ...

    def of(self, service: str, release: str = "", kind: str = "") -> Sequence[Profile]:
        """In the order of their windows."""
        ...


class Jobs(Protocol):
    """Files to be answered, worked at by one worker at a time."""

    def add(self, service: str, plan: Mapping[str, Any]) -> Job: ...

    def get(self, id: str) -> Job | None: ...  # noqa: A002 - its own word

    def list(self, service: str = "") -> Sequence[Job]:
        """The newest first."""
        ...

    def waits(self, services: Collection[str]) -> bool:
        """Whether there is a job of one of these services that nobody works at."""
        ...

    def claim(self, holder: str, ttl_s: float, services: Collection[str]) -> Job | None:
        """The oldest job of these services that nobody works at, now this holder's."""
        ...

    def keep(self, job: Job, ttl_s: float, result: Mapping[str, Any] | None = None) -> Job:
        """Go on working at it. ``Conflict`` where somebody else took it over or it was cancelled."""
        ...

    def finish(self, job: Job, state: str, result: Mapping[str, Any]) -> Job:
        """``Conflict`` as of ``keep``."""
        ...

    def cancel(self, id: str) -> Job | None:  # noqa: A002 - its own word
        """Whoever works at it learns so; None for one that is unknown or has ended."""
        ...

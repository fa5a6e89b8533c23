"""What the store remembers, as plain values: one for each noun."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

Verdict = Literal["passed", "failed", "unproven"]


class Record(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """A row of one noun. ``at`` is when it was written, ``who`` by whom and ``why`` for what reason."""


class Release(Record, frozen=True, kw_only=True):
    """A service as it was at one moment, for good.

    ``parts`` maps code, model, contract and so on to digests, and ``id`` is the digest of that map. The rest is no part of
    the id: ``roots`` says below which folder of the service the files of a part stand, where that is not the service's
    own; ``entry`` is the file and class; ``spec`` the digest of what it declares; ``source`` the commit that it was pushed
    from. ``collected`` is when its files were given up.
    """

    service: str
    number: int
    id: str
    parts: dict[str, str]
    roots: dict[str, str] = {}
    entry: str = ""
    spec: str = ""
    source: str = ""
    at: datetime
    who: str
    why: str = ""
    collected: datetime | None = None

    @property
    def name(self) -> str:
        """How people call it: tumour-check@14."""
        return f"{self.service}@{self.number}"


class Signature(Record, frozen=True, kw_only=True):
    """A DSSE envelope over a release, and the id of the key that signed it."""

    service: str
    release: str
    key: str
    envelope: str


class Pointer(Record, frozen=True, kw_only=True):
    """Which release a name of a service means: ``current`` is the one that answers. ``previous`` is the one before, and
    ``generation`` counts the moves."""

    service: str
    name: str
    release: str
    previous: str = ""
    generation: int
    event: int


class Event(Record, frozen=True, kw_only=True):
    """Something that was done, and by whom. ``hash`` is over all of it and over ``previous``, the hash of the event before,
    so that none can be altered or taken away without breaking the chain."""

    n: int
    at: datetime
    who: str
    what: str
    service: str = ""
    from_: str = ""
    to: str = ""
    why: str = ""
    detail: dict[str, Any] = {}
    previous: str = ""
    hash: str = ""


class Gate(Record, frozen=True, kw_only=True):
    """What a gate said of a release. ``evidence`` is the digest of what it saw, if it kept any; ``against`` the release
    that it was compared with."""

    service: str
    release: str
    name: str
    verdict: Verdict
    because: str
    against: str = ""
    evidence: str = ""
    machine: str = ""
    at: datetime


class Rollout(Record, frozen=True, kw_only=True):
    """One release on its way to take over from another. ``version`` counts the changes of ``state`` and ``detail``."""

    id: str
    service: str
    from_: str
    to: str
    state: str
    plan: dict[str, Any] = {}
    detail: dict[str, Any] = {}
    version: int = 1
    at: datetime
    changed: datetime
    ended: datetime | None = None
    who: str = ""


ROLLOUT = "rollout"  # the kind of evidence that says how far a release on its way is


class Evidence(Record, frozen=True, kw_only=True):
    """Something that was measured of a release on a machine; ``kind`` says what, ``content`` has it."""

    service: str
    release: str
    machine: str
    kind: str
    content: dict[str, Any]
    at: datetime


class Lease(Record, frozen=True, kw_only=True):
    """The right to do something alone, for a while. Whoever comes later has a higher ``token``."""

    name: str
    holder: str
    token: int
    expires: datetime


class Key(Record, frozen=True, kw_only=True):
    """A key that was handed out: what it allows, and the SHA-256 of its secret, never the secret."""

    id: str
    name: str
    digest: str
    scopes: tuple[str, ...]
    at: datetime
    who: str
    expires: datetime | None = None
    revoked: datetime | None = None


class Label(Record, frozen=True, kw_only=True):
    """What turned out to be true of one row, joined by the ``id`` of its prediction or by its ``key``."""

    service: str
    by: Literal["id", "key"]
    ref: str
    label: dict[str, Any]
    at: datetime
    who: str = ""


class Profile(Record, frozen=True, kw_only=True):
    """Counts of what a release saw in a window; of kind ``reference``, of what it was trained on. ``content`` is a digest."""

    service: str
    release: str
    kind: str
    since: datetime
    until: datetime
    rows: int
    content: str


class Job(Record, frozen=True, kw_only=True):
    """A file to be answered. Whoever works at it holds it by ``token`` until ``expires``."""

    id: str
    service: str
    state: str
    plan: dict[str, Any]
    result: dict[str, Any] = {}
    holder: str = ""
    token: int = 0
    expires: datetime | None = None
    at: datetime
    changed: datetime


def written(at: datetime) -> str:
    """A moment as it is stored: ISO 8601 in UTC, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def json(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces."""
    return msgspec.json.encode(value, order="sorted").decode()

"""The manifest of a job: JSON lines, the first of which says what the job is, each further one which part is safe.

A line is written once its part has reached the disk, in the order of the input. So whatever ends a job, the parts that
the manifest names are whole, and the next run goes on behind the last of them. There is nothing in it that depends on
when or how often a job was run, or by how many processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from tenfold.errors import Conflict
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Limits, Place

SCHEMA = 1
ID_DIGITS = 16


class Input(msgspec.Struct, frozen=True, omit_defaults=True):
    """A file that is read: its name, its size in bytes, the digest of its content; and where that leaves bytes out, when
    it was changed."""

    file: str
    bytes: int
    digest: str
    modified_ns: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a job is. Two with the same release and the same content have the same ``id``, which its rows are named by;
    all of it is the same wherever a job goes on."""

    schema: int = SCHEMA
    service: str
    release: str
    inputs: tuple[Input, ...]
    keep: tuple[str, ...]
    format: str
    dialect: Dialect
    shard_rows: int
    shard_bytes: int

    @property
    def id(self) -> str:
        """The job's name in the ids of its rows."""
        named = [self.release, *(one.digest for one in self.inputs)]
        return hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:ID_DIGITS]

    @property
    def limits(self) -> Limits:
        """How large a part may become."""
        return Limits(self.shard_rows, self.shard_bytes)


class Part(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A part that is safe: which rows it answers, how many of them, and the digests of what was written.

    ``file`` counts the inputs; the part has its ``rows`` rows from ``start`` on, and the next one begins at ``end``.
    ``rows`` is ``answered`` plus ``quarantined``; ``codes`` counts bad rows by their first reason.
    """

    part: str
    file: int
    start: Place
    end: Place
    rows: int
    answered: int
    quarantined: int
    changed: int = 0
    flagged: int = 0
    fallbacks: int = 0
    codes: dict[str, int] = {}
    digest: str = ""
    aside: str = ""
    sample: str = ""


def decode_job(line: bytes, folder: Path) -> Job:
    """The first line of a manifest. Raises ``Conflict`` where it is none of ours, or of a version to come."""
    try:
        return msgspec.json.decode(line, type=Job)
    except msgspec.MsgspecError:
        raise Conflict(
            f"the manifest of {folder} is not of a job that this version knows", "name another folder: -o NEW"
        ) from None


def decode_parts(lines: Sequence[bytes]) -> list[Part]:
    """The further lines, up to one that the disk lost."""
    parts: list[Part] = []
    for line in lines:
        try:
            parts.append(msgspec.json.decode(line, type=Part))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            break
    return parts


def differences(before: Job, now: Job) -> Iterator[str]:
    """What sets the job that a folder belongs to apart from the one that is to go on in it."""
    if before.service != now.service:
        yield f"it is one of {before.service}, not {now.service}"
    elif before.release != now.release:
        yield f"the service has changed since: release {before.release[:7]}, now {now.release[:7]}"
    if len(before.inputs) != len(now.inputs):
        yield f"it reads {len(before.inputs)} files, not {len(now.inputs)}"
    for was, is_now in zip(before.inputs, now.inputs, strict=False):
        if said := _difference(was, is_now):
            yield said
    for option, flag in (("keep", "--keep"), ("format", "--format"), ("shard_rows", "--shard-rows")):
        if getattr(before, option) != getattr(now, option):
            yield f"{flag} was {_said(getattr(before, option))}, and is {_said(getattr(now, option))}"
    if before.dialect != now.dialect:
        yield "the CSV options are others"


def _difference(was: Input, now: Input) -> str:
    if was.digest == now.digest:
        return "" if was.modified_ns == now.modified_ns else f"{now.file} was written to since"
    if _name(was) != _name(now):
        return f"it reads {was.file}, not {now.file}"
    return f"{now.file} has changed since ({was.bytes:,} bytes, now {now.bytes:,})"


def _name(file: Input) -> str:
    """What a file is called, wherever it lies."""
    return file.file.rpartition("/")[2]


def _said(value: object) -> str:
    return (",".join(value) or "nothing") if isinstance(value, tuple) else str(value)

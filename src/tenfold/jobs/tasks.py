"""What a job tells its workers: once what the job is, then what to do with one shard after the other."""

from __future__ import annotations

import msgspec

from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Layout


class Setup(msgspec.Struct, frozen=True):
    """What a worker has to know of its job: its id and the column of ids, how its files are read, what the output is
    written as, and the URL of the live service that answers, with a key for it, if one does."""

    job: str
    id_column: str
    keep: list[str]
    dialect: Dialect
    format: str
    through: str = ""
    access: str = ""


class Task(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What to do with the shard in the parcel: ``answer`` it, ``check`` it, or ``probe`` its rows from ``first`` up to
    ``stop``, ``size`` at a time."""

    number: int
    verb: str
    layout: Layout
    file: str = ""
    row: int = 0
    line: int = 0
    before: int = 0
    without: dict[int, str] = {}
    first: int = 0
    stop: int = 0
    size: int = 0
    hurried: bool = True

"""What became of a job, counted from its manifest: the same figures however often it was interrupted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tenfold.jobs.manifest import Job, Part

SCHEMA = 1
State = Literal["finished", "stopped"]


class FileSummary(msgspec.Struct, frozen=True):
    """What became of the rows of one file."""

    file: str
    rows: int
    answered: int
    quarantined: int


class Drifted(msgspec.Struct, frozen=True):
    """The verdict on ``sampled`` rows of the input, held against ``reference``: a table, or the profile of one.

    None where nothing could be judged: ``because`` says why, and ``fix`` what helps.
    """

    verdict: str | None
    because: str
    reference: str = ""
    sampled: int = 0
    fix: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a job, and whether its input drifted, once it has come to its end.

    ``rows`` is ``answered`` plus ``quarantined``; ``codes`` counts bad rows by their first reason. ``because`` says why a job
    stopped before its end.
    """

    schema: int = SCHEMA
    state: State
    because: str = ""
    job: str
    service: str
    release: str
    rows: int
    answered: int
    changed: int
    flagged: int
    fallbacks: int
    quarantined: int
    codes: dict[str, int]
    parts: int
    files: tuple[FileSummary, ...]
    drift: Drifted | None = None

    def to_json(self) -> bytes:
        """As ``summary.json`` has it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"


def summarise(job: Job, parts: Sequence[Part], state: State, because: str = "") -> Summary:
    """The summary of the parts that are safe."""
    codes: Counter[str] = Counter()
    for part in parts:
        codes.update(part.codes)
    by_file = [[part for part in parts if part.file == k] for k in range(len(job.inputs))]
    return Summary(
        state=state,
        because=because,
        job=job.id,
        service=job.service,
        release=job.release,
        rows=_sum(parts, "rows"),
        answered=_sum(parts, "answered"),
        changed=_sum(parts, "changed"),
        flagged=_sum(parts, "flagged"),
        fallbacks=_sum(parts, "fallbacks"),
        quarantined=_sum(parts, "quarantined"),
        codes=dict(codes.most_common()),
        parts=len(parts),
        files=tuple(
            FileSummary(one.file, *(_sum(mine, count) for count in ("rows", "answered", "quarantined")))
            for one, mine in zip(job.inputs, by_file, strict=True)
        ),
    )


def _sum(parts: Sequence[Any], count: str) -> int:
    return sum(getattr(part, count) for part in parts)

"""What was measured about a service before traffic, kept beside it in ``.tenfold/evidence.json``.

Evidence is not part of a release: each piece is stamped with when it was taken, on what, and on which machine. A piece
that was taken on other code or another model than what is judged counts for nothing, and the sheet says so.
"""

from __future__ import annotations

import os
import platform
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tenfold.capacity.card import Card
from tenfold.model import Facts
from tenfold.scaling import Scaling
from tenfold.spec import Spec

PLACE = Path(".tenfold") / "evidence.json"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """What all evidence carries; ``keep`` fills it in. ``of`` has the digest of each part that was measured."""

    at: str = ""  # ISO 8601
    of: dict[str, str] = {}
    machine: str = ""


class Fit(Piece, frozen=True, kw_only=True):
    """A whole table sent through the service, such as the training data: how many rows were refused, changed and
    flagged, and how many answers equal ``model.predict`` (None where nobody compared); ``largest`` is the largest
    difference between the two."""

    source: str
    rows: int
    refused: int = 0
    changed: int = 0
    flagged: int = 0
    equal: int | None = None
    largest: float = 0.0


class Golden(Piece, frozen=True, kw_only=True):
    """The golden records replayed. ``diverged`` names the first stage that differs, "" where none does, and ``detail``
    says how. ``valid`` answers satisfied the output contract; ``unanswered`` rows did not get as far as an answer."""

    records: int
    equal: int
    valid: int
    unanswered: int = 0
    provenance: Literal["training", "self"]
    diverged: Literal["", "decode", "pictures", "preprocess", "model", "postprocess"] = ""
    detail: str = ""


class Latency(Piece, frozen=True, kw_only=True):
    """How long one row and a full batch take in the pipeline, in seconds."""

    one_s: float
    one_p99_s: float
    many_rows: int
    many_s: float


class Startup(Piece, frozen=True, kw_only=True):
    """How long loading and warming took, in seconds, and what the loaded model said of itself."""

    seconds: float
    facts: Facts | None = None


class Capacity(Piece, frozen=True, kw_only=True):
    """What ``tenfold bench`` found out, and what it sent, in words."""

    card: Card
    traffic: str = ""


class Simulation(Piece, frozen=True, kw_only=True):
    """What ``tenfold simulate`` found for the declared scaling: the cost of a traffic against that of somebody who knew it,
    the shares of its rows that were late and refused, and why no number of replicas would do ("" where one does)."""

    trace: str
    scaling: Scaling
    seconds: int
    rows: float
    cost_ratio: float
    late_ratio: float
    refused_ratio: float
    changes_per_day: float
    most_replicas: int
    broken: str = ""

    @property
    def missed_ratio(self) -> float:
        """The share of rows that were not answered in time."""
        return self.late_ratio + self.refused_ratio


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that was measured; a piece is None until somebody measures it."""

    fit: Fit | None = None
    golden: Golden | None = None
    latency: Latency | None = None
    startup: Startup | None = None
    capacity: Capacity | None = None
    simulation: Simulation | None = None

    @classmethod
    def read(cls, folder: Path) -> Evidence:
        """The evidence beside a service folder; none where there is no file, or one that this version cannot read."""
        try:
            return msgspec.json.decode((folder / PLACE).read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError):
            return cls()

    def of(self, spec: Spec) -> Evidence:
        """Only what was measured on this release."""
        return Evidence(**{name: piece for name, piece in self._pieces() if piece.of == _measured(name, spec)})

    def outdated(self, spec: Spec) -> list[str]:
        """The parts of this release ("code", "model", …) that changed after something was measured."""
        pairs = [(piece.of, _measured(name, spec)) for name, piece in self._pieces()]
        return sorted({part for was, now in pairs for part in was | now if was.get(part) != now.get(part)})

    def _pieces(self) -> list[tuple[str, Any]]:
        return [(name, piece) for name, piece in msgspec.structs.asdict(self).items() if piece is not None]


def keep(
    folder: Path, spec: Spec, now: datetime, *pieces: Fit | Golden | Latency | Startup | Capacity | Simulation
) -> Evidence:
    """Put new pieces of evidence about this release over the old ones of their kind, and return all of it."""
    stamped = {}
    for piece in pieces:
        name = type(piece).__name__.lower()
        stamped[name] = msgspec.structs.replace(
            piece, at=now.isoformat(timespec="seconds"), of=_measured(name, spec), machine=machine()
        )
    evidence = msgspec.structs.replace(Evidence.read(folder), **stamped)
    path = folder / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")  # a reader sees the old file or the new one, never half of one
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(evidence)) + b"\n")
    fresh.replace(path)
    return evidence


def machine() -> str:
    """The machine that we run on, as evidence names it: "2 cores, x86_64"."""
    return f"{os.cpu_count()} cores, {platform.machine()}"


def _measured(name: str, spec: Spec) -> dict[str, str]:
    """The parts that a piece is about: golden records only where it is they that were measured."""
    return {part: digest for part, digest in spec.parts.items() if part != "golden" or name == "golden"}

"""What can be said of a model in service: seven verdicts, and the evidence that goes with one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

FEWEST_PAIRS = 100  # rows that two models are compared on, before that says anything


class Verdict(StrEnum):
    """The answer to question 10, from the mildest to the gravest."""

    HEALTHY = "HEALTHY"
    """Nothing moved beyond its tolerance."""
    WATCH = "WATCH"
    """Rows or answers drift; no harm is proven or estimated."""
    NEED_LABELS = "NEED_LABELS"
    """Harm is estimated where the estimate can't be trusted: labels would tell."""
    UPDATE_WONT_HELP = "UPDATE_WONT_HELP"
    """Harm is proven, and what recent labels teach does not make it less."""
    UPDATE_RECOMMENDED = "UPDATE_RECOMMENDED"
    """Harm is proven by labels, or estimated where the estimate is trusted; or another release is proven better."""
    FIX_DATA = "FIX_DATA"
    """A feed is broken: mend it, and train on none of it."""
    ROLLBACK = "ROLLBACK"
    """Harm began with a release: go back to the one before."""

    @property
    def grave(self) -> int:
        """The place in the order of gravity."""
        return list(Verdict).index(self)


FEEDBACK = "tenfold feedback NAME FILE --key KEY --label LABEL"
NEXT = {
    Verdict.HEALTHY: "nothing to do",
    Verdict.WATCH: "look at the fields that moved; labels would say whether it matters",
    Verdict.NEED_LABELS: "label about {labels:,} rows{where}: " + FEEDBACK,
    Verdict.UPDATE_WONT_HELP: "look for new features or better labels; training again on recent rows gains nothing",
    Verdict.UPDATE_RECOMMENDED: "train on recent rows and push: tenfold push, then tenfold deploy NAME",
    Verdict.FIX_DATA: "mend the feed first, and keep these rows out of training",
    Verdict.ROLLBACK: "tenfold rollback NAME",
}


class Fault(msgspec.Struct, frozen=True):
    """A way in which a feed is broken: "type", "missing", "infinite", "renamed", "constant", "unit", "swapped", "volume",
    "staleness" (rows stopped coming) or "rule" (one of validation, broken more often than usual)."""

    kind: str
    fields: tuple[str, ...]
    detail: str


class Feature(msgspec.Struct, frozen=True):
    """How one field, answer or direction moved: by ``share`` of its rows beyond chance; ``impact`` is that times importance.

    ``groups`` are its histogram's cells in words, ``reference`` and ``current`` the shares of rows in each.
    """

    name: str
    share: float
    importance: float
    impact: float
    proven: bool
    since: str | None
    groups: tuple[str, ...] = ()
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()


class Segment(msgspec.Struct, frozen=True):
    """Rows of one group of one field: their share and their expected loss, on the reference and now."""

    field: str
    group: str
    share_before: float
    share_now: float
    loss_before: float
    loss_now: float


class Line(msgspec.Struct, frozen=True):
    """One window as it was judged when it closed."""

    start: str | int
    end: str | int
    rows: int
    verdict: Verdict
    estimated: float | None
    realised: float | None
    labelled: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: ``from`` and ``to`` are words of Python."""
        document = msgspec.structs.asdict(self)
        return {"from": document.pop("start"), "to": document.pop("end"), **document}


class Performance(msgspec.Struct, frozen=True):
    """The metric on the reference, what was to be lost at most, and its values since the change, with bounds on them.

    ``unlike`` says how rows with a label differ from the others, where that makes the realised value decide nothing; ""
    where it counts.
    """

    metric: str
    reference: float
    tolerated: float
    estimated: tuple[float, float, float] | None = None
    realised: tuple[float, float, float] | None = None
    labelled: int = 0
    trusted: bool = True
    doubts: tuple[str, ...] = ()
    unlike: str = ""


class Challenge(msgspec.Struct, frozen=True):
    """A challenger against the model on the same ``rows``: the mean of the loss that it saves, with bounds that always hold.

    The model itself loses ``lost`` on average; to save less than ``wanted`` is not worth a release. ``name`` is the release
    that challenges, "" for what recent labels teach on top of the model.
    """

    rows: int
    gain: float
    low: float
    high: float
    wanted: float
    lost: float = 0.0
    name: str = ""

    @property
    def outcome(self) -> str:
        """Whether it is "better", "futile" to wait for more rows, or "undecided"."""
        if self.rows < FEWEST_PAIRS:
            return "undecided"
        if self.low > 0:
            return "better"
        return "futile" if self.high < self.wanted else "undecided"

    @property
    def convinces(self) -> bool:
        """Whether it is a release, proven better by as much as a release is worth."""
        return bool(self.name) and self.outcome == "better" and self.gain >= self.wanted

    @property
    def said(self) -> str:
        """What came of it, in words."""
        who, rows = self.name or "what recent labels teach", f"on the same {self.rows:,} labelled rows"
        lost = f"of a loss of {self.lost:.4f} " if self.lost else ""
        match self.outcome:
            case "better":
                return f"{who} is better by {self.gain:.4f}, at least {self.low:.4f}, {lost}{rows}"
            case "futile":
                most = f"at most {self.high:.4f}" if self.high > 0 else "nothing"
                return f"{who} saves {most} {lost}{rows}, and {self.wanted:.4f} would be worth a release"
            case _:
                return f"{who} saves {self.gain:.4f} ({self.low:.4f} to {self.high:.4f}) {lost}{rows}: undecided"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with all its evidence; None, and why, where nothing was judged yet."""

    verdict: Verdict | None
    since: str | int | None
    because: str
    next: str
    windows: tuple[Line, ...]
    features: tuple[Feature, ...] = ()
    segments: tuple[Segment, ...] = ()
    faults: tuple[Fault, ...] = ()
    performance: Performance | None = None
    challenge: Challenge | None = None
    deployed: str | None = None
    labels_needed: int | None = None
    ruled_out: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    control: str = ""
    source: str = ""
    replay: str = ""

    @property
    def said(self) -> str:
        """The verdict as a person reads it."""
        return str(self.verdict or "not judged yet")

    @property
    def compared(self) -> str:
        """What with, and how false alarms are controlled."""
        return "; ".join(filter(None, (self.source, self.control)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        document: dict[str, Any] = msgspec.to_builtins(self)
        return {**document, "windows": [msgspec.to_builtins(line.to_dict()) for line in self.windows]}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Report:
        """The report that ``to_dict`` wrote."""
        windows = [{"start": line["from"], "end": line["to"], **line} for line in document["windows"]]
        report: Report = msgspec.convert({**document, "windows": windows}, cls)
        return report

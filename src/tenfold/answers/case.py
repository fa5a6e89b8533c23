"""What is known of a release when it is judged, and what a rule finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tenfold.answers.evidence import Capacity, Evidence
from tenfold.model import Facts
from tenfold.spec import Spec
from tenfold.units import duration

ENOUGH_ROWS = 100  # live figures of fewer rows than these decide nothing


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of one release. ``outdated`` names parts that changed after they were measured; ``target`` is
    the SERVICE of suggested commands."""

    spec: Spec
    evidence: Evidence
    outdated: tuple[str, ...]
    live: Mapping[str, Any]
    target: str

    @property
    def facts(self) -> Facts | None:
        """What the model said of itself when it was loaded; None where nobody loaded it."""
        return self.evidence.startup.facts if self.evidence.startup else None

    @property
    def benched(self) -> Capacity | None:
        """What was measured with this deadline or a stricter one."""
        kept = self.evidence.capacity
        return kept if kept and kept.card.deadline_s <= self.budget_s else None

    @property
    def rows(self) -> int:
        """How many rows came."""
        return int(self.live.get("rows", 0))

    @property
    def busy(self) -> bool:
        """Whether enough rows came for the live figures to mean something."""
        return self.rows >= ENOUGH_ROWS

    @property
    def budget_s(self) -> float:
        """The time for an answer."""
        return self.spec.deadline.budget_s

    @property
    def p99_s(self) -> float | None:
        """The latency that 99 of 100 live answers stay within; None before the first."""
        latency: Mapping[str, float | None] = self.live.get("latency_s", {})
        return latency.get("p99")

    def command(self, name: str) -> str:
        """A command line about this service."""
        return f"tenfold {name} {self.target}".rstrip()

    def unmeasured(self) -> str:
        """Why there is no evidence."""
        changed = " and the ".join(self.outdated)
        return f"not measured since the {changed} changed" if changed else "not yet measured"

    def stage(self, name: str) -> dict[str, Any]:
        """What a stage takes now, per batch."""
        spent_s = self.live.get("stage_s", {}).get(name)
        return {"text": duration(spent_s), "seconds": spent_s} if spent_s else {}


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule found: the state with its reason and the mend, and the figures that it went by."""

    state: Literal["met", "open", "broken"]
    because: str
    next: str = ""
    measured: dict[str, Any] = field(default_factory=dict)
    live: dict[str, Any] = field(default_factory=dict)

"""What a replay found, stage by stage, and what it means: equal, moved by a retraining, or not what training fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tenfold.parity.golden import BEFORE_MODEL, Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of n rows: how many are within tolerance, whether all are equal bit for bit, how far they are apart.

    ``provenance`` says who gave the recorded value; "" means that none is recorded, and ``detail`` why. ``labels``
    counts the rows whose label differs, ``largest`` is the largest difference of a number. A stage that is not
    ``reached`` has nothing to compare, since an earlier one failed.
    """

    name: str
    provenance: Provenance
    rows: int
    equal: int = 0
    bits: bool = False
    labels: int = 0
    largest: float = 0.0
    detail: str = ""
    notes: Sequence[str] = ()
    reached: bool = True

    @property
    def recorded(self) -> bool:
        """Whether there is something to hold the stage against."""
        return bool(self.provenance)

    @property
    def differs(self) -> bool:
        """Whether a row is out of tolerance."""
        return self.recorded and self.equal < self.rows

    def __str__(self) -> str:
        if not self.recorded:
            return f"{self.name:<12} not recorded: {self.detail}"
        if not self.reached:
            return f"{self.name:<12} {self.detail}"
        how = "bit for bit" if self.bits else f"largest difference {self.largest:.2g}" if self.largest else "in value"
        by = "training" if self.provenance == "training" else "the service itself"
        text = f"{self.name:<12} {self.equal} of {self.rows} equal to what {by} gave, {how}"
        return "; ".join([text, *filter(None, [self.detail]), *self.notes])


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A replay of golden records. ``equal`` rows are within tolerance at every recorded stage, ``valid`` answers
    satisfy the output contract, and ``unanswered`` rows did not get as far. ``refused`` has the reason for each request
    that was left out, since the contract refuses it by now. ``model_then`` and ``model_now`` are digests; ``versions``
    are libraries that changed since."""

    service: str
    rows: int
    equal: int
    valid: int
    unanswered: int
    stages: tuple[Stage, ...]
    recorded: str
    model_then: str
    model_now: str
    versions: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    @property
    def provenance(self) -> Literal["training", "self"]:
        """Whether training gave anything that serving is held against. What a service recorded of itself catches
        changes, and proves nothing about skew."""
        return "training" if any(stage.provenance == "training" for stage in self.stages) else "self"

    @property
    def retrained(self) -> bool:
        """Whether another model answers than the one that was recorded."""
        return bool(self.model_then and self.model_now) and self.model_then != self.model_now

    @property
    def diverged(self) -> Stage | None:
        """The first stage that differs from its record."""
        return next((stage for stage in self.stages if stage.differs), None)

    @property
    def state(self) -> Literal["ok", "open", "broken"]:
        """``ok``: equal to training at every stage. ``open``: equal to itself only, or answers moved with a new model.
        ``broken``: a stage differs that should not."""
        diverged = self.diverged
        if diverged is not None:
            return "open" if self.retrained and diverged.name not in BEFORE_MODEL else "broken"
        return "ok" if self.provenance == "training" else "open"

    @property
    def green(self) -> bool:
        """Whether the golden gate may let a release through."""
        return self.state == "ok"

    def describe(self) -> str:
        """What was found, in one or two sentences."""
        diverged = self.diverged
        if diverged is None and self.provenance == "self":
            return (
                f"unchanged, {self.equal} of {self.rows} at every stage; recorded by the service itself, which catches "
                "changes and proves nothing about training"
            )
        if diverged is None:
            return f"{self.equal} of {self.rows} equal at every stage"
        if self.state == "open":
            return self._moved()
        because = f": {diverged.detail}" if diverged.detail else ""
        changed = "".join(f"; {name} was {then}, is {now}" for name, (then, now) in self.versions.items())
        equal = f"{diverged.equal} of {diverged.rows} equal"
        return f"{equal}; the first stage that differs is {diverged.name}{because}{changed}"

    def _moved(self) -> str:
        """The answers of a new model, beside those of the one that was recorded."""
        last = self.stages[-1]
        proven = [stage for stage in self.stages if stage.name in BEFORE_MODEL and stage.recorded]
        equal = min((stage.equal for stage in proven), default=0)
        return (
            f"model changed since golden/ was recorded ({self.model_then[:4]} → {self.model_now[:4]}). "
            f"Before the model: equal, {equal} of {self.rows}. "
            f"Answers: {last.labels} label{'s' * (last.labels != 1)} differ, largest {last.largest:.2g}."
        )

    def __str__(self) -> str:
        return "\n".join([f"golden  {self.describe()}", *(f"        {stage}" for stage in self.stages)])

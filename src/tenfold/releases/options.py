"""What a service states about its changes: how a new release takes over, and what would make it turn back."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import ratio, seconds

AUTO = (0.01, 0.1, 0.5)  # the shares from which steps="auto" picks
GuardRail = Literal["errors", "late", "violations", "non_finite", "predictions", "labels"]
ALL: tuple[GuardRail, ...] = ("errors", "late", "violations", "non_finite", "predictions", "labels")
MOST_HARM = 20.0  # times; beyond that nothing is gained by waiting for evidence


class Releases(Option, frozen=True):
    """How a new release takes over: by shares of the traffic, at once, or as another system decides."""

    steps: Annotated[
        tuple[str, ...] | Literal["auto", "external"],
        Meta(
            description='growing shares of the traffic, such as ("1%", "10%", "50%"); () takes over at '
            'once, when the gates have passed; "auto" takes those that the traffic can fill within an hour each; '
            '"external" leaves the decision to another system'
        ),
    ] = ("1%", "10%", "50%")
    shadow_requests: Annotated[
        int,
        Meta(
            ge=0,
            description="requests that both releases answer before the first step, of which the old answer is sent",
        ),
    ] = 100
    bake: Annotated[
        str, Meta(description='how long the old release stays warm once the new one has all traffic: "1 h"')
    ] = "1 h"
    patience: Annotated[str, Meta(description='how long a step may go without a verdict: "1 day"')] = "1 day"
    after_patience: Annotated[
        Literal["hold", "promote", "rollback"],
        Meta(
            description='what a step without a verdict leads to: "hold" (it stays and says so), "promote" or "rollback"'
        ),
    ] = "hold"
    guard_rails: Annotated[
        tuple[GuardRail, ...],
        Meta(
            min_length=1,
            description="the bad events that count: errors, late answers, violations of the contract, non_finite outputs, "
            "predictions that the old release hardly gives, labels that prove an answer wrong",
        ),
    ] = ALL
    harm_ratio: Annotated[
        float, Meta(gt=1, le=MOST_HARM, description="so many times the bad events of before have to be ruled out")
    ] = 2.0
    tolerable: Annotated[
        str, Meta(description='a share of bad requests that is no harm, whatever it was before: "0.1%"')
    ] = "0.1%"
    false_rollback_probability: Annotated[
        float, Meta(gt=0, le=0.5, description="how likely a release that is as good as the old one is rolled back")
    ] = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = (0.0, *self.ratios, 1.0)
        if any(before >= after for before, after in pairwise(shares)):
            raise self.fault("steps", "the shares have to grow, above 0% and below 100%")
        _ = self.bake_s, self.patience_s  # read once, so that a wrong unit is an error here
        if not 0 < self.tolerable_share < 1:
            raise self.fault("tolerable", "a share above 0% and below 100%")

    @property
    def external(self) -> bool:
        """Whether another system decides."""
        return self.steps == "external"

    @property
    def auto(self) -> bool:
        """Whether the traffic decides how many steps there are."""
        return self.steps == "auto"

    @property
    def ratios(self) -> tuple[float, ...]:
        """The shares of the traffic, of one; those to pick from where the traffic decides."""
        if isinstance(self.steps, str):
            return AUTO if self.auto else ()
        try:
            return tuple(ratio(step) for step in self.steps)
        except ValueError as error:
            raise self.fault("steps", str(error)) from None

    @property
    def bake_s(self) -> float:
        """How long the old release stays warm, in seconds."""
        return self.quantity("bake", seconds)

    @property
    def patience_s(self) -> float:
        """How long a step may go without a verdict, in seconds."""
        return self.quantity("patience", seconds)

    @property
    def tolerable_share(self) -> float:
        """The share of bad requests that is no harm, of one."""
        return self.quantity("tolerable", ratio)

    def describe(self) -> str:
        if self.external:
            return "decided by another system"
        shares = ", ".join(f"{share * 100:.4g}" for share in self.ratios)
        if self.auto:
            return f"canary, of {shares} % what the traffic can fill"
        return f"canary {shares} %" if shares else "all at once, after the gates"

"""What runs, what comes next, when to turn back? (Question 9.) The steps by which a release takes over."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import ratio


class Releases(Option, frozen=True):
    """How a new release takes over: by shares of the traffic, at once, or as another system decides."""

    steps: Annotated[
        tuple[str, ...] | Literal["external"],
        Meta(
            description='growing shares of the traffic, such as ("1%", "10%", "50%"); () takes over at '
            'once, when the gates have passed; "external" leaves the decision to another system'
        ),
    ] = ("1%", "10%", "50%")

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = (0.0, *self.ratios, 1.0)
        if any(before >= after for before, after in pairwise(shares)):
            raise self.fault("steps", "the shares have to grow, above 0% and below 100%")

    @property
    def external(self) -> bool:
        """Whether another system decides."""
        return self.steps == "external"

    @property
    def ratios(self) -> tuple[float, ...]:
        """The shares of the traffic, of one."""
        if isinstance(self.steps, str):
            return ()
        try:
            return tuple(ratio(step) for step in self.steps)
        except ValueError as error:
            raise self.fault("steps", str(error)) from None

    def describe(self) -> str:
        if self.external:
            return "decided by another system"
        shares = ", ".join(f"{share * 100:.4g}" for share in self.ratios)
        return f"canary {shares} %" if shares else "all at once, after the gates"

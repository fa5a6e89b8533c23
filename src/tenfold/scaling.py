"""How many replicas? (Question 8.) The bounds within which the number of replicas follows the traffic."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tenfold.options import Option


class Scaling(Option, frozen=True):
    """The fewest and the most replicas of a release."""

    min_replicas: Annotated[int, Meta(ge=1, description="replicas that run at all times")] = 1
    max_replicas: Annotated[int | None, Meta(description="replicas at most; None keeps the number at min_replicas")] = (
        None
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            raise self.fault("max_replicas", f"fewer than min_replicas={self.min_replicas}")

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most replicas."""
        return self.min_replicas, self.max_replicas or self.min_replicas

    def describe(self) -> str:
        low, high = self.bounds
        return f"{low} to {high} replicas" if low < high else f"{low} replica{'s' * (low > 1)}, fixed"

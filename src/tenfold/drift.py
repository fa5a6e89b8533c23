"""Does the model need an update? (Question 10.) First: when do labels come, so that it can be told?"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import duration, seconds


class Drift(Option, frozen=True):
    """What is known about the truth: how long after a prediction its label arrives, if it does."""

    labels_after: Annotated[
        str | None,
        Meta(description='the time from an answer to its label, such as "30 days"; None where none ever comes'),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.labels_after_s  # noqa: B018 -- read once, so that a wrong unit is an error here and not at the first label

    @property
    def labels_after_s(self) -> float | None:
        """The time from an answer to its label in seconds."""
        return None if self.labels_after is None else self.quantity("labels_after", seconds)

    def describe(self) -> str:
        return "no labels" if self.labels_after_s is None else f"labels after {duration(self.labels_after_s)}"

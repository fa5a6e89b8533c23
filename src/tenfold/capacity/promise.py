"""The rate that a service promises to carry within its deadline."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import rows_per_s, throughput


class Capacity(Option, frozen=True):
    """The rate that the service promises to carry within its deadline, with all its replicas."""

    at_least: Annotated[
        str | None,
        Meta(description='the promised rate, such as "500 rows/s"; None promises nothing and only measures'),
    ] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rows_per_s == 0:
            raise self.fault("at_least", "that promises nothing")

    @property
    def rows_per_s(self) -> float | None:
        """The promised rate in rows per second."""
        return None if self.at_least is None else self.quantity("at_least", rows_per_s)

    def describe(self) -> str:
        return "nothing promised" if self.rows_per_s is None else f"at least {throughput(self.rows_per_s)}"

"""What a service states about its replicas: the bounds within which their number follows the traffic, and the criteria."""

from __future__ import annotations

from functools import lru_cache
from math import inf
from typing import Annotated

from msgspec import Meta

from tenfold.options import Option
from tenfold.scaling.schedule import Entry, entries
from tenfold.units import ratio, seconds

_RATIO, _SECONDS = lru_cache(ratio), lru_cache(seconds)  # a replay asks for them millions of times

ELSEWHERE = {"CPU": "cores", "memory": "memory, in [server] of tenfold.toml"}


class Scaling(Option, frozen=True):
    """The fewest and the most replicas of a release, and when their number changes."""

    min_replicas: Annotated[
        int, Meta(ge=0, description="replicas that run at all times; 0 lets an idle service stop")
    ] = 1
    max_replicas: Annotated[int | None, Meta(description="replicas at most; None keeps the number at min_replicas")] = (
        None
    )
    headroom: Annotated[str, Meta(description='capacity kept free beyond the forecast, as a share of it: "10%"')] = "0%"
    scale_in_after: Annotated[
        str, Meta(description='a replica goes once none was needed in its place for so long: "5 min"')
    ] = "2 min"
    drain_backlog_in: Annotated[
        str, Meta(description='replicas are added until rows that wait are answered within: "5 s"')
    ] = "5 s"
    schedule: Annotated[
        tuple[str, ...], Meta(description='more replicas at stated hours: "Mon-Fri 08:00-18:00 Europe/Berlin: 4"')
    ] = ()
    hold: Annotated[
        str, Meta(description="how long a row may wait, beyond its deadline, for a service that had stopped to start")
    ] = "30 s"
    hold_rows: Annotated[int, Meta(ge=1, description="rows that may wait so; those that come then are refused")] = 1000
    share: Annotated[
        float, Meta(gt=0, description="this service's part of a machine that is too small for all, beside others' 1")
    ] = 1.0
    cores: Annotated[
        float, Meta(ge=0, description="processor cores that a busy replica takes; 0 where it waits for something else")
    ] = 1.0
    resources: Annotated[
        tuple[str, ...], Meta(description='what else a replica takes of a machine of a Ray cluster: "GPU: 1"')
    ] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_replicas is not None and self.max_replicas < max(self.min_replicas, 1):
            raise self.fault("max_replicas", f"fewer than min_replicas={max(self.min_replicas, 1)}")
        if self.min_replicas == 0 and self.max_replicas is None:
            raise self.fault("min_replicas", "a service that stops when it is idle needs max_replicas to start again")
        if self.drain_backlog_in_s <= 0:
            raise self.fault("drain_backlog_in", "no number of replicas answers what waits in no time")
        high = self.bounds[1]
        if any(entry.replicas > high for entry in self.entries):
            raise self.fault("schedule", f"more than the {high} replicas that there may be at most (max_replicas)")
        self.headroom_ratio, self.scale_in_after_s, self.hold_s  # noqa: B018 -- read once, so that a wrong unit is said here
        self.amounts  # noqa: B018 -- likewise

    @property
    def bounds(self) -> tuple[int, int]:
        """The fewest and the most replicas."""
        return self.min_replicas, self.max_replicas or self.min_replicas

    @property
    def headroom_ratio(self) -> float:
        """The free capacity as a share of the forecast."""
        return self.quantity("headroom", _RATIO)

    @property
    def scale_in_after_s(self) -> float:
        """How long a replica has to be idle before it goes, in seconds."""
        return self.quantity("scale_in_after", _SECONDS)

    @property
    def drain_backlog_in_s(self) -> float:
        """Within how many seconds what waits is to be answered."""
        return self.quantity("drain_backlog_in", _SECONDS)

    @property
    def hold_s(self) -> float:
        """How long a row may wait for the first replica, in seconds."""
        return self.quantity("hold", _SECONDS)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The hours of the schedule."""
        try:
            return entries(self.schedule)
        except ValueError as error:
            raise self.fault("schedule", str(error)) from None

    @property
    def amounts(self) -> dict[str, float]:
        """How much of each resource a replica takes, by Ray's name of it."""
        return dict(map(self._amount, self.resources))

    def _amount(self, text: str) -> tuple[str, float]:
        name, _, amount = (part.strip() for part in text.rpartition(":"))
        if name in ELSEWHERE:
            raise self.fault("resources", f"{name} is stated by {ELSEWHERE[name]}")
        try:
            if not (name and 0 < float(amount) < inf):
                raise ValueError
        except ValueError:
            raise self.fault(
                "resources", f'{text!r} is no amount of a resource; write "GPU: 1" or "camera: 0.5"'
            ) from None
        return name, float(amount)

    def describe(self) -> str:
        low, high = self.bounds
        if low == high:
            return f"{low} replica{'s' * (low > 1)}, fixed"
        return f"{low} to {high} replicas"

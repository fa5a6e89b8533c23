"""What a deployer has the supervisor do, said again until it is done."""

from __future__ import annotations

from tenfold.control.fleet import Fleet, Orders, Route
from tenfold.control.wanted import Wanted
from tenfold.control.workshop import Placed, Workshop

AGAIN_S = 2.0  # after which an order that was not followed is given again


class Steering:
    """``fleet`` is what there is at the moment, as the supervisor told last."""

    def __init__(self, orders: Orders, workshop: Workshop, wanted: Wanted) -> None:
        self.fleet = Fleet()
        self._orders = orders
        self._workshop = workshop
        self._wanted = wanted
        self._given: dict[str, tuple[object, float]] = {}

    def begin(self, service: str, release: str, now: float) -> None:
        """Start a release, as soon as its folder and its environment are there."""
        found = self._wanted.release(service, release)
        placed = self._workshop.placed(found, now) if found is not None else None
        if isinstance(placed, Placed) and self._is_due(f"run {placed.folder}", placed, now):
            self._orders.run(placed.folder, placed.deployed)

    def routed(self, service: str, route: Route, now: float) -> bool:
        """Whether the fronts follow a route; they are told to, if they do not."""
        if self.fleet.routes.get(service) == route:
            return True
        if self._is_due(service, route, now):
            self._orders.route(service, route)
        return False

    def _is_due(self, key: str, order: object, now: float) -> bool:
        """Whether this order is another one than was given last, or was not followed for a while."""
        before, when = self._given.get(key, (None, 0.0))
        if before == order and now - when <= AGAIN_S:
            return False
        self._given[key] = order, now
        return True

"""What the supervisor tells the deployer of its fleet, and what the deployer tells the supervisor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import msgspec

from tenfold.releases.evidence import Guard, Tally
from tenfold.releases.rollout import Presence
from tenfold.releases.shadow import Comparison
from tenfold.server.channel import Channel, Message
from tenfold.server.outcomes import requests_by_outcome


class Running(msgspec.Struct, frozen=True):
    """A release that runs, or is to: ``label`` is how its answers call it, once it is ready."""

    folder: str
    service: str
    release: str
    label: str
    presence: Presence
    failure: str


class Route(msgspec.Struct, frozen=True):
    """Which release of a service answers, by label, and which new one gets a share in percent, or copies."""

    release: str
    new: str = ""
    percent: float = 0.0
    shadowing: bool = False


class Fleet(msgspec.Struct, frozen=True):
    """The fleet at one moment. A route is None while the fronts are not of one mind."""

    crews: list[Running] = []
    routes: dict[str, Route | None] = {}
    compared: dict[str, list[Comparison]] = {}

    def within(self, service: str) -> Fleet:
        """What there is of one service: two may have the same release."""
        return Fleet([one for one in self.crews if one.service == service], self.routes, self.compared)

    def of(self, release: str) -> Running | None:
        """The release with this id."""
        return next((one for one in self.crews if one.release == release), None)

    def presence(self, release: str) -> Presence:
        """How far it is."""
        found = self.of(release)
        return found.presence if found else Presence.ABSENT

    def label(self, release: str) -> str:
        """How its answers call it; "" before it is ready."""
        found = self.of(release)
        return found.label if found else ""

    def comparison(self, service: str) -> Comparison:
        """What comparing has shown at all fronts."""
        return reduce(Comparison.plus, self.compared.get(service, []), Comparison())


def fleet_of(messages: Iterable[Message]) -> Fleet | None:
    """The last that was told; None for nothing."""
    told = [message for message in messages if message["do"] == "fleet"]
    return msgspec.convert(told[-1], Fleet) if told else None


class Orders:
    """What the supervisor is to do. Saying any of it twice does no harm."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def run(self, folder: str, deployed: dict[str, str]) -> None:
        """Start the replicas of a release."""
        self._channel.send(event="run", folder=folder, deployed=deployed)

    def end(self, folder: str) -> None:
        """End them, once they have answered what they hold."""
        self._channel.send(event="end", folder=folder)

    def route(self, service: str, route: Route) -> None:
        """Let these releases answer; none of them where the route names none."""
        self._channel.send(event="route", name=service, route=msgspec.to_builtins(route))

    def expect(self, services: int, plain: str) -> None:
        """So many services there will be, and where others answer beside one, that is what a path without a name means."""
        self._channel.send(event="expect", services=services, plain=plain)

    def about(self, service: str, about: Mapping[str, Any]) -> None:
        """What is to be shown of the deployments of a service."""
        self._channel.send(event="about", name=service, about=about)

    def say(self, what: str, **said: Any) -> None:
        """Tell whoever started the server."""
        self._channel.send(event="say", what=what, said=said)


CLIENTS = ("unauthorized", "forbidden", "not_found", "method_not_allowed", "bad_request", "too_large")
"""Refusals that say nothing about a release: whoever asks so is refused by any."""


def tallies(new: Counter[str], old: Counter[str]) -> dict[Guard, Tally]:
    """Of each kind of bad event, how many requests of the new release and of the old one were bad, of how many."""
    new_bad, old_bad = _bad(new), _bad(old)
    return {guard: Tally(new_bad[guard], requests_of(new), old_bad[guard], requests_of(old)) for guard in new_bad}


def requests_of(counters: Counter[str]) -> int:
    """How many requests a release has answered, in whatever way."""
    return sum(requests_by_outcome(counters).values()) - _by_clients(counters)


def _by_clients(counters: Counter[str]) -> int:
    return sum(counters[f"refusal:{code}"] for code in CLIENTS)


def _bad(counters: Counter[str]) -> dict[Guard, int]:
    """What was declined counts as such, whether or not there was a fallback to give."""
    outcomes = requests_by_outcome(counters)
    return {
        Guard.ERRORS: outcomes["failed"] + counters["unready"],
        Guard.LATE: outcomes["overdue"] + counters["late"] + counters["shed"],
        Guard.VIOLATIONS: max(outcomes["refused"] - _by_clients(counters), 0),
    }

"""What the supervisor does for the deployer, and what it tells it: with doubles for the processes."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from tenfold.engines.children import Children
from tenfold.engines.crew import Crew
from tenfold.engines.deployments import Deployments, presence
from tenfold.engines.local import Child
from tenfold.engines.plan import Plan
from tenfold.releases.rollout import Presence


class Line:
    """A line to a process that keeps what was said."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, **message: Any) -> None:
        self.said.append(message)


class Processes:
    """Fronts and a deployer that never do anything."""

    def __init__(self, fronts: int) -> None:
        self.all = [Child("front", cast(Any, Line()), pid=number + 1, ready=True) for number in range(fronts)]
        self.all.append(Child("deployer", cast(Any, Line()), pid=99))

    def __iter__(self) -> Any:
        return iter(self.all)

    def of(self, role: str) -> list[Child]:
        return [child for child in self.all if child.role == role]

    def tell(self, role: str, **message: Any) -> None:
        for child in self.of(role):
            child.channel.send(**message)


def told(child: Child) -> list[dict[str, Any]]:
    """What a process was told."""
    return cast(Line, child.channel).said


def test_a_route_holds_once_every_front_follows_it() -> None:
    """The deployer is told of a route when all fronts are of one mind, and of none before; a front that leaves has no say."""

    async def scenario() -> None:
        processes = Processes(fronts=2)
        deployments = Deployments(Plan([]), {}, cast(Children, processes), lambda *_: None, lambda: None)
        first, second, deployer = processes.all
        route = {"release": "a@1", "new": "a@2", "percent": 10.0, "shadowing": False}
        deployments.heard({"event": "route", "name": "a", "route": route})
        assert told(first)[-1] == {"do": "serve", "name": "a", **route}

        async def routes() -> Any:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return told(deployer)[-1]["routes"]

        deployments.routed(first, {"name": "a", "route": route})
        assert await routes() == {"a": None}
        deployments.routed(second, {"name": "a", "route": route})
        assert await routes() == {"a": route}
        deployments.routed(second, {"name": "a", "route": {**route, "percent": 50.0}})
        assert await routes() == {"a": None}
        second.leaving = True
        deployments.tell()
        assert await routes() == {"a": route}

    asyncio.run(scenario())


def test_a_new_front_learns_every_route_and_comparisons_belong_to_their_release() -> None:
    """Whoever comes later is told the same; what was compared with another new release is forgotten."""

    async def scenario() -> None:
        processes = Processes(fronts=1)
        deployments = Deployments(Plan([]), {}, cast(Children, processes), lambda *_: None, lambda: None)
        front, deployer = processes.all
        route = {"release": "a@1", "new": "a@2", "percent": 0.0, "shadowing": True}
        deployments.heard({"event": "expect", "services": 1, "plain": ""})
        deployments.heard({"event": "route", "name": "a", "route": route})
        deployments.routed(front, {"name": "a", "route": route})
        deployments.compared(front, {"name": "a", "comparison": {"compared": 3}})
        newcomer = Child("front", cast(Any, Line()), pid=7)
        deployments.introduce(newcomer)
        assert told(newcomer) == [{"do": "expect", "services": 1, "plain": ""}, {"do": "serve", "name": "a", **route}]
        deployments.heard({"event": "route", "name": "a", "route": {**route, "new": "a@3"}})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert told(deployer)[-1]["compared"] == {"a": []}
        deployments.heard({"event": "route", "name": "a", "route": {**route, "release": ""}})
        assert told(front)[-1] == {"do": "end", "name": "a"}

    asyncio.run(scenario())


def test_presence_is_what_a_crew_has_come_to() -> None:
    """A release that ended is as good as gone, and one that cannot be loaded has failed."""

    class Some:
        ended, current, failure, trouble = False, None, "", ""

        def ready(self) -> list[int]:
            return [1]

    crew = Some()

    def seen(**changes: Any) -> Presence:
        for name, value in changes.items():
            setattr(crew, name, value)
        return presence(cast(Crew, crew))

    assert seen() is Presence.LOADING
    assert seen(failure="no model") is Presence.FAILED
    assert seen(current=(1, "a@1")) is Presence.READY
    assert seen(ended=True) is Presence.ABSENT

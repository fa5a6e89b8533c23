"""What a store says is to run, and how far it is: a crew for each release, and which of them answers how much.

The deployer, a process of its own, wants releases to run, to end, and to answer a share; here that is done, and it is told
what came of it. Whatever becomes of the deployer, what answers goes on as it was last told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tenfold.engines.children import Children
from tenfold.engines.crew import Crew, Deployed, Say
from tenfold.engines.local import Child
from tenfold.engines.plan import Plan
from tenfold.releases.rollout import Presence
from tenfold.server.channel import Message


class Deployments:
    """The crews of releases among all crews, and the routes that fronts were given."""

    def __init__(
        self, plan: Plan, crews: dict[str, Crew], children: Children, say: Say, told: Callable[[], None]
    ) -> None:
        """``crews`` are those of the server, by folder; ``told`` is called when what others know of them has changed."""
        self._plan = plan
        self._crews = crews
        self._children = children
        self._say = say
        self._changed = told
        self._wanted: dict[str, Message] = {}  # by service, as fronts were told
        self._routed: dict[int, dict[str, Message]] = {}  # by front and service, as it is
        self._compared: dict[int, dict[str, Message]] = {}
        self._about: dict[str, Message] = {}
        self._services: int | None = None
        self._plain = ""  # the service that a path without a name means
        self._telling = False

    @property
    def services(self) -> int:
        """How many services there will be; one more as long as that is not known, so that nobody is told of the wrong one."""
        return 1 if self._services is None else self._services

    @property
    def settled(self) -> bool:
        """Whether whatever is to run does, or never will."""
        if self._services is None:
            return False
        return all(crew.current or crew.failure or crew.trouble for crew in self._crews.values() if not crew.ended)

    # What the deployer wants

    def heard(self, message: Message) -> None:
        """The deployer says something."""
        match message["event"]:
            case "run":
                self._run(message["folder"], Deployed(**message["deployed"]))
            case "end" if message["folder"] in self._crews:
                self._crews[message["folder"]].end()
                self.sweep()
            case "route":
                self._route(message["name"], message["route"])
            case "expect":
                self._services, self._plain = message["services"], message["plain"]
                self._children.tell("front", do="expect", services=self._services, plain=self._plain)
            case "about":
                self._about[message["name"]] = message["about"]
            case "say":
                self._say(message["what"], message["said"])
        self._changed()
        self.tell()

    def _run(self, folder: str, deployed: Deployed) -> None:
        crew = self._crews.get(folder)
        if crew is None:
            others = [
                other.size for other in self._crews.values() if other.name == deployed.service and not other.ended
            ]
            crew = self._crews[folder] = Crew(folder, self._plan, self._children, self._say, deployed)
            crew.size = max([crew.size, *others])  # it is to carry what they do
        elif not crew.ended:
            return
        crew.begin()

    def _route(self, name: str, route: Message) -> None:
        """Tell the fronts which release of a service answers; none where it has no name."""
        for one in self._compared.values() if route["new"] != self._wanted.get(name, {}).get("new") else ():
            one.pop(name, None)  # it was between two others
        if route["release"]:
            self._wanted[name] = route
            self._children.tell("front", do="serve", name=name, **route)
        else:
            self._wanted.pop(name, None)
            self._children.tell("front", do="end", name=name)

    def introduce(self, front: Child) -> None:
        """Let a new front know."""
        if self._services is not None:
            front.channel.send(do="expect", services=self._services, plain=self._plain)
        for name, route in self._wanted.items():
            front.channel.send(do="serve", name=name, **route)

    def are_known_to(self, front: Child) -> bool:
        """Whether a front follows all that fronts were told."""
        return self._wanted.keys() <= self._routed.get(front.pid, {}).keys()

    def sweep(self) -> None:
        """Forget releases that have ended, once the last process of theirs has."""
        busy = {child.folder for child in self._children}
        for folder, crew in list(self._crews.items()):
            if crew.ended and folder not in busy:
                del self._crews[folder]

    def about(self, crew: Crew) -> Message:
        """What the store says of the deployments of its service, where one does."""
        return {"releases": self._about[crew.name]} if crew.deployed and crew.name in self._about else {}

    # What fronts say

    def routed(self, front: Child, message: Message) -> None:
        """A front says which release answers there from now on."""
        self._routed.setdefault(front.pid, {})[message["name"]] = message["route"]
        self.tell()

    def compared(self, front: Child, message: Message) -> None:
        """A front says how the answers of two releases differ so far."""
        self._compared.setdefault(front.pid, {})[message["name"]] = message["comparison"]
        self.tell()

    # What the deployer is told

    def tell(self) -> None:
        """Once everything of this moment is known."""
        if not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        fronts = {front.pid for front in self._children.of("front") if front.ready and not front.leaving}
        for known in (self._routed, self._compared):
            for pid in known.keys() - {front.pid for front in self._children.of("front")}:
                del known[pid]
        crews = [self._known(crew) for crew in self._crews.values() if crew.deployed]
        names = {name for routes in self._routed.values() for name in routes}
        routes = {name: self._common(name, fronts) for name in names}
        compared = {name: [one[name] for one in self._compared.values() if name in one] for name in names}
        self._children.tell("deployer", do="fleet", crews=crews, routes=routes, compared=compared)

    def _common(self, name: str, fronts: set[int]) -> Message | None:
        """The route that all fronts follow; None while they don't."""
        found = [self._routed.get(pid, {}).get(name) for pid in fronts]
        return found[0] if found and all(one == found[0] for one in found) else None

    def _known(self, crew: Crew) -> dict[str, Any]:
        assert crew.deployed is not None
        return {
            "folder": crew.folder,
            "service": crew.deployed.service,
            "release": crew.deployed.release,
            "label": crew.current[1] if crew.current else "",
            "presence": presence(crew),
            "failure": crew.failure or crew.trouble,
        }


def presence(crew: Crew) -> Presence:
    """How far a release is. One whose last replicas answer what they hold is as good as gone."""
    if crew.ended:
        return Presence.ABSENT
    if crew.current is not None and crew.ready():
        return Presence.READY
    return Presence.FAILED if crew.failure or crew.trouble else Presence.LOADING

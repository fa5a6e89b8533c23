"""The replicas of one service: as many as there should be, of the generation that should answer.

The replicas that are started for one state of a folder are a generation. The first one becomes their template where it can,
and all of them are forked of it. A generation takes over once all of it is ready and every front can ask it. The fronts then
let go of the older replicas, each as soon as what it holds is answered, and one that every front let go of is hung up.

Where a store says what runs, each release has a crew, and two crews may belong to one service: which of them answers is
decided elsewhere (``deployments``).
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tenfold.engines.children import Children
from tenfold.engines.folder import home, state
from tenfold.engines.generations import Version, elect
from tenfold.engines.health import RETRIES_S, Deaths, has_answered
from tenfold.engines.local import Child
from tenfold.engines.plan import Plan
from tenfold.engines.vitals import in_hand
from tenfold.server.channel import Message

STOP_LIMIT_S = 35.0
STILLBORN = 3  # forks in a row that do not get ready: their template is no good

Say = Callable[[str, Message], None]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What a store says of a release that is to run: its service, its id and its name for people, the folder where its
    dead letters and journal are kept, and the interpreter of its environment."""

    service: str
    release: str
    name: str
    home: str
    python: str = sys.executable


class Crew:
    """Everything that serves a folder, or is to. ``name`` and ``about`` are what its replicas said of themselves, ``current``
    the version that answers; ``trouble`` is why no replica is started at present, ``failure`` why the last one did not load.
    Of one that has ``ended``, the last replicas answer what they hold. ``deployed`` is None for a folder as it is on disk.
    ``size`` is how many replicas there should be, and ``scaling`` what others are told of how that came about."""

    def __init__(self, folder: str, plan: Plan, children: Children, say: Say, deployed: Deployed | None = None) -> None:
        self.folder = folder
        self.deployed = deployed
        self.home = deployed.home if deployed else plan.home or home(folder)
        self.name = deployed.service if deployed else ""
        self.about: Message = {}
        self.current: Version | None = None
        self.trouble = ""
        self.failure = ""
        self.ended = False
        self.size = plan.replicas
        self.scaling: Message = {}
        self._plan = plan
        self._children = children
        self._say = say
        self._state = state(folder)
        self._newest = 0
        self._broken = 0  # a generation that cannot be loaded, and waits for an edit
        self._unfit = 0  # up to this generation, none has a template
        self._large = 0  # up to this one it has been said that the model takes too much memory
        self._stillborn = 0
        self._deaths = Deaths()
        self._resumes = 0.0  # nothing is started before
        self._loop = asyncio.get_running_loop()

    def replicas(self) -> list[Child]:
        """Those that are not retired."""
        return self._children.replicas(self.folder)

    def ready(self) -> list[Child]:
        """Those of them that answer."""
        return [one for one in self.replicas() if one.ready]

    def introduce(self, front: Child) -> None:
        """Let a new front know whom to ask."""
        if self.current is not None and self.deployed is None:
            front.channel.send(do="serve", name=self.about["service"]["name"], release=self.current[1])
        for replica in self.ready():
            self._introduce(replica, front)
        if self.trouble:
            front.channel.send(do="trouble", name=self.name, because=self.trouble, retry_s=RETRIES_S[0])

    def _introduce(self, replica: Child, front: Child) -> None:
        replica.known_to.add(front.pid)
        front.channel.send(do="attach", address=replica.address, home=self.home, secret=replica.secret)

    # Generations

    def begin(self) -> None:
        """Start a generation; those between the one that answers and this one are in vain."""
        self._newest += 1
        self._deaths, self._resumes, self.trouble, self.failure, self.ended = Deaths(), 0.0, "", "", False
        for replica in self.replicas():
            if self.current is None or replica.generation != self.current[0]:
                self._retire(replica)
        self._dismiss_templates()
        self.fill()

    def end(self) -> None:
        """Let all of it go, as soon as what it holds is answered."""
        self.ended, self.current = True, None
        for replica in self.replicas():
            self._retire(replica)
        self._dismiss_templates()

    def resize(self, size: int) -> None:
        """Have so many replicas from now on. With none, their template goes too, and with it the model's memory."""
        self.size = size
        self._take_back()
        self.fill()
        self.settle()
        self._dismiss_templates()

    def has_changed(self) -> bool:
        """Whether a file has changed since this was last asked."""
        before, self._state = self._state, state(self.folder)
        return before != self._state

    def _wanted(self) -> list[int]:
        """The generations that need replicas: the one that answers, and the one that is to."""
        if self.ended:
            return []
        wanted = {self._newest} - {self._broken}
        return sorted(wanted | {self.current[0]} if self.current else wanted)

    def fill(self) -> None:
        """Start what is missing: forks where there is a template, and a replica that may become it where there is none."""
        if self._children.closing or time.monotonic() < self._resumes:
            return
        for generation in self._wanted():
            there = [one for one in self.replicas() if one.generation == generation and not one.leaving]
            missing = self.size - len(there)
            template = next((one for one in self._templates() if one.generation == generation), None)
            if not self._children.can_fork or generation <= self._unfit:
                for _ in range(missing):
                    self._start(generation, missing)
            elif template is not None:
                for _ in range(missing):
                    self._children.fork_replica(template)
            elif all(one.ready or one.forked for one in there):
                self._start(generation, missing, template=True)

    def _start(self, generation: int, missing: int, template: bool = False) -> None:
        """Start a replica from nothing: in a hurry only if one is missing of those that answer."""
        urgent = missing > 0 and self.current is not None and generation == self.current[0]
        kept = self.deployed.home if self.deployed else self._plan.home
        options = {"--env": self._plan.env, "--log": self._plan.log, "--home": kept}
        python = self.deployed.python if self.deployed else sys.executable
        self._children.start_replica(self.folder, generation, options, urgent, python, template)

    def _templates(self) -> list[Child]:
        return [one for one in self._children.of("template") if one.folder == self.folder and not one.retired]

    def became_template(self, loader: Child, message: Message) -> None:
        """What was started as a replica can be forked."""
        loader.role, loader.about = "template", message
        self._say("loaded", message | {"pid": loader.pid})
        self._go_on_with(loader)

    def became_ready(self, replica: Child, message: Message) -> None:
        """A replica is ready to answer."""
        replica.ready, replica.readied, replica.about = True, time.monotonic(), message
        self.name, self.trouble, self.failure = message["service"]["name"], "", ""
        known_as = {"deployed": f"{self.deployed.name} ({self.deployed.release[:7]})"} if self.deployed else {}
        known_as |= {"at": replica.address} if replica.elsewhere else {}
        self._say("ready", message | {"pid": replica.pid} | known_as)
        for front in self._children.of("front"):
            self._introduce(replica, front)
        if replica.forked:
            self._stillborn = 0
            for template in self._templates():
                template.answered |= template.generation == replica.generation
        else:
            self._unfit = max(self._unfit, replica.generation)
        self._go_on_with(replica)
        self.settle()

    def _go_on_with(self, loaded: Child) -> None:
        """Fill the generation, unless the folder is no longer what it was made from: then another begins."""
        peers = [one for one in self.ready() if one.generation == loaded.generation]
        if loaded.generation == self._newest and any(one.release != loaded.release for one in peers):
            self.begin()
        else:
            self.fill()

    def settle(self) -> None:
        """Let the right version answer, and older ones go."""
        if self.ended:
            self._dismiss_templates()
            return
        fronts = {front.pid for front in self._children.of("front")}
        able = [one for one in self.ready() if fronts and one.attached >= fronts]
        current = elect(self.current, [(one.generation, one.release) for one in able], self.size)
        if current is not None and current != self.current:
            self._turn_to(current, next(one.about for one in able if (one.generation, one.release) == current))
        if current is not None:
            self._spare([one for one in able if (one.generation, one.release) == current])
        self._dismiss_templates()

    def _turn_to(self, version: Version, about: Message) -> None:
        former, self.about, self.current = self.about, about, version
        name = about["service"]["name"]
        if self.deployed is None:
            self._children.tell("front", do="serve", name=name, release=version[1])
        if self.deployed is None and former and former["service"]["name"] != name:
            self._children.tell("front", do="end", name=former["service"]["name"])
        for replica in self.replicas():
            if replica.generation < version[0]:
                self._retire(replica)

    # Letting go

    def _spare(self, able: Sequence[Child]) -> None:
        """Of more replicas than there should be, those that are leaving go, else the oldest."""
        by_age = sorted(able, key=lambda one: (not one.leaving, one.started))
        for replica in by_age[: max(len(able) - self.size, 0)]:
            self._retire(replica)

    def _take_back(self) -> None:
        """What other machines are yet to start, and is not needed any more, they need find no room for."""
        for generation in self._wanted():
            there = [one for one in self.replicas() if one.generation == generation and not one.leaving]
            ordered = [one for one in there if one.elsewhere and not one.ready]
            for replica in ordered[: max(len(there) - self.size, 0)]:
                self._retire(replica)

    def _retire(self, replica: Child) -> None:
        replica.retired = True
        self._children.tell("front", do="detach", address=replica.address)
        self._loop.call_later(STOP_LIMIT_S, replica.kill)
        self._dismiss(replica)

    def let_go(self, replica: Child, front: Child) -> None:
        """A front does not know the replica any more."""
        replica.known_to.discard(front.pid)
        replica.attached.discard(front.pid)
        self._dismiss(replica)

    def _dismiss(self, replica: Child) -> None:
        """End a retired replica that no front knows; one that still loads would not hear that it is hung up."""
        if replica.retired and not replica.known_to:
            self._children.dismiss(replica)
            if not replica.ready:
                replica.kill()

    def _dismiss_templates(self) -> None:
        """A template stays as long as there are replicas of its generation: it cleans up after them."""
        needed = {
            *(self._wanted() if self.size else ()),
            *(one.generation for one in self._children.of("replica") if one.folder == self.folder),
        }
        for template in self._templates():
            if template.generation not in needed or template.generation <= self._unfit:
                template.retired = True
                self._children.dismiss(template)
                self._loop.call_later(STOP_LIMIT_S, template.kill)

    # Deaths

    def lost(self, child: Child) -> float | None:
        """A replica or template died: in how many seconds another is started in its place; None where none is."""
        if child.forked and not child.ready:
            self._stillborn += 1
            if self._stillborn >= STILLBORN:
                self._unfit = max(self._unfit, child.generation)
        if child.elsewhere:  # no front may have noticed
            self._children.tell("front", do="detach", address=child.address)
        else:
            child.answered |= has_answered(in_hand(child.address))
        then = self._deaths.another(child.was_of_use, max(self.size, 1), time.monotonic())
        if self._waits_for_an_edit(child):
            self._broken = child.generation
        if child.generation not in self._wanted():
            return None
        self._resumes = time.monotonic() + then.delay_s
        self._loop.call_later(then.delay_s, self.fill)
        if then.loop:
            self.trouble = then.loop
            self._loop.call_soon(self._give_up, then.delay_s)
        return then.delay_s

    def _waits_for_an_edit(self, child: Child) -> bool:
        """Where edits are watched, a new generation that cannot be loaded is not tried again."""
        is_current = self.current is not None and child.generation == self.current[0]
        is_innocent = child.is_innocent or child.ready or child.role == "template"
        return self._plan.reload and not (is_current or is_innocent)

    def _give_up(self, retry_s: float) -> None:
        said = {"name": self.name or self.folder, "because": self.trouble, "retry_s": retry_s}
        self._say("crash_loop", said | {"hint": "look at the lines above; tenfold check loads it in the foreground"})
        if self.deployed is None:
            self._children.tell("front", do="trouble", name=self.name, because=self.trouble, retry_s=retry_s)

    def outgrown(self, replica: Child, what: str) -> None:
        """A replica takes more memory than it may: another is to take its place, unless that would be as large."""
        said = {
            "name": self.name,
            "pid": replica.pid,
            "memory_bytes": replica.memory.now_bytes,
            "ceiling_bytes": replica.about["memory_bytes"],
        }
        if what == "large" and self._large < replica.generation:
            self._large = replica.generation
            self._say("too_large", said | {"hint": "raise memory under [server] in tenfold.toml"})
        elif what == "grown" and not any(one.leaving for one in self.replicas()):
            replica.leaving = True
            self._say("recycling", said)
            self.fill()

    def move(self, replica: Child) -> None:
        """It is better off on another machine: one that is placed there is to take its place."""
        if replica.ready and not any(one.leaving for one in self.replicas()):
            replica.leaving = True
            self._say("moving", {"name": self.name, "at": replica.address})
            self.fill()

    # What others are told

    def known(self) -> Message:
        """What the admin process shows of the service."""
        memory = [
            {
                "now_bytes": one.memory.now_bytes,
                "at_start_bytes": one.memory.at_start_bytes,
                "growth_bytes_per_h": one.memory.growth_bytes_per_h,
            }
            for one in self.ready()
        ]
        return {
            **self.about,
            "folder": self.folder,
            "home": self.home,
            "env": self._plan.env,
            "deployed": self.deployed.release if self.deployed else "",
            "replicas": len(memory),
            "memory": memory,
            "trouble": self.trouble,
            "scaling": self.scaling,
        }

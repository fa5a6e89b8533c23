"""The deployer: brings releases from the store to where they answer, as the decision says, and back.

A process of its own, so that a gate or a slow disk delays nobody. The store has what is wanted, the supervisor tells what is
there, and what comes next is decided by ``releases.policy``; here it is done. Every step is on record before it is taken. A
deployer that is killed is started again and goes on: its lease tells that nobody else does, and its token that it still may.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from tenfold.control.canaries import Answers, Side
from tenfold.control.fleet import Fleet, Orders, Route, fleet_of, requests_of, tallies
from tenfold.control.leases import Leases
from tenfold.control.progress import Course, Progress
from tenfold.control.standings import standing
from tenfold.control.steering import Steering
from tenfold.control.wanted import Wanted
from tenfold.control.workshop import Examined, Workshop, home_of
from tenfold.errors import Conflict, TenfoldError
from tenfold.releases import Releases
from tenfold.releases.actions import Action, Drain, Load, RollBack, Shadow, Shift, Unload, Wait, Warm
from tenfold.releases.evidence import Guard, Tally
from tenfold.releases.policy import next_action
from tenfold.releases.rollout import Presence, Snapshot, Stage, State
from tenfold.releases.shadow import Comparison
from tenfold.releases.verdicts import guards
from tenfold.server import totals
from tenfold.server.channel import Channel
from tenfold.store import Act, Store, open_store
from tenfold.store.records import Lease, Release, Rollout

LOOK_S = 0.2
SHOW_S = 1.0  # between two words about how it stands with a service, for which its whole history is read
RATE_S = 60.0  # what the rate of requests is taken over

log = logging.getLogger("tenfold")


class Deployer:
    """All services of a store, or those that were named."""

    def __init__(self, store: Store, orders: Orders, workshop: Workshop, run: Path, names: Sequence[str] = ()) -> None:
        """``run`` is the folder with the counters of the fronts, by which this server is told from others, too."""
        self._store = store
        self._orders = orders
        self._workshop = workshop
        self._run = run
        self._wanted = Wanted(store, names)
        self._leases = Leases(store, str(run))
        self._steering = Steering(orders, workshop, self._wanted)
        self._who = f"tenfold@{socket.gethostname()}"
        self._progress = Progress(store, orders, self._wanted, self._who)
        self._courses: dict[str, Course] = {}
        self._expected: tuple[int, str] | None = None
        self._shown: dict[str, float] = {}  # when it was shown last how it stands with a service

    def look(self, fleet: Fleet, now: float) -> None:
        """Look at everything once, and do what is next. ``now`` is in seconds of Unix time. What goes wrong with one service
        keeps no other one waiting, and is raised at the end."""
        self._steering.fleet = fleet
        self._wanted.read()
        services, wrong = self._wanted.services(), None
        for service in services:
            try:
                self._look_at(service, now)
            except Conflict as conflict:  # somebody asked for something meanwhile, or took over
                log.info("%s", conflict.message)
                self._forget(service)
            except (TenfoldError, OSError) as error:
                wrong = error
        self._expect(services)
        self._show(now)
        if wrong is not None:
            raise wrong

    def _look_at(self, service: str, now: float) -> None:
        rollout = self._wanted.rollouts.get(service)
        if rollout is not None and (lease := self._leases.of(service, now)):
            self._go_on(rollout, lease, now)
        else:
            self._follow(service, now)

    def _forget(self, service: str) -> None:
        """Read all of it again."""
        self._courses.pop(service, None)
        self._leases.forget(service)
        self._wanted.forget()

    def _expect(self, services: Sequence[str]) -> None:
        """Once the releases of all pointers were ordered, say how many services there are."""
        wanted = {
            service: self._wanted.pointers[service].release for service in services if service in self._wanted.pointers
        }
        ordered = all(
            self._steering.fleet.within(service).of(release) or self._workshop.failure(service, release)
            for service, release in wanted.items()
        )
        alone = [service for service in services if not self._wanted.origins.get(service)]
        expected = len(services), alone[0] if len(alone) == 1 else ""
        if ordered and self._expected != expected:
            self._expected = expected
            self._orders.expect(*expected)

    # No release is on its way

    def _follow(self, service: str, now: float) -> None:
        """Let what the pointer means answer, and nothing else."""
        self._courses.pop(service, None)
        pointer = self._wanted.pointers.get(service)
        if service not in self._wanted.rollouts:
            self._leases.give_back(service)
        if pointer is None:
            return
        running = self._steering.fleet.within(service).of(pointer.release)
        if running is None or running.presence is Presence.ABSENT:
            self._steering.begin(service, pointer.release, now)
        elif running.presence is Presence.READY and self._steering.routed(service, Route(running.label), now):
            for other in self._steering.fleet.crews:
                if other.service == service and other.release != pointer.release and other.presence != Presence.ABSENT:
                    self._orders.end(other.folder)

    # A release is on its way

    def _go_on(self, rollout: Rollout, lease: Lease, now: float) -> None:
        course = self._courses.get(rollout.service)
        if course is None or course.rollout.id != rollout.id or course.rollout.version < rollout.version:
            course = self._courses[rollout.service] = Course(rollout, self._progress.remembered(rollout))
        if not _is_in_place(course):
            self._resume(rollout.service, now)
        if course.state is None:
            self._examine(course, lease)
        else:
            self._move(course, course.state, lease, now)

    def _examine(self, course: Course, lease: Lease) -> None:
        """Before anything of it runs beside what answers: does it pass its gates?"""
        rollout = course.rollout
        release, current = (self._wanted.release(rollout.service, one) for one in (rollout.to, rollout.from_))
        assert release is not None
        if rollout.detail.get("asked") == "rollback":
            self._progress.change(
                course, "rolled_back", Act(self._who, "rolled back", "it was asked for"), lease, ended=True
            )
            return
        if rollout.state == "making room":
            self._make_room(course, release, lease)
            return
        examined = Examined("") if rollout.plan.get("back") else self._workshop.examined(rollout.id, release, current)
        if examined is None:
            if rollout.state == "pending":
                said = f"{release.name} is examined before it gets any traffic"
                self._progress.change(course, "gating", Act(self._who, "examine", said), lease)
            return
        if examined.refusal:
            self._progress.change(course, "refused", Act(self._who, "refuse", examined.refusal), lease, ended=True)
            self._orders.say("rollout", name=release.name, did="refused", because=examined.refusal)
            return
        if current is not None and not examined.fits_beside:
            said = f"{current.name} has to go first: both do not fit into memory"
            self._progress.change(course, "making room", Act(self._who, "make room", said), lease)
            return
        state = State(old=current.name if current else "", new=release.name)
        said = f"{release.name} is on its way"
        self._progress.change(course, Stage.STARTING, Act(self._who, "start", said), lease, state=state)
        course.state = state

    def _make_room(self, course: Course, release: Release, lease: Lease) -> None:
        """Where both do not fit into memory, the old release goes, and the new one begins like a first one. Should it fail,
        what the pointer means is started again."""
        running = self._steering.fleet.within(course.rollout.service).of(course.rollout.from_)
        if running is not None:
            self._orders.end(running.folder)
            return
        state = State(old="", new=release.name)
        said = f"{release.name} is on its way, and nothing answers until it does"
        self._progress.change(course, Stage.STARTING, Act(self._who, "start", said), lease, state=state)
        course.state = state

    def _resume(self, service: str, now: float) -> None:
        """After a restart nothing answers: what the pointer means does so first, whatever else is on its way."""
        pointer, route = self._wanted.pointers.get(service), self._steering.fleet.routes.get(service, Route(""))
        if pointer is None or route is None or route.release:
            return
        fleet = self._steering.fleet.within(service)
        if fleet.presence(pointer.release) is Presence.ABSENT:
            self._steering.begin(service, pointer.release, now)
        elif fleet.presence(pointer.release) is Presence.READY:
            self._steering.routed(service, Route(fleet.label(pointer.release)), now)

    def _move(self, course: Course, state: State, lease: Lease, now: float) -> None:
        rollout = course.rollout
        seen = self._seen(course, now)
        if seen is None:
            return
        policy = msgspec.convert(rollout.plan["policy"], Releases)
        action, after = next_action(seen, policy, state, now)
        if isinstance(action, RollBack):  # those who ask come first, the record right after
            self._do(action, rollout, now)
        if not isinstance(action, Wait) or after.stage is not state.stage:
            self._progress.step(course, action, after, seen, lease)
        course.state = after  # not before it is on record: what failed is done again
        self._progress.note(course, action, seen, now)
        self._do(action, rollout, now)

    def _seen(self, course: Course, now: float) -> Snapshot | None:
        """What one look shows; None while the fronts are about to do what they were told."""
        rollout, fleet = course.rollout, self._steering.fleet.within(course.rollout.service)
        route = fleet.routes.get(rollout.service, Route(""))
        pointer = self._wanted.pointers.get(rollout.service)
        if route is None or (pointer is None and rollout.from_):
            return None
        new, old = fleet.label(rollout.to), fleet.label(rollout.from_)
        answers = bool(new) and route.release == new
        shares = bool(new) and route.new == new
        counters = [totals.read(self._run, label) if label else Counter[str]() for label in (new, old)]
        failed = self._workshop.failure(rollout.service, rollout.to)
        running = fleet.of(rollout.to)
        return Snapshot(
            old=fleet.presence(rollout.from_) if rollout.from_ else Presence.ABSENT,
            new=Presence.FAILED if failed else fleet.presence(rollout.to),
            percent=100.0 if answers else route.percent if shares else 0.0,
            promoted=pointer is not None and pointer.release == rollout.to,
            shadowing=shares and route.shadowing,
            tallies={**tallies(*counters), **self._answers(course, new, old, now)},
            shadow=fleet.comparison(rollout.service) if shares else Comparison(),
            requests_per_s=rate(course.counts, now, sum(map(requests_of, counters))),
            failure=failed or (running.failure if running else ""),
            asked=rollout.detail.get("asked", ""),
        )

    def _answers(self, course: Course, new: str, old: str, now: float) -> Mapping[Guard, Tally]:
        """What is counted of the answers themselves, once both releases give some."""
        rollout, state = course.rollout, course.state
        declared = guards(msgspec.convert(rollout.plan["policy"], Releases))
        if state is None or state.stage is not Stage.STEPPING or not (new and old):
            return {}
        if course.answers is None:
            releases = [self._wanted.release(rollout.service, one) for one in (rollout.to, rollout.from_)]
            sides = [Side(self._store.spec(one), label) for one, label in zip(releases, (new, old), strict=True) if one]
            home = home_of(self._store, rollout.service)
            course.answers = Answers(home, sides[0], sides[1], rollout.at.timestamp())
        return course.answers.tallies(declared, state.since, now)

    def _do(self, action: Action, rollout: Rollout, now: float) -> None:
        """What can be done without the store."""
        service, fleet = rollout.service, self._steering.fleet.within(rollout.service)
        old, new = fleet.label(rollout.from_), fleet.label(rollout.to)
        match action:
            case Load(release=name) | Warm(release=name):
                self._steering.begin(service, self._id(rollout, name), now)
            case Shadow():
                self._steering.routed(service, Route(old, new, 0.0, True), now)
            case Shift(percent=100.0):
                self._steering.routed(service, Route(new), now)
            case Shift(percent=percent):
                self._steering.routed(service, Route(old, new, percent) if percent else Route(old), now)
            case RollBack():
                self._steering.routed(service, Route(old), now)
            case Drain(release=name) | Unload(release=name):
                running = fleet.of(self._id(rollout, name))
                if running is not None:
                    self._orders.end(running.folder)

    def _id(self, rollout: Rollout, name: str) -> str:
        """The release that a decision calls by its name."""
        state = self._courses[rollout.service].state
        return rollout.to if state is not None and name == state.new else rollout.from_

    # On record

    def _show(self, now: float) -> None:
        """Let the server show how it stands with the releases of services, where that has changed."""
        for service in [one for one in self._wanted.news if abs(now - self._shown.get(one, -SHOW_S)) >= SHOW_S]:
            if about := standing(self._store, service):
                self._orders.about(service, about)
            self._wanted.news.discard(service)
            self._shown[service] = now


def _is_in_place(course: Course) -> bool:
    """Whether the old release had to go first: then it is not started beside the new one, after a restart either."""
    rollout, state = course.rollout, course.state
    return rollout.state == "making room" or bool(rollout.from_ and state is not None and not state.old)


def rate(counts: deque[tuple[float, int]], now: float, requests: int) -> float:
    """Requests a second over the last minute, or as much of it as there is; counters may begin anew."""
    if counts and requests < counts[-1][1]:
        counts.clear()
    counts.append((now, requests))
    while now - counts[0][0] > RATE_S:
        counts.popleft()
    then, before = counts[0]
    return (requests - before) / max(now - then, 1.0)


def main(channel: int, run: str, store: str, replicas: int, names: Sequence[str]) -> None:
    """Run the deployer on an inherited line to its supervisor."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line = Channel.inherited(channel)
    poll = select.poll()
    poll.register(line, select.POLLIN)
    deployer: Deployer | None = None
    fleet: Fleet | None = None
    wait_s, said = 0.0, ""
    while True:
        if poll.poll(wait_s * 1000):
            messages = line.receive()
            if messages is None:
                os._exit(0)  # whatever is being made ready or examined is in vain
            fleet = fleet_of(messages) or fleet
        wait_s = LOOK_S
        if fleet is None:  # what runs is told first thing: before, nothing would seem to
            continue
        try:
            if deployer is None:
                opened = open_store(store)
                deployer = Deployer(opened, Orders(line), Workshop(store, replicas), Path(run), names)
            deployer.look(fleet, time.time())
        except (TenfoldError, OSError) as error:  # what answers goes on answering
            if str(error) != said:
                said = str(error)
                log.warning("the store cannot be followed at present: %s", said)
            wait_s = 1.0

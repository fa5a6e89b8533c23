"""How far rollouts are, on record: each step before it is taken, and in between for people to see."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tenfold.control.canaries import Answers
from tenfold.control.fleet import Orders
from tenfold.control.wanted import Wanted
from tenfold.releases.actions import Action, Bake, Drain, Load, Promote, RollBack, Shadow, Shift, Unload, Wait, Warm
from tenfold.releases.rollout import Snapshot, State
from tenfold.store import Act, Store
from tenfold.store.records import ROLLOUT, Lease, Rollout

NOTE_S = 2.0  # between two notes of how far a rollout is

WORDS: dict[type, str] = {
    Load: "load",
    Warm: "warm",
    Shadow: "shadow",
    Shift: "shift",
    Bake: "bake",
    Promote: "promote",
    Drain: "drain",
    Unload: "unload",
    RollBack: "rollback",
    Wait: "wait",
}
OUTCOMES = {"promoted": "promoted", "rolled_back": "rolled back"}


@dataclass
class Course:
    """A rollout as this deployer goes on with it. ``noted`` is when its progress was last put down, and as what."""

    rollout: Rollout
    state: State | None = None
    noted: tuple[float, str] = (0.0, "")
    counts: deque[tuple[float, int]] = field(default_factory=deque)
    answers: Answers | None = None


class Progress:
    """What the store is told of the rollouts that a deployer (``who``) goes on with."""

    def __init__(self, store: Store, orders: Orders, wanted: Wanted, who: str) -> None:
        self._who = who
        self._store = store
        self._orders = orders
        self._wanted = wanted

    def remembered(self, rollout: Rollout) -> State | None:
        """Where it stood: as it was noted since its last step, else at that step; None while it is examined."""
        found = self._store.evidence.of(rollout.service, rollout.to, ROLLOUT)
        if found and (found[0].content["rollout"], found[0].content["version"]) == (rollout.id, rollout.version):
            return msgspec.convert(found[0].content["state"], State)
        kept = rollout.detail.get("state")
        return msgspec.convert(kept, State) if kept else None

    def step(self, course: Course, action: Action, state: State, seen: Snapshot, lease: Lease) -> None:
        """The step, and the pointer where it moves, in one transaction."""
        rollout, outcome = course.rollout, state.outcome
        what = WORDS[type(action)] if outcome == "running" else OUTCOMES[outcome]
        if isinstance(action, RollBack) and seen.asked == "rollback":
            what = "turn back"  # the rollback was on record when it was asked for
        percent = action.percent if isinstance(action, Shift) else seen.percent
        act = Act(self._who, what, action.reason, {"percent": percent} if isinstance(action, Shift) else {})
        if rollout.detail.get("last") == (said := [str(state.stage), what, action.reason]):
            return
        self._orders.say("rollout", name=state.new, did=what, because=action.reason)
        with self._store.transaction():
            if isinstance(action, Promote):
                self._point(rollout, rollout.to, act._replace(who=rollout.who, detail={"by": self._who}), lease)
                return
            if isinstance(action, RollBack) and seen.promoted and rollout.from_:
                by = rollout.detail.get("asked_by", self._who)
                self._point(
                    rollout, rollout.from_, act._replace(who=by, what="turn back", detail={"by": self._who}), lease
                )
            ended = outcome != "running"
            self.change(course, state.stage, act, lease, ended=ended, state=state, last=said, percent=percent)

    def _point(self, rollout: Rollout, release: str, act: Act, lease: Lease) -> None:
        """Let the service mean this release from now on: a deployment is the act of whoever asked for it."""
        pointer = self._wanted.pointers.get(rollout.service)
        expected = pointer.generation if pointer else 0
        self._store.pointers.move(rollout.service, release, act, expected=expected, fence=lease)
        self._wanted.forget()

    def change(self, course: Course, stage: str, act: Act, lease: Lease, *, ended: bool = False, **detail: Any) -> None:
        """A rollout is further than it was, or has ``ended``; ``detail`` is what a successor has to know of it."""
        before = course.rollout
        kept = {**before.detail, **msgspec.to_builtins(detail)}
        course.rollout = self._store.rollouts.change(before, stage, act, detail=kept, ended=ended, fence=lease)
        self._wanted.rollouts[before.service] = course.rollout
        self._wanted.forget()

    def note(self, course: Course, action: Action, seen: Snapshot, now: float) -> None:
        """How far it is, for people to see and for a successor to go on from; not an event."""
        when, said = course.noted
        if action.reason != said and now - when >= NOTE_S:
            course.noted = now, action.reason
            rollout = course.rollout
            content = {
                "rollout": rollout.id,
                "version": rollout.version,
                "state": msgspec.to_builtins(course.state),
                "percent": seen.percent,
                "reason": action.reason,
                "fix": action.fix if isinstance(action, Wait) else "",
                "needed": action.needed if isinstance(action, Wait) else None,
                "seconds": action.seconds if isinstance(action, Wait) else None,
                "requests_per_s": seen.requests_per_s,
                "compared": seen.shadow.describe() if seen.shadow.compared else "",
            }
            self._store.evidence.put(rollout.service, rollout.to, ROLLOUT, content)
            self._wanted.news.add(rollout.service)

"""What is seen of a rollout, and what is remembered of it: values that are saved as they are.

A release on its way:

    STARTING ── SHADOWING ── STEPPING ── BAKING ── RETIRING ── PROMOTED
    new is      both are     new gets    new gets   old leaves   old is
    brought     asked, old   a share,    all, is                 gone
    to READY    answers      then more   current,
                                         old warm

Each stage may be passed without a stop. Until the old release is gone, each leads to TURNING_BACK (old gets all, new
leaves) and on to ROLLED_BACK. The last of either way is the end. What is public is coarser: running, promoted, rolled back.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from tenfold.releases.evidence import OUTCOMES, Evidence, Guard, Tally
from tenfold.releases.shadow import Comparison


class Presence(StrEnum):
    """How far a release is on this deployment: in the order of its life, and FAILED once it was given up."""

    ABSENT = "absent"
    LOADING = "loading"
    LOADED = "loaded"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    DRAINED = "drained"
    """It is loaded still, and answers nothing any more."""
    FAILED = "failed"


class Stage(StrEnum):
    """Where a rollout stands; drawn above."""

    STARTING = "starting"
    SHADOWING = "shadowing"
    STEPPING = "stepping"
    BAKING = "baking"
    RETIRING = "retiring"
    PROMOTED = "promoted"
    TURNING_BACK = "turning_back"
    ROLLED_BACK = "rolled_back"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What one look shows. Everything in it may be read anew after a crash.

    ``percent`` is the share of the requests that the fronts give to the new release; ``promoted`` says that the service's
    pointer means it. ``tallies`` are counters of requests that only grow (they may begin anew), without warm-up and copies;
    a guard-rail that nobody counts is left out. ``requests_per_s`` are those of the service, over as long as the host finds
    fit. ``asked`` is what a person wants.
    """

    old: Presence = Presence.ABSENT
    new: Presence = Presence.ABSENT
    percent: float = 0.0
    promoted: bool = False
    shadowing: bool = False
    tallies: dict[Guard, Tally] = {}
    shadow: Comparison = Comparison()
    requests_per_s: float = 0.0
    failure: str = ""
    asked: Literal["", "promote", "rollback"] = ""

    def counted(self, declared: tuple[Guard, ...]) -> dict[Guard, Tally]:
        """The tallies of the declared guard-rails, and of all outcomes together."""
        tallies = {guard: self.tallies[guard] for guard in declared if guard in self.tallies}
        outcomes = [tally for guard, tally in tallies.items() if guard in OUTCOMES]
        if outcomes:
            tallies[Guard.ANY] = Tally(
                sum(tally.new_bad for tally in outcomes),
                max(tally.new_of for tally in outcomes),
                sum(tally.old_bad for tally in outcomes),
                max(tally.old_of for tally in outcomes),
            )
        return tallies


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollout has to remember between two looks. Saved before an action is taken, it survives a kill at any moment:
    whether the action happened, the next snapshot says.

    ``old`` and ``new`` are called as people call them (``tumour-check@14``); ``old`` is "" where nothing ran before.
    ``since`` is when the present stage or step was seen to have begun, in seconds of Unix time, None before that. ``steps``
    are shares of one, ``step`` the present one. ``evidence`` has what was counted, ``seen`` the counters up to which.
    ``because`` says what led to the present stage or step.
    """

    old: str
    new: str
    stage: Stage = Stage.STARTING
    since: float | None = None
    steps: tuple[float, ...] = ()
    step: int = 0
    evidence: dict[Guard, Evidence] = {}
    seen: dict[Guard, Tally] = {}
    seen_shadow: tuple[int, int] = (0, 0)
    because: str = ""

    @property
    def outcome(self) -> Literal["running", "promoted", "rolled_back"]:
        """What others need to know."""
        if self.stage is Stage.ROLLED_BACK:
            return "rolled_back"
        return "promoted" if self.stage is Stage.PROMOTED else "running"

"""A deployment that does what a rollout says, a little later, and may lose everything but what is saved."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec.structs import replace

from tenfold.releases.actions import Action, Drain, Load, Promote, RollBack, Shadow, Shift, Unload, Warm
from tenfold.releases.evidence import Guard, Tally
from tenfold.releases.rollout import Presence, Snapshot
from tenfold.releases.shadow import Comparison

LATER = {
    Presence.LOADING: Presence.LOADED,
    Presence.WARMING: Presence.READY,
    Presence.DRAINING: Presence.DRAINED,
}


@dataclass
class World:
    """Two releases, ``a@1`` and ``a@2``, and the requests between them: ``per_look`` come in from one look to the next.

    Of those to the new release, every ``new_bad``-th fails, of those to the old one every ``old_bad``-th; 0 for none.
    """

    per_look: int = 1000
    new_bad: int = 0
    old_bad: int = 0
    seen: Snapshot = field(default_factory=lambda: Snapshot(old=Presence.READY, requests_per_s=1000.0))
    now: float = 1e9
    done: list[Action] = field(default_factory=list)

    def act(self, action: Action) -> None:
        """Do as the decision says."""
        self.done.append(action)
        match action:
            case Load(release=release):
                self.become(release, Presence.LOADING)
            case Warm(release=release):
                is_loaded = self.presence(release) is Presence.LOADED
                self.become(release, Presence.WARMING if is_loaded else Presence.READY)
            case Shadow():
                self.see(shadowing=True)
            case Shift(percent=percent):
                self.see(percent=percent, shadowing=False)
            case Promote():
                self.see(promoted=True)
            case RollBack():
                old = Presence.READY if self.seen.old in (Presence.DRAINING, Presence.DRAINED) else self.seen.old
                self.see(percent=0.0, promoted=False, shadowing=False, old=old)
            case Drain(release=release):
                self.become(release, Presence.DRAINING)
            case Unload(release=release):
                self.become(release, Presence.ABSENT)

    def see(self, **what: object) -> None:
        """From now on, a look shows this."""
        self.seen = replace(self.seen, **what)

    def presence(self, release: str) -> Presence:
        """How far a release is."""
        return self.seen.new if release == "a@2" else self.seen.old

    def become(self, release: str, presence: Presence) -> None:
        """A release is so far now."""
        self.see(**{"new" if release == "a@2" else "old": presence})

    def pass_s(self, seconds: float) -> None:
        """Time passes: what was begun is done, and requests are answered."""
        self.now += seconds
        seen = self.seen
        new = round(self.per_look * seen.percent / 100) if seen.new is Presence.READY else 0
        old = self.per_look - new
        tally = seen.tallies.get(Guard.ERRORS, Tally())
        more = Tally(new // self.new_bad if self.new_bad else 0, new, old // self.old_bad if self.old_bad else 0, old)
        compared = seen.shadow.compared + self.per_look * seen.shadowing
        self.see(
            old=LATER.get(seen.old, seen.old),
            new=LATER.get(seen.new, seen.new),
            tallies={Guard.ERRORS: tally.plus(more)},
            shadow=Comparison(compared),
        )

    def restart(self) -> None:
        """The whole server was killed, and comes back with what its pointer means: everything else is gone, counters too."""
        promoted = self.seen.promoted
        self.seen = Snapshot(
            old=Presence.ABSENT if promoted else Presence.LOADING,
            new=Presence.LOADING if promoted else Presence.ABSENT,
            percent=100.0 if promoted else 0.0,
            promoted=promoted,
            requests_per_s=self.seen.requests_per_s,
        )

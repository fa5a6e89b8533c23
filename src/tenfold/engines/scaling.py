"""Follows the traffic: looks at what comes to each release and has its crew grow and shrink as ``scaling`` decides.

Once a second the counters of the fronts are read, every other second it is decided. Where the machine has not enough for
all, services share it. A release that has no replica is looked at more often, since somebody may be waiting.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tenfold.engines.crew import Crew
from tenfold.engines.overrides import Overrides
from tenfold.engines.plan import Plan
from tenfold.scaling.learning import Seen, learnt
from tenfold.scaling.options import Scaling
from tenfold.scaling.past import BURST_S, KEPT_S, Past
from tenfold.scaling.policy import EVERY_S, Memory, Replicas, Snapshot, decide
from tenfold.scaling.schedule import Entry, Floor, scheduled
from tenfold.scaling.sharing import Allotted, Claim, Machine, allot
from tenfold.server.channel import Message
from tenfold.server.totals import read
from tenfold.spec import Spec

LOOK_S = 0.2  # between two looks at a service that was stopped
COUNT_S = 1.0
KEPT = 20  # decisions that are shown
ESTIMATED = 0.7  # of what full batches would give: nobody has measured what is carried in time
FORK_S, START_S = 0.1, 2.0  # what a replica takes to start, before one has
MEMORY = 0.9  # of the machine's is for replicas

Measured = Callable[[Spec, Path], float | None]
"""What one replica of a release was measured to carry, in rows per second, by its folder; None where nobody did."""


class Follower:
    """One release: what came, what it was decided to need, and what is believed of its replicas."""

    def __init__(self, crew: Crew, spec: Spec, policy: Scaling, measured: float | None) -> None:
        self.crew = crew
        self.spec = spec
        self.release = str(crew.about["release"])
        self.policy = policy
        self.entries: tuple[Entry, ...] = policy.entries
        self.limit = ""
        self.needed = crew.size  # by the policy alone
        self._came: deque[float] = deque(maxlen=KEPT_S)
        self._answered: deque[float] = deque(maxlen=BURST_S)
        self._missed: deque[float] = deque(maxlen=BURST_S)
        self._sizes: deque[int] = deque(maxlen=BURST_S)
        self._before: Mapping[str, int] | None = None
        self._waiting = 0.0
        self._memory = Memory()
        self._measured = measured or self._estimated()
        self.is_measured = measured is not None
        self.rate = self._measured
        self.decisions: deque[Message] = deque(maxlen=KEPT)

    def _estimated(self) -> float:
        """What full batches would give, as one took while warming up."""
        batch_s = self.crew.about.get("batch_s")
        return ESTIMATED * self.spec.batching.max_rows / max(batch_s, 1e-4) if batch_s else 100.0

    def count(self, counters: Mapping[str, int]) -> None:
        """A second has passed: these are the counters now."""
        before, self._before = self._before, counters
        self._waiting = float(counters.get("gauge:waiting_rows", 0))
        if before is None:
            return
        since = {
            name: counters.get(name, 0) - before.get(name, 0) for name in ("came", "rows", "rows:shed", "rows:late")
        }
        self._came.append(float(since["came"]))
        self._answered.append(float(since["rows"]))
        self._missed.append(float(since["rows:shed"] + since["rows:late"]))
        self._sizes.append(len(self.crew.ready()))
        if len(self._sizes) == BURST_S and len(set(self._sizes)) == 1:
            mean = Seen(sum(self._answered) / BURST_S, sum(self._missed) / BURST_S, self._sizes[0])
            self.rate = learnt(self.rate, self._measured, mean)

    def is_called(self, counters: Mapping[str, int]) -> bool:
        """Whether rows came since the last second, or wait; they are reckoned with."""
        came = counters.get("came", 0) - self._before.get("came", 0) if self._before is not None else 0
        self._waiting = float(max(counters.get("gauge:waiting_rows", 0), came))
        return self._waiting > 0

    @property
    def startup_s(self) -> float:
        """How long its replicas took from their order to being ready, the slowest of those that are there."""
        took = [one.readied - one.started for one in self.crew.ready() if one.forked or one.elsewhere]
        if self.crew.size and took:
            return max(took)
        return max(float(self.crew.about.get("seconds", 0.0)), START_S if not self.crew.size else FORK_S)

    def decide(self, floor: Floor, now: float) -> Replicas:
        """What it needs, whatever the machine has."""
        have = self.crew.size
        ready = min(len(self.crew.ready()), have)
        seen = Snapshot(
            Past.of(list(self._came)),
            self._waiting,
            ready,
            have - ready,
            max(self.rate, 1e-3),
            self.startup_s,
            self.spec.deadline.budget_s,
        )
        self.needed = decide(seen, self.policy, self._memory, now)[0].n
        wanted, self._memory = decide(seen, self.policy, self._memory, now, floor)
        return wanted

    def claim(self, wanted: Replicas, floor: Floor) -> Claim:
        """What it asks of the machine."""
        bytes_ = max((one.memory.now_bytes for one in self.crew.ready()), default=0)
        return Claim(wanted.n, max(self.policy.bounds[0], floor.n), self.policy.share, self.policy.cores, bytes_)


class Scaler:
    """The followers of all releases of a server."""

    def __init__(
        self,
        run: Path,
        plan: Plan,
        crews: Mapping[str, Crew],
        overrides: Overrides,
        measured: Measured,
        say: Callable[[Message | None], None],
    ) -> None:
        """``run`` is the folder of counters, ``crews`` those of the server, by folder. ``say`` is told of each decision that
        changes something, and None where just what is known of a crew has changed."""
        self._run = run
        self._plan = plan
        self._crews = crews
        self._overrides = overrides
        self._measure = measured
        self._say = say
        self._followers: dict[tuple[str, str], Follower] = {}
        self._machine = machine()
        self._counted = self._decided = -float("inf")

    def has(self, machine: Machine) -> None:
        """So much there is for replicas from now on."""
        self._machine = machine

    def look(self, now: float) -> None:
        """Several times a second. ``now`` is on the monotonic clock."""
        if now - self._counted >= COUNT_S - LOOK_S / 2:
            self._counted = now
            self._overrides.look()
            self._follow()
            for follower in self._followers.values():
                follower.count(read(self._run, follower.release))
            if now - self._decided >= EVERY_S - LOOK_S / 2:
                self._decided = now
                self._decide(now)
        elif self._somebody_calls():
            self._decide(now)

    def _somebody_calls(self) -> bool:
        asleep = [one for one in self._followers.values() if not one.crew.size]
        return any(one.is_called(read(self._run, one.release)) for one in asleep)

    def _follow(self) -> None:
        """Follow what answers now; begin anew where another release does."""
        current: dict[tuple[str, str], Follower] = {}
        for folder, crew in self._crews.items():
            if crew.current is None or crew.ended:
                continue
            key = (folder, str(crew.about["release"]))
            known = self._followers.get(key)
            if known is None:
                spec = msgspec.convert(crew.about["service"], Spec)
                policy = spec.scaling if self._plan.scales else Scaling(self._plan.replicas)
                known = Follower(crew, spec, policy, self._measure(spec, Path(crew.home)))
            current[key] = known
        self._followers = current

    def _decide(self, now: float) -> None:
        """Decide for all, share the machine, and have it done."""
        wall = time.time()
        floors = [self._floor(follower, wall) for follower in self._followers.values()]
        followers = list(self._followers.values())
        wanted = [one.decide(floor, now) for one, floor in zip(followers, floors, strict=True)]
        claims = [one.claim(n, floor) for one, n, floor in zip(followers, wanted, floors, strict=True)]
        allotted = allot(claims, self._machine)
        for follower, want, given in zip(followers, wanted, allotted, strict=True):
            self._turn(follower, want, given, wall)

    def _floor(self, follower: Follower, wall: float) -> Floor:
        """What the clock, a person, or a rollout asks for: the most of these."""
        crew = follower.crew
        moment = datetime.fromtimestamp(wall, UTC)
        asked = [self._overrides.floor(crew.name, wall), scheduled(follower.entries, moment)]
        beside = [one.needed for one in self._followers.values() if one.crew.name == crew.name and one is not follower]
        if beside:  # a release that takes over, or may have to be taken back to
            asked.append(
                Floor(min(crew.size, max(beside)), "the other release needs so many, and this one may follow it")
            )
        return max(asked, key=lambda floor: floor.n)

    def _turn(self, follower: Follower, want: Replicas, given: Allotted, wall: float) -> None:
        """Have so many replicas, and say so where that is another number, or the machine limits it since lately."""
        crew, reason = follower.crew, want.reason
        if given.limit:
            reason += f"; {_limited(self._machine, given)}"
        changed, newly = given.n != crew.size, bool(given.limit) and given.limit != follower.limit
        follower.limit = given.limit
        was = crew.size
        if changed or newly:
            follower.decisions.append({"at": _moment(wall), "from": was, "to": given.n, "because": reason})
        former = crew.scaling.get("wanted")
        crew.scaling = {
            "wanted": want.n,
            "because": reason,
            "limit": given.limit,
            "rate": follower.rate,
            "is_measured": follower.is_measured,
            "startup_s": follower.startup_s,
            "decisions": list(follower.decisions),
        }
        if changed:
            crew.resize(given.n)
        if changed or newly:
            self._say({"name": crew.name, "from": was, "to": given.n, "because": reason})
        elif former != want.n:
            self._say(None)


def _limited(machine: Machine, given: Allotted) -> str:
    """What is said where the machine has no more."""
    if given.limit == "memory":
        return f"the {machine.kind}'s {machine.memory_bytes / 2**30:.1f} GiB of memory leave it {given.n}"
    cores = f"{machine.cores:g} core{'s' * (machine.cores != 1)}"
    return f"the {machine.kind}'s {cores} leave it {given.n}"


def _moment(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds")


def machine() -> Machine:
    """What this machine, or the container, has for replicas: the cores that we may use, and most of the memory."""
    cores = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota = _words(Path("/sys/fs/cgroup/cpu.max"))
    if len(quota) == 2 and quota[0].isdecimal():
        cores = min(cores, int(quota[0]) / int(quota[1]))
    limit = _words(Path("/sys/fs/cgroup/memory.max"))
    total = next(
        (int(line.split()[1]) * 1024 for line in _lines(Path("/proc/meminfo")) if line.startswith("MemTotal")), 0
    )
    if limit and limit[0].isdecimal():
        total = min(total or int(limit[0]), int(limit[0]))
    return Machine(cores, int(MEMORY * total))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()

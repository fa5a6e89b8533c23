"""How often are canaries wrong, and how soon are they right? Asked of simulated ones: `python -m benchmarks.canaries`.

Simulated rollouts go through the very decision that real ones go through, with a look every few seconds for as long as they
take. Bad events come and go with the hour, and the shares of the traffic with the steps. Beside it stands the test
that most people would write: a fixed threshold on two shares, looked at as often. Everything is drawn from `--seed`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import click
import numpy as np

from tenfold.releases import Releases
from tenfold.releases.actions import Action, Drain, Load, Promote, RollBack, Shadow, Shift, Unload, Warm
from tenfold.releases.evidence import BLOCK, Guard, Tally
from tenfold.releases.policy import next_action
from tenfold.releases.rollout import Presence, Snapshot, Stage, State
from tenfold.releases.shadow import Comparison

WEEK_S = 7 * 86400.0
USUAL = {Guard.ERRORS: 0.005, Guard.LATE: 0.003, Guard.VIOLATIONS: 0.05, Guard.PREDICTIONS: 0.01, Guard.NON_FINITE: 0.0}


@dataclass(frozen=True, slots=True)
class Traffic:
    """What comes in: shares of bad requests at the old release, and how many times as many at the new one.

    The shares swing up and down by ``swing`` within ``swing_s``. ``client_share`` of the requests have the same key, so that
    all of them go to one release.
    """

    shares: dict[Guard, float] = field(default_factory=lambda: dict(USUAL))
    times: dict[Guard, float] = field(default_factory=dict)
    requests_per_s: float = 100.0
    swing: float = 0.8
    swing_s: float = 120.0
    client_share: float = 0.0


class Course(NamedTuple):
    """How a rollout went: its end, and the requests to the new release and in all until the verdict."""

    stage: Stage
    new_requests: int
    requests: int
    because: str
    days: float


class World:
    """A deployment that does what it is told, and counts what becomes of its requests."""

    def __init__(self, traffic: Traffic, seed: int, every: int = BLOCK) -> None:
        self.traffic, self.every = traffic, every
        self.random = np.random.default_rng(seed)
        self.client_at = self.random.random()
        self.now = 0.0
        self.old, self.new = Presence.READY, Presence.ABSENT
        self.percent, self.promoted, self.shadowing, self.compared = 0.0, False, False, 0
        self.tallies = dict.fromkeys(traffic.shares, Tally())

    def look(self) -> Snapshot:
        """What is to be seen."""
        return Snapshot(
            old=self.old,
            new=self.new,
            percent=self.percent,
            promoted=self.promoted,
            shadowing=self.shadowing,
            tallies=dict(self.tallies),
            shadow=Comparison(self.compared),
            requests_per_s=self.traffic.requests_per_s,
        )

    def act(self, action: Action) -> None:
        """Do as the decision says, at once."""
        match action:
            case Load():
                self.new = Presence.LOADED
            case Warm():
                self.new = Presence.READY
            case Shadow():
                self.shadowing = True
            case Shift(percent=percent):
                self.percent, self.shadowing = percent, False
            case Promote():
                self.promoted = True
            case RollBack():
                self.percent, self.promoted, self.shadowing = 0.0, False, False
            case Drain(release=release):
                self._become(release, Presence.DRAINED)
            case Unload(release=release):
                self._become(release, Presence.ABSENT)

    def _become(self, release: str, presence: Presence) -> None:
        if release == "new":
            self.new = presence
        else:
            self.old = presence

    def serve(self) -> None:
        """A few more requests."""
        traffic = self.traffic
        share = self.percent / 100
        of_client = self.random.binomial(self.every, traffic.client_share) if traffic.client_share else 0
        new = int(self.random.binomial(self.every - of_client, share))
        new += int(of_client) if self.client_at < share else 0
        self.now += self.every / traffic.requests_per_s
        self.compared += self.every * self.shadowing
        hour = 1 + traffic.swing * math.sin(2 * math.pi * self.now / traffic.swing_s)
        for guard, bad in traffic.shares.items():
            new_bad = self._bad(new, bad * hour * traffic.times.get(guard, 1.0))
            old_bad = self._bad(self.every - new, bad * hour)
            self.tallies[guard] = self.tallies[guard].plus(Tally(new_bad, new, old_bad, self.every - new))

    def _bad(self, requests: int, share: float) -> int:
        return int(self.random.binomial(requests, min(share, 1.0))) if requests and share else 0


def rollout(traffic: Traffic, policy: Releases, seed: int, every: int = BLOCK, most_s: float = WEEK_S) -> Course:
    """One rollout, until it ended or ``most_s`` seconds have passed."""
    world, state = World(traffic, seed, every), State(old="old", new="new")
    new_requests = requests = 0
    while world.now < most_s:
        action, state = next_action(world.look(), policy, state, world.now)
        if state.outcome != "running":
            break
        if isinstance(action, RollBack):
            new_requests, requests = _answered(world)
        world.act(action)
        world.serve()
    if state.stage is Stage.PROMOTED:
        new_requests, requests = _answered(world)
    return Course(state.stage, new_requests, requests, state.because, world.now / 86400)


def _answered(world: World) -> tuple[int, int]:
    tally = next(iter(world.tallies.values()))
    return tally.new_of, tally.of


def with_one_worse(times: float, seed: int) -> Traffic:
    """Traffic in which one kind of bad event, drawn by chance, is so many times as frequent at the new release."""
    random = np.random.default_rng([seed, 1])
    guard = list(USUAL)[random.integers(4)]
    share = float(10 ** random.uniform(-3, -1.3))  # 0.1 % to 5 %
    return Traffic({**USUAL, guard: share}, {guard: times}, client_share=float(random.choice([0.0, 0.3])))


def peeking(traffic: Traffic, seed: int, looks: int = 500, every: int = BLOCK, share: float = 0.25) -> bool:
    """Whether the usual test, of two shares by their difference and at 1 % one-sided, ever calls equal releases unequal."""
    world = World(traffic, seed, every)
    world.percent = share * 100
    for _ in range(looks):
        world.serve()
        for tally in world.tallies.values():
            pooled = (tally.new_bad + tally.old_bad) / tally.of
            spread = math.sqrt(pooled * (1 - pooled) * (1 / max(tally.new_of, 1) + 1 / max(tally.old_of, 1)))
            if tally.new_of > 30 and spread and (tally.new_share - tally.old_share) / spread > 2.326:
                return True
    return False


class Row(NamedTuple):
    """A line of the table."""

    what: str
    goal: str
    found: str
    met: bool


class Case(NamedTuple):
    """One rollout to be simulated: the ``times`` as many bad events of one kind, or the traffic as it is."""

    policy: Releases
    traffic: Traffic
    seed: int
    every: int
    times: float = 0.0

    def run(self) -> Course:
        """How it went."""
        traffic = with_one_worse(self.times, self.seed) if self.times else self.traffic
        return rollout(traffic, self.policy, self.seed, self.every)


Run = Callable[[Iterable[Case]], list[Course]]


def table(runs: int, seed: int, every: int, run: Run) -> Iterator[Row]:
    """Every promise, and what came of it; what is beside a promise is asked a fifth as often."""
    seeds = range(seed, seed + runs)
    default, auto = Releases(bake="2 min"), Releases(steps="auto", bake="2 min")
    for what, policy, traffic, share in (
        ("equal releases, 1, 10 and 50 %", default, Traffic(), 1),
        ("equal releases, a client with 40 % of the traffic", default, Traffic(client_share=0.4), 5),
        ("equal releases, one step at 25 %", Releases(steps=("25%",), bake="2 min"), Traffic(), 5),
    ):
        some = seeds[: max(runs // share, 1)]
        ends = Counter(course.stage for course in run(Case(policy, traffic, s, every) for s in some))
        yield _share(f"{what}: rolled back, of {len(some):,}", ends[Stage.ROLLED_BACK] / len(some), 0.01)
        yield Row(f"{what}: promoted", "", f"{ends[Stage.PROMOTED] / len(some):.1%}", True)
    for times, share in ((5.0, 1), (10.0, 5)):
        some = seeds[: max(runs // share, 1)]
        ends = Counter(course.stage for course in run(Case(default, Traffic(), s, every, times) for s in some))
        what = f"{times:g} times one kind of bad event, of 0.1 to 5 %: promoted, of {len(some):,}"
        yield _share(what, ends[Stage.PROMOTED] / len(some), 0.01)
    worse = Traffic({**dict.fromkeys(USUAL, 0.0), Guard.ERRORS: 0.01}, {Guard.ERRORS: 10.0})
    policy = Releases(steps=("25%",), shadow_requests=0)
    taken = median(course.new_requests for course in run(Case(policy, worse, s, BLOCK) for s in seeds))
    yield Row("10 times 1 % at 25 %: requests to the new release, median", "≤ 100", f"{taken:g}", taken <= 100)
    yield from _times(runs, seed, every, (default, auto), run)
    peeked = sum(peeking(Traffic(), s) for s in seeds[: max(runs // 5, 1)]) / max(runs // 5, 1)
    yield Row("the usual test at 1 %, looked at as often: equal releases unequal", "", f"{peeked:.1%}", True)


def _share(what: str, found: float, most: float) -> Row:
    return Row(what, f"≤ {most:.0%}", f"{found:.1%}", found <= most)


def _times(runs: int, seed: int, every: int, policies: tuple[Releases, Releases], run: Run) -> Iterator[Row]:
    """How long equal releases take to be promoted, bake included."""
    for rate in (1000.0, 100.0, 10.0, 1.0):
        for name, policy in zip(("1, 10, 50 %", '"auto"'), policies, strict=True):
            traffic = Traffic(requests_per_s=rate)
            courses = run(Case(policy, traffic, s, every) for s in range(seed, seed + max(runs // 100, 1)))
            hours = median(course.days for course in courses) * 24
            yield Row(f"{rate:g} requests/s, {name}: hours to promote, median", "", f"{hours:.3g}", True)


@click.command()
@click.option("--runs", default=1000, show_default=True, help="rollouts of each kind")
@click.option("--seed", default=1, show_default=True)
@click.option("--every", default=8 * BLOCK, show_default=True, help="requests between two looks")
def main(runs: int, seed: int, every: int) -> None:
    """Print what canaries promise, and what came of it; exit with 6 where a goal is missed."""
    click.echo(f"`python -m benchmarks.canaries --runs {runs} --seed {seed} --every {every}`\n")
    click.echo("| canaries | goal | found |  |\n| --- | ---: | ---: | ---: |")
    is_met = True
    with ProcessPoolExecutor() as pool:
        for row in table(runs, seed, every, lambda cases: list(pool.map(Case.run, cases, chunksize=5))):
            click.echo(
                f"| {row.what} | {row.goal} | {row.found} | {('met' if row.met else 'open') if row.goal else ''} |"
            )
            is_met &= row.met
    raise SystemExit(0 if is_met else 6)


if __name__ == "__main__":
    main()

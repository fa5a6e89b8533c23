"""A server in miniature, in simulated time: a load, fronts with the real deciders, and replicas of a known speed."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Literal

from tenfold.batching import Line
from tenfold.deadline import Admit, Behind, Cost, admit

Speed = Callable[[random.Random, int, float], float]  # the seconds of a batch of so many rows that begins then
Fate = Literal["", "ok", "late", "refused", "dropped"]
PREFETCH = 2


def affine(
    a_s: float,
    b_s: float,
    sigma: float = 0.1,
    slow: tuple[float, float, float] = (math.inf, math.inf, 1.0),
    tail: tuple[float, float] = (0.0, 1.0),
) -> Speed:
    """``a_s`` and ``b_s`` for each row, times lognormal noise of mean 1; from one time to another so many times that; and
    for this share of batches so many times that."""

    def speed(chance: random.Random, rows: int, now: float) -> float:
        seconds = (a_s + b_s * rows) * math.exp(chance.gauss(-sigma * sigma / 2, sigma))
        if slow[0] <= now < slow[1]:
            seconds *= slow[2]
        return seconds * (tail[1] if chance.random() < tail[0] else 1.0)

    return speed


@dataclass
class Asked:
    """A request. Parts of it that wait are items of their own."""

    came: float
    due: float
    rows: int
    background: bool = False
    left: int = 0
    fate: Fate = ""
    ended: float = 0.0

    def end(self, fate: Fate, now: float) -> None:
        if not self.fate:
            self.fate, self.ended = fate, now


@dataclass(frozen=True)
class Part:
    """Rows of a request that wait together."""

    asked: Asked
    rows: int

    @property
    def due(self) -> float:
        return self.asked.due

    @property
    def abandoned(self) -> bool:
        return bool(self.asked.fate)

    def cut(self, rows: int) -> tuple[Part, Part]:
        return replace(self, rows=rows), replace(self, rows=self.rows - rows)


@dataclass
class Batch:
    items: Sequence[Part]
    rows: int
    link: Link
    began: float = 0.0


@dataclass
class Replica:
    """It answers one batch after the other, of each front in turn. The first that waits is the one that it works on."""

    waiting: deque[Batch] = field(default_factory=deque)
    busy_s: float = 0.0

    def next_turn(self, last: Front) -> None:
        """A batch of another front comes first, if there is one."""
        others = [batch for batch in self.waiting if batch.link.front is not last]
        if others:
            self.waiting.remove(others[0])
            self.waiting.appendleft(others[0])


@dataclass
class Link:
    """A replica as one front sees it. ``began`` is when the oldest batch began, as far as the front knows."""

    front: Front
    replica: Replica
    running: deque[Batch] = field(default_factory=deque)
    began: float = 0.0


class Front:
    """What the server's lane does with requests, without the bytes."""

    def __init__(self, world: World, max_rows: int, expected_s: float) -> None:
        self.world = world
        self.cost = Cost(max_rows)
        self.cost.expect(expected_s)
        self.behind = Behind()
        self.is_alone = world.is_one_front
        self.line: Line[Part] = Line(Part.cut)
        self.links = [Link(self, replica) for replica in world.replicas]
        self.batches = self.beyond = 0
        self.in_hand: list[int] = []

    def warm_up(self, speed: Speed) -> None:
        """Three batches of 1, 4, 16, … rows."""
        rows = 1
        while True:
            for _ in range(3):
                self.cost.observe(rows, speed(self.world.chance, rows, 0.0))
            if rows == self.cost.max_rows:
                break
            rows = min(4 * rows, self.cost.max_rows)

    def offer(self, asked: Asked, now: float) -> None:
        running = sum(len(link.running) for link in self.links)
        free_s = [self._busy_s(link, now) for link in self.links]
        if asked.background:
            queue = self.line.seen_by_background(free_s, running)
        else:
            queue = self.line.seen_by(asked.due, free_s, running)
        queue = queue._replace(behind_s=self.behind.mean_s, behind_peak_s=self.behind.peak_s)
        if not isinstance(admit(queue, asked.rows, self.cost, asked.due, now), Admit):
            self.line.refused(asked.rows)
            asked.end("refused", now)
            return
        asked.left = asked.rows
        for at in range(0, asked.rows, self.cost.max_rows):
            part = Part(asked, min(self.cost.max_rows, asked.rows - at))
            (self.line.add_background if asked.background else self.line.add)(part)
        self.dispatch(now)

    def dispatch(self, now: float) -> None:
        for item in self.line.expired(now):
            item.asked.end("dropped", now)
        while self.line:
            link = min(self.links, key=lambda link: len(link.running))
            ahead = bool(link.running)
            if ahead and (not self.is_alone or len(link.running) >= PREFETCH or self.line.rows < self.cost.max_rows):
                return
            begins = now + self.behind.mean_s
            if ahead:
                begins += self.cost.left_at_most_s(link.running[0].rows, now - link.began)
            items, dropped = self.line.take(self.cost, begins, ahead)
            for item in dropped:
                item.asked.end("dropped", now)
            if items:
                self._send(link, items, now)
            elif ahead:
                return

    def _send(self, link: Link, items: Sequence[Part], now: float) -> None:
        if not link.running:
            link.began = now
        batch = Batch(items, sum(item.rows for item in items), link)
        link.running.append(batch)
        self.world.begin(batch)

    def answered(self, batch: Batch, now: float) -> None:
        link = batch.link
        link.running.popleft()
        behind_s = max(batch.began - link.began, 0.0)
        took_s, link.began = now - link.began, now
        if not self.is_alone:
            self.behind.observe(behind_s)
            took_s -= behind_s
            self.cost.leave(self.behind.mean_s)
        self.batches += 1
        self.beyond += took_s > self.cost.peak_s(batch.rows)
        self.cost.observe(batch.rows, took_s)
        for item in batch.items:
            asked = item.asked
            asked.left -= item.rows
            if not asked.left:
                asked.end("ok" if now <= asked.due else "late", now)
        self.dispatch(now)

    def _busy_s(self, link: Link, now: float) -> float:
        if not link.running:
            return 0.0
        first, *others = link.running
        ahead_s = sum(self.cost.mean_s(batch.rows) for batch in others)
        waits_s = self.behind.left_s(now - link.began)
        elapsed_s = max(now - link.began - self.behind.mean_s, 0.0)
        return waits_s + self.cost.left_s(first.rows, elapsed_s) + ahead_s


@dataclass
class Report:
    """What came of the requests that came between two times; rows per second are those answered in time then."""

    rows_per_s: float
    offered_per_s: float
    asked: Sequence[Asked]

    def share(self, *fates: Fate) -> float:
        """The share of those that were let in that ended so."""
        accepted = [one for one in self.asked if one.fate != "refused"]
        return sum(one.fate in fates for one in accepted) / max(len(accepted), 1)

    @property
    def p99(self) -> float:
        """The 99th percentile of the time of answers, as a share of the time that there was."""
        shares = sorted(
            (one.ended - one.came) / (one.due - one.came) for one in self.asked if one.fate in ("ok", "late")
        )
        return shares[int(len(shares) * 0.99)] if shares else 0.0


class World:
    """Time, chance, and everything that happens."""

    def __init__(self, seed: int, speed: Speed, replicas: int = 1, fronts: int = 1, max_rows: int = 64) -> None:
        self.chance = random.Random(seed)
        self.speed = speed
        self.now = 0.0
        self.idle_s = 0.0  # a replica had nothing to do while something waited
        self.asked: list[Asked] = []
        self.replicas = [Replica() for _ in range(replicas)]
        self.is_one_front = fronts == 1
        self.fronts = [Front(self, max_rows, math.inf) for _ in range(fronts)]
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = count()

    def at(self, when: float, happens: Callable[..., None], *what: Any) -> None:
        heapq.heappush(self._events, (when, next(self._number), happens, what))

    def begin(self, batch: Batch) -> None:
        """The replica gets a batch, and begins with it unless it has another."""
        waiting = batch.link.replica.waiting
        waiting.append(batch)
        if len(waiting) == 1:
            self._run(batch)

    def _run(self, batch: Batch) -> None:
        batch.began = self.now
        seconds = self.speed(self.chance, batch.rows, self.now)
        if self.now > batch.items[-1].due:
            seconds = 1e-4  # a batch that nobody waits for is not begun
        batch.link.replica.busy_s += seconds
        self.at(self.now + seconds, self._ran, batch)

    def _ran(self, batch: Batch) -> None:
        waiting = batch.link.replica.waiting
        waiting.popleft()
        if waiting:
            batch.link.replica.next_turn(batch.link.front)
            self._run(waiting[0])
        batch.link.front.answered(batch, self.now)

    def arrivals(
        self,
        rows_per_s: float,
        budget_s: Callable[[random.Random], float] | float,
        until: float,
        rows: Callable[[random.Random], int] = lambda _: 1,
        background: bool = False,
    ) -> None:
        """Poisson arrivals that bring so many rows a second."""
        mean_rows = sum(rows(self.chance) for _ in range(1000)) / 1000

        def arrive() -> None:
            budget = budget_s if isinstance(budget_s, float) else budget_s(self.chance)
            asked = Asked(self.now, self.now + budget, rows(self.chance), background)
            self.asked.append(asked)
            self.chance.choice(self.fronts).offer(asked, self.now)
            then = self.now + self.chance.expovariate(rows_per_s / mean_rows)
            if then < until:
                self.at(then, arrive)

        self.at(0.0, arrive)

    def run(self) -> None:
        """Until nothing happens any more."""
        while self._events:
            when, _, happens, what = heapq.heappop(self._events)
            if any(front.line for front in self.fronts) and not all(replica.waiting for replica in self.replicas):
                self.idle_s += when - self.now
            self.now = when
            happens(*what)

    def report(self, since: float, until: float) -> Report:
        """What came of it."""
        ok_rows = sum(one.rows for one in self.asked if one.fate == "ok" and since <= one.ended < until)
        asked = [one for one in self.asked if since <= one.came < until]
        span_s = until - since
        return Report(ok_rows / span_s, sum(one.rows for one in asked) / span_s, asked)


def simulate(
    seed: int,
    speed: Speed,
    rows_per_s: float,
    budget_s: float,
    seconds: float,
    replicas: int = 1,
    fronts: int = 1,
    rows: Callable[[random.Random], int] = lambda _: 1,
) -> World:
    """A service with this deadline under this load, from the warm-up on until everybody has an answer."""
    world = World(seed, speed, replicas, fronts)
    for front in world.fronts:
        front.cost.expect(budget_s)
        front.warm_up(speed)
    world.arrivals(rows_per_s, budget_s, seconds, rows)
    world.run()
    return world

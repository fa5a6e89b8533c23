"""Whether a process is past help, and when another takes its place: decided from what was seen of it.

A hang is told from a long call by three signs together: one batch is held far beyond the deadline and beyond what a batch
takes, and all the while the process slept. One that works through its batch, however slowly, is left to the much longer
patience of the fronts; one that merely waits for the processor does not sleep.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import inf
from statistics import median
from typing import NamedTuple

LOOK_S = 0.2  # between two looks at every replica
STOPPED_S = 0.1  # what slows a process down by stopping it continues it sooner than this
ASLEEP_S = 1.0
FORK_S = 10.0  # longer than this no fork takes, or its template is not fit to be forked

STEADY_S = 10.0  # a replica that stayed so long was of use, whether or not anybody asked it
DELAYS_S = (0.0, 0.0, 0.1, 0.5, 1.0, 2.0)  # before the next start, by how many in a row were of no use
RETRIES_S = (10.0, 30.0, 60.0, 120.0, 300.0)  # and once that is a crash loop
MOST_DEATHS = 60  # a minute, for each replica: one that ends each second is a crash loop, whatever it answers between

WEIGH_S = 1.0  # between two looks at the memory of a replica that has a ceiling
SAMPLE_S, SAMPLES = 60.0, 60  # and what is remembered of it

Held = tuple[int, int]
"""Which front's which batch a replica is working on, as it notes it beside its socket; front 0 says that it is done with it,
and batch 0 that there was none."""


def has_answered(held: Held) -> bool:
    """Whether there was a batch before the one in hand."""
    front, batch = held
    return batch > (front > 0)


class Signs(NamedTuple):
    """What one look at a replica shows. ``cpu_s`` is all the processor time that it ever took; ``sleeps`` is whether its
    main thread waits for something else than the processor or a disk."""

    held: Held
    sleeps: bool = False
    cpu_s: float = 0.0


class Pulse(NamedTuple):
    """What the looks so far amount to: the batch in a replica's hands, since when, and for how long it slept over it."""

    held: Held = (0, 0)
    held_s: float = 0.0
    slept_s: float = 0.0
    cpu_s: float = 0.0

    def after(self, seen: Signs, elapsed_s: float) -> Pulse:
        """The pulse one look later. A supervisor that is late itself (a suspended laptop, a machine under load) holds no more
        than two looks against anybody."""
        if seen.held != self.held or not seen.held[0]:
            return Pulse(seen.held, 0.0, 0.0, seen.cpu_s)
        passed_s = min(elapsed_s, 2 * LOOK_S)
        slept = seen.sleeps and seen.cpu_s == self.cpu_s
        return Pulse(seen.held, self.held_s + passed_s, self.slept_s + passed_s if slept else 0.0, seen.cpu_s)

    def hangs(self, patience_s: float) -> str:
        """Why the replica has to go; "" while there is hope."""
        if self.held_s >= patience_s and self.slept_s >= ASLEEP_S:
            return f"it slept over one batch for {self.held_s:.1f} s"
        return ""


def patience_s(budget_s: float, batch_s: float) -> float:
    """How long a batch may be held: a second beyond the deadline, or ten times what a full one took while warming up."""
    return budget_s + max(1.0, 10 * batch_s)


class Restart(NamedTuple):
    """When to start the next one. ``loop`` says why this is a crash loop, "" where it is none."""

    delay_s: float
    loop: str = ""


def restart(useless: int, deaths_a_minute: int, replicas: int) -> Restart:
    """What follows a death. ``useless`` is how many in a row ended before they were of use: before they were ready, or had
    answered a batch, or had stayed for a while. Others are replaced at once, however many: something kills them."""
    if useless > len(DELAYS_S):
        attempt = min(useless - len(DELAYS_S), len(RETRIES_S))
        return Restart(RETRIES_S[attempt - 1], f"{useless} in a row ended before they answered anything")
    if deaths_a_minute > MOST_DEATHS * replicas:
        return Restart(RETRIES_S[0], f"{deaths_a_minute} ended within a minute")
    return Restart(DELAYS_S[max(useless, 1) - 1])


@dataclass(slots=True)
class Memory:
    """What a replica takes, in bytes, from its first minute on."""

    at_start_bytes: int = 0
    now_bytes: int = 0
    weighed: float = -inf
    samples: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=SAMPLES))

    def weigh(self, size_bytes: int, now: float) -> None:
        """It takes so much at this moment."""
        self.at_start_bytes = self.at_start_bytes or size_bytes
        self.now_bytes, self.weighed = size_bytes, now
        if not self.samples or now - self.samples[-1][0] >= SAMPLE_S:
            self.samples.append((now, size_bytes))

    def outgrew(self, ceiling_bytes: int) -> str:
        """Whether the replica has to be replaced, since it has "grown" beyond the ceiling, or would gain nothing by it, since
        it was too "large" from the start; "" otherwise, and without a ceiling (0)."""
        if not 0 < ceiling_bytes < self.now_bytes:
            return ""
        return "large" if self.at_start_bytes > ceiling_bytes else "grown"

    @property
    def growth_bytes_per_h(self) -> float:
        """How fast it grows: between the medians of the first and the last third of an hour, so that a single peak says
        nothing; 0 before there is an hour, since whatever starts grows for a while."""
        if len(self.samples) < SAMPLES:
            return 0.0
        third = SAMPLES // 3
        first, last = list(self.samples)[:third], list(self.samples)[-third:]
        grown = median(size for _, size in last) - median(size for _, size in first)
        return grown / (last[0][0] - first[0][0]) * 3600


@dataclass(slots=True)
class Deaths:
    """Those among the replicas of one service, or among the processes of another role."""

    useless: int = 0
    moments: list[float] = field(default_factory=list)

    def another(self, was_of_use: bool, processes: int, now: float) -> Restart:
        """One more died, of so many ``processes``; what follows."""
        self.useless = 0 if was_of_use else self.useless + 1
        self.moments = [moment for moment in self.moments if now - moment < 60.0] + [now]
        return restart(self.useless, len(self.moments), processes)

"""How long may an answer take? (Question 6.) A request that cannot be answered in time is refused at once.

A queue without a bound gives no good answer as soon as more arrives than can be answered; a queue bounded in
rows is right for one model and wrong for the next. This one is bounded in time: ``admit`` asks whether these
rows can still be answered before their deadline, behind those that wait already. ``Cost`` is what it knows of
the model's speed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from msgspec import Meta

from tenfold.options import Option
from tenfold.units import duration, seconds

SOONEST_RETRY_S = 0.05  # a client told to come back sooner than this would only knock


class Deadline(Option, frozen=True):
    """How long an answer may take, from complete headers to the answer, and what is said otherwise."""

    budget: Annotated[
        str, Meta(description='the time for an answer, such as "50 ms"; a header may only shorten it')
    ] = "1 s"
    otherwise: Annotated[
        dict[str, Any] | Literal["refuse"],
        Meta(description='"refuse" (503 at once), or a fallback answer: a value for each field of the output'),
    ] = "refuse"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.budget_s <= 0:
            raise self.fault("budget", "an answer takes some time")

    @property
    def budget_s(self) -> float:
        """The time for an answer in seconds."""
        return self.quantity("budget", seconds)

    @property
    def fallback(self) -> dict[str, Any] | None:
        """The answer where there is no time, or where the ``fallback`` action asks for it; None refuses."""
        return None if isinstance(self.otherwise, str) else self.otherwise

    def describe(self) -> str:
        return f"{duration(self.budget_s)}, else {'refuse' if self.fallback is None else 'the fallback answer'}"


class Cost:
    """What a batch costs in seconds: a mean and a 99th percentile for each power of two of rows.

    Both follow what is observed: the mean by exponential smoothing, the percentile by stochastic
    approximation (a step up of 0.99 where an observation lies above it, a step down of 0.01 where it lies
    below, each in units of the smoothed deviation; Robbins and Monro, 1951). A size never seen is estimated
    from its neighbours, on the careful side: it costs no less than a smaller batch and, row for row, no more
    than the largest smaller one.
    """

    MEMORY = 32  # observations that a mean looks back on

    def __init__(self, max_rows: int, seconds: float = 0.0) -> None:
        """``seconds`` is assumed for a batch of any size until one has been observed."""
        buckets = bucket(max_rows) + 1
        self.max_rows = max_rows
        self._assumed = seconds
        self._counts = [0] * buckets
        self._means = [0.0] * buckets
        self._deviations = [0.0] * buckets
        self._peaks = [0.0] * buckets

    def observe(self, rows: int, seconds: float) -> None:
        """A batch of so many rows took so long."""
        k = min(bucket(rows), len(self._counts) - 1)
        self._counts[k] += 1
        if self._counts[k] == 1:
            self._means[k] = self._peaks[k] = seconds
            return
        weight = 1 / min(self._counts[k], self.MEMORY)
        away = abs(seconds - self._means[k])
        self._means[k] += weight * (seconds - self._means[k])
        self._deviations[k] += weight * (away - self._deviations[k])
        step = self._deviations[k]
        self._peaks[k] += 0.99 * step if seconds > self._peaks[k] else -0.01 * step
        self._peaks[k] = max(self._peaks[k], self._means[k])

    def mean_s(self, rows: int) -> float:
        """The seconds that a batch of so many rows takes on average."""
        return self._estimate(self._means, rows)

    def peak_s(self, rows: int) -> float:
        """The seconds that 99 of 100 batches of so many rows stay within."""
        return self._estimate(self._peaks, rows)

    def rows_within(self, seconds: float) -> int:
        """The most rows that a batch may have so that its ``peak_s`` stays within so many seconds."""
        for k in range(len(self._peaks) - 1, -1, -1):
            if self.peak_s(1 << k) <= seconds:
                return min((1 << k), self.max_rows)
        return 0

    def _estimate(self, values: list[float], rows: int) -> float:
        wanted = bucket(rows)
        last = len(values) - 1
        for k in range(min(wanted, last), -1, -1):
            if self._counts[k]:
                return values[k] if k == wanted else values[k] * rows / (1 << k)
        for k in range(min(wanted, last), last + 1):
            if self._counts[k]:
                return values[k]
        return self._assumed


def bucket(rows: int) -> int:
    """The power of two that holds so many rows: 0 for 1, 1 for 2, 2 for 3 and 4, 3 for 5 to 8."""
    return (rows - 1).bit_length()


class Admit(NamedTuple):
    """These rows can be answered in time."""

    reason: str


class Refuse(NamedTuple):
    """These rows cannot be answered in time; after ``retry_after_s`` they might be."""

    reason: str
    retry_after_s: float


IN_TIME = Admit("in time")
IDLE = Admit("nothing waits")


class Queue(NamedTuple):
    """What ``admit`` sees of a release: rows that wait, batches that run, replicas that are ready."""

    waiting_rows: int
    running_batches: int
    replicas: int


def admit(queue: Queue, rows: int, cost: Cost, due: float, now: float) -> Admit | Refuse:
    """Can these rows be answered before ``due``, behind everything that waits?

    The rows ahead go in full batches, and the batches that run count as full, at their mean cost, spread over
    the replicas; the batch that carries these rows is taken at its 99th percentile, since no mean makes up
    for being late. A batch that finds the queue empty and the replicas idle is always let in, since nothing
    else would ever correct an estimate that has become too high. ``due`` and ``now`` are on one clock, in
    seconds.
    """
    left_s = due - now
    if queue.replicas < 1:
        return Refuse("no replica is ready", 1.0)
    if left_s <= 0:
        return Refuse("the deadline passed before the request was complete", SOONEST_RETRY_S)
    together = queue.waiting_rows + rows
    if not queue.running_batches and together == rows <= cost.max_rows:
        return IDLE
    full_s = cost.mean_s(cost.max_rows)
    batches_ahead = max(0, -(-together // cost.max_rows) - 1)
    wait_s = (batches_ahead + queue.running_batches) * full_s / queue.replicas
    own_s = cost.peak_s(min(together, cost.max_rows))
    late_s = wait_s + own_s - left_s
    if late_s <= 0:
        return IN_TIME
    needed = f"an answer would take {duration(wait_s + own_s)} of {duration(left_s)}"
    return Refuse(f"{queue.waiting_rows} rows wait; {needed}", max(late_s, SOONEST_RETRY_S))

"""The processes that answer shards on this machine: fed, watched, and replaced when they end.

A pool is all that a job knows of where its rows are answered: ``send`` a task, ``wait`` for what became of tasks. A pool
elsewhere has to keep this promise: each task is done, or its process is said to have ended, and then what it was doing.
"""

from __future__ import annotations

import math
import os
import selectors
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tenfold.errors import TenfoldError
from tenfold.jobs.line import Line, Message, contents
from tenfold.jobs.tasks import Setup, Task
from tenfold.spec import Spec
from tenfold.units import duration

QUEUED = 2  # tasks that a worker has: the one that it does, and one more, so that it need not wait for the next
STARTS = 3  # processes that may end one after the other before one has begun anything


class Done(NamedTuple):
    """A task is done: its counts, and the bytes of answers, rows put aside and rows that are sampled."""

    number: int
    result: Message
    data: bytes


class Ended(NamedTuple):
    """The process of a task ended, or did not answer in time: how, and the piece that it was probing, if any."""

    number: int
    how: str
    late: bool
    piece: tuple[int, int] | None


class Sent(NamedTuple):
    """A task and its parcel, which whoever made it closes."""

    task: Task
    parcel: int


@dataclass(slots=True, eq=False)
class Hand:
    """One process, what it was given, and what it does at the moment."""

    process: subprocess.Popen[bytes]
    line: Line
    alive: int
    ready: bool = False
    tasks: deque[Sent] = field(default_factory=deque)
    began: bool = False
    piece: tuple[int, int] | None = None
    since: float = 0.0
    overdue: bool = False


def worker(service: str, env: str, *, through: bool = False, python: str = sys.executable) -> list[str]:
    """The command of a worker; ``through``: a live service answers, and no model is loaded."""
    return [python, "-m", "tenfold", "worker", service, "--env", env, *(["--through"] if through else [])]


class Pool:
    """``count`` processes of a ``command`` (see ``worker``). ``timeout_s`` is how long a block of rows, or a piece that is
    probed, may take."""

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        timeout_s: float,
        environment: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self.count = count
        self._command = command
        self._timeout_s = timeout_s
        self._environment = environment
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._hands: list[Hand] = []
        self._setup: Setup | None = None
        self._starts = 0
        self._load_s = self._began = 0.0

    def start(self) -> Spec:
        """Start one worker, and say what its service declares. Raises what loading it raises."""
        began = self._clock()
        self._hire()
        while True:
            hand = self._hands[0]
            messages = self._hear(hand)
            if messages is None:
                self._dismiss(hand)
                self._hire()
            for message, _ in messages or ():
                if "ready" in message:
                    self._note(hand, message, -1)
                    self._load_s = self._clock() - began
                    return msgspec.convert(message["ready"], Spec)

    def begin(self, setup: Setup) -> None:
        """Tell the workers what the job is."""
        self._setup = setup
        self._began = self._clock()
        for hand in self._hands:
            hand.line.send({"setup": setup})

    @property
    def free(self) -> int:
        """How many tasks can be sent without their waiting for long."""
        ready = sum(hand.ready for hand in self._hands)
        return QUEUED * max(ready, 1) - sum(len(hand.tasks) for hand in self._hands)

    def send(self, task: Task, parcel: int) -> None:
        """Give a task to the worker that has the fewest.

        Another one is started only once the job has lasted for as long as that takes: a short job does without.
        """
        worth_it = self._clock() - self._began >= self._load_s
        if len(self._hands) < self.count and worth_it and all(hand.tasks for hand in self._hands):
            self._hire()
        hand = min(self._hands, key=lambda hand: (not hand.ready, len(hand.tasks)))
        hand.tasks.append(Sent(task, parcel))
        hand.line.send({"task": task}, parcel)

    def wait(self, at_most_s: float) -> list[Done | Ended]:
        """What became of tasks; nothing, if that much time passes. Raises what a worker says of its service."""
        found: list[Done | Ended] = []
        for key, _ in self._selector.select(min(at_most_s, self._left_s())):
            hand: Hand = key.data
            messages = self._hear(hand)
            if messages is None:
                found += self._bury(hand)
            else:
                found += [done for message, parcel in messages if (done := self._note(hand, message, parcel))]
        self._end_overdue()  # only now: who is late may have answered while nobody listened
        return found

    def close(self) -> None:
        """End all processes."""
        for hand in self._hands:
            hand.process.kill()
        for hand in list(self._hands):
            self._dismiss(hand)
        self._selector.close()

    def pids(self) -> list[int]:
        """The processes, as they are."""
        return [hand.process.pid for hand in self._hands]

    def _hire(self) -> None:
        self._starts += 1
        if self._starts > STARTS:
            raise TenfoldError(
                f"the process of the model ended {STARTS} times before it was loaded", "tenfold check SERVICE shows why"
            )
        line, theirs = Line.pair()
        follow, alive = os.pipe()
        fds = (theirs.fileno(), follow)
        process = subprocess.Popen(
            [*self._command, "--channel", str(fds[0]), "--alive", str(fds[1])],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            process_group=0,  # Ctrl-C is for the job to hear
            env=self._environment,
        )
        theirs.close()
        os.close(follow)
        hand = Hand(process, line, alive)
        self._hands.append(hand)
        self._selector.register(line, selectors.EVENT_READ, hand)
        if self._setup is not None:
            line.send({"setup": self._setup})

    def _hear(self, hand: Hand) -> list[tuple[Message, int]] | None:
        messages = hand.line.receive()
        for message, _ in messages or ():
            if "failed" in message:
                told = message["failed"]
                error = TenfoldError(told["message"], told["hint"])
                error.exit_code = told["code"]
                raise error
        return messages

    def _note(self, hand: Hand, message: Message, parcel: int) -> Done | None:
        """Take note of what a worker says."""
        hand.since = self._clock()
        if "ready" in message:
            hand.ready = True
            return None
        self._starts = 0
        match message:
            case {"began": _}:
                hand.began, hand.piece = True, None
            case {"block": _}:
                pass
            case {"piece": [first, stop]}:
                hand.piece = first, stop
            case {"done": number, "result": result}:
                hand.tasks.popleft()
                hand.began, hand.piece = False, None
                data = b""
                if parcel >= 0:
                    data = bytes(contents(parcel))
                    os.close(parcel)
                return Done(number, result, data)
        return None

    def _limit_s(self, hand: Hand) -> float:
        """How long a worker may go without a word."""
        hurried = hand.began and hand.tasks and hand.tasks[0].task.hurried
        return self._timeout_s if hurried else math.inf

    def _left_s(self) -> float:
        """How soon a worker will have taken too long."""
        now = self._clock()
        return max(0.0, min((hand.since + self._limit_s(hand) - now for hand in self._hands), default=math.inf))

    def _end_overdue(self) -> None:
        for hand in self._hands:
            if self._clock() - hand.since > self._limit_s(hand):
                hand.overdue = True
                hand.process.kill()

    def _bury(self, hand: Hand) -> list[Done | Ended]:
        """A process is gone: another one gets what it was given, but for what it was doing."""
        how = self._dismiss(hand)
        ended: list[Done | Ended] = []
        if hand.began:
            ended.append(Ended(hand.tasks.popleft().task.number, how, hand.overdue, hand.piece))
        if not self._hands or hand.tasks:
            self._hire()
        for task, parcel in hand.tasks:
            self.send(task, parcel)
        return ended

    def _dismiss(self, hand: Hand) -> str:
        """Forget a process that ends; how it ended."""
        self._hands.remove(hand)
        self._selector.unregister(hand.line)
        hand.line.close()
        os.close(hand.alive)
        code = hand.process.wait()
        if hand.overdue:
            return f"no answer in {duration(self._timeout_s)}"
        return (
            f"the model's process ended: {f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'}"
        )

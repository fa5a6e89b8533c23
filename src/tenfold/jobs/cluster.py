"""The machines of a Ray cluster that answer shards, with the same shards, manifest and guarantees as on one machine.

A member is one worker of the job, an actor somewhere in the cluster. It has a ``Pool`` of one process of its own, so that a
row which ends the model's process, or keeps it busy for ever, is noticed there; where a whole machine is lost, what it was
doing is done again by another one. Ray places the members and carries the rows, and decides nothing else.
"""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tenfold.config import single_threaded
from tenfold.errors import Conflict, TenfoldError, UsageError
from tenfold.formats.shards import pack
from tenfold.jobs.line import contents, parcel_of
from tenfold.jobs.reaching import connected
from tenfold.jobs.tasks import Setup, Task
from tenfold.jobs.workers import QUEUED, Done, Ended, Pool, Sent, worker
from tenfold.service.manifest import RELEASED
from tenfold.spec import Spec

LOST = "its machine, or Ray's process there, is gone"
STARTS = 3  # members that may be lost one after the other before any of them has said hello
LISTEN_S = 0.5
ROOM_S = 300.0  # for a cluster to find room for the first member
GOODBYE_S = 10.0
LEFT_OUT = (".tenfold", "__pycache__", ".git", ".venv")

Reply = tuple[str, Any]  # what became of something: "ready", "done", "ended", or "failed" and why


class Member:
    """What runs on a machine of the cluster."""

    def __init__(self, folder: bytes, name: str, env: str, timeout_s: float, through: bool) -> None:
        """``folder`` is the service's, as ``pack_folder`` made it; ``name`` the service in it, "" for its service.py."""
        self._home = TemporaryDirectory(prefix="tenfold-job-")
        with tarfile.open(fileobj=io.BytesIO(folder)) as packed:
            packed.extractall(self._home.name, filter="data")
        service = str(Path(self._home.name, "service", name))
        self._pool = Pool(worker(service, env, through=through), 1, timeout_s, single_threaded(), time.monotonic)

    def start(self) -> Reply:
        """Load the service, and say what it declares."""
        try:
            return "ready", msgspec.json.encode(self._pool.start())
        except TenfoldError as error:
            return "failed", _told(error)

    def begin(self, setup: bytes) -> None:
        """Hear what the job is."""
        self._pool.begin(msgspec.json.decode(setup, type=Setup))

    def do(self, task: bytes, rows: bytes) -> Reply:
        """Do a task."""
        parcel = parcel_of(partial(pack, rows))
        try:
            self._pool.send(msgspec.json.decode(task, type=Task, strict=False), parcel)
            while not (events := self._pool.wait(LISTEN_S)):
                pass
            [event] = events
            return "done" if isinstance(event, Done) else "ended", tuple(event)
        except TenfoldError as error:
            return "failed", _told(error)
        finally:
            os.close(parcel)

    def close(self) -> None:
        """End its process, and leave nothing on the machine."""
        self._pool.close()
        self._home.cleanup()


@dataclass(slots=True, eq=False)
class Hand:
    """A member as the job knows it: what it was given, and what it will have made of it."""

    actor: Any
    hello: Any
    ready: bool = False
    tasks: deque[Sent] = field(default_factory=deque)
    replies: deque[Any] = field(default_factory=deque)


class Cluster:
    """Up to ``count`` members, as many as there are free cores for 0. What ``Pool`` promises holds here, too."""

    def __init__(self, service: str, env: str, count: int, timeout_s: float, *, through: bool = False) -> None:
        """Raises ``UsageError`` where there is no Ray, or no cluster."""
        if find_spec("ray") is None:
            raise UsageError("--on ray needs Ray", "pip install 'tenfold[ray]'")
        self._ray = connected("auto")
        self.count = count or max(int(self._ray.available_resources().get("CPU", 1)), 1)
        folder, name = pack_folder(service)
        self._made = (self._ray.put(folder), name, env, timeout_s, through)
        self._spec: bytes = b""
        self._setup: bytes = b""
        self._hands: list[Hand] = []
        self._starts = 0

    def start(self) -> Spec:
        """Start one member, and say what its service declares. Raises what loading it raises."""
        self._hire()
        limit = time.monotonic() + ROOM_S
        while not self._spec:
            if time.monotonic() > limit:
                raise TenfoldError("the Ray cluster has no room for a worker", "ray status shows what it waits for")
            self.wait(LISTEN_S)
        return msgspec.json.decode(self._spec, type=Spec)

    def begin(self, setup: Setup) -> None:
        """Tell the members what the job is, and start the others."""
        self._setup = msgspec.json.encode(setup)
        for hand in self._hands:
            hand.actor.begin.remote(self._setup)
        while len(self._hands) < self.count:
            self._hire()

    @property
    def free(self) -> int:
        """How many tasks can be sent without their waiting for long."""
        ready = sum(hand.ready for hand in self._hands)
        return QUEUED * max(ready, 1) - sum(len(hand.tasks) for hand in self._hands)

    def send(self, task: Task, parcel: int) -> None:
        """Give a task to the member that has the fewest."""
        hand = min(self._hands, key=lambda hand: (not hand.ready, len(hand.tasks)))
        hand.tasks.append(Sent(task, parcel))
        hand.replies.append(hand.actor.do.remote(msgspec.json.encode(task), bytes(contents(parcel))))

    def wait(self, at_most_s: float) -> list[Done | Ended]:
        """What became of tasks; nothing, if that much time passes. Raises what a member says of its service."""
        waiting = {hand.replies[0] if hand.ready and hand.replies else hand.hello: hand for hand in self._hands}
        waiting = {ref: hand for ref, hand in waiting.items() if not (hand.ready and not hand.replies)}
        if not waiting:
            time.sleep(at_most_s)
            return []
        some, _ = self._ray.wait(list(waiting), timeout=at_most_s)
        more, _ = self._ray.wait(list(waiting), num_returns=len(waiting), timeout=0)
        found: list[Done | Ended] = []
        for ref in {*some, *more}:
            found += self._take(waiting[ref], ref)
        return found

    def close(self) -> None:
        """End all members, and leave the cluster as it was."""
        goodbyes = [hand.actor.close.remote() for hand in self._hands if hand.ready and not hand.tasks]
        if goodbyes:
            self._ray.wait(goodbyes, num_returns=len(goodbyes), timeout=GOODBYE_S)
        for hand in self._hands:
            self._ray.kill(hand.actor)
        self._ray.shutdown()

    def _hire(self) -> None:
        make = self._ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Member)
        actor = make.remote(*self._made)
        hand = Hand(actor, actor.start.remote())
        if self._setup:
            actor.begin.remote(self._setup)
        self._hands.append(hand)

    def _take(self, hand: Hand, ref: Any) -> Sequence[Done | Ended]:
        """What a member said: hello, or what became of the first of its tasks."""
        try:
            kind, told = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError:
            raise  # it is ours
        except self._ray.exceptions.RayError:
            return self._bury(hand)
        match kind:
            case "failed":
                raise _error(told)
            case "ready":
                self._greet(hand, told)
                return []
        hand.replies.popleft()
        hand.tasks.popleft()
        return [Done(*told) if kind == "done" else Ended(*told)]

    def _greet(self, hand: Hand, spec: bytes) -> None:
        hand.ready, self._starts = True, 0
        if self._spec and spec != self._spec:
            raise Conflict(
                "the machines of the cluster make different releases of the same folder",
                "install the same tenfold and the same libraries on all of them",
            )
        self._spec = spec

    def _bury(self, hand: Hand) -> Sequence[Ended]:
        """A member is gone: another one gets what it was given, but for what it was doing."""
        self._hands.remove(hand)
        self._ray.kill(hand.actor)
        self._starts += 0 if hand.ready else 1
        if self._starts >= STARTS:
            raise TenfoldError(f"workers in the cluster ended {STARTS} times: {LOST}", "ray status, and Ray's logs")
        ended = [Ended(hand.tasks.popleft().task.number, LOST, False, None)] if hand.ready and hand.tasks else []
        self._hire()
        for task, parcel in hand.tasks:
            self.send(task, parcel)
        return ended


def pack_folder(service: str) -> tuple[bytes, str]:
    """The folder of a service as a tar file, without what does not belong to it; and the name of the service in it."""
    path = Path(service)
    if not path.exists():  # file.py:Class
        path = Path(service.rpartition(":")[0])
    folder, name = (path, "") if path.is_dir() else (path.parent, Path(service).name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as tar:
        tar.add(folder, "service", filter=lambda one: None if Path(one.name).name in LEFT_OUT else one)
        if (folder / RELEASED).is_file():  # or it would be another release there
            tar.add(folder / RELEASED, f"service/{RELEASED}")
    return packed.getvalue(), name


def _told(error: TenfoldError) -> tuple[str, str, int]:
    return error.message, error.hint, error.exit_code


def _error(told: tuple[str, str, int]) -> TenfoldError:
    error = TenfoldError(*told[:2])
    error.exit_code = told[2]
    return error

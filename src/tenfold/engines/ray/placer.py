"""The process of a server that talks to Ray: places replicas in the cluster, and passes on what becomes of them.

It is apart from the supervisor since Ray brings threads, signals and hundreds of megabytes of its own. The actors are its:
if it goes, Ray ends them, and the replicas with them; nothing is left behind in the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any, NoReturn

import msgspec

from tenfold.drift.folder import folder_of, profile_in, replace, spool_in
from tenfold.engines.ray.member import Member
from tenfold.engines.ray.needs import needs_of
from tenfold.engines.ray.orders import LOST, Born, Ended, Failure, Heard, Needs, Order
from tenfold.engines.ray.room import Resources, Room, choose, crowded, lacking, machines
from tenfold.errors import Conflict, TenfoldError, UsageError
from tenfold.jobs.cluster import pack_folder
from tenfold.jobs.reaching import connected, unreachable
from tenfold.server.channel import Channel

ANSWER_S = 60.0  # for a cluster to answer: Ray itself waits for a quarter of an hour
SILENT = "what listens there does not answer as Ray does"
ROOM_S = 2.0  # between two looks at how much room there is
START_S = 5.0  # an actor that has room has mostly started by then
END_S = 5.0  # for an actor to end its process, before Ray ends both
LOST_S = 30.0  # after which Ray itself knows of a machine that is gone
SETTLED_S = 10.0  # for which another machine has to be better before a replica moves there
ORPHAN_S = 45.0  # longer than a replica stays that nobody needs
CALLS = 16  # that an actor hears at once


@dataclass(frozen=True, slots=True)
class Prepared:
    """A state of a folder, as it is in the cluster."""

    folder: Any  # Ray's reference to the packed one
    name: str
    needs: Needs


class Placer:
    """The connection to the cluster, and what was placed by it."""

    def __init__(self, line: Channel, ray: Any) -> None:
        self.ray = ray
        self.placed: set[Placed] = set()
        self.releases: dict[tuple[str, int], str] = {}  # what the machines made of a state of a folder
        self.lost: dict[str, float] = {}  # machines that took a replica along, and when
        self._here = ray.get_runtime_context().get_node_id()  # the machine of the fronts
        self._line = line
        self._prepared: dict[tuple[str, int], asyncio.Task[Prepared]] = {}
        self._room = Room(0.0, 0)
        self._crowded: dict[tuple[str, int], tuple[str, float]] = {}  # which machine has one too many, and since when
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Place what is ordered, until the supervisor hangs up and all of it has ended."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._line.fileno(), self._handed)
        looking = loop.create_task(self._look())
        await self._over.wait()
        looking.cancel()
        while self.placed:
            await asyncio.wait([one.task for one in self.placed])

    def _handed(self) -> None:
        fds = self._line.handed()
        if fds is None:
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._over.set()
        for fd in fds or ():
            Placed(self, Channel.inherited(fd))

    async def prepare(self, order: Order) -> Prepared:
        """Bring a folder to the cluster, once for each of its states, and see what its replicas need."""
        if order.state not in self._prepared:
            self._prepared[order.state] = asyncio.get_running_loop().create_task(self._prepare(order))
        return await asyncio.shield(self._prepared[order.state])

    async def _prepare(self, order: Order) -> Prepared:
        packed, name = await asyncio.to_thread(pack_folder, order.folder)
        folder = self.ray.put(packed)
        look = self.ray.remote(num_cpus=0, max_calls=1, max_retries=3)(needs_of)
        needs = await look.remote(folder, name, order.options["--env"], order.python)
        return Prepared(folder, name, msgspec.json.decode(needs, type=Needs))

    def forget(self, placed: Placed) -> None:
        """A replica has ended; with the last one of a state of a folder, that is forgotten, too."""
        self.placed.discard(placed)
        if placed.order is not None and placed.order.state not in [one.order.state for one in self.placed if one.order]:
            self._prepared.pop(placed.order.state, None)
            self.releases.pop(placed.order.state, None)
            self._crowded.pop(placed.order.state, None)

    def room(self) -> Room:
        """What the cluster has, free or taken by us."""
        free = self.ray.available_resources()
        ours = [one.needs for one in self.placed if one.is_born]
        return Room(
            free.get("CPU", 0.0) + sum(needs.cores for needs in ours),
            int(free.get("memory", 0.0)) + sum(needs.memory_bytes for needs in ours),
        )

    def lacks(self, needs: Needs) -> str:
        """What there is instead of room."""
        return lacking(needs, machines(self.ray.nodes()), self.free())

    def free(self) -> dict[str, Resources]:
        """What nobody has taken of each machine. In public Ray says that of all of them together; where it does not say more,
        each seems to be empty, and Ray finds out."""
        look = getattr(self.ray._private.state, "available_resources_per_node", None)
        return dict(look()) if look else machines(self.ray.nodes())

    async def choose(self, state: tuple[str, int], needs: Needs) -> str:
        """The machine for another replica of a state of a folder; "" where none has room."""
        free = await asyncio.to_thread(self.free)
        taken = Counter(one.node for one in self._placed_of(state))
        return choose(needs, free, taken, self._here, self._shunned())

    def _placed_of(self, state: tuple[str, int]) -> list[Placed]:
        return [one for one in self.placed if one.order is not None and one.order.state == state]

    def _shunned(self) -> list[str]:
        return [node for node, since in self.lost.items() if time.monotonic() - since < LOST_S]

    async def _spread(self) -> None:
        """Have a replica move to where machines came back or joined: of each state of a folder one at a time, and only once
        that has been better for a while."""
        free = await asyncio.to_thread(self.free)
        for state in {one.order.state for one in self.placed if one.order is not None}:
            some, node = self._placed_of(state), ""
            if all(one.is_born and not one.is_leaving for one in some):
                taken = Counter(one.node for one in some)
                node = crowded(some[0].needs, free, taken, self._here, self._shunned())
            before, since = self._crowded.get(state, ("", 0.0))
            if node != before:
                self._crowded[state] = node, time.monotonic()
            elif node and time.monotonic() - since >= SETTLED_S:
                del self._crowded[state]
                next(one for one in some if one.node == node).move()

    async def _look(self) -> None:
        """Tell the supervisor how much room there is for replicas, whenever that changes, and which of them should move."""
        while True:
            with contextlib.suppress(Exception):  # a cluster that does not answer now may do so later
                room = await asyncio.to_thread(self.room)
                if room != self._room:
                    self._room = room
                    self._line.send(event="room", cores=room.cores, memory_bytes=room.memory_bytes)
                await self._spread()
            await asyncio.sleep(ROOM_S)


class Placed:
    """One replica, from its order to its end."""

    def __init__(self, placer: Placer, line: Channel) -> None:
        """``line`` leads to the supervisor; the order comes by it first."""
        self.order: Order | None = None
        self.needs = Needs()
        self.is_born = self.is_leaving = False
        self.node = ""  # the machine that it is on, or on its way to
        self._placer = placer
        self._ray = placer.ray
        self._line = line
        self._actor: Any = None
        self._told: set[Any] = set()
        self._counts: Path | None = None  # where they belong, once it is known which release it is
        self._profile_of = 0.0
        self._ordered = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run())
        placer.placed.add(self)
        asyncio.get_running_loop().add_reader(line.fileno(), self._hear)

    def _hear(self) -> None:
        """The supervisor says something, or is gone."""
        messages = self._line.receive()
        for message in messages or ():
            match message["do"]:
                case "place":
                    self.order = msgspec.convert(message["order"], Order)
                    self._ordered.set()
                case "hang_up":
                    self._hang_up()
                case "kill":
                    self._kill(message["because"])
        if messages is None:  # fronts finish what they have
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            asyncio.get_running_loop().call_later(ORPHAN_S, self.task.cancel)
            self._hang_up()

    def move(self) -> None:
        """It is better off elsewhere: the supervisor has another one placed, and hangs this one up."""
        self._line.send(event="crowded")

    def _hang_up(self) -> None:
        self.is_leaving = True
        if self.is_born:
            self._tell(self._actor.hang_up.remote())
        else:
            self.task.cancel()

    def _kill(self, because: str) -> None:
        self.is_leaving = True
        if self.is_born:
            self._tell(self._actor.kill.remote(because))
            asyncio.get_running_loop().call_later(END_S, self._give_up)
        else:
            self.task.cancel()

    def _give_up(self) -> None:
        """The actor has not ended as it was told to."""
        if not self.task.done():
            self._note_loss()
            self.task.cancel()

    def _note_loss(self) -> None:
        """No other replica is to go where this one was, until Ray knows whether that machine is there."""
        if self.node:
            self._placer.lost[self.node] = time.monotonic()

    def _tell(self, call: Any) -> None:
        """What becomes of a call to an actor is heard of otherwise."""
        task = asyncio.ensure_future(call)
        self._told.add(task)
        task.add_done_callback(self._told.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _run(self) -> None:
        ended = Ended(-signal.SIGKILL)
        try:
            await self._ordered.wait()
            assert self.order is not None
            ended = await self._live(self.order)
        except TenfoldError as error:
            self._line.send(event="failed", message=error.message, hint=error.hint, code=error.exit_code)
            ended = Ended(error.exit_code)
        except self._ray.exceptions.RayTaskError as error:  # ours
            logging.getLogger("tenfold").exception("a member of the cluster failed")
            ended = Ended(1, str(error).strip().splitlines()[-1])
        except self._ray.exceptions.RayError:
            self._note_loss()
            ended = Ended(0, LOST)
        finally:
            self._placer.forget(self)
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._line.send(event="ended", code=ended.code, because=ended.because)
            self._line.close()
            if self._actor is not None:
                self._ray.kill(self._actor)

    async def _live(self, order: Order) -> Ended:
        prepared = await self._placer.prepare(order)
        self.needs = prepared.needs
        self._actor = self._order_one(order, prepared, await self._where(order, prepared.needs))
        born = msgspec.json.decode(await self._seated(), type=Born | Failure)
        if isinstance(born, Failure):
            raise born.error()
        self.is_born, self.node = True, born.node
        self._line.send(event="born", host=born.host, port=born.port, machine=born.machine)
        while True:
            told = await self._actor.listen.remote(self._fresh_profile())
            heard = msgspec.msgpack.decode(told, type=Heard)
            self._pass_on(order, heard)
            if heard.ended is not None:
                return heard.ended

    def _order_one(self, order: Order, prepared: Prepared, where: Any) -> Any:
        """An actor, for which Ray is to find room. Raises ``UsageError`` for an amount that Ray gives nobody."""
        others = dict(prepared.needs.others)
        try:
            make = self._ray.remote(
                num_cpus=prepared.needs.cores,
                num_gpus=others.pop("GPU", None),
                memory=prepared.needs.memory_bytes or None,
                resources=others,
                max_restarts=0,
                max_concurrency=CALLS,
                scheduling_strategy=where,
            )(Member)
            return make.remote(prepared.folder, prepared.name, msgspec.msgpack.encode(order))
        except ValueError as error:
            because = "".join(map(str, error.args)).rstrip(".")
            mend = "Scaling(resources=…) and cores: whole GPUs or parts of one, and no more than four decimals"
            raise UsageError(f"Ray cannot give a replica {prepared.needs}: {because}", mend) from None

    async def _where(self, order: Order, needs: Needs) -> Any:
        """In Ray's words. Where there is no room, it goes wherever there is some first, and so where the room is gone that
        there was a moment ago."""
        self.node = await self._placer.choose(order.state, needs)
        return towards(self.node, self._ray.util.scheduling_strategies)

    async def _seated(self) -> bytes:
        """Wait for Ray to find room, and say so where there is none."""
        starting = asyncio.ensure_future(self._actor.start.remote())
        said, pause_s = "", START_S
        while not (await asyncio.wait([starting], timeout=pause_s))[0]:
            lacks, pause_s = await asyncio.to_thread(self._placer.lacks, self.needs), ROOM_S
            if lacks and lacks != said:
                said = lacks
                self._line.send(event="no_room", asked=str(self.needs), free=lacks)
        return bytes(starting.result())

    def _pass_on(self, order: Order, heard: Heard) -> None:
        for message in heard.messages:
            if message["event"] == "ready":
                self._require_same(order, message["release"])
                self._counts = folder_of(Path(order.home), message["release"])
            self._line.send(**message)
        if heard.printed:
            sys.stderr.buffer.write(heard.printed)
            sys.stderr.buffer.flush()
        if self._counts is not None:
            leave(self._counts, heard.counts)
        self._line.send(event="vitals", size_bytes=heard.size_bytes, answered=heard.answered)

    def _fresh_profile(self) -> bytes:
        """What live rows are compared with, when it is another than before: the replica counts by it."""
        if self._counts is not None:
            with contextlib.suppress(OSError):
                changed = profile_in(self._counts).stat().st_mtime
                if changed != self._profile_of:
                    self._profile_of = changed
                    return profile_in(self._counts).read_bytes()
        return b""

    def _require_same(self, order: Order, release: str) -> None:
        """All machines have to make the same release of the same folder: what they install is part of it."""
        first = self._placer.releases.setdefault(order.state, release)
        if first != release:
            raise Conflict(
                f"the machines of the cluster make {first} and {release} of the same folder",
                "install the same tenfold and the same libraries on all of them",
            )


def towards(node: str, strategies: Any) -> Any:
    """To this machine, or wherever there is room where it has none any more, in Ray's words; ``strategies`` are Ray's.

    What is public, ``soft`` alone, waits for ever at a machine that is full. The rest has an underscore to this day, though
    Ray's own Serve and Data use it (ray-project/ray#34283): a Ray that does not know it chooses itself.
    """
    try:
        return (
            strategies.NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True) if node else "SPREAD"
        )
    except TypeError:
        return "SPREAD"


def leave(folder: Path, counts: Sequence[tuple[str, bytes]]) -> None:
    """Leave counts where replicas of this machine leave theirs."""
    try:
        for name, piece in counts:
            spool_in(folder).mkdir(parents=True, exist_ok=True)
            replace(spool_in(folder) / name, piece)
    except OSError as error:
        logging.getLogger("tenfold").warning("counts are lost, which drift is told by: %s", error)


def main(channel: int, address: str) -> None:
    """Run the placer on an inherited line."""
    line = Channel.inherited(channel)

    def fail(error: TenfoldError) -> NoReturn:
        line.send(event="failed", message=error.message, hint=error.hint, code=error.exit_code)
        os._exit(error.exit_code)  # whatever Ray is about to do

    waiting = Timer(ANSWER_S, lambda: fail(unreachable(address, SILENT)))
    waiting.daemon = True
    waiting.start()
    try:
        ray = connected(address)
    except TenfoldError as error:
        fail(error)
    waiting.cancel()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    line.send(event="connected")
    asyncio.run(Placer(line, ray).run())
    ray.shutdown()

"""A release as one front sees it: its queue, its replicas, and what becomes of each waiting request.

A free replica is given what waits, at once; a second batch is handed over ahead only when it is full. When a replica dies,
the rows in its hands are suspects: they are tried again one at a time on one replica, the newest, while the others serve; a
row that ends a second replica is quarantined. What waited behind them goes back to the head of the queue.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tenfold.batching import Line
from tenfold.contract.form import layout_of
from tenfold.deadline import Behind, Cost, Costs, Refuse, admit
from tenfold.journal.writer import Names, Writer, names_of
from tenfold.server import frames
from tenfold.server.books import Books
from tenfold.server.frames import Frame, Joiner, decode_notes
from tenfold.server.items import Item, cut, give
from tenfold.server.link import Batch, Link
from tenfold.server.many import Many
from tenfold.server.metrics import Counters
from tenfold.server.outputs import Outputs
from tenfold.server.remarks import Outcome, by_row
from tenfold.server.replies import stages_of
from tenfold.server.requests import Packed, Single
from tenfold.server.suspects import Suspects
from tenfold.spec import Spec

WATCH_S = 0.005
STUCK_S = 10.0  # a batch may take so long, or ten times the budget, before its replica counts as stuck
TRIAL_S = 0.25  # the least that a suspect, tried alone, may take
MAX_BATCH_BYTES = 64 * 2**20
PREFETCH = 2
LONE = 8  # such batches in a row, from which on a row goes at once, without a look at who else comes in the same turn

Tell = Callable[..., None]


class Lane(Books):
    """The queue of one release and the replicas that empty it."""

    def __init__(
        self, spec: Spec, release: str, counters: Counters, home: Path, tell: Tell, is_alone: bool = True
    ) -> None:
        """``home`` is the service's folder, where its dead letters are kept. ``tell`` takes what the supervisor has to know
        of a replica: that its link was ``lost``, that it is ``stuck``, or that it is ``detached``. ``is_alone``: no other
        front asks the same replicas."""
        super().__init__(spec, release, counters, home)
        self.ease_s = self.budget_s * 0.9
        self._patience_s = max(10 * self.budget_s, STUCK_S)
        self.cost = Cost(spec.batching.max_rows)
        self.cost.expect(self.budget_s)
        self._costs = Costs(self.cost)
        self._behind = Behind()
        self._is_alone = is_alone
        self._most_running = PREFETCH if is_alone else 1  # of others, something is there whenever a batch ends
        self._row_bytes = 0.0  # of the last batch, where rows may be heavy
        self.links: list[Link] = []
        self._tell = tell
        self._retired: list[Link] = []
        self._stuck: set[Link] = set()
        self._came = 0
        self._journal = Writer(home, spec, release, counters.add) if spec.drift.journal != "off" else None
        layout = layout_of(spec.input)
        self._is_heavy = bool(layout.own)  # rows of text, pictures or tensors may be of any size
        self._joiner = Joiner(layout)
        self._outputs = Outputs(spec.output)
        self._line: Line[Item] = Line(cut)
        self.suspects = Suspects()
        self._dispatching = False
        self._seen_rows = 0
        self._lone_batches = 0  # of one row each until now, while nobody had to wait and nobody was refused
        self._watching = False
        self._easy_rows = 0
        self._full_s = 0.0  # what a full batch takes at most
        self._startup_s = 0.0
        self._back_at = 0.0  # when the next replica may be ready, after the last one was lost
        self._may_stop = spec.scaling.bounds[0] == 0
        self._hold_s, self._hold_rows = spec.scaling.hold_s, spec.scaling.hold_rows
        self._loop = asyncio.get_running_loop()
        self._call_soon = self._loop.call_soon

    @property
    def ready(self) -> bool:
        """Whether a replica is there that answers, or will be as soon as somebody asks."""
        return any(link not in self._stuck for link in self.links) or self._is_asleep

    @property
    def _is_asleep(self) -> bool:
        """Whether there is no replica since nobody asked for anything, and one is started for the next row."""
        return self._may_stop and not self.links and time.monotonic() >= self._back_at

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._line and not self.suspects and not any(link.running for link in self._all_links())

    def _all_links(self) -> list[Link]:
        return [*self.links, *self._retired]

    def retire(self, link: Link) -> None:
        """Give this replica nothing more; let go of it once what it holds is answered."""
        if link in self.links:
            self.links.remove(link)
            self._retired.append(link)
            self._easy_rows = self._rows_surely_in_time()
        self._let_go()

    def _let_go(self) -> None:
        for link in [link for link in self._retired if not link.running]:
            self._retired.remove(link)
            link.close()
            self._tell("detached", address=link.address)

    def give_up(self, retry_s: float) -> None:
        """No replica is started for so long: unless one is there, say so to whoever waits, and to whoever comes."""
        if not self.links:
            self._back_at = time.monotonic() + retry_s
            self.abandon("no replica is loaded", retry_s)

    def abandon(self, reason: str = "the release was replaced", retry_s: float = 1.0) -> None:
        """Nobody will answer what waits here any more: say so."""
        if self._journal is not None:
            self._journal.close()
        waiting = [*self._line.clear(), *self.suspects]
        self.suspects.clear()
        for item in waiting:
            item.request.decline("not_ready", reason, retry_s)

    def offer(self, request: Single) -> None:
        """Queue a row, or refuse it at once. So little waits, mostly, that no question has to be asked."""
        line, background = self._line, request.head.background
        if line.rows < self._easy_rows and request.due - request.decoded >= self.ease_s and not background:
            line.add(request)  # as in add, without a call: nearly every request comes by here
            self._came += 1
            if not self._dispatching:
                self._begin_turn()
        elif self.suspects.is_killer(request.packed[0]):
            self.came(1)
            request.quarantine()
        elif self.admits(request, 1):
            (self.add_background if background else self.add)(request)

    def admits(self, request: Single | Many, rows: int) -> bool:
        """Whether these rows can be answered in time; where not, the request is answered so."""
        if request.due <= request.decoded:
            self.came(rows)
            request.decline("deadline", "the deadline passed before the request was complete")
            return False
        if self._is_asleep:
            return self._holds(request, rows)
        if not self.links and request.due < self._back_at:
            self.came(rows)
            request.decline("not_ready", "no replica is loaded", self._back_at - request.decoded)
            return False
        now = request.decoded
        cost = self._costs.of(len(request.body) / rows) if self._is_heavy else self.cost
        free_s = [self._busy_s(link, now) for link in self.links] or [0.0]
        running = sum([len(link.running) for link in self.links])
        if request.head.background:
            queue = self._line.seen_by_background(free_s, running)
        else:
            queue = self._line.seen_by(request.due, free_s, running)
        if not self._is_alone:
            queue = queue._replace(behind_s=self._behind.mean_s, behind_peak_s=self._behind.peak_s)
        verdict = admit(queue, rows, cost, request.due, now)
        if isinstance(verdict, Refuse):
            self._lone_batches = 0
            self._line.refused(rows)
            self.came(rows)
            request.decline("overloaded", verdict.reason, verdict.retry_after_s)
            return False
        return True

    def _holds(self, request: Single | Many, rows: int) -> bool:
        """Have these rows wait for the first replica, beyond their deadline; where too many do already, or their client said
        that it waits for less, the request is refused, and starts one all the same."""
        asked_for_less = request.due - request.started < 0.99 * self.budget_s
        if asked_for_less or self._line.rows + rows > self._hold_rows:
            self.came(rows)
            request.decline("not_ready", "the service had stopped, and is starting", max(self._startup_s, 1.0))
            return False
        request.due += self._hold_s
        return True

    def _busy_s(self, link: Link, now: float) -> float:
        """How long a replica will take for what it has in hand."""
        elapsed_s = now - link.began
        busy_s = self._behind.left_s(elapsed_s) if link.running else 0.0
        for place, batch in enumerate(link.running):
            took_s = max(elapsed_s - self._behind.mean_s, 0.0)
            busy_s += self.cost.mean_s(batch.rows) if place else self.cost.left_s(batch.rows, took_s)
        return busy_s

    def add(self, item: Item) -> None:
        """Queue rows in the order of their deadlines; they leave once every request of this turn was read."""
        self._line.add(item)
        self._came += item.rows
        if not self._dispatching:
            self._begin_turn()

    def add_background(self, item: Item) -> None:
        """Queue rows behind everything that is not background work."""
        self._line.add_background(item)
        self._came += item.rows
        self._lone_batches = 0
        self._easy_rows = 0  # others have to reckon with it from now on
        if not self._dispatching:
            self._begin_turn()

    def _begin_turn(self) -> None:
        self._dispatching = True
        if self._lone_batches >= LONE and not any(link.running for link in self.links):
            self._dispatch()
            return
        self._seen_rows = 0
        self._call_soon(self._turn)

    def _turn(self) -> None:
        """A turn of the loop is over. While requests keep coming in, and the batch is not full, they are read first: that
        takes no waiting, and makes the difference between two half batches and a whole one."""
        waiting = self._line.rows
        if 1 < waiting < self.cost.max_rows and 8 * (waiting - self._seen_rows) > waiting:
            self._seen_rows = waiting
            self._call_soon(self._turn)
        else:
            self._dispatch()

    def _dispatch(self) -> None:
        self._dispatching = False
        if self.suspects:
            self._try_suspect()
        while self._line:
            link = self._free_link()
            if link is None or not self._feed(link, time.monotonic()):
                break
        if not self._watching and (self._line or any(link.running for link in self.links)):
            self._watching = True
            self._loop.call_later(WATCH_S, self._watch)

    def _feed(self, link: Link, now: float) -> bool:
        """Give a replica its next batch. Whether to go on: not where what waits should not be handed over ahead."""
        cost = self._costs.of(self._row_bytes) if self._is_heavy else self.cost
        begins, ahead = now + self._behind.mean_s, bool(link.running)
        if ahead:
            begins += cost.left_at_most_s(link.running[0].rows, now - link.began)
        items, dropped = self._line.take(cost, begins, ahead)
        for item in dropped:
            item.request.decline("overloaded", "what came before takes longer than it did", cost.mean_s(1))
        if self._is_heavy:
            items = self._within_bytes(items)
        for item in items:
            if item.done or item.connection.transport is None:
                items = [item for item in items if not item.abandoned]
                break
        if items:
            self._send(link, items, now)
        return bool(items) or not ahead

    def _free_link(self) -> Link | None:
        """An idle replica, or one that a full batch may be handed to ahead; the newest is kept for suspects."""
        best: Link | None = None
        for link in self.links[:-1] if self.suspects else self.links:
            if not link.running:
                return link
            if best is None or len(link.running) < len(best.running):
                best = link
        if best is None or len(best.running) >= self._most_running or self._line.rows < self.cost.max_rows:
            return None
        return best

    def _within_bytes(self, items: list[Item]) -> list[Item]:
        """As many of these as a frame should hold, at least one; the rest goes back to the head of the queue."""
        size = count = 0
        for item in items:
            size += sum(len(part) for row in item.packed for part in row)
            if count and size > MAX_BATCH_BYTES:
                break
            count += 1
        self._line.put_back(items[count:])
        self._row_bytes = size / max(sum([item.rows for item in items[:count]]), 1)
        return items[:count]

    def _send(self, link: Link, items: Sequence[Item], now: float) -> None:
        packed: list[Packed] = []
        for item in items:
            packed += item.packed
        batch = Batch(items, len(packed), now, items[0].due, items[-1].due, row_bytes=self._row_bytes)
        self._lone_batches = self._lone_batches + 1 if len(packed) == 1 else 0
        link.send(batch, self._joiner.join(packed))

    def greeted(self, link: Link, hello: frames.Hello) -> None:
        """A replica of this release is ready."""
        link.owner = self
        self._startup_s = hello.startup_s
        for rows, seconds in hello.costs:
            self.cost.observe(rows, seconds)
        self.links.append(link)
        self._easy_rows = self._rows_surely_in_time()
        self._loop.call_soon(self._dispatch)

    def answered(self, link: Link, batch: Batch, frame: Frame) -> None:
        """Give every request of the batch its rows. What is counted, learnt and kept of it waits for the next turn of the
        loop, when the answers are on their way: what is written in this turn leaves at its end."""
        now = time.monotonic()
        names = None if self._journal is None or self.is_copying else names_of(batch.items)
        came: list[float] = []
        try:
            give(batch.items, self._outcome(batch, frame), now, self, came)
        except Exception:
            logging.getLogger("tenfold").exception("the answers of a batch could not be given")
            for item in batch.items:
                item.request.fail()
        if self._retired:
            self._let_go()
        self._stuck.discard(link)
        took_s = now - link.began if self._is_alone else self._own_s(link, frame, now)
        self._call_soon(self._remember, batch, frame, now, took_s, names, came)
        link.began = now
        if self.suspects or self._line.rows >= self.cost.max_rows:
            self._dispatch()
        elif self._line and not self._dispatching:
            self._lone_batches = 0
            self._begin_turn()

    def _own_s(self, link: Link, frame: Frame, now: float) -> float:
        """What a batch took, without what it waited for those of other fronts, which is learnt apart."""
        *spent_ns, _ = frames.TIMES.unpack(frame.parts[0])
        began: float = (frame.due_ns - link.ahead_ns - sum(spent_ns)) / 1e9
        behind_s = min(max(began - link.began, 0.0), now - link.began)
        self._behind.observe(behind_s)
        self.cost.leave(self._behind.mean_s)
        return now - link.began - behind_s

    def _remember(
        self, batch: Batch, frame: Frame, now: float, took_s: float, names: Names | None, came: list[float]
    ) -> None:
        """Count a batch that was answered, learn from it what batches cost, and keep its predictions."""
        self.counters.answered_well(now, came)
        *spent_ns, waited_ns = frames.TIMES.unpack(frame.parts[0])
        self.counters.batch(batch.rows, (*batch.waited_ns(), *spent_ns))
        if waited_ns:
            self.counters.add("waited_ns", waited_ns)
        self._count_came()
        cost = self._costs.of(batch.row_bytes) if self._is_heavy else self.cost
        self.counters.predicted(cost.peak_s(batch.rows), took_s)
        cost.observe(batch.rows, took_s)
        if names is not None and self._journal is not None:
            self._journal.add(now, batch.items, frame, names)

    def _outcome(self, batch: Batch, frame: Frame) -> Outcome:
        times, said, index, *parts = frame.parts
        *spent_ns, waited_ns = frames.TIMES.unpack(times)
        notes = by_row(decode_notes(said)) if said else None
        timing = stages_of(spent_ns, waited_ns)
        if frame.rows == batch.rows:
            return Outcome(self._outputs.encode(batch.rows, parts), notes, batch.sent, timing)
        outputs: list[bytes | None] = [None] * batch.rows
        if frame.rows:
            places = memoryview(index).cast("I").tolist()
            for place, text in zip(places, self._outputs.encode(len(places), parts), strict=True):
                outputs[place] = text
        return Outcome(outputs, notes, batch.sent, timing)

    def _count_came(self) -> None:
        self.counters.add("came", self._came)
        self._came = 0

    def _rows_surely_in_time(self) -> int:
        """How many rows may wait such that one more is answered well within the budget, whatever is running; 0 where
        each row has to be looked at."""
        self._full_s = self.cost.peak_s(self.cost.max_rows)
        if self.suspects.killers or not self.links or self._line.background_rows:
            return 0
        batches = int(self.budget_s * 0.5 / max(self._full_s + self._behind.peak_s, 1e-6)) - PREFETCH
        return max(batches, 0) * self.cost.max_rows * len(self.links)

    def lost(self, link: Link, unanswered: Sequence[Batch], suspect: Batch | None) -> None:
        """A replica is gone: the batch that it was working on is suspect, what waited for it is not."""
        self._stuck.discard(link)
        if link in self._retired:
            self._retired.remove(link)
        if link in self.links:
            self.links.remove(link)
            self._easy_rows = 0
            self._back_at = time.monotonic() + self._startup_s
        self._tell("lost", address=link.address)
        for batch in reversed(unanswered):
            if batch is not suspect:
                self._line.put_back(batch.items)
        if suspect is not None:
            self.counters.add("deaths")
            self.suspects.accuse(suspect.items)
            self._easy_rows = self._rows_surely_in_time()
        self._loop.call_soon(self._dispatch)

    def _try_suspect(self) -> None:
        """One suspect row at a time, on the newest replica alone; also when nobody waits for it any more, since the one that
        kills has to be found, or it comes again."""
        spare = self.links[-1] if self.links else None
        if spare is not None and not spare.running and self.suspects:
            row, now = self.suspects.popleft(), time.monotonic()
            patience_s = max(self.budget_s, 10 * self.cost.peak_s(1), TRIAL_S)
            spare.send(Batch([row], 1, now, row.due, latest=now + patience_s), self._joiner.join(row.packed))

    def _watch(self) -> None:
        """Answer 504 to whoever's deadline has passed, wherever the rows are."""
        now = time.monotonic()
        self._easy_rows = self._rows_surely_in_time()
        self._count_came()
        for item in self._line.expired(now):
            item.request.expire()
        for item in self.suspects:
            if item.due <= now:
                item.request.expire()
        for link in self._all_links():
            self._watch_link(link, now)
        self.counters.now(
            self._line.rows + self._line.background_rows, sum([len(link.running) for link in self._all_links()])
        )
        if self._line or self.suspects or any(link.running for link in self._all_links()):
            self._loop.call_later(WATCH_S, self._watch)
        else:
            self._watching = False

    def _watch_link(self, link: Link, now: float) -> None:
        """What a replica holds may be late; and a replica that answers nothing for far too long has to be replaced."""
        for batch in [batch for batch in link.running if batch.due <= now]:
            for item in batch.items:
                if item.due <= now:
                    item.request.expire()
        if link.running and link not in self._stuck and now > self._given_up(link.running[0]):
            self._stuck.add(link)
            self._tell("stuck", address=link.address)

    def _given_up(self, batch: Batch) -> float:
        """When a batch has taken too long: a suspect that is tried alone need not be waited for."""
        is_trial = batch.rows == 1 and batch.items[0].deaths
        return batch.latest if is_trial else batch.sent + self._patience_s

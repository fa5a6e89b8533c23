"""Looks after the replicas, several times a second: which hang, which outgrow their memory. Others do something about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from tenfold.engines.health import FORK_S, SAMPLE_S, WEIGH_S, has_answered, patience_s
from tenfold.engines.local import Child
from tenfold.server.process import IDLE_S, come_back

Act = Callable[[Child, str], None]


class Rounds:
    """What was seen so far is kept with each replica."""

    def __init__(self, now: float, hangs: Act, grew: Act) -> None:
        """``hangs`` is told of a replica that will not answer any more, and why; ``grew`` of one that takes more memory than
        it may: "grown", or too "large" from the start."""
        self._looked = now
        self._hangs = hangs
        self._grew = grew

    def look(self, replicas: Iterable[Child], now: float) -> None:
        """Look at each once."""
        elapsed_s, self._looked = now - self._looked, now
        for replica in replicas:
            if replica.ready:
                self._feel(replica, elapsed_s)
                self._weigh(replica, now)
            elif replica.forked and now - replica.started > FORK_S:
                self._hangs(replica, "it was forked and did not get ready")
            elif not (replica.forked or replica.elsewhere) and now - replica.started > IDLE_S:
                come_back(replica.pid)  # where others always want the processor, it would load for ever

    def _feel(self, replica: Child, elapsed_s: float) -> None:
        seen = replica.look()
        replica.pulse = replica.pulse.after(seen, elapsed_s)
        replica.answered |= has_answered(seen.held)
        batch_s = replica.about.get("batch_s")
        if batch_s is not None and (because := replica.pulse.hangs(patience_s(replica.about["budget_s"], batch_s))):
            self._hangs(replica, because)

    def _weigh(self, replica: Child, now: float) -> None:
        ceiling = replica.about.get("memory_bytes", 0)
        if now - replica.memory.weighed < (WEIGH_S if ceiling else SAMPLE_S):
            return
        replica.memory.weigh(replica.size_bytes(ceiling), now)
        if what := replica.memory.outgrew(ceiling):
            self._grew(replica, what)

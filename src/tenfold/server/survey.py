"""A server as its admin process sees it: the fleet, as the supervisor tells of it, and what the fronts have counted."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.server.aside import Aside
from tenfold.server.channel import Message
from tenfold.server.history import Recorder
from tenfold.server.totals import Totals, live
from tenfold.server.usage import Usage, Used, Whose

WINDOW_S = 3600.0  # what "live" is about
SNAPSHOT_S = 10.0
PASTS = int(WINDOW_S / SNAPSHOT_S) + 1
RATE_S = 60.0  # what a rate is taken over
LAST_LOOK_S = 600.0  # a release that was replaced is shown for so long, so that its last counts are seen

Past = deque[tuple[float, Counter[str]]]


def rate(past: Sequence[tuple[float, Counter[str]]], now: float, counters: Counter[str]) -> float:
    """Rows per second over the last minute, or as much of it as there is."""
    then, before = next((moment for moment in reversed(past) if now - moment[0] >= RATE_S), past[0])
    return (counters["came"] - before["came"]) / max(now - then, 1.0)


class Served(NamedTuple):
    """A service as the admin process knows it. ``about`` is what its replica said of itself, ``live`` what it has done
    within the last hour."""

    about: Mapping[str, Any]
    live: Mapping[str, Any]


class Survey:
    """``fleet`` is what the supervisor tells of each service, ``toll`` of crashes, ``public`` the address of the fronts."""

    def __init__(self, run: Path, aside: Aside) -> None:
        """``run`` is the folder with the counters."""
        self.fleet: list[Mapping[str, Any]] = []
        self.toll: list[Mapping[str, Any]] = []
        self.public: tuple[str, int] = ("", 0)
        self.aside = aside
        self._processes: dict[int, Whose] = {}
        self._totals = Totals(run)
        self._usage = Usage(run / "usage.json")
        self._recorder = Recorder(run, self._totals.of, time.time())
        self._past: dict[str, Past] = {}
        self._former: dict[str, tuple[float, Mapping[str, Any]]] = {}

    def take(self, message: Message) -> None:
        """The supervisor says how its fleet is now."""
        now = time.monotonic()
        current = {about["release"] for about in message["services"]}
        self._former |= {about["release"]: (now, about) for about in self.fleet}
        self._former = {release: known for release, known in self._former.items() if release not in current}
        self.fleet = message["services"]
        self.toll = message.get("toll", [])
        self.public = tuple(message["address"])
        self._processes = {os.getppid(): ("supervisor", "")}
        self._processes |= {one["pid"]: (one["role"], one["service"]) for one in message.get("processes", [])}
        if not self._past and now - message["began"] < WINDOW_S:  # whatever came before this process did counts, too
            self._past = {release: deque([(message["began"], Counter())], PASTS) for release in current}
        self._remember(now)

    def tick(self) -> None:
        """A second has passed."""
        self._totals.fold()
        self._look()
        self._remember(time.monotonic())
        self._recorder.tick(time.time(), self.fleet)
        self.aside.tick([{**about, "counters": self.counters(about["release"])} for about in self.fleet])

    def _look(self) -> None:
        if self._processes:  # the supervisor has said which they are
            self._usage.look(self._processes)

    def _remember(self, now: float) -> None:
        """Keep the counters of now; those of more than an hour ago are forgotten."""
        for about in self.fleet:
            release = about["release"]
            past = self._past.setdefault(release, deque(maxlen=PASTS))
            if not past or now - past[-1][0] >= SNAPSHOT_S:
                past.append((now, self.counters(release)))
        self._past = {about["release"]: self._past[about["release"]] for about in self.fleet}
        for release in [release for release, (since, _) in self._former.items() if now - since > LAST_LOOK_S]:
            del self._former[release]

    def about(self, name: str) -> Mapping[str, Any] | None:
        """What the supervisor tells of a service; None where none of this name runs."""
        return next((about for about in self.fleet if about["service"]["name"] == name), None)

    def served(self) -> list[Served]:
        """Every service, with its counters summed over all fronts."""
        now = time.monotonic()
        found = []
        for about in self.fleet:
            counters = self.counters(about["release"])
            past = self._past.get(about["release"]) or [(now, counters)]
            began, before = past[0]
            done = live(counters - before)
            done["since"] = time.time() - (now - began)
            done["rows_per_s"] = rate(past, now, counters)
            done |= self.aside.known(about["release"])
            found.append(Served(about, done | {"replicas": about["replicas"]}))
        return found

    def counters(self, release: str) -> Counter[str]:
        """The raw counters of a release."""
        return self._totals.of(release)

    def unattributed(self) -> Counter[str]:
        """The raw counters of requests that were for no service in particular."""
        return self._totals.of("")

    def shown(self) -> list[Mapping[str, Any]]:
        """What the supervisor told of each release that answers, and of those that lately did."""
        return [*self.fleet, *({**about, "replicas": 0} for _, about in self._former.values())]

    def usage(self) -> dict[Whose, Used]:
        """What the processes of each role use, and have used."""
        self._look()
        self._usage.keep()
        return self._usage.by_role()

    def history(self, name: str, minutes: int) -> list[dict[str, Any]]:
        """So many minutes of a service until now, oldest first."""
        last = int(time.time() // 60)
        return list(self._recorder.of(name).between(last - minutes + 1, last))

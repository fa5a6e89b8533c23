"""Which release of a service answers at a front, and which other one answers a share of the requests, or copies of them.

The supervisor says so. Any further release lives until its last request is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenfold.releases.shadow import Comparison
from tenfold.server.channel import Channel, Message
from tenfold.server.frames import Hello
from tenfold.server.lane import Lane, Tell
from tenfold.server.link import Link
from tenfold.server.metrics import Counters, names_for
from tenfold.server.parting import Parting
from tenfold.server.routes import Site
from tenfold.spec import Spec

TELL_S = 0.2  # between two words about what comparing shows


class Split(NamedTuple):
    """A further release of a service, and its share of the requests in percent; or copies of them alone."""

    new: str = ""
    percent: float = 0.0
    shadowing: bool = False


WHOLE = Split()


class Traffic:
    """The services of a front at their routes (``sites``), and the releases behind them."""

    def __init__(
        self,
        channel: Channel,
        run: Path,
        number: int,
        deployed: bool,
        is_alone: bool,
        tell: Tell,
        changed: Callable[[], None],
    ) -> None:
        """``run`` is the folder of sockets and counters, ``number`` that of the front. ``changed`` is called whenever a route
        may have another handler; the others are as ``Front`` and ``Lane`` have them."""
        self.sites: dict[str, Site] = {}
        self._channel = channel
        self._run = run
        self._number = number
        self._deployed = deployed
        self._is_alone = is_alone
        self._tell = tell
        self._changed = changed
        self._services, self._plain = 0, ""
        self._splits: dict[str, Split] = {}  # the further release of each service that has one, and its share
        self._lanes: dict[str, tuple[Lane, Hello]] = {}  # by release, with what a replica of it said
        self._current: dict[str, str] = {}  # the release of each service that is to answer
        self._counters: dict[str, Counters] = {}
        self._told_soon: set[str] = set()

    def expect(self, services: int, plain: str = "") -> None:
        """There will be so many services; of several, ``plain`` is the one that the others were deployed beside."""
        self._services, self._plain = services, plain
        self._changed()

    @property
    def is_whole(self) -> bool:
        """Whether a replica of each service has greeted."""
        return len(self.sites) >= self._services

    def meant(self) -> Site | None:
        """The service of a path without a name: where there are several, the one that the others were deployed beside."""
        return next(iter(self.sites.values()), None) if self._services == 1 else self.sites.get(self._plain)

    def take(self, link: Link, hello: Hello) -> None:
        """A replica is ready to answer."""
        if hello.release not in self._lanes:
            self._lanes[hello.release] = self._open(hello, link.home), hello
        lane, _ = self._lanes[hello.release]
        lane.greeted(link, hello)
        name = lane.spec.name
        if name not in self._current and not self.is_whole and not self._deployed:
            self._current[name] = hello.release
        self._choose(name)
        self._channel.send(event="attached", address=link.address)
        self._tell_route(name)

    def _open(self, hello: Hello, home: Path) -> Lane:
        spec, release = msgspec.json.decode(hello.service, type=Spec), hello.release
        return Lane(spec, release, self._counters_of(release, spec), home, self._tell, self._is_alone)

    def _counters_of(self, release: str, spec: Spec) -> Counters:
        if release not in self._counters:
            path = self._run / f"front-{self._number}.{release}.counters"
            self._counters[release] = Counters(path, names_for(spec.input))
        return self._counters[release]

    def serve(self, name: str, route: Message) -> None:
        """Which release of a service is to answer, and which further one."""
        further = {key: route[key] for key in Split._fields if key in route}
        self._current[name], self._splits[name] = route["release"], Split(**further)
        self._choose(name)
        self._tell_route(name)

    def _choose(self, name: str) -> None:
        """Let the current release of a service answer, once a replica of it has greeted."""
        lane, hello = self._lanes.get(self._current.get(name, ""), (None, None))
        if lane is None or hello is None:
            return
        site = self.sites.get(name)
        changed = site is None or site.lane is not lane
        if site is None:
            site = self.sites[name] = Site(self._run, lane, hello)
        elif changed:
            site.take(lane, hello)
        if self._part(site, self._splits.get(name, WHOLE)) or changed:
            self._changed()
            self.forget_lanes()

    def _part(self, site: Site, split: Split) -> bool:
        """Give a further release its share, once a replica of it has greeted; whether there is another one than before, or
        none any more."""
        lane, hello = self._lanes.get(split.new, (None, None))
        former = site.parting
        if former is not None and (former.new is None or former.new.lane is not lane):
            former.end()
            site.parting = None
        if lane is not None and hello is not None and lane is not site.lane:
            if site.parting is None:
                copies = self._counters_of(f"{split.new}~copies", lane.spec)
                site.parting = Parting(
                    site, Site(self._run, lane, hello), copies, partial(self._compared, site.spec.name)
                )
            site.parting.share(split.percent, split.shadowing)
        return site.parting is not former

    def _compared(self, name: str, comparison: Comparison) -> None:
        """More answers of two releases were compared; the supervisor need not hear of each."""
        if name not in self._told_soon:
            self._told_soon.add(name)
            asyncio.get_running_loop().call_later(TELL_S, self._tell_compared, name)

    def _tell_compared(self, name: str) -> None:
        self._told_soon.discard(name)
        site = self.sites.get(name)
        if site is not None and site.parting is not None:
            self._channel.send(event="compared", name=name, comparison=msgspec.to_builtins(site.parting.comparison))

    def _tell_route(self, name: str) -> None:
        """Say which releases answer here, where that is decided elsewhere."""
        if self._deployed:
            site = self.sites.get(name)
            parting = site.parting if site else None
            route = {
                "release": site.lane.release if site else "",
                "new": parting.new.lane.release if parting and parting.new else "",
                "percent": parting.percent if parting else 0.0,
                "shadowing": parting.shadowing if parting else False,
            }
            self._channel.send(event="routed", name=name, route=route)

    def give_up(self, name: str, retry_s: float) -> None:
        """No replica of a service is started for so long."""
        if name in self.sites:
            self.sites[name].lane.give_up(retry_s)

    def end(self, name: str) -> None:
        """No service has this name any more."""
        self._current.pop(name, None)
        self._splits.pop(name, None)
        self.sites.pop(name, None)
        self._changed()
        self.forget_lanes()
        self._tell_route(name)

    def forget_lanes(self) -> None:
        """Releases that do not answer any more go with their last replica."""
        answering = [site.lane for site in self.sites.values()]
        answering += [site.parting.new.lane for site in self.sites.values() if site.parting and site.parting.new]
        for release, (lane, _) in list(self._lanes.items()):
            if lane not in answering and not lane.links:
                del self._lanes[release]
                lane.abandon()

"""The deployer by itself: a real store, and a server that does what it is told, a look later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from msgspec.structs import replace

from tenfold.control.fleet import Fleet, Orders, Route, Running
from tenfold.control.rollouts import Deployer
from tenfold.control.workshop import Examined, Placed, Workshop
from tenfold.errors import TenfoldError
from tenfold.releases import Releases
from tenfold.releases.rollout import Presence
from tenfold.store import Act, open_store
from tenfold.store.clock import Clock, now
from tenfold.store.records import Release
from tests.store.making import some_release

AT_ONCE = Releases(steps=(), shadow_requests=0, bake="0 s")
SERVICE = "tumour"
LOOKS = 60


class Server:
    """What a supervisor and its fronts do. Releases in ``broken`` cannot be loaded."""

    def __init__(self, broken: tuple[str, ...] = ()) -> None:
        self.crews: dict[str, Running] = {}
        self.routed = Route("")
        self.expected: int | None = None
        self.did: list[str] = []
        self._broken = broken

    @property
    def fleet(self) -> Fleet:
        """What is told of it; what was begun is done by the next time."""
        told = Fleet(list(self.crews.values()), {SERVICE: self.routed})
        for folder, crew in list(self.crews.items()):
            if crew.presence is Presence.LOADING and crew.release in self._broken:
                self.crews[folder] = replace(crew, presence=Presence.FAILED, failure="it has no model")
            elif crew.presence is Presence.LOADING:
                self.crews[folder] = replace(crew, presence=Presence.READY, label=f"{SERVICE}@{crew.release[:7]}")
        return told

    def run(self, folder: str, deployed: dict[str, str]) -> None:
        if folder not in self.crews:
            self.did.append(f"run {folder}")
            self.crews[folder] = Running(folder, SERVICE, deployed["release"], "", Presence.LOADING, "")

    def end(self, folder: str) -> None:
        self.did.append(f"end {folder}")
        del self.crews[folder]

    def route(self, service: str, route: Route) -> None:
        if route != self.routed:
            self.did.append(f"route {route.release}")
        self.routed = route

    def expect(self, services: int, plain: str) -> None:
        self.expected = services

    def about(self, *_: Any) -> None: ...

    def say(self, *_: Any, **__: Any) -> None: ...


class Shop:
    """A workshop in which everything is at hand."""

    def __init__(self, refusal: str = "", fits_beside: bool = True) -> None:
        self._examined = Examined(refusal, fits_beside)

    def placed(self, release: Release, now: float) -> Placed:
        return Placed(str(release.number), {"release": release.id})

    def failure(self, service: str, release: str) -> str:
        return ""

    def examined(self, *_: Any) -> Examined:
        return self._examined


class Stage:
    """A store with two releases of which the first answers, a server, and a deployer that can be replaced."""

    def __init__(
        self,
        folder: Path,
        shop: Shop | None = None,
        broken: tuple[int, ...] = (),
        name: str = "run",
        clock: Clock = now,
    ) -> None:
        self.store = open_store(folder / "store", create=True, clock=clock)
        self.releases = [some_release(self.store, folder / "service", n) for n in (1, 2)]
        self.server = Server(tuple(self.releases[number - 1].id for number in broken))
        self.now = 1000.0
        self._shop = shop or Shop()
        self._run = folder / name
        if self.store.pointers.get(SERVICE) is None:
            self.store.pointers.move(SERVICE, self.releases[0].id, Act("anna", "deploy"), expected=0)
        self.restart()

    def restart(self) -> None:
        """Another deployer takes over from the one that was killed."""
        orders, shop = cast(Orders, self.server), cast(Workshop, self._shop)
        self.deployer = Deployer(self.store, orders, shop, self._run)

    def look(self, times: int = 1) -> None:
        """Look, and let time pass."""
        for _ in range(times):
            self.deployer.look(self.server.fleet, self.now)
            self.now += 3.0

    def deploy(self, policy: Releases = AT_ONCE) -> None:
        """The second release is to take over."""
        plan = {"policy": msgspec.to_builtins(policy), "back": False}
        old, new = self.releases
        self.store.rollouts.begin(SERVICE, new.id, Act("ben", "deploy"), from_=old.id, plan=plan)

    @property
    def current(self) -> int:
        """The number of the release that the pointer means."""
        pointer = self.store.pointers.get(SERVICE)
        found = self.store.releases.by_id(SERVICE, pointer.release) if pointer else None
        return found.number if found else 0

    @property
    def state(self) -> str:
        """That of the rollout."""
        return self.store.rollouts.list(SERVICE)[0].state

    def events(self) -> list[str]:
        """What was done since the first deployment."""
        return [event.what for event in self.store.events.list(SERVICE) if event.what != "push"][1:]


STEPS = ["deploy", "start", "load", "shift", "promote", "drain", "promoted"]


def test_a_server_serves_what_the_pointer_means(tmp_path: Path) -> None:
    """And says how many services there are once that was begun."""
    stage = Stage(tmp_path)
    stage.look(6)
    assert stage.server.did == ["run 1", f"route {SERVICE}@{stage.releases[0].id[:7]}"]
    assert stage.server.expected == 1


def test_a_release_takes_over(tmp_path: Path) -> None:
    """Every step once, in order, and the old release goes last."""
    stage = Stage(tmp_path)
    stage.look(4)
    stage.deploy()
    stage.look(LOOKS)
    assert (stage.current, stage.state) == (2, "promoted")
    assert stage.events() == STEPS
    assert stage.server.did[-1] == "end 1"
    assert list(stage.server.crews) == ["2"]


def test_another_deployer_goes_on_at_any_step(tmp_path: Path) -> None:
    """One that is killed after each look, again and again, does the same steps, each once."""
    stage = Stage(tmp_path)
    stage.look(4)
    stage.deploy()
    for _ in range(LOOKS):
        stage.restart()
        stage.look()
    assert (stage.current, stage.state) == (2, "promoted")
    assert stage.events() == STEPS
    assert stage.store.events.verify()


@pytest.mark.parametrize("failing", range(8))
def test_a_store_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """A disk that is full at any step: what answers goes on, and the rollout afterwards."""
    stage = Stage(tmp_path)
    stage.look(4)
    stage.deploy()
    calls = iter(range(1000))

    def sometimes(write: Callable[..., Any]) -> Callable[..., Any]:
        def written(*arguments: Any, **more: Any) -> Any:
            if next(calls) == failing:
                raise TenfoldError("the disk is full")
            return write(*arguments, **more)

        return written

    monkeypatch.setattr(stage.store.rollouts, "change", sometimes(stage.store.rollouts.change))
    monkeypatch.setattr(stage.store.pointers, "move", sometimes(stage.store.pointers.move))
    for _ in range(LOOKS):
        try:
            stage.look()
        except TenfoldError:
            assert stage.server.routed.release
            stage.now += 3.0
    assert (stage.current, stage.state) == (2, "promoted")
    assert stage.events() == STEPS


def test_what_its_gates_refuse_touches_nothing(tmp_path: Path) -> None:
    """The reason is on record."""
    stage = Stage(tmp_path, Shop("golden: 3 of 20 differ"))
    stage.look(4)
    stage.deploy()
    stage.look(LOOKS)
    assert (stage.current, stage.state) == (1, "refused")
    assert stage.store.events.list(SERVICE)[-1].why == "golden: 3 of 20 differ"
    assert list(stage.server.crews) == ["1"]


def test_a_release_that_fails_is_taken_back(tmp_path: Path) -> None:
    """What answered goes on answering."""
    stage = Stage(tmp_path, broken=(2,))
    stage.look(4)
    stage.deploy()
    stage.look(LOOKS)
    assert (stage.current, stage.state) == (1, "rolled_back")
    assert list(stage.server.crews) == ["1"]
    assert stage.server.routed.release.endswith(stage.releases[0].id[:7])
    assert "it has no model" in stage.store.events.list(SERVICE)[-1].why


@pytest.mark.parametrize(("broken", "current"), [((), 2), ((2,), 1)])
def test_where_memory_is_short_the_old_release_goes_first(
    tmp_path: Path, broken: tuple[int, ...], current: int
) -> None:
    """Never both at once; should the new one fail, the old one is started again."""
    stage = Stage(tmp_path, Shop(fits_beside=False), broken)
    stage.look(4)
    stage.deploy()
    stage.look(LOOKS)
    assert stage.current == current
    assert stage.server.did.index("end 1") < stage.server.did.index("run 2")
    assert list(stage.server.crews) == [str(current)]
    assert stage.server.routed.release.endswith(stage.releases[current - 1].id[:7])


def test_what_had_to_go_first_is_not_started_again_by_a_restart(tmp_path: Path) -> None:
    """A server that is killed while it swaps in place starts the new release alone: there is no memory for both."""
    stage = Stage(tmp_path, Shop(fits_beside=False))
    stage.look(4)
    stage.deploy()
    while "run 2" not in stage.server.did:
        stage.look()
    stage.server, stage.now = Server(), stage.now + 60.0
    stage.restart()
    stage.look(LOOKS)
    assert stage.current == 2
    assert stage.server.did[:2] == ["run 2", f"route {SERVICE}@{stage.releases[1].id[:7]}"]
    assert list(stage.server.crews) == ["2"]


def test_a_deployer_that_stood_still_goes_on(tmp_path: Path) -> None:
    """Its lease ran out and nobody else has it: what is on its way is neither ended nor begun anew."""
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    stage = Stage(tmp_path, clock=lambda: now[0])
    stage.look(4)
    stage.deploy(Releases(steps=("50%",), shadow_requests=0))
    stage.look(6)
    assert stage.server.routed.percent == 50.0
    before = list(stage.server.did)
    now[0] += timedelta(minutes=5)
    stage.look(6)
    assert stage.server.did == before


def test_a_second_server_follows(tmp_path: Path) -> None:
    """Just one server moves the pointer; the other one serves what it means."""
    first, second = Stage(tmp_path), Stage(tmp_path, name="other")
    for stage in (first, second):
        stage.look(4)
    first.deploy()
    for _ in range(LOOKS):
        first.look()
        second.look()
    assert first.current == 2
    assert first.events() == STEPS
    assert list(second.server.crews) == ["2"]
    assert second.server.routed.release.endswith(first.releases[1].id[:7])

"""How a server follows its releases: what it reads, decides, shares and shows. Crews are doubles, counters are real files."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenfold.contract.form import Form
from tenfold.engines.overrides import Overrides
from tenfold.engines.plan import Plan
from tenfold.engines.scaling import Scaler, machine
from tenfold.scaling import Scaling
from tenfold.scaling.sharing import Machine
from tenfold.server.metrics import Counters, names_for
from tenfold.spec import Spec
from tenfold.store import Act, open_store
from tests.answers.examples import spec

EMPTY = Form(name="", fields=())


class Ready:
    """A replica that answers; it took a second to start."""

    def __init__(self, memory_bytes: int) -> None:
        self.started, self.readied, self.forked = 10.0, 11.0, True
        self.memory = type("Memory", (), {"now_bytes": memory_bytes})


class Crew:
    """What a scaler needs of a crew: it grows and shrinks at once."""

    def __init__(self, run: Path, name: str, scaling: Scaling, release: str = "1", memory_bytes: int = 0) -> None:
        self.name, self.size, self.ended, self.home = name, 1, False, str(run)
        described: Spec = spec(name=name, scaling=scaling)
        label = f"{name}@{release}"
        self.about: dict[str, Any] = {"release": label, "service": msgspec.to_builtins(described), "batch_s": 0.064}
        self.current = (1, label)
        self.scaling: dict[str, Any] = {}
        self.counters = Counters(run / f"front-1.{label}.counters", names_for(EMPTY))
        self._memory_bytes = memory_bytes

    def ready(self) -> list[Ready]:
        """As many as there are to be."""
        return [Ready(self._memory_bytes) for _ in range(self.size)]

    def resize(self, size: int) -> None:
        """Have so many."""
        self.size = size


class Server:
    """A scaler on a clock of its own, with what it said."""

    def __init__(
        self, run: Path, *crews: Crew, scales: bool = True, rate: float | None = 100.0, store: str = ""
    ) -> None:
        self.said: list[dict[str, Any] | None] = []
        self._crews = crews
        plan = Plan(folders=[], scales=scales)
        known: Any = {str(k): crew for k, crew in enumerate(crews)}
        self.scaler = Scaler(run, plan, known, Overrides(store), lambda *_: rate, self.said.append)
        self.scaler._machine = Machine(64.0)
        self.now = 1000.0

    def on(self, cores: float, memory_bytes: int = 0) -> Server:
        """The same on a machine with so much."""
        self.scaler._machine = Machine(cores, memory_bytes)
        return self

    def pass_seconds(self, seconds: int, *rates: int) -> None:
        """So many rows come to each crew in every second, and all are answered."""
        for _ in range(seconds):
            for crew, rate in zip(self._crews, rates, strict=True):
                crew.counters.add("came", rate)
                crew.counters.add("rows", rate)
            self.now += 1.0
            self.scaler.look(self.now)


WIDE = Scaling(1, 8)


def test_replicas_follow_what_the_fronts_count(tmp_path: Path) -> None:
    """Three hundred rows a second, of which one replica was measured to carry a hundred, are carried by four; the reason is
    said once, and shown with the figures that it was decided by."""
    crew = Crew(tmp_path, "a", WIDE)
    server = Server(tmp_path, crew)
    server.pass_seconds(30, 300)
    assert crew.size == 4
    assert crew.scaling["wanted"] == 4
    assert crew.scaling["is_measured"]
    assert crew.scaling["startup_s"] == 1.0
    assert sum(1 for said in server.said if said and said["to"] == 4) == 1
    assert "100 rows/s each" in crew.scaling["decisions"][0]["because"]


def test_without_a_measurement_full_batches_tell(tmp_path: Path) -> None:
    """A batch of 64 rows took 64 ms: that is 1,000 rows a second, of which seven tenths are believed."""
    crew = Crew(tmp_path, "a", WIDE)
    server = Server(tmp_path, crew, rate=None)
    server.pass_seconds(4, 10)
    assert crew.scaling["rate"] == pytest.approx(700, rel=0.01)
    assert not crew.scaling["is_measured"]


def test_rows_that_are_refused_show_what_a_replica_carries(tmp_path: Path) -> None:
    """Where the measurement was too good, what is missed corrects it, and more replicas come."""
    crew = Crew(tmp_path, "a", WIDE)
    server = Server(tmp_path, crew, rate=1000.0)
    for _ in range(60):
        crew.counters.add("came", 60)
        crew.counters.add("rows:shed", 60)
        server.pass_seconds(1, 60)
    assert crew.scaling["rate"] < 200
    assert crew.size > 1


def test_services_share_a_machine_by_their_shares(tmp_path: Path) -> None:
    """Both want five of four cores; the one with three shares gets three, and both say what limits them."""
    crews = [Crew(tmp_path, "a", Scaling(1, 8, share=3.0)), Crew(tmp_path, "b", WIDE)]
    Server(tmp_path, *crews).on(4.0).pass_seconds(20, 400, 400)
    assert [crew.size for crew in crews] == [3, 1]
    assert crews[0].scaling["limit"] == "cores"
    assert crews[0].scaling["because"].endswith("the machine's 4 cores leave it 3")


def test_memory_limits_what_needs_no_cores(tmp_path: Path) -> None:
    """A replica that was seen to take three gigabytes is started only where there are so many."""
    crew = Crew(tmp_path, "a", Scaling(1, 8, cores=0.0), memory_bytes=3 * 2**30)
    Server(tmp_path, crew).on(1.0, 7 * 2**30).pass_seconds(20, 400)
    assert crew.size == 2
    assert "7.0 GiB of memory leave it 2" in crew.scaling["because"]


def test_with_a_stated_number_there_are_so_many(tmp_path: Path) -> None:
    """With serve --replicas N there are N, whatever comes."""
    crew = Crew(tmp_path, "a", WIDE)
    Server(tmp_path, crew, scales=False).pass_seconds(20, 900)
    assert crew.size == 1


def test_a_stopped_service_starts_with_the_first_row(tmp_path: Path) -> None:
    """It is looked at several times a second, since somebody waits."""
    crew = Crew(tmp_path, "a", Scaling(0, 4, scale_in_after="10 s"))
    server = Server(tmp_path, crew)
    server.pass_seconds(90, 0)
    assert crew.size == 0
    crew.counters.now(1, 0)
    server.now += 0.2
    server.scaler.look(server.now)
    assert crew.size == 1


def test_a_release_that_may_come_back_keeps_what_the_other_needs(tmp_path: Path) -> None:
    """Two releases of a service run: the one whose traffic went over keeps its replicas, in case it comes back, as long as
    the other one needs so many."""
    old, new = Crew(tmp_path, "a", WIDE), Crew(tmp_path, "a", WIDE, release="2")
    old.size = 4
    server = Server(tmp_path, old, new)
    server.pass_seconds(200, 0, 300)
    assert (old.size, new.size) == (4, 4)
    assert "the other release needs so many" in old.scaling["because"]
    server.pass_seconds(300, 0, 10)
    assert (old.size, new.size) == (1, 1)


def test_an_override_in_the_store_holds_until_it_runs_out(tmp_path: Path) -> None:
    """What somebody put on record is followed within seconds, and forgotten when its time is over."""
    place = str(tmp_path / "store")
    store = open_store(place, create=True)
    crew = Crew(tmp_path, "a", WIDE)
    server = Server(tmp_path, crew, store=place)
    detail = {"min": 6, "until": time.time() + 3600}
    store.events.append(Act("ada", "scale", "a launch", detail), service="a")
    follow_until(server, crew, 6)
    assert "ada asked for 6 until" in crew.scaling["because"]
    store.events.append(Act("ada", "scale", "", {"min": 6, "until": time.time() - 1}), service="a")
    follow_until(server, crew, 1)


def follow_until(server: Server, crew: Crew, size: int) -> None:
    """Let seconds pass; the store is read on a thread of its own."""
    limit = time.monotonic() + 60
    while crew.size != size:
        assert time.monotonic() < limit
        server.pass_seconds(2, 10)
        time.sleep(0.01)


def test_what_the_machine_has_is_seen() -> None:
    """There is a core, and there is memory where the system tells."""
    found = machine()
    assert found.cores > 0
    assert found.memory_bytes >= 0

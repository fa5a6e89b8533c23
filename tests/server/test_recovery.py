"""Processes that hang, are stopped, outgrow their memory or cannot live: found, replaced, and told; nothing is lost."""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.server.running import SERVICE, Reply, Running, alive, kill, launch, serve, until, write_service

pytestmark = pytest.mark.slow

GOOD = {"x": 1.0, "level": 0.5, "wish": "echo"}
MODEL = """
import threading

HELD = threading.Lock()
HELD.acquire()
GROWN = []


class Columns:
    forkable = True

    def __call__(self, columns):
        return columns


"""
WISHES = """        if "hang" in wishes:
            HELD.acquire()
        if "grow" in wishes:
            GROWN.append(np.ones(2**21))
"""


def changed(source: str, *changes: tuple[str, str]) -> str:
    """A source where each of these stands once, with another text in its place."""
    for before, after in changes:
        assert source.count(before) == 1, before
        source = source.replace(before, after)
    return source


FORKABLE = MODEL + changed(
    SERVICE,
    ("model = staticmethod(lambda columns: columns)", "model = Columns()"),
    ('"sleep", "nan"]', '"sleep", "nan", "hang", "grow"]'),
    ('        if "raise" in wishes:', WISHES + '        if "raise" in wishes:'),
    ('Deadline("10 s")', 'Deadline("500 ms")'),
)


def loading(source: str, *lines: str) -> str:
    """A source whose service does something once, when it is loaded."""
    body = "".join(f"        {line}\n" for line in lines)
    return changed(source, ("    def preprocess", f"    def load(self) -> None:\n{body}\n    def preprocess"))


def row(k: int, wish: str = "echo") -> dict[str, Any]:
    """A row that carries its number."""
    return {**GOOD, "x": float(k + 100), "wish": wish}


def told(server: Running, event: str) -> list[dict[str, Any]]:
    """What the server reported of this kind."""
    return [said for said in server.events() if said.get("event") == event]


class Load:
    """What clients were answered while something happened."""

    def __init__(self) -> None:
        self.wrong: list[Reply] = []
        self.statuses: list[int] = []
        self.slowest_s = 0.0

    def ask(self, server: Running, k: int) -> None:
        """One request, whose answer has to carry its number."""
        began = time.monotonic()
        reply = server.ask("/predict", row(k))
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        self.statuses.append(reply.status)
        if reply.status != 200 or reply.json["output"]["x"] != k + 100:
            self.wrong.append(reply)


@contextmanager
def load(server: Running, clients: int = 6) -> Iterator[Load]:
    """Clients that ask all the time."""
    found, stop = Load(), threading.Event()

    def client(first: int) -> None:
        k = first
        while not stop.is_set():
            found.ask(server, k % 1_000_000)
            k += clients

    with ThreadPoolExecutor(clients) as pool:
        asking = [pool.submit(client, k) for k in range(clients)]
        try:
            yield found
        finally:
            stop.set()
        for one in asking:
            one.result()


def test_replicas_are_forked(tmp_path: Path) -> None:
    """A model that can be forked is loaded once; a replica that is killed is back in a moment, of the same release."""
    with serve(write_service(tmp_path, FORKABLE), "--replicas", "3") as server:
        until(lambda: len(server.pids("replica")) == 3, "all replicas")
        (template,) = server.pids("template")
        assert len(told(server, "loaded")) == 1
        assert len({server.ask("/predict", row(k)).json["release"] for k in range(20)}) == 1
        began = time.monotonic()
        for pid in server.pids("replica"):
            kill(pid)
        assert server.ask("/predict", GOOD).status == 200
        assert time.monotonic() - began < 0.5
        until(lambda: len(server.pids("replica")) == 3, "all replicas again")
        assert server.pids("template") == [template]


def test_a_template_is_killed(tmp_path: Path) -> None:
    """Replicas outlive their template, which is made again while they answer."""
    with serve(write_service(tmp_path, FORKABLE), "--replicas", "2") as server:
        until(lambda: len(server.pids("replica")) == 2, "both replicas")
        replicas, (template,) = server.pids("replica"), server.pids("template")
        with load(server) as found:
            kill(template)
            until(lambda: [pid for pid in server.pids("template") if pid != template], "another template")
            assert set(replicas) == set(server.pids("replica"))
            kill(replicas[0])
            until(lambda: len(told(server, "ready")) == 3 and len(server.pids("replica")) == 2, "another replica")
        assert found.statuses
        assert found.wrong == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "1 further threads run"),
        ("self.kept = open(__file__)", "service.py open"),
        ("import socket; self.kept = socket.socket()", "the service keeps socket:"),
    ],
)
def test_what_cannot_be_forked(tmp_path: Path, line: str, reason: str) -> None:
    """What a fork would lack, or share without knowing, is seen, and each replica is then started by itself."""
    with serve(write_service(tmp_path, loading(FORKABLE, line)), "--replicas", "2") as server:
        until(lambda: len(told(server, "ready")) == 2, "both replicas")
        assert reason in told(server, "ready")[0]["alone"]
        assert server.pids("template") == []
        assert server.ask("/predict", GOOD).status == 200


@pytest.mark.parametrize("source", [SERVICE, FORKABLE], ids=["alone", "forked"])
def test_a_stopped_replica(tmp_path: Path, source: str) -> None:
    """A replica that is stopped is found at once and replaced; what it held is answered by another, in time."""
    with serve(write_service(tmp_path, source), "--replicas", "2") as server:
        until(lambda: len(told(server, "ready")) == 2, "both replicas")
        with load(server) as found:
            stopped = server.pids("replica")[0]
            os.kill(stopped, signal.SIGSTOP)
            until(lambda: not alive(stopped), "the end of the stopped one")
            until(lambda: len(told(server, "ready")) == 3, "another")
        assert found.wrong == []
        assert found.slowest_s < 0.5
        assert told(server, "died")[0]["because"] == "it was stopped from outside (SIGSTOP)"


@pytest.mark.alone
def test_a_replica_that_is_slowed_down(tmp_path: Path) -> None:
    """A process that goes on at once after it was stopped, as tools that limit processors do, is left alone."""
    with serve(write_service(tmp_path)) as server:
        (pid,) = server.pids("replica")
        for _ in range(20):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.01)
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.01)
        assert server.ask("/predict", GOOD).status == 200
        assert server.pids("replica") == [pid]


@pytest.mark.parametrize("role", ["front", "admin", "template"])
def test_another_process_is_stopped(tmp_path: Path, role: str) -> None:
    """Whichever process is stopped, another takes its place."""
    with serve(write_service(tmp_path, FORKABLE)) as server:
        (pid,) = server.pids(role)
        os.kill(pid, signal.SIGSTOP)
        until(lambda: [p for p in server.pids(role) if p != pid], f"a new {role}")
        until(lambda: answers(server), "an answer")


def answers(server: Running) -> bool:
    """Whether the server answers a row."""
    try:
        return server.ask("/predict", GOOD).status == 200
    except OSError:
        return False


def test_a_deadlock(tmp_path: Path) -> None:
    """A replica whose code waits for ever is replaced within a second of the deadline; the log says at which line it waited,
    the row that did it is quarantined, and the rows beside it are answered."""
    with serve(write_service(tmp_path, FORKABLE), "--replicas", "2") as server:
        until(lambda: len(told(server, "ready")) == 2, "both replicas")
        with load(server) as found:
            began = time.monotonic()
            assert server.ask("/predict", row(7, "hang")).status == 504
            until(lambda: len(told(server, "died")) == 2, "the end of both that hung")
            assert time.monotonic() - began < 5.0
            assert server.ask("/predict", row(7, "hang")).json["code"] == "quarantined"
        first, second = (said["because"] for said in told(server, "died"))
        assert first.startswith("it slept over one batch for 1.")
        assert second == "it has had a batch for far too long"
        assert 'service.py", line' in server.log.read_text()
        assert "in preprocess" in server.log.read_text()
        assert [reply.status for reply in found.wrong] == [504] * len(found.wrong)


def test_memory_that_grows(tmp_path: Path) -> None:
    """A replica that outgrows its ceiling is replaced by a new one that is there first: nobody notices."""
    folder = write_service(tmp_path, FORKABLE.replace('Deadline("500 ms")', 'Deadline("5 s")'))
    (folder / "tenfold.toml").write_text('[server]\nmemory = "200 MiB"\n')
    with serve(folder) as server:
        (first,) = server.pids("replica")
        with load(server) as found:
            for k in range(12):
                assert server.ask("/predict", row(k, "grow")).status == 200
            until(lambda: not alive(first), "the end of the large one")
        assert found.wrong == []
        (said,) = told(server, "recycling")
        assert said["pid"] == first
        assert said["memory_bytes"] > said["ceiling_bytes"] == 200 * 2**20
        assert told(server, "died") == []


def test_a_ceiling_below_the_model(tmp_path: Path) -> None:
    """Where a replica takes more than its ceiling from the start, that is said once, and the service goes on."""
    folder = write_service(tmp_path, FORKABLE)
    (folder / "tenfold.toml").write_text('[server]\nmemory = "1 MiB"\n')
    with serve(folder) as server:
        until(lambda: told(server, "too_large"), "the notice")
        pids = server.pids("replica")
        time.sleep(1.2)
        assert (len(told(server, "too_large")), told(server, "recycling")) == (1, [])
        assert server.pids("replica") == pids
        assert server.ask("/predict", GOOD).status == 200


def test_a_crash_loop(tmp_path: Path) -> None:
    """What ends whenever it is started is given up after a while: that is told, with the mend, by events, by /readyz and by
    the status; a change of the folder starts it again."""
    broken = changed(FORKABLE, ("HELD.acquire()\nGROWN", "__import__('os')._exit(3)\nGROWN"))
    folder = write_service(tmp_path / "service", FORKABLE)
    with serve(folder, log=tmp_path / "log") as server:
        write_service(folder, broken)
        kill(server.pids("template")[0])
        kill(server.pids("replica")[0])
        (said,) = until(lambda: told(server, "crash_loop"), "the notice")
        assert said["because"] == "7 in a row ended before they answered anything"
        assert "tenfold check" in said["hint"]
        ready = server.ask("/readyz")
        assert (ready.status, ready.json["because"]) == (503, {"echoes": said["because"]})
        began = time.monotonic()
        assert server.ask("/predict", GOOD).status == 503
        assert time.monotonic() - began < 1.0
        (line,) = server.ask("/api/status", port=server.admin_port).json["services"]
        assert (line["ready"], line["trouble"]) == (False, said["because"])
        write_service(folder, FORKABLE)
        until(lambda: answers(server), "an answer")
        assert server.ask("/readyz").json == {"ready": True, "draining": False, "services": {"echoes": True}}


@pytest.mark.parametrize("source", [SERVICE, FORKABLE], ids=["alone", "forked"])
def test_the_supervisor_is_killed(tmp_path: Path, source: str) -> None:
    """Without its supervisor nothing stays behind, not even what a template forked."""
    with serve(write_service(tmp_path, source), "--replicas", "2") as server:
        until(lambda: len(told(server, "ready")) == 2, "both replicas")
        pids = [pid for role in ("front", "replica", "admin", "template") for pid in server.pids(role)]
        kill(server.process.pid)
        server.process.wait()
        until(lambda: not any(map(alive, pids)), "the end of all children")


def test_the_supervisor_is_killed_while_a_model_loads(tmp_path: Path) -> None:
    """A model that loads for ever does not outlive its supervisor."""
    with launch(write_service(tmp_path, "import time\ntime.sleep(60)\n"), "--port", "0") as server:
        (pid,) = until(lambda: server.pids("replica"), "the loading")
        time.sleep(0.5)
        kill(server.process.pid)
        server.process.wait()
        until(lambda: not alive(pid), "the end of the loading")


def test_what_a_replica_left_behind(tmp_path: Path) -> None:
    """Processes that the service's own code started end with their replica."""
    source = loading(SERVICE, "import subprocess", "subprocess.Popen(['sleep', '99'])")
    with serve(write_service(tmp_path, source)) as server:
        (replica,) = server.pids("replica")
        (sleeper,) = [int(pid) for pid in Path(f"/proc/{replica}/task/{replica}/children").read_text().split()]
        kill(replica)
        until(lambda: not alive(sleeper), "its end")


def test_the_folder_of_forked_replicas_changes(tmp_path: Path) -> None:
    """Each generation has a template of its own; the former goes with the last of its replicas, and no request is lost."""
    folder = write_service(tmp_path / "service", FORKABLE)
    with serve(folder, "--reload", "--replicas", "2", log=tmp_path / "log") as server:
        until(lambda: len(server.pids("replica")) == 2, "both replicas")
        (former,) = server.pids("template")
        with load(server, clients=3) as found:
            write_service(folder, FORKABLE + "\n# another release\n")
            until(lambda: not alive(former), "the end of the former template")
        assert found.wrong == []
        assert len(server.pids("template")) == 1
        until(lambda: len(server.pids("replica")) == 2, "the end of the former replicas")


def test_the_front_comes_first(tmp_path: Path) -> None:
    """Replicas stand behind the front, and a release that loads beside one that answers uses what nobody else wants."""
    folder = write_service(tmp_path / "service", FORKABLE)
    with serve(folder, "--reload", log=tmp_path / "log") as server:

        def niceness(role: str) -> list[int]:
            return [os.getpriority(os.PRIO_PROCESS, pid) for pid in server.pids(role)]

        own = os.getpriority(os.PRIO_PROCESS, 0)
        behind = [max(own, 10)]
        assert (niceness("front"), niceness("replica"), niceness("template")) == ([own], behind, behind)
        (first,) = server.pids("replica")
        write_service(folder, loading(FORKABLE, "import time", "time.sleep(1)"))
        (second,) = until(lambda: [pid for pid in server.pids("replica") if pid != first], "the next release")
        if os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - behind[0]:
            until(lambda: os.sched_getscheduler(second) == os.SCHED_IDLE, "its standing back")
        until(lambda: server.pids("template") == [second], "the next template")
        assert os.sched_getscheduler(second) == os.SCHED_OTHER
        assert niceness("template") == behind

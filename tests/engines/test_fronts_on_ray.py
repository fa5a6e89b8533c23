"""A server on each machine of a Ray cluster, all on one store. A machine here is a raylet and a server in namespaces of their
own: neither sees the processes of another, and they end together, at once, as those of a machine without power do."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tenfold.control import deployments, releases
from tests.server.running import Running, write_service
from tests.store.servers import BUCKET, MISSING, environment, objects, postgres

ray = pytest.importorskip("ray", reason="Ray is not installed: uv pip install ray")
APART = ["unshare", "--pid", "--uts", "--fork", "--mount-proc", "--kill-child"]
if os.geteuid():
    APART[1:1] = ["--user", "--map-root-user"]


def _can_be_apart() -> bool:
    """Whether we may make namespaces on this machine."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} of PostgreSQL on this machine; Debian: make debian"),
    pytest.mark.skipif(not _can_be_apart(), reason="nobody here may make namespaces (unshare --pid)"),
]
PATIENCE_S = 90.0
NODE = {"num_cpus": 0, "object_store_memory": 100 * 2**20, "include_dashboard": False}

SOURCE = '''
"""Which machine computes an answer, and by which release."""

import socket

from tenfold import Contract, Deadline, Drift, Releases, Service

VERSION = {version}


class Number(Contract):
    x: float


class Place(Contract):
    machine: str
    version: int


class Where(Service):
    """Says where it is."""

    input, output = Number, Place
    model = staticmethod(len)
    deadline = Deadline("10 s")
    drift = Drift(journal="off")
    releases = Releases(steps=(), shadow_requests=0, bake="1 h")

    def postprocess(self, rows):
        return {{"machine": [socket.gethostname()] * rows, "version": [VERSION] * rows}}
'''

ON_EACH = """
hostname "$1"
mount -t tmpfs none /tmp/ray
"$2" start --address="$3" --num-cpus=4 --object-store-memory=100000000 --min-worker-port=0 --max-worker-port=0
"$4" -m tenfold serve --store "$5" --on "ray://$3" --anonymous --port 0 --admin-port 0 --json
"""


class Machine:
    """A machine of the cluster, whose own server answers."""

    def __init__(self, name: str, cluster: Any, place: str, url: str, folder: Path) -> None:
        self.name = name
        python = Path(sys.executable)
        words = [name, str(python.with_name("ray")), cluster.address, str(python), place]
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*APART, "sh", "-ec", ON_EACH, "sh", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment(url, folder / name)},
            )
        self._server = Running(self._process, 0, 0, self.log)

    def ask(self) -> dict[str, Any]:
        """What its front answers: where that was computed, by which version."""
        if not self._server.port:
            assert self._process.poll() is None, self.log.read_text()
            events = self._server.events()
            self._server.port = next((one["address"][1] for one in events if one.get("event") == "serving"), 0)
        reply = self._server.ask("/where/predict", {"x": 1})
        return {"status": reply.status, **reply.json.get("output", {})}

    def says(self, version: int) -> bool:
        """Whether its front answers by this version, computed on this machine."""
        try:
            return self.ask() == {"status": 200, "machine": self.name, "version": version}
        except (OSError, http.client.HTTPException):
            return False

    def lose(self) -> None:
        """All that runs there ends at once."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head that runs no replica."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args=NODE)
    try:
        yield started
    finally:
        started.shutdown()


def until(condition: Callable[[], Any], what: str, *machines: Machine) -> None:
    """Wait for something to become true."""
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit, "\n".join(
            [f"{what} did not happen", *(one.log.read_text() for one in machines)]
        )
        time.sleep(0.05)


@contextmanager
def asked_all_the_time(machine: Machine) -> Iterator[Counter[tuple[Any, ...]]]:
    """Two clients that ask one front on and on, and what it answered."""
    seen: Counter[tuple[Any, ...]] = Counter()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answer = machine.ask()
            seen[answer["status"], answer.get("machine")] += 1

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        yield seen
    finally:
        over.set()
        for asker in askers:
            asker.join()


def deploy(version: int, folder: Path, place: str) -> None:
    """The next version, for all who share the store."""
    write_service(folder, SOURCE.format(version=version))
    (folder / "requirements.txt").write_text("numpy\n")
    deployments.deploy(releases.push(str(folder), place).release.name, place)


def test_a_front_on_each_machine(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each machine has a front, which a replica beside it answers. When a machine is lost under load, the others answer every
    request; once it is back, and its server starts as ever, it answers beside its front again; and what is deployed then, all
    of them take, and no request is lost."""
    with ExitStack() as held:
        database = held.enter_context(postgres())
        url = held.enter_context(objects())
        for name, value in environment(url, tmp_path).items():
            monkeypatch.setenv(name, value)
        place = f"{database.create()}&blobs=s3://{BUCKET}/ray"
        deploy(1, tmp_path / "where", place)
        left, right = (Machine(name, cluster, place, url, tmp_path) for name in ("left", "right"))
        for machine in (left, right):
            held.callback(machine.lose)
        for machine in (left, right):
            until(partial(machine.says, 1), "an answer computed beside the front", machine)
        with asked_all_the_time(left) as seen:
            right.lose()
            before = seen.total()
            until(lambda: seen.total() > before + 500, "answers after a loss", left)
            again = Machine("right", cluster, place, url, tmp_path)
            held.callback(again.lose)
            until(partial(again.says, 1), "an answer of the machine that came back", left, again)
            deploy(2, tmp_path / "where", place)
            for machine in (left, again):
                until(partial(machine.says, 2), "the second release", left, again)
        assert set(seen) == {(200, "left")}, seen

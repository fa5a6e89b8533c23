"""A server of a store for the tests, and clients that never stop asking."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tenfold.control import deployments, releases
from tenfold.control.stores import opened
from tests.server.running import Running

PATIENCE_S = 90.0  # gates, loads and proofs take their time on a busy machine

SOURCE = '''
"""A number times another one, which is what tells its releases apart."""

import time
from typing import Annotated

import numpy as np

from tenfold import Contract, Deadline, Drift, Ge, Releases, Service

TIMES = {times}


class Number(Contract):
    x: Annotated[float, Ge(0)]


class Product(Contract):
    y: float
    times: int


class Multiply(Service):
    """So many times a number."""

    name = "multiply"
    input, output = Number, Product
    model = staticmethod(lambda matrix: matrix.sum(axis=1))
    deadline = Deadline("10 s")
    drift = Drift(journal="off")
    releases = Releases({policy})

    def postprocess(self, sums):
        {faults}
        return {{"y": np.asarray(sums) * TIMES, "times": np.full(len(sums), TIMES)}}
'''
AT_ONCE = 'steps=(), shadow_requests=0, bake="1 h"'


def write(folder: Path, times: int, policy: str = AT_ONCE, faults: str = "pass") -> Path:
    """A service that multiplies by ``times``; ``faults`` is a statement that it runs for each batch."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(SOURCE.format(times=times, policy=policy, faults=faults))
    (folder / "requirements.txt").write_text("numpy\n")
    return folder


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true, and return it."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen")


def push(folder: Path, times: int, policy: str = AT_ONCE, faults: str = "pass") -> str:
    """The next release of it, by its name."""
    return releases.push(str(write(folder, times, policy, faults))).release.name


@contextmanager
def served(store: Path, *arguments: str) -> Iterator[Running]:
    """``tenfold serve --store`` on free ports; ended as a user ends it."""
    log = store / "serve.log"
    ports = ["--port", "0", "--admin-port", "0"]
    command = [sys.executable, "-m", "tenfold", "serve", "--store", str(store), *ports, "--json", *arguments]
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    running = Running(process, 0, 0, log)
    before = len(running.events())
    try:

        def serving() -> dict[str, Any] | None:
            assert process.poll() is None, log.read_text()
            return next((event for event in running.events()[before:] if event.get("event") == "serving"), None)

        event = until(serving, "serving")
        running.port, running.admin_port = event["address"][1], event["admin"][1]
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def deploy(name: str, store: Path, **options: Any) -> None:
    """Deploy a release, and wait until it answers everything."""
    asked = deployments.deploy(name, str(store), **options)
    if asked.rollout is not None:
        deployments.wait(asked, PATIENCE_S)


def state(store: Path, service: str = "multiply") -> str:
    """The state of the newest rollout."""
    with opened(str(store)) as one:
        return one.rollouts.list(service)[0].state


def events(store: Path, service: str = "multiply") -> list[str]:
    """What was done."""
    with opened(str(store)) as one:
        return [event.what for event in one.events.list(service)]


class Clients:
    """Threads that ask, each over one connection, and what came of it. They count, and begin again at ``cycle``."""

    def __init__(
        self, server: Running, threads: int = 2, keys: Callable[[int], str] | None = None, cycle: int = 10**9
    ) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.by_key: dict[str, set[str]] = {}
        self.wrong: list[str] = []
        self._server = server
        self._keys = keys
        self._cycle = cycle
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def releases(self) -> set[str]:
        """The releases that answered."""
        return {release for release, _ in list(self.answers)}

    def _ask(self) -> None:
        with closing(http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)) as connection:
            self._ask_on(connection)

    def _ask_on(self, connection: http.client.HTTPConnection) -> None:
        count = 0
        while not self._stop.is_set():
            count = count % self._cycle + 1
            headers: Mapping[str, str] = {"content-type": "application/json"}
            key = self._keys(count) if self._keys else ""
            if key:
                headers = {**headers, "x-request-key": key}
            try:
                connection.request("POST", "/multiply/predict", json.dumps({"x": count}), headers)
                response = connection.getresponse()
                document = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.wrong.append(repr(error))
                return
            self._note(count, key, response.status, document)
            time.sleep(0.001)

    def _note(self, count: int, key: str, status: int, document: dict[str, Any]) -> None:
        with self._lock:
            output = document.get("output", {})
            if status == 200 and output["y"] == count * output["times"]:
                self.answers[document["release"], output["times"]] += 1
                self.by_key.setdefault(key, set()).add(document["release"])
            else:
                self.wrong.append(f"{status} {document}")

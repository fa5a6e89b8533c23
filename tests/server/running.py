"""A real server for the tests: ``tenfold serve`` as a process, and a client that keeps to the standard library."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE_S = 30.0

SERVICE = '''
"""A service that does what its rows ask for, well and badly."""

import os
import signal
import time
from typing import Annotated, Any, Literal

import numpy as np

from tenfold import (
    Batching, Contract, Deadline, Ge, Key, Le, Private, Rows, Service, clamp, flag, on_invalid, on_missing, quarantine, rule
)


class Wish(Contract):
    """A number, and what is to happen with it."""

    x: Annotated[float, Ge(0), Le(1e6)]
    wish: Annotated[Literal["echo", "die", "raise", "sleep", "nan"], on_missing("echo")]
    level: Annotated[float, Ge(0), Le(1), on_invalid(clamp), on_missing(0.5)]
    secret: Annotated[str | None, Private()]

    @rule(on_invalid=flag)
    def small(rows: Rows) -> Any:
        return rows.x < 500_000

    @rule(on_invalid=quarantine)
    def not_unlucky(rows: Rows) -> Any:
        return rows.x != 13


class Echo(Contract):
    """The number again, and who answered."""

    x: float
    level: float
    pid: int


class Echoes(Service):
    """Echoes numbers."""

    input, output = Wish, Echo
    model = staticmethod(lambda columns: columns)
    batching = Batching(max_rows=16)
    deadline = Deadline("10 s")

    def preprocess(self, rows: Rows) -> Any:
        wishes = set(rows.wish)
        if "die" in wishes:
            os.kill(os.getpid(), signal.SIGKILL)
        if "raise" in wishes:
            raise ValueError("as wished")
        if "sleep" in wishes:
            time.sleep(0.4)
        return np.where(rows.wish == "nan", np.nan, rows.x), rows.level

    def postprocess(self, scores: Any) -> dict[str, Any]:
        x, level = scores
        return {"x": x, "level": level, "pid": np.full(len(x), os.getpid())}
'''


def write_service(folder: Path, source: str = SERVICE) -> Path:
    """A service folder with this source."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(textwrap.dedent(source))
    return folder


class Reply(NamedTuple):
    """What a server answered; headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Running:
    """A server that runs. ``port`` and ``admin_port`` are on loopback."""

    process: subprocess.Popen[bytes]
    port: int
    admin_port: int
    log: Path

    def ask(
        self, path: str, body: Any = None, headers: Mapping[str, str] | None = None, method: str = "", port: int = 0
    ) -> Reply:
        """One request on a connection of its own; anything but bytes is sent as JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        try:
            sent = {"content-type": "application/json", **(headers or {})} if data is not None else dict(headers or {})
            connection.request(method or ("GET" if data is None else "POST"), path, data, sent)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def pids(self, role: str) -> list[int]:
        """The processes of a role, by their command lines."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and role.encode() in words:
                found.append(int(entry.name))
        return found

    def events(self) -> list[dict[str, Any]]:
        """What the server has printed so far."""
        found = []
        for line in self.log.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"text": line})
        return found


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true, and return it."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen")


@contextmanager
def serve(folder: Path, *arguments: str, log: Path | None = None) -> Iterator[Running]:
    """``tenfold serve`` on free ports, ready to answer; killed on leaving, should it still run."""
    with launch(folder, "--port", "0", *arguments, log=log) as running:

        def serving() -> dict[str, Any] | None:
            assert running.process.poll() is None, running.log.read_text()
            return next((event for event in running.events() if event.get("event") == "serving"), None)

        event = until(serving, f"serving {folder}")
        running.port, running.admin_port = event["address"][1], event["admin"][1]
        yield running


@contextmanager
def launch(folder: Path, *arguments: str, log: Path | None = None) -> Iterator[Running]:
    """``tenfold serve``, which has yet to get ready."""
    log = log or folder / "serve.log"
    command = [sys.executable, "-m", "tenfold", "serve", str(folder), "--admin-port", "0", "--json"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *arguments], stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield Running(process, 0, 0, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def meanwhile(work: Callable[[int, threading.Event], None], threads: int) -> Iterator[None]:
    """Threads that work beside the block: each is given its number, and what is set once the block is over."""
    over = threading.Event()
    started = [threading.Thread(target=work, args=(number, over)) for number in range(threads)]
    for thread in started:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in started:
            thread.join()


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)

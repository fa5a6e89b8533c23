"""A server at work: started on one core, proved right, its memory read, and ended with all its processes."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.data import Work
from benchmarks.servers import HERE, Server

RUN = HERE / ".run"  # logs and request bodies; each run writes them anew
PATH = "/predict"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has given its first answer."""

    server: Server
    port: int
    pid: int
    first_answer_s: float  # since its process was started

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def check(self, work: Work) -> None:
        """Every row gets what the model itself answers for it, or the run ends here."""
        probabilities = work.probabilities[self.server.model]
        for number, (row, probability) in enumerate(zip(work.rows, probabilities, strict=True)):
            status, answer = ask(self.port, self.server.body(row))
            if status != 200 or not self.server.is_right(answer, row, probability):
                raise SystemExit(
                    f"error: {self.server.name} answered row {number} with {status} {answer}; "
                    f"the model gives {probability}.\nfix:   look at {_log(self.server)}"
                )

    def memory_mb(self) -> tuple[float, float | None]:
        """All processes together (a page that several share counts once), and the front's resident part."""
        pids = family(self.pid)
        fronts = (pid for pid in pids if self.server.front and self.server.front in command_line(pid))
        front = next(fronts, None)
        together = sum(_kilobytes(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024
        return together, _kilobytes(front, "status", "VmRSS:") / 1024 if front else None


@contextmanager
def running(server: Server, work: Work, core: int) -> Iterator[Running]:
    """Start the server, all its processes on one core, wait for its first answer, and end it afterwards."""
    port, admin_port = free_ports(2)
    ports = {"port": port, "admin_port": admin_port}
    environment = {name: value.format(**ports) for name, value in server.environment.items()}
    began = time.perf_counter()
    with _log(server).open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *(part.format(**ports) for part in server.command)],
            cwd=HERE.parent,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,  # so that what it leaves behind can be ended with it
        )
    try:
        _wait_for_answer(server, process, port, work)
        yield Running(server, port, process.pid, time.perf_counter() - began)
    finally:
        _end(process)


def _wait_for_answer(server: Server, process: subprocess.Popen[bytes], port: int, work: Work) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            if ask(port, server.body(work.rows[0]))[0] == 200:
                return
        time.sleep(0.005)
    last = _log(server).read_text(errors="replace").strip().splitlines()[-5:]
    raise SystemExit("\n".join([f"error: {server.name} did not answer. Its last lines:", *last]))


def ask(port: int, body: Any) -> tuple[int, Any]:
    """The status of one answer and its body, decoded where it is an answer at all."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", PATH, msgspec.json.encode(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        said = response.read()
        return response.status, msgspec.json.decode(said) if response.status == 200 else said
    finally:
        connection.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, and after that end what is left of its process group."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _log(server: Server) -> Path:
    return RUN / f"{server.name}.log"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now; the sockets are held together, so that they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [held.getsockname()[1] for held in sockets]
    for held in sockets:
        held.close()
    return ports


def family(pid: int) -> list[int]:
    """The process and its descendants, parents first."""
    children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return [pid, *(member for child in children for member in family(int(child)))]


def command_line(pid: int) -> str:
    """The words that a process was started with, or calls itself by."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _kilobytes(pid: int, file: str, name: str) -> int:
    """One figure of the process's memory; 0 when it has just ended."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)

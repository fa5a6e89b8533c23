"""Running servers: starting one as a child, asking it over HTTP, and what it says of its services."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from tenfold.errors import Conflict, NotFound, TenfoldError, UsageError

HOST = "127.0.0.1"
ADMIN = f"http://{HOST}:8001"
NEEDS_KEY = (
    "--access KEY, of one that may operate, or TENFOLD_KEY · "
    "tenfold keys create NAME --scope operate --store STORE makes one, where STORE is the server's own store"
)
START_S = 60.0  # what loading and warming may take before we stop waiting
STOP_S = 15.0


class Reply(NamedTuple):
    """What a server answered: status, headers in lower case, body, and how long it took."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def ask(
    url: str, body: bytes | None = None, media_type: str = "application/json", timeout_s: float = 10.0, key: str = ""
) -> Reply:
    """GET a URL, or POST a body to it, with a ``key`` where one is asked for. ``NotFound`` where nobody listens there."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or HOST, parts.port, timeout=timeout_s)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    started = time.perf_counter()
    try:
        known = {"content-type": media_type} | ({"authorization": f"Bearer {key}"} if key else {})
        connection.request("GET" if body is None else "POST", path, body, known)
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotFound(f"nobody answers at {url} ({error})", "tenfold serve SERVICE starts a server") from None
    finally:
        connection.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, content, time.perf_counter() - started)


def status(url: str = ADMIN, key: str = "") -> list[dict[str, Any]]:
    """What the server behind an admin address says of its services, worst first."""
    reply = ask(f"{url.rstrip('/')}/api/status", key=key)
    if reply.status in (401, 403):
        raise UsageError(
            f"{url} asks for {'a key' if reply.status == 401 else 'another key'}",
            NEEDS_KEY,
        )
    if reply.status != 200:
        raise NotFound(
            f"{url} is not the admin address of a tenfold server (HTTP {reply.status})",
            f"tenfold serve prints it; without --admin-port it is {ADMIN}",
        )
    services: list[dict[str, Any]] = reply.json()["services"]
    return sorted(services, key=lambda service: (_trouble(service), service["name"]))


def mark(service: Mapping[str, Any]) -> str:
    """``broken``, ``open`` or ``ok``: the worst that can be said of a running service."""
    if not service["ready"] or "broken" in service["answers"]:
        return "broken"
    return "ok" if service["p99_s"] is None or service["p99_s"] <= service["deadline_s"] else "open"


def _trouble(service: Mapping[str, Any]) -> int:
    return ("broken", "open", "ok").index(mark(service))


# -- a server of our own -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was started here: its public and its admin address, and how long it took to be ready."""

    url: str
    admin_url: str
    ready_s: float


@contextmanager
def serving(folder: Path, port: int = 0, admin_port: int = 0, options: Sequence[str] = ()) -> Iterator[Server]:
    """``tenfold serve FOLDER`` as a child process, ready to answer; stopped by SIGTERM on leaving.

    A port that is taken is passed over for the next free one; 0 is any. ``options`` are further ones of ``serve``. While
    it runs, SIGTERM and SIGHUP end us as Ctrl-C does, since nobody else would end the server.
    """
    public = free_port(port)
    admin = free_port(max(admin_port, public + 1) if admin_port else 0)  # never the one that was passed on to
    ports = ["--port", str(public), "--admin-port", str(admin)]
    command = [sys.executable, "-m", "tenfold", "serve", str(folder), "--host", HOST, *ports, *options, "--json"]
    started = time.perf_counter()
    with tempfile.TemporaryFile() as said, _interrupted_by(signal.SIGTERM, signal.SIGHUP):
        # a session of its own, so that Ctrl-C reaches only us: two signals would end the server in mid-answer
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True)
        try:
            event = _wait_until_serving(process, said)
            yield Server(_url(event["address"]), _url(event["admin"]), time.perf_counter() - started)
        finally:
            _stop(process)


def _wait_until_serving(process: subprocess.Popen[bytes], said: IO[bytes]) -> dict[str, Any]:
    """The event that tells the addresses; an error with the server's own words where it does not come."""
    until = time.monotonic() + START_S
    while True:
        ended = process.poll() is not None or time.monotonic() > until
        said.seek(0)
        events = [_event(line) for line in said.read().splitlines()]
        for event in events:
            if event.get("event") == "serving":
                return event
            if "error" in event:
                raise TenfoldError(event["error"]["message"], event["error"]["fix"])
        if ended:
            words = "; ".join(event["text"] for event in events if "text" in event) or "it said nothing"
            raise TenfoldError(f"the server did not start: {words}", "tenfold check names the cause")
        time.sleep(0.01)


def _event(line: bytes) -> dict[str, Any]:
    """One line of what a server prints; text that is no event (a warning) as it is."""
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"text": line.decode("utf-8", "replace")}
    return event


def _url(address: Sequence[Any]) -> str:
    return f"http://{address[0]}:{address[1]}"


@contextmanager
def _interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Let signals do what Ctrl-C does; those that are ignored (nohup) or handled already stay so."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say so, and is the one interrupted
        yield
        return
    ours = [one for one in signals if signal.getsignal(one) is signal.SIG_DFL]
    for one in ours:
        signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one in ours:
            signal.signal(one, signal.SIG_DFL)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM drains; whoever does not go then is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port(wanted: int = 0) -> int:
    """The first free TCP port from ``wanted`` on; any free one for 0."""
    for port in range(wanted, wanted + 100) if wanted else [0]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            free: int = probe.getsockname()[1]
            return free
    raise Conflict(f"ports {wanted} to {wanted + 99} are taken", "choose another with --port")

"""Processes are killed while releases take over: is what was asked for done? `python -m benchmarks.rollout_kills`, on Linux.

One release after the other is deployed: compared, given half of the requests, then all. At a random moment of each, a
process of the server is killed; the supervisor, too, and then a server is started anew. Whatever was killed: the chain of
events has to hold, with pointers that are where it put them; the deployment that was acknowledged has to come to its end; and
what answers then has to be what the pointer means. Moments and processes are drawn from `--seed`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click
import msgspec

from tenfold.control import deployments, releases
from tenfold.control.stores import opened

ROLES = ("supervisor", "front", "replica", "template", "deployer", "admin")
PATIENCE_S = 90.0
SOURCE = '''\
import numpy as np

from tenfold import Contract, Deadline, Drift, Releases, Service


class Asked(Contract):
    number: int


class Given(Contract):
    times: int


class Times:
    """Says what it would multiply by."""

    forkable = True

    def __call__(self, numbers):
        return np.full(len(numbers), TIMES)


class Killed(Service):
    """Multiplies, while it is killed."""

    input, output, model = Asked, Given, Times()
    deadline = Deadline("2 s")
    drift = Drift(journal="off")
    releases = Releases(steps=("50%",), shadow_requests=20, bake="1 s", guard_rails=("errors",), tolerable="5%")

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, times):
        return {"times": times}
'''


@dataclass
class Outcome:
    """What became of the deployments, and which processes were killed."""

    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    answered: int = 0
    events: int = 0
    slowest_s: float = 0.0

    def __str__(self) -> str:
        roles = ", ".join(f"{count} {role}" for role, count in self.killed.most_common())
        ends = ", ".join(f"{count} {end}" for end, count in self.ended.most_common())
        return (
            f"{self.killed.total()} kills: {roles}\n"
            f"deployments {ends}; the slowest took {self.slowest_s:.1f} s\n"
            f"answered   {self.answered:,} requests meanwhile\n"
            f"record     {self.events:,} events, verified after each\n"
            f"broken     {'; '.join(self.broken) or 'nothing'}"
        )


class Server:
    """A server of the store, started anew when it was killed, and somebody who asks it all the time."""

    def __init__(self, store: Path) -> None:
        self.port = 0
        self.answered = 0
        self._store = store
        self._process: subprocess.Popen[bytes] | None = None
        self._over = threading.Event()
        self._client = threading.Thread(target=self._ask)

    def __enter__(self) -> Server:
        self.start()
        self._client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._client.join()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        log = self._store / "server.log"
        ports = ["--port", "0", "--admin-port", "0"]
        command = [
            sys.executable,
            "-m",
            "tenfold",
            "serve",
            "--store",
            str(self._store),
            *ports,
            "--fronts",
            "2",
            "--json",
        ]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        until = time.monotonic() + PATIENCE_S
        while not (lines := [line for line in log.read_bytes().splitlines() if b'"serving"' in line]):
            if self._process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"error: the server did not start: {log.read_text('utf-8')}")
            time.sleep(0.01)
        self.port = msgspec.json.decode(lines[0])["address"][1]

    def kill(self, role: str, dice: Random) -> bool:
        """Kill a process of a role; whether there was one."""
        assert self._process is not None
        found = [self._process.pid] if role == "supervisor" else self._pids(role)
        if not found:
            return False
        with suppress(ProcessLookupError):
            os.kill(dice.choice(found), signal.SIGKILL)
        if role == "supervisor":
            self._process.wait()
        return True

    def _pids(self, role: str) -> list[int]:
        """The supervisor's children whose command line names the role."""
        assert self._process is not None
        pid, found = self._process.pid, []
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                if role.encode() in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
                    found.append(int(child))
        return sorted(found)

    def times(self) -> int | None:
        """What the release that answers multiplies by; None where none does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", "/predict", b'{"number": 1}', {"content-type": "application/json"})
            response = connection.getresponse()
            document: dict[str, Any] = json.loads(response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return document["output"]["times"] if response.status == 200 else None

    def _ask(self) -> None:
        while not self._over.is_set():
            self.answered += self.times() is not None
            self._over.wait(0.002)


def run(kills: int, seed: int, roles: tuple[str, ...] = ROLES) -> Outcome:
    """So many deployments, each with a process killed at a random moment."""
    dice, outcome = Random(seed), Outcome()
    with tempfile.TemporaryDirectory(prefix="tenfold-kills-") as name:
        store = Path(name) / "killed"
        store.mkdir()
        (store / "requirements.txt").write_text("numpy\n")
        for times in (1, 2):
            (store / "service.py").write_text(SOURCE.replace("TIMES", str(times)), "utf-8")
            releases.push(str(store))
        with Server(store) as server:
            deployments.wait(deployments.deploy("@1", str(store)), PATIENCE_S)
            for k in range(kills):
                role = roles[k % len(roles)] if k < len(roles) else dice.choice(roles)
                outcome.broken += one(server, store, 2 - k % 2, role, dice, outcome)
                if outcome.broken:
                    break
        outcome.answered = server.answered
    return outcome


def one(server: Server, store: Path, number: int, role: str, dice: Random, outcome: Outcome) -> list[str]:
    """One deployment and one kill; what is broken after it."""
    began = time.monotonic()
    asked = deployments.deploy(f"@{number}", str(store))
    if asked.rollout is None:  # the one before was turned back: it answers already
        return []
    time.sleep(dice.uniform(0.0, 3.0))
    outcome.killed[role] += server.kill(role, dice)
    server.start()
    while True:
        with opened(str(store)) as kept:
            rollout = next(one for one in kept.rollouts.list() if one.id == asked.rollout.id)
            pointer = kept.pointers.get("killed")
            last = kept.events.verify()  # raises where a link is broken, or a pointer elsewhere
        if rollout.ended is not None:
            break
        if time.monotonic() - began > PATIENCE_S:
            said = deployments.progress("killed", str(store))[0].said
            log = (store / "server.log").read_text("utf-8")[-2000:]
            return [f"after the end of a {role} the rollout stays {rollout.state}: {said}; the server says: {log}"]
        time.sleep(0.1)
    outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)
    outcome.ended[rollout.state] += 1
    outcome.events = last.n if last else 0
    wanted = asked.release.id if rollout.state == "promoted" else rollout.from_
    if pointer is None or pointer.release != wanted:
        return [f"after the end of a {role} the pointer is not where {rollout.state} leaves it"]
    answers = number if rollout.state == "promoted" else 3 - number
    while server.times() != answers:
        if time.monotonic() - began > PATIENCE_S:
            return [f"after the end of a {role} another release answers than the pointer means"]
        time.sleep(0.05)
    return []


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(kills: int, seed: int) -> None:
    """Kill processes of a server while releases take over; exits with 1 where anything is broken."""
    outcome = run(kills, seed)
    click.echo(f"`python -m benchmarks.rollout_kills --kills {kills} --seed {seed}`\n{outcome}")
    sys.exit(bool(outcome.broken))


if __name__ == "__main__":
    main()

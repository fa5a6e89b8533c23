"""A machine of a Ray cluster is killed while clients ask: is anything lost? `python -m benchmarks.ray_lost`.

Two replicas on two machines of a cluster that is started here, beside a head without any. Every request carries a number,
which its answer has to bring back.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from benchmarks.environments import machine
from benchmarks.ray_live import NODE, SERVICE, wait_until
from tenfold.control.servers import ask, serving

REPLICAS, CLIENTS = 2, 8
DEADLINE_S = 2.0
GRACE_S = 0.25  # clients, servers and the cluster share the cores: an answer may lie so long before it is read
REFUSALS = (429, 503, 504)


@dataclass
class Seen:
    """What became of the requests: by status, "wrong" with another's number, "lost" without an answer."""

    became: Counter[object] = field(default_factory=Counter)
    longest_s: float = 0.0
    late: int = 0

    def note(self, what: object, took_s: float) -> None:
        """One request."""
        self.became[what] += 1
        self.longest_s = max(self.longest_s, took_s)
        self.late += took_s > DEADLINE_S + GRACE_S

    @property
    def is_whole(self) -> bool:
        """Whether each request was answered or refused in time."""
        return set(self.became) <= {200, *REFUSALS} and not self.late


@contextmanager
def asked(url: str) -> Iterator[Seen]:
    """Clients that ask without a pause, each over one connection."""
    seen, over, lock = Seen(), threading.Event(), threading.Lock()

    def run(number: int) -> None:
        while not over.is_set():
            with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=5 * DEADLINE_S)) as connection:
                while not over.is_set():
                    number += CLIENTS
                    began = time.monotonic()
                    what = _one(connection, number)
                    with lock:
                        seen.note(what, time.monotonic() - began)
                    if what == "lost":
                        break

    clients = [threading.Thread(target=run, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield seen
    finally:
        over.set()
        for client in clients:
            client.join()


def _one(connection: http.client.HTTPConnection, number: int) -> object:
    """What one request came to."""
    try:
        connection.request("POST", "/predict", json.dumps({"number": number}), {"content-type": "application/json"})
        response = connection.getresponse()
        document = json.loads(response.read())
    except (OSError, http.client.HTTPException):
        return "lost"
    right = response.status != 200 or document["output"]["number"] == number
    return response.status if right else "wrong"


def replicas(admin_url: str) -> int:
    """How many are ready."""
    return int(ask(f"{admin_url}/api/scaling/echoes").json()["replicas"])


def lose_one(cluster: Any, admin_url: str) -> float:
    """Kill a machine, and wait until all replicas are there again: after how many seconds. Exits where none was on it."""
    began = time.monotonic()
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    wait_until(lambda: replicas(admin_url) < REPLICAS, "no replica was lost with the machine")
    wait_until(lambda: replicas(admin_url) == REPLICAS, "the replicas did not come back")
    return time.monotonic() - began


@click.command()
@click.option(
    "--seconds", default=10, show_default=True, help="Of asking before the loss, and again after it is mended."
)
def main(seconds: int) -> None:
    """Lose a machine, and say what became of the requests."""
    from ray.cluster_utils import Cluster

    click.echo(f"{machine()}; {CLIENTS} clients, {REPLICAS} replicas on {REPLICAS} machines")
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    with tempfile.TemporaryDirectory(prefix="tenfold-ray-") as name:
        try:
            for _ in range(REPLICAS):
                cluster.add_node(**NODE)
            folder = Path(name)
            (folder / "service.py").write_text(SERVICE, "utf-8")
            options = ["--replicas", str(REPLICAS), "--on", f"ray://{cluster.address}"]
            with serving(folder, options=options) as server, asked(server.url) as seen:
                wait_until(lambda: replicas(server.admin_url) == REPLICAS, "the replicas are not ready")
                time.sleep(seconds)
                before = seen.became.total()
                took_s = lose_one(cluster, server.admin_url)
                meanwhile = seen.became.total() - before
                time.sleep(seconds)
        finally:
            with suppress(Exception):
                cluster.shutdown()
    said = ", ".join(f"{count:,} × {what}" for what, count in sorted(seen.became.items(), key=str))
    click.echo(f"{seen.became.total():,} requests, {meanwhile:,} of them while a replica was missing: {said}")
    click.echo(f"the longest took {seen.longest_s * 1e3:,.0f} ms, {seen.late} were later than the deadline")
    click.echo(f"{REPLICAS} replicas again {took_s:.1f} s after the machine was killed")
    raise SystemExit(not seen.is_whole)


if __name__ == "__main__":
    main()

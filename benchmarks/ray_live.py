"""Replicas on a Ray cluster beside local ones, and beside Ray Serve: `python -m benchmarks.ray_live`.

A model that sleeps 5 ms, whatever is in the batch, has four replicas: processes of this machine; actors on two machines of a
Ray cluster that is started here; and replicas of Ray Serve behind its own proxy, in an environment of its own. `wrk` keeps
connections busy with one row each. All take turns, and ratios are taken within a round.
"""

from __future__ import annotations

import http.client
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import click

from benchmarks.environments import install, machine
from benchmarks.load import Load, drive, wrk_version
from benchmarks.running import free_ports
from benchmarks.servers import FASTAPI, HERE, VENVS
from tenfold.control.servers import serving

REPLICAS, MAX_ROWS, SLEEP_S = 4, 64, 0.005
NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20}
START_S = 120.0
GOALS = {"local": 0.9, "Ray Serve": 5.0}
PEER = replace(FASTAPI, name="rayserve", packages=("ray[serve]==2.60.0",))
SERVICE = f'''\
import time

from tenfold import Batching, Contract, Deadline, Service


class Number(Contract):
    number: float


class Sleeper:
    def __call__(self, numbers):
        time.sleep({SLEEP_S})
        return numbers


class Echoes(Service):
    """Echoes numbers, after a while."""

    input, output, model = Number, Number, Sleeper()
    batching = Batching(max_rows={MAX_ROWS})
    deadline = Deadline("2 s")

    def preprocess(self, rows):
        return rows.number

    def postprocess(self, numbers):
        return {{"number": numbers}}
'''


@contextmanager
def cluster() -> Iterator[str]:
    """Two machines with two cores each, and a head that runs no replica; their address."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={**NODE, "num_cpus": 0, "include_dashboard": False})
    try:
        for _ in range(REPLICAS // 2):
            started.add_node(**NODE)
        yield f"ray://{started.address}"
    finally:
        started.shutdown()


@contextmanager
def on_ray(home: Path) -> Iterator[str]:
    """Served by tenfold, with its replicas on a cluster."""
    with cluster() as address, tenfold(home, "--on", address) as url:
        yield url


@contextmanager
def tenfold(home: Path, *options: str) -> Iterator[str]:
    """Served by tenfold, with all replicas ready; where it is asked."""
    folder = home / "echoes"
    folder.mkdir(exist_ok=True)
    (folder / "service.py").write_text(SERVICE, "utf-8")
    with serving(folder, options=["--replicas", str(REPLICAS), *options]) as server:
        wait_until(lambda: _replicas(server.admin_url) == REPLICAS, "the replicas are not ready")
        yield f"{server.url}/predict"


def _replicas(admin_url: str) -> int:
    from tenfold.control.servers import ask

    return int(ask(f"{admin_url}/api/scaling/echoes").json()["replicas"])


@contextmanager
def ray_serve() -> Iterator[str]:
    """Served by Ray Serve on a cluster of its own; where it is asked."""
    [port] = free_ports(1)
    script = [str(VENVS / "rayserve/bin/python"), str(HERE / "peers/ray_serve_app.py")]
    arguments = [str(port), str(SLEEP_S), str(MAX_ROWS), str(REPLICAS)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([*script, *arguments], start_new_session=True, **quiet)  # type: ignore[call-overload]
    try:
        wait_until(lambda: _answers(port), "Ray Serve does not answer")
        yield f"http://127.0.0.1:{port}/predict"
    finally:
        process.terminate()
        process.wait(START_S)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with suppress(OSError, http.client.HTTPException):
        connection.request("POST", "/predict", json.dumps({"number": 1.0}), {"Content-Type": "application/json"})
        return connection.getresponse().status == 200
    return False


def wait_until(condition: object, what: str) -> None:
    """Wait for a server to get ready."""
    assert callable(condition)
    limit = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > limit:
            raise SystemExit(f"error: {what} after {START_S:.0f} s")
        time.sleep(0.1)


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=5, show_default=True, help="Of each measurement, after a second of warming up.")
@click.option("--connections", default=128, show_default=True)
@click.option("--peer/--no-peer", default=True, show_default=True, help="Whether Ray Serve takes part.")
def main(rounds: int, seconds: int, connections: int, peer: bool) -> None:
    """Measure all in turns, and say what Ray replicas are worth beside the others."""
    click.echo(
        f"{wrk_version()}; {machine()}; {connections} connections, {REPLICAS} replicas, {SLEEP_S * 1e3:g} ms a batch"
    )
    if peer:
        install(PEER)
    found: dict[str, list[Load]] = {}
    with tempfile.TemporaryDirectory(prefix="tenfold-ray-") as name:
        home = Path(name)
        bodies = home / "bodies.ndjson"
        bodies.write_text("".join(f'{{"number": {number}.0}}\n' for number in range(100)))
        turns: dict[str, Callable[[], AbstractContextManager[str]]] = {
            "local": lambda: tenfold(home),
            "on Ray": lambda: on_ray(home),
        }
        if peer:
            turns["Ray Serve"] = ray_serve
        for _ in range(rounds):
            for who, served in turns.items():
                with served() as url:
                    drive(url, bodies, connections, 1)
                    load = drive(url, bodies, connections, seconds)
                found.setdefault(who, []).append(load)
                said = f"p50 {load.p50_ms:.1f} ms, p99 {load.p99_ms:.1f} ms, {load.failed} failed"
                click.echo(f"{who:10}{load.rows_per_s:9,.0f} rows/s  {said}")
    for other, goal in GOALS.items():
        if other in found:
            ratios = [ours.rows_per_s / its.rows_per_s for ours, its in zip(found["on Ray"], found[other], strict=True)]
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            median = statistics.median(ratios)
            click.echo(
                f"on Ray, of {other}: {median:.2f} ({spread}); goal {goal}: {'met' if median >= goal else 'open'}"
            )


if __name__ == "__main__":
    main()

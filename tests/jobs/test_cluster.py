"""``--on ray``: a job on the machines of a real Ray cluster, two of them started on this one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.making import digests, rows, service, write

ray = pytest.importorskip("ray", reason="Ray is not installed: uv pip install ray")
LONG_S = 400.0
pytestmark = [pytest.mark.slow, pytest.mark.timeout(LONG_S + 100)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of two nodes, each with a raylet and an object store of its own."""
    from ray.cluster_utils import Cluster

    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    started = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    try:
        started.add_node(**options)
        started.wait_for_nodes()
        yield started.address
    finally:
        started.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service, rows of which one breaks the contract, one raises and one ends its process, and what this machine makes
    of them."""
    home = tmp_path_factory.mktemp("cluster")
    service(home / "doubled")
    write(home / "in.parquet", rows(600, x={100: 500.0, 333: 66.0, 555: 88.0}, y={5: None}))
    finish(begin(home, "here"))
    return home


def begin(folder: Path, out: str, cluster: str = "") -> subprocess.Popen[str]:
    """Start the job here, or on the cluster."""
    command = [sys.executable, "-m", "tenfold", "batch", "doubled", "in.parquet", "-o", out, "--shard-rows", "60"]
    command += ["--workers", "2", "--json", *(["--on", "ray"] if cluster else [])]
    environment = os.environ | ({"RAY_ADDRESS": cluster} if cluster else {})
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def finish(job: subprocess.Popen[str]) -> dict[str, Any]:
    """What it says at its end."""
    with job:
        try:
            out, err = job.communicate(timeout=LONG_S)
        finally:
            job.kill()
    assert job.returncode == 0, out + err
    assert out.startswith("{"), out
    told: dict[str, Any] = json.loads(out)
    return told


def test_a_cluster_ends_what_this_machine_began_and_a_lost_member_costs_nothing(folder: Path, cluster: str) -> None:
    """It answers what is not safe yet; Ray's process for a member gets SIGKILL in the middle, and another one takes over; a
    row that ends its process is put aside there as here; and no byte differs."""
    shutil.copytree(folder / "here", folder / "there")
    manifest = folder / "there" / "manifest.jsonl"
    manifest.write_bytes(b"".join(manifest.read_bytes().splitlines(keepends=True)[:3]))
    (folder / "doubled" / "slow").touch()
    running = begin(folder, "there", cluster)
    try:
        _kill_one_member(manifest, running)
    finally:
        (folder / "doubled" / "slow").unlink()
        told = finish(running)
    assert (told["rows"], told["answered"], told["quarantined"]) == (600, 597, 3)
    assert digests(folder / "there") == digests(folder / "here")


def _kill_one_member(manifest: Path, running: subprocess.Popen[str]) -> None:
    """End one of the members by its process, once some parts are safe."""
    while running.poll() is None and not (manifest.exists() and manifest.read_bytes().count(b"\n") > 4):
        time.sleep(0.02)
    members = [
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if path.read_bytes().startswith(b"ray::Member")
    ]
    assert members
    os.kill(members[0], signal.SIGKILL)

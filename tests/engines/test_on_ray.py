"""``serve --on ray``: replicas on the machines of a real Ray cluster, three of them started on this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tenfold.control import deployments
from tenfold.engines.ray.orders import Needs
from tenfold.engines.ray.placer import Placer, towards
from tenfold.errors import UsageError
from tenfold.jobs.reaching import connected
from tenfold.server.channel import Channel
from tests.releases.serving import Clients, deploy, push, served
from tests.server.running import SERVICE, Reply, Running, launch, serve, write_service

ray = pytest.importorskip("ray", reason="Ray is not installed: uv pip install ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
PATIENCE_S = 90.0
NODE = {"num_cpus": 2, "object_store_memory": 100 * 2**20}
HEAD = {**NODE, "num_cpus": 0, "include_dashboard": False}
CAMERA = {**NODE, "resources": {"camera": 1, "desk": 2}}


DEVICES = '''
"""Which devices a replica may use, and on which machine."""

import os

from tenfold import Contract, Deadline, Scaling, Service


class Number(Contract):
    x: float


class Seen(Contract):
    devices: str
    raylet: str


class Devices(Service):
    """Says what Ray gave it."""

    input, output = Number, Seen
    model = staticmethod(len)
    deadline = Deadline("10 s")
    scaling = Scaling(1, 2, resources=("GPU: 1",))

    def postprocess(self, rows):
        names = {"devices": "CUDA_VISIBLE_DEVICES", "raylet": "RAY_RAYLET_PID"}
        return {field: [os.environ.get(name, "none")] * rows for field, name in names.items()}
'''


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs no replica, and two machines with two cores each."""
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args=HEAD)
    try:
        for _ in range(2):
            started.add_node(**CAMERA)
        started.wait_for_nodes()
        yield started
    finally:
        started.shutdown()


@pytest.fixture(scope="module")
def server(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with one replica there, that may become more."""
    source = SERVICE.replace("Batching, ", "Batching, Scaling, ").replace(
        '    deadline = Deadline("10 s")\n',
        '    deadline = Deadline("10 s")\n    scaling = Scaling(1, 8, scale_in_after="5 s", cores=2, '
        'resources=("camera: 1",))\n',
    )
    folder = write_service(tmp_path_factory.mktemp("far") / "echoes", source)
    with serve(folder, "--on", f"ray://{cluster.address}") as running:
        yield running


def until(condition: Callable[[], Any], server: Running) -> Any:
    """Wait for something to become true, and return it."""
    limit = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < limit, server.log.read_text()
        time.sleep(0.05)
    return found


def scaled(server: Running) -> Any:
    """What the server says of how many replicas there are."""
    return server.ask("/api/scaling/echoes", port=server.admin_port).json


@contextmanager
def at_least(server: Running, replicas: int) -> Iterator[None]:
    """So many replicas, as ``tenfold scale`` asks for them."""
    from tenfold.control import scale

    folder = str(server.log.parent)
    scale.ask(folder, replicas, "1 h", "a test")
    try:
        yield
    finally:
        scale.withdraw(folder)


def test_rows_are_answered_by_another_machine(server: Running) -> None:
    """The answer is the same as of a replica beside the front, remarks and all; what was counted for drift comes back."""
    reply = server.ask("/predict", {"x": 4, "wish": "echo", "level": 7})
    assert (reply.status, reply.json["output"]["x"], reply.json["output"]["level"]) == (200, 4.0, 1.0)
    assert reply.json["changes"][0]["code"] == "out_of_range"
    many = server.ask("/predict", [{"x": n} for n in range(100)]).json
    assert [row["x"] for row in many["outputs"] if row] == [float(n) for n in range(100) if n != 13]
    assert server.ask("/predict", {"x": 1, "wish": "raise"}).json["code"] == "model_failed"
    until(lambda: "as wished" in server.log.read_text(), server)  # what it prints there is read here
    until(lambda: list(server.log.parent.glob(".tenfold/drift/*/*")), server)


def test_a_row_that_ends_its_replica_is_quarantined(server: Running) -> None:
    """It is tried once more, alone, and then put aside; a replica is there again without a hand."""
    reply = server.ask("/predict", {"x": 2, "wish": "die"}, {"x-request-timeout-ms": "10000"})
    assert reply.json["code"] in ("quarantined", "deadline")
    until(lambda: server.ask("/predict", {"x": 3}).status == 200, server)


def test_whoever_does_not_know_the_secret_is_not_heard(server: Running) -> None:
    """A stranger who connects to a replica gets its nonce, and the end of the line; the replica goes on."""
    until(lambda: server.ask("/predict", {"x": 3}).status == 200, server)
    host, port = [event["at"] for event in server.events() if event.get("event") == "ready"][-1].rsplit(":", 1)
    with socket.create_connection((host, int(port)), 20) as line:
        line.sendall(bytes(64))
        said = b""
        with suppress(ConnectionError):
            while more := line.recv(4096):
                said += more
    assert len(said) == 40
    until(lambda: "was not let in" in server.log.read_text(), server)
    assert server.ask("/predict", {"x": 3}).status == 200


def test_strangers_who_say_nothing_keep_no_front_out(server: Running) -> None:
    """However many wait at a replica's door without a word, the one that has been silent for longest goes for the next."""
    until(lambda: server.ask("/predict", {"x": 3}).status == 200, server)
    host, port = [event["at"] for event in server.events() if event.get("event") == "ready"][-1].rsplit(":", 1)
    with ExitStack() as held:
        silent = [held.enter_context(socket.create_connection((host, int(port)), 20)) for _ in range(80)]
        for line in silent:
            with suppress(ConnectionError):
                assert len(line.recv(4096)) in (0, 40)  # each was greeted, the last ones too
        silent[0].settimeout(20)
        with suppress(ConnectionError):
            assert silent[0].recv(1) == b""
    assert server.ask("/predict", {"x": 3}).status == 200


def test_a_machine_that_is_no_node_of_the_cluster_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reaches a cluster without being part of it reads so at once, and how to join."""
    monkeypatch.setattr(ray._private.services, "find_node_ids", set)
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with pytest.raises(UsageError, match=f"this machine is no node of the Ray cluster at {address}") as raised:
            connected(address)
    assert f"ray start --address={address} --num-cpus=0" in raised.value.hint


def test_a_release_takes_over_there(cluster: Any, tmp_path: Path) -> None:
    """Deployments are those of any server: one release takes over from another and is taken back, and no request is lost."""
    store = tmp_path / "multiply"
    push(store, 2)
    push(store, 3)
    with served(store, "--on", f"ray://{cluster.address}") as server:
        deploy("@1", store)
        with Clients(server) as clients:
            deploy("@2", store)
            until(lambda: 3 in {times for _, times in list(clients.answers)}, server)
            deployments.wait(deployments.rollback("multiply", str(store), why="it is wrong"), PATIENCE_S)
            assert server.ask("/predict", {"x": 1}).json["output"]["times"] == 2
        assert clients.wrong == []


def test_a_machine_lost_under_load_costs_no_answer(server: Running, cluster: Any) -> None:
    """From one replica to two, each on a machine of its own, and one of the machines is killed: each request is answered
    with what it asked for, or refused with a problem; two replicas are there again as soon as the machine is back; and one in
    the end."""
    with at_least(server, 2):
        until(lambda: scaled(server)["replicas"] == 2, server)
        with asking(server) as asked:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            until(lambda: any("is gone" in str(event.get("because")) for event in server.events()), server)
            until(lambda: any(event.get("event") == "no_room" for event in server.events()), server)
            cluster.add_node(**CAMERA)
            until(lambda: scaled(server)["replicas"] == 2, server)
    assert unlike(asked, {200, 503, 504}) == []
    said = next(event for event in server.events() if event.get("event") == "no_room")
    assert said["asked"] == "2 cores and 1 camera"
    assert "cores are free on" in said["free"]
    until(lambda: scaled(server)["replicas"] == 1, server)
    assert server.ask("/predict", {"x": 3}).status == 200


def test_replicas_spread_again_when_a_machine_comes_back(cluster: Any, tmp_path: Path) -> None:
    """Where a machine is lost and the other has room for all, all are there; once one like it is back, a replica moves to it,
    so that the next loss takes no more along. All the while, each request is answered with what it asked for."""
    source = SERVICE.replace("Batching, ", "Batching, Scaling, ").replace(
        '    deadline = Deadline("10 s")\n',
        '    deadline = Deadline("10 s")\n    scaling = Scaling(2, 2, cores=0, resources=("desk: 1",))\n',
    )
    folder = write_service(tmp_path / "desks", source)
    with serve(folder, "--on", f"ray://{cluster.address}") as server:
        until(lambda: scaled(server)["replicas"] == 2, server)
        with asking(server) as asked:
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            until(lambda: events_of(server, "died"), server)
            until(lambda: scaled(server)["replicas"] == 2, server)
            assert events_of(server, "moving") == []
            cluster.add_node(**CAMERA)
            until(lambda: events_of(server, "moving"), server)
            until(lambda: len(events_of(server, "ready")) == 4 and scaled(server)["replicas"] == 2, server)
        assert unlike(asked, {200}) == []
        assert len(events_of(server, "died")) == 1


def test_a_replica_that_takes_a_gpu_gets_it_where_there_is_one(cluster: Any, tmp_path: Path) -> None:
    """It is placed on the machine that has one, and finds its number in CUDA_VISIBLE_DEVICES. Of another one it is said that
    there is no GPU for it, and what serves goes on; once a machine with one more joins, it is there, too."""
    folder = write_service(tmp_path / "devices", DEVICES)
    with ExitStack() as held:
        first = cluster.add_node(**NODE, num_gpus=1)
        held.callback(cluster.remove_node, first)
        server = held.enter_context(serve(folder, "--on", f"ray://{cluster.address}"))
        seen = server.ask("/predict", {"x": 1}).json["output"]
        assert seen == {"devices": "0", "raylet": raylet(first)}
        held.enter_context(at_least(server, 2))
        [said] = until(lambda: events_of(server, "no_room"), server)
        assert said["asked"] == "1 core and 1 GPU"
        assert said["free"].endswith("0 GPU")
        assert server.ask("/predict", {"x": 1}).json["output"] == seen
        another = cluster.add_node(**NODE, num_gpus=1)
        held.callback(cluster.remove_node, another)
        until(lambda: len(events_of(server, "ready")) == 2, server)


def test_an_amount_that_ray_gives_nobody_is_said(cluster: Any, tmp_path: Path) -> None:
    """One and a half GPUs are no share of a machine: the command ends, with what may be asked for."""
    folder = write_service(tmp_path / "devices", DEVICES.replace("GPU: 1", "GPU: 1.5"))
    with pytest.raises(AssertionError) as raised, serve(folder, "--on", f"ray://{cluster.address}"):
        pass
    assert "Ray cannot give a replica 1 core and 1.5 GPU: GPU resource quantities >1 must be whole" in str(raised.value)


def raylet(node: Any) -> str:
    """The process by which a replica's machine is known to it."""
    return str(node.all_processes["raylet"][0].process.pid)


def events_of(server: Running, kind: str) -> list[dict[str, Any]]:
    """What the server printed of one kind."""
    return [event for event in server.events() if event.get("event") == kind]


def unlike(asked: list[tuple[int, Reply]], statuses: set[int]) -> list[tuple[int, Reply]]:
    """The requests that were neither answered with their own number nor refused with a problem, in one of these statuses."""
    return [
        (x, reply)
        for x, reply in asked
        if reply.status not in statuses
        or (reply.json["output"]["x"] != x if reply.status == 200 else "code" not in reply.json)
    ]


@contextmanager
def asking(server: Running) -> Iterator[list[tuple[int, Reply]]]:
    """Two clients that ask on and on, each time with another number, and what they got."""
    replies: list[tuple[int, Reply]] = []
    over = threading.Event()

    def ask(first: int) -> None:
        for x in count(first, 2):
            if over.is_set():
                break
            replies.append((x, server.ask("/predict", {"x": x})))

    clients = [threading.Thread(target=ask, args=(20 + number,)) for number in range(2)]
    for client in clients:
        client.start()
    try:
        yield replies
    finally:
        over.set()
        for client in clients:
            client.join()


def test_a_server_that_waits_for_a_cluster_can_be_stopped(server: Running, tmp_path: Path) -> None:
    """Where something else than Ray listens at its address, too."""
    other = f"ray://127.0.0.1:{server.port}"
    with launch(write_service(tmp_path / "echoes"), "--port", "0", "--on", other) as waiting:
        until(lambda: waiting.pids("placer"), waiting)
        time.sleep(1)
        waiting.process.terminate()
        assert waiting.process.wait(20) == 0, waiting.log.read_text()


def test_a_ray_that_knows_less_places_replicas_itself() -> None:
    """What is used of Ray beyond its public interface may go: then replicas are spread as Ray sees fit."""
    strategies, node = ray.util.scheduling_strategies, "ab" * 28
    assert towards("", strategies) == "SPREAD"
    assert towards(node, strategies)._spill_on_unavailable
    assert towards(node, SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node_id, soft: None)) == "SPREAD"
    less = SimpleNamespace(
        _private=SimpleNamespace(state=None),
        nodes=lambda: [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 2.0}}],
        get_runtime_context=lambda: SimpleNamespace(get_node_id=lambda: "a"),
    )
    line, other = Channel.pair()
    with closing(line), closing(other):
        placer = Placer(line, less)
        assert placer.free() == {"a": {"CPU": 2.0}}
        assert placer.lacks(Needs(2)) == ""


def test_a_cluster_that_was_gone_is_found_again(server: Running, cluster: Any) -> None:
    """Where all of its machines are lost, the head and the server's own among them, rows are refused; once it is there again,
    at the same address, they are answered, and nobody had to do anything with the server."""
    port = int(cluster.address.rpartition(":")[2])
    for node in (*cluster.worker_nodes, cluster.head_node):
        cluster.remove_node(node, allow_graceful=False)
    (failed, *_) = until(lambda: events_of(server, "failed"), server)
    assert failed["message"].startswith("there is no Ray cluster to be reached at")
    assert server.ask("/predict", {"x": 3}, {"x-request-timeout-ms": "500"}).json["code"] == "deadline"
    cluster.add_node(**HEAD, gcs_server_port=port)
    cluster.add_node(**CAMERA)
    until(lambda: server.ask("/predict", {"x": 3}).status == 200, server)


def test_without_a_cluster_it_is_said_where_none_was_found(tmp_path: Path) -> None:
    """A wrong address ends the command at once, with a hint, wherever it stands; nothing is left running."""
    folder = write_service(tmp_path / "echoes")
    command = [sys.executable, "-m", "tenfold", "serve", str(folder), "--port", "0", "--admin-port", "0", "--json"]
    for on, named, told in (
        ("ray://127.0.0.1:1", "", "no Ray cluster to be reached at 127.0.0.1:1"),
        ("ray", "127.0.0.1:1", "no Ray cluster to be reached at 127.0.0.1:1"),
        ("ray", "head", "RAY_ADDRESS=head is no address of a cluster's head"),
        ("ray", "ray://head:10001", "RAY_ADDRESS=ray://head:10001 is for Ray's clients"),
        ("rye", "", "'rye' is no cluster"),
    ):
        surroundings = os.environ | {"RAY_ADDRESS": named}
        ended = subprocess.run(
            [*command, "--on", on], check=False, capture_output=True, text=True, timeout=100, env=surroundings
        )
        assert ended.returncode == 2, ended.stdout + ended.stderr
        assert (ended.stdout + ended.stderr).count(told) == 1

"""Two servers on one shared store: they deploy together, and go on answering while it is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from tenfold.control import deployments, keys, releases
from tenfold.control.servers import free_port
from tenfold.control.stores import opened
from tenfold.render import Asked, Wanted, kubernetes
from tenfold.service import find
from tenfold.service import spec as service_spec
from tenfold.store.records import Release
from tests.server.running import SERVICE, Running, kill, serve, until, write_service
from tests.store.conftest import Shared
from tests.store.servers import BUCKET, MISSING, environment, postgres

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} of PostgreSQL on this machine; Debian: make debian"),
]

ROW = {"x": 1.5, "secret": None}
STEPS = 'releases = Releases(steps=("50%",), shadow_requests=0, patience="2 s", after_patience="promote", bake="1 s")'
IN_STEPS = SERVICE.replace("from tenfold import (", "from tenfold import Releases\nfrom tenfold import (").replace(
    'deadline = Deadline("10 s")', f'deadline = Deadline("10 s")\n    {STEPS}'
)


@contextmanager
def asked_all_the_time(servers: list[Running]) -> Iterator[Counter[int]]:
    """Requests to all servers, one after the other, and the statuses of the answers."""
    seen: Counter[int] = Counter()
    done = threading.Event()

    def ask(server: Running) -> None:
        while not done.is_set():
            seen[server.ask("/echoes/predict", ROW).status] += 1

    askers = [threading.Thread(target=ask, args=(server,)) for server in servers]
    for asker in askers:
        asker.start()
    try:
        yield seen
    finally:
        done.set()
        for asker in askers:
            asker.join()


def is_up(server: Running) -> bool:
    """Whether somebody listens there, and the process has not ended."""
    assert server.process.poll() is None, server.log.read_text()
    try:
        return server.ask("/healthz").status == 200
    except OSError:
        return False


def is_ready(server: Running) -> bool:
    """Whether it answers."""
    return server.ask("/readyz").status == 200


def answers(server: Running, release: Release) -> bool:
    """Whether it is this release that answers."""
    said: str = server.ask("/echoes/predict", ROW).json["release"]
    return release.id.startswith(said.partition("@")[2])


def test_a_rendered_pod_serves_what_the_store_deploys(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container that is rendered for a fleet needs its arguments and the variables of its secret, and no folder: it
    answers with what is deployed, to whoever has a key."""
    pushed = releases.push(str(write_service(tmp_path / "written", IN_STEPS)), shared.url).release
    deployments.deploy(pushed.name, shared.url)
    key = keys.create("laboratory", place=shared.url).text
    asked = Asked(spec=service_spec(find(tmp_path / "written")), wanted=Wanted(store_secret="tenfold", start=5.0))
    asked = replace(asked, port=free_port(), admin_port=free_port(), metrics_port=free_port())
    (text,) = (text for name, text in kubernetes.files(asked).items() if "custom" not in name)
    deployment = next(document for document in yaml.safe_load_all(text) if document["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    secret = environment(os.environ["AWS_ENDPOINT_URL"], tmp_path) | {"TENFOLD_STORE": shared.url}
    command = [sys.executable, "-m", "tenfold", *container["args"]]
    (tmp_path / "empty").mkdir()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path / "empty", env={"PATH": os.environ["PATH"], **secret}, stdout=log, stderr=log
        )
    server = Running(process, asked.port, 0, tmp_path / "log")
    try:
        until(partial(is_up, server), "an answer")
        until(partial(is_ready, server), "ready")
        assert server.ask("/echoes/predict", ROW).status == 401
        reply = server.ask("/echoes/predict", ROW, {"authorization": f"Bearer {key}"})
        assert reply.status == 200
        assert pushed.id.startswith(reply.json["release"].partition("@")[2])
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(240)
def test_two_servers_deploy_together_and_outlive_their_database(
    running_objects: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deployed by anybody is answered by both, in the same steps; while PostgreSQL is away every request is answered
    and a replica that dies is replaced; when it is back, deployments go on. The record of all that is one chain."""
    for name, value in environment(running_objects, tmp_path).items():
        monkeypatch.setenv(name, value)
    folder = write_service(tmp_path / "written", IN_STEPS)
    with postgres() as database:
        place = f"{database.create()}&blobs=s3://{BUCKET}/fleet"
        first = releases.push(str(folder), place).release
        deployments.deploy(first.name, place)
        options = ("--store", place, "--anonymous")
        with (
            serve(Path("echoes"), *options, log=tmp_path / "a.log") as a,
            serve(Path("echoes"), *options, log=tmp_path / "b.log") as b,
        ):
            servers = [a, b]
            for server in servers:
                until(partial(is_ready, server), "ready")
                assert answers(server, first)
            with asked_all_the_time(servers) as seen:
                database.stop(signal.SIGQUIT)
                before = seen.total()
                until(lambda: seen.total() > before + 300, "answers without a database")
                killed = a.pids("replica")[0]
                kill(killed)
                until(lambda: killed not in a.pids("replica") and a.pids("replica"), "another replica")
                database.start()
                write_service(folder, IN_STEPS.replace("Echoes numbers.", "Echoes numbers again."))
                second = releases.push(str(folder), place).release
                deployments.deploy(second.name, place)
                for server in servers:
                    until(partial(answers, server, second), "the second")
            assert set(seen) == {200}, seen
        with opened(place) as store:
            assert store.events.verify() is not None
            done = Counter(event.what for event in store.events.list("echoes"))
            assert (done["deploy"], done["shift"], done["promote"]) == (2, 3, 2), (
                "one of the two decides, and both follow"
            )
            pointer = store.pointers.get("echoes")
            assert pointer is not None
            assert pointer.release == second.id

"""What a pod runs, run: the command of the rendered container as a process, asked as Kubernetes would ask it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from msgspec.structs import replace

from tenfold.control.servers import free_port
from tenfold.releases import Releases
from tenfold.render import Asked, Measured, kubernetes
from tenfold.service import find, spec
from tests.render.semantics import Document, documents, of_kind
from tests.server.running import until, write_service

pytestmark = pytest.mark.slow


def status(port: int, path: str, body: bytes | None = None) -> int:
    """The status of one request; 0 where nobody answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST" if body else "GET", path, body, {"content-type": "application/json"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Document], subprocess.Popen[bytes], Path]]:
    """What was rendered, and its container's process: its arguments, folder and environment, and nothing else."""
    folder = write_service(tmp_path_factory.mktemp("pod") / "service")
    (folder / "tenfold.toml").write_text('[releases]\nsteps = "external"\n[scaling]\nmax_replicas = 4\n')
    one = Asked(spec=spec(find(folder)), measured=Measured(200.0, 2.0))
    one = replace(one, port=free_port(), admin_port=free_port(), metrics_port=free_port())
    assert one.spec.releases == Releases("external")
    found = documents(kubernetes.files(one))
    deployment = of_kind(found, "Deployment")
    assert deployment is not None
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    scratch = tmp_path_factory.mktemp("scratch")
    said = {each["name"]: each["value"] for each in container["env"]} | {"HOME": str(scratch), "TMPDIR": str(scratch)}
    (folder / ".tenfold").mkdir()
    (folder / "service.py").chmod(0o444)
    folder.chmod(0o555)  # but for .tenfold, a volume of its own
    process = subprocess.Popen(
        [sys.executable, "-m", "tenfold", *container["args"]],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **said},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield found, process, folder
    process.kill()
    process.wait()
    folder.chmod(0o755)


def test_a_pod_starts_answers_and_goes(pod: tuple[list[Document], subprocess.Popen[bytes], Path]) -> None:
    """Its probes find it, it answers where requests are sent, metrics are where they are scraped; told to stop, it is not
    ready at once, goes on answering, and ends by itself with 0 before it would be killed."""
    found, process, folder = pod
    deployment, monitor = of_kind(found, "Deployment"), of_kind(found, "ServiceMonitor")
    assert deployment is not None
    assert monitor is not None
    pods = deployment["spec"]["template"]["spec"]
    container = pods["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}

    def probe(name: str) -> int:
        looked = container[f"{name}Probe"]["httpGet"]
        return status(ports[looked["port"]], looked["path"])

    until(lambda: probe("startup") == 200, "ready")
    assert (probe("readiness"), probe("liveness")) == (200, 200)
    row = b'{"x": 1.5, "secret": null}'
    path = f"/{deployment['metadata']['name']}/predict"
    assert status(ports["http"], path, row) == 200
    scraped = monitor["spec"]["endpoints"][0]
    assert status(ports[scraped["port"]], scraped["path"]) == 200
    assert {entry.name for entry in folder.iterdir()} == {"service.py", "tenfold.toml", ".tenfold"}

    process.send_signal(signal.SIGTERM)
    until(lambda: probe("readiness") != 200, "not ready")
    assert status(ports["http"], path, row) == 200, "it is in the lists of some nodes still"
    assert process.wait(pods["terminationGracePeriodSeconds"] + 60) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", ports["http"]), timeout=5).close()

"""demo, doctor and status: commands that start a real server, or ask one."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tenfold.cli.status import line
from tenfold.control import servers
from tenfold.errors import NotFound, TenfoldError
from tenfold.server.compiled import hot
from tests.cli.conftest import Run

COMMAND = [sys.executable, "-m", "tenfold"]


@pytest.mark.slow
def test_demo_shows_everything_and_ends(tmp_path: Path) -> None:
    """The demonstration trains, serves, is answered and refused, shows the sheet, and ends by itself."""
    command = [*COMMAND, "demo", "--once", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trained    a classifier on 569 tumours" in done.stdout
    assert "mean radius must be a number, found text (+2 more, all named)" in done.stdout
    assert "changed: mean texture → 18.84" in done.stdout
    assert "61 answered, 3 refused with reasons" in done.stdout
    assert re.search(r"1 ● contract .* 70 rows\n", done.stdout)  # what was asked before anybody counted, too
    assert "10 ○ drift" in done.stdout
    assert "look at it  make demo" in done.stdout
    assert "http://" not in done.stdout.rpartition("10 ○ drift")[2]  # nobody is at these addresses any more
    assert (tmp_path / "demo" / "service.py").exists()


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_demo_goes_on_until_it_is_interrupted(trained: Path, tmp_path: Path, ending: signal.Signals) -> None:
    """Without --once it serves on; Ctrl-C, SIGTERM or a closed terminal ends it and its server, with 0."""
    (tmp_path / "demo").symlink_to(trained)
    command = [*COMMAND, "demo", "--port", "0", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert servers.ask(said["url"]).status == 200
        process.send_signal(ending)
        assert process.wait(60) == 0
    with pytest.raises(NotFound):
        servers.ask(said["url"])


@pytest.mark.slow
def test_doctor_finds_nothing_wrong(run: Run) -> None:
    """On a machine where all this is installed, every line is ok, the last after a real request."""
    done = run("doctor", "--json")
    assert done.code == 0
    findings = {finding["word"]: finding for finding in done.json()["findings"]}
    assert findings.pop("compiled")["state"] == ("open" if hot is None else "ok")
    assert {finding["state"] for finding in findings.values()} == {"ok"}
    assert "answered in" in findings["serving"]["text"]


@pytest.mark.slow
def test_status_and_answers_of_a_running_server(trained: Path, tmp_path: Path, run: Run) -> None:
    """A running server is seen from outside: a line per service, and its sheet with what is live."""
    (tmp_path / "labels.csv").write_text("id,label\nx,1\n")
    with servers.serving(trained) as server:
        done = run(
            "feedback", "nope", tmp_path / "labels.csv", *("--id", "id", "--label", "label", "--server", server.url)
        )
        assert (done.code, f"no service at {server.url}/nope" in done.err) == (4, True)
        done = run("status", server.admin_url)
        assert done.code == 0
        assert "tumour" in done.out
        assert "rows/s" in done.out
        assert run("status", server.admin_url, "--json").json()["services"][0]["name"] == "tumour"
        assert "live" in run("answers", f"{server.url}/tumour").out
        assert run("answers", server.url, "--json").json()["service"] == "tumour"
        assert run("answers", f"{server.url}/tumor").code == 4
        assert run("status", server.url).code == 4


def test_status_without_a_server(run: Run) -> None:
    """Where nobody listens, the command says how to start a server."""
    done = run("status", f"http://127.0.0.1:{servers.free_port()}")
    assert done.code == 4
    assert "tenfold serve" in done.err


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    """A service with a mistake ends the start with the service's own error."""
    (tmp_path / "service.py").write_text("import nowhere_to_be_found\n", "utf-8")
    with pytest.raises(TenfoldError, match="nowhere_to_be_found"), servers.serving(tmp_path):
        pass


def test_a_taken_port_is_passed_over() -> None:
    """The demonstration takes the next free port, as a person would."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert servers.free_port(port) != port


def test_the_columns_of_status_are_aligned() -> None:
    """Two figures are enough to see how a service does, and columns stand below each other."""
    some = {"name": "a", "release": "a@1", "replicas": 1, "answers": ["met"] * 10, "ready": True, "deadline_s": 0.05}
    few = line({**some, "rows_per_s": 0.1234, "p99_s": None}, 1)
    many = line({**some, "rows_per_s": 41234.5, "p99_s": 0.0123456, "deadline_s": 30.0}, 1)
    assert "0.12 rows/s   p99 – of 50 ms" in few
    assert "41,234 rows/s   p99 12 ms of 30000 ms" in many
    assert few.index("replica") == many.index("replica")

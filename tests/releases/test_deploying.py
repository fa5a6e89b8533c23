"""Releases that take over from each other on a real server, while clients ask."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tenfold.control import deployments, releases, standings
from tenfold.control.stores import opened
from tenfold.errors import Conflict
from tenfold.store import Act
from tests.cli.conftest import Run
from tests.releases.serving import PATIENCE_S, Clients, deploy, events, push, served, state, until

pytestmark = pytest.mark.slow
HALF = 'steps=("50%",), shadow_requests=0, bake="1 h", tolerable="3%"'


def test_a_release_takes_over_and_back_without_losing_a_request(tmp_path: Path, run: Run) -> None:
    """Nothing runs, one is deployed, the next takes over, and is taken back: every request is answered by the release that it
    names, and the record says who did what."""
    store = tmp_path / "multiply"
    push(store, 2)
    push(store, 3)
    with served(store) as server:
        assert server.ask("/readyz").status == 503
        assert server.ask("/multiply/predict", {"x": 1}).status == 404
        deploy("@1", store)
        assert server.ask("/predict", {"x": 1}).json["output"] == {"y": 2.0, "times": 2}
        until(lambda: state(store) == "promoted", "the end of the first")
        with Clients(server) as clients:
            deploy("@2", store)
            until(lambda: 3 in {times for _, times in list(clients.answers)}, "an answer of the second")
            assert server.ask("/predict", {"x": 1}).json["output"]["times"] == 3
            until(lambda: events(store)[-1] == "bake", "the bake")
            deployments.wait(deployments.rollback("multiply", str(store), why="it is wrong"), PATIENCE_S)
            assert server.ask("/predict", {"x": 1}).json["output"]["times"] == 2
        assert clients.wrong == []
        assert len(clients.releases) == len(clients.answers) == 2
    assert events(store)[2:] == [
        *("deploy", "examine", "start", "load", "shift", "promote", "promoted"),
        *("deploy", "examine", "start", "load", "shift", "promote", "bake"),
        *("rollback", "turn back", "turn back", "drain", "rolled back"),
    ]
    done = run("releases", "multiply", "--events", "--verify", "--store", store)
    assert done.code == 0
    assert "it is wrong" in done.out


def test_a_rollback_holds_automatic_deployments(tmp_path: Path) -> None:
    """After a rollback a person may deploy, a program may not, until somebody says so."""
    store = tmp_path / "multiply"
    push(store, 2)
    deployments.deploy("@1", str(store))
    deployments.rollback("multiply", str(store), why="a doubt")
    with pytest.raises(Conflict, match="a doubt"):
        deployments.deploy("@1", str(store), automatic=True)
    assert deployments.resume("multiply", str(store))[1] is not None
    assert deployments.deploy("@1", str(store), automatic=True).rollout is not None
    assert deployments.resume("multiply", str(store))[1] is None


def test_what_is_deployed_is_served_again(tmp_path: Path) -> None:
    """A server that starts serves what was deployed, however the one before ended; a second deployment of it is none."""
    store = tmp_path / "multiply"
    push(store, 2)
    push(store, 3)
    with served(store) as server:
        deploy("@1", store)
        deploy("@2", store)
        server.process.kill()
        server.process.wait()
    with served(store, "multiply", "--fronts", "2", "--replicas", "2") as server:
        until(lambda: server.ask("/multiply/predict", {"x": 1}).status == 200, "an answer")
        assert server.ask("/multiply/predict", {"x": 1}).json["output"]["times"] == 3
        assert deployments.deploy("@2", str(store)).rollout is None  # it answers already, and the old one is kept warm
        until(lambda: state(store) == "baking", "the end of the restart")


def test_shares_and_keys(tmp_path: Path) -> None:
    """At half of the traffic both releases answer, and nobody who sends a key goes to and fro; a process that dies meanwhile
    changes nothing."""
    store = tmp_path / "multiply"
    push(store, 2, HALF)
    push(store, 3, HALF)
    with served(store, "--fronts", "2") as server:
        deploy("@1", store)
        with Clients(server, keys=lambda count: f"anna{count % 40}") as clients:
            deployments.deploy("@2", str(store))
            until(lambda: len(clients.answers) == 2, "answers of both")
            for role in ("deployer", "admin"):
                (pid,) = server.pids(role)
                os.kill(pid, signal.SIGKILL)
            clients.by_key.clear()
            until(lambda: len(clients.by_key) >= 40 and server.pids("deployer"), "every key")
            assert {len(found) for found in clients.by_key.values()} == {1}
            assert len({next(iter(found)) for found in clients.by_key.values()}) == 2
            until(lambda: state(store) in ("baking", "retiring", "promoted"), "proof of no harm")
        assert clients.wrong == []


def test_a_harmful_release_is_taken_back(tmp_path: Path) -> None:
    """A release that fails where the old one does not goes back by itself, and what led to it is on record."""
    store = tmp_path / "multiply"
    push(store, 2, HALF)
    push(store, 3, HALF, "assert sums[0] % 3")
    with served(store) as server:
        deploy("@1", store)
        with Clients(server):
            deployments.deploy("@2", str(store))
            until(lambda: state(store) == "rolled_back", "a rollback")
        with Clients(server) as clients:
            until(lambda: clients.answers.total() > 20, "answers")
        assert clients.releases == {next(iter(clients.releases))}
        assert clients.wrong == []
    with opened(str(store)) as one:
        why = next(event.why for event in one.events.list() if event.what == "rollback")
        assert "requests to multiply@2 failed, 0 of" in why
        hold = standings.held(one, "multiply")
        assert hold is not None


def test_a_release_that_does_not_start_touches_nothing(tmp_path: Path) -> None:
    """Its gates refuse it with the reason, and what answers goes on."""
    store = tmp_path / "multiply"
    push(store, 2)
    push(store, 3)
    (store / "service.py").write_text((store / "service.py").read_text() + "\n    def load(self):\n        1 / 0\n")
    push_as_it_is(store)
    with served(store) as server:
        deploy("@1", store)
        with Clients(server) as clients:
            deployments.deploy("@3", str(store))
            until(lambda: state(store) == "refused", "an end")
        assert clients.wrong == []
        assert len(clients.releases) == 1
    with opened(str(store)) as one:
        assert any("division by zero" in event.why for event in one.events.list())


def push_as_it_is(store: Path) -> None:
    """The folder as it was changed."""
    from tenfold.control import releases

    releases.push(str(store))


def test_copies_are_compared_and_thrown_away(tmp_path: Path) -> None:
    """While shadowing, the old release answers everybody; how the new one differs is counted."""
    store = tmp_path / "multiply"
    policy = 'steps=("50%",), shadow_requests=100000'
    push(store, 2, policy)
    push(store, 3, policy)
    with served(store) as server:
        deploy("@1", store)
        with Clients(server) as clients:
            deployments.deploy("@2", str(store))

            def compared() -> bool:
                found = deployments.progress("multiply", str(store))
                return (
                    bool(found) and "requests compared" in found[0].compared and "times differs in" in found[0].compared
                )

            until(compared, "comparisons")
        assert clients.wrong == []
        assert len(clients.releases) == 1


@pytest.mark.parametrize("part", ["model", "code"])
def test_code_and_model_go_back_apart(tmp_path: Path, trained: Path, run: Run, part: str) -> None:
    """Just the model, or just the code: a new release has the old part, and all else as it is."""
    folder = shutil.copytree(trained, tmp_path / "demo", ignore=shutil.ignore_patterns(".tenfold"))
    model, parts = next(folder.glob("model.*")), []
    for comment in ("one", "two"):
        releases.push(str(folder))
        model.write_bytes(trained.joinpath(model.name).read_bytes() + comment.encode())
        with (folder / "service.py").open("a") as source:
            source.write(f"\n# {comment}\n")
    with opened(str(folder)) as store:
        (service,) = store.releases.services()
        for expected, release in enumerate(reversed(store.releases.list())):
            parts.append(release.parts)
            store.pointers.move(service, release.id, Act("anna", "deploy"), expected=expected)
    done = run("rollback", service, f"--{part}-only", "--store", folder, "--json")
    assert done.code == 0, done.err
    with opened(str(folder)) as store:
        made = store.releases.by_number(service, done.json()["number"])
        assert made is not None
        assert made.number == 3
        other = "code" if part == "model" else "model"
        assert (made.parts[part], made.parts[other]) == (parts[0][part], parts[1][other])
        assert store.rollouts.list(service)[0].to == made.id
    assert run("rollback", service, f"--{part}-only", "--store", folder).code == 0

"""Would an update help? Another release answers what was labelled, and labels say which of the two is better."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tenfold.control import driftchallenge, driftkept
from tenfold.control.driftactions import Actions
from tenfold.drift.options import Drift
from tenfold.drift.verdicts import Report, Verdict
from tests.cli.conftest import Run, run
from tests.drift.test_serving import SERVICE, Client, until

__all__ = ["run"]

PROJECT = '[project]\nname = "loans"\nversion = "1"\n'
ALIKE, TURNED = "(scores - 40) / 4", "(40 - scores) / 8"  # ranks as the model does; has learnt what changed
TRAIN = f"""
import json, os
from pathlib import Path

recent = Path(os.environ["TENFOLD_RECENT"])
Path("known.json").write_text(json.dumps([len((recent / name).read_text().splitlines())
                                          for name in ("predictions.ndjson", "labels.ndjson")]))
text = Path("service.py").read_text()
Path("service.py").write_text(text.replace("(scores - 40) / 8", "{ALIKE.replace("4)", "4.0)")}"))
"""


def service(journal: str) -> str:
    """A service whose journal keeps this."""
    return SERVICE.replace('labels_after="1 s"', f'labels_after="1 s", journal="{journal}"')


def key(folder: Path, run: Run) -> str:
    """A key that may operate the server of a folder."""
    made: str = run("keys", "create", "ci", "--scope", "operate", "--store", str(folder / ".tenfold"), "--json").json()[
        "key"
    ]
    return made


class World:
    """A server whose answers are labelled at once."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder, self.client = folder, Client(folder, stack)
        self.began = self.turned = datetime.now(UTC)
        self.labelled = 0

    def lend(self, rows: int, turned: bool = False, noise: bool = False) -> None:
        """Answer rows, and tell what became of them: those who earn more repay, until that is turned, or mere chance."""
        chance = self.client.random
        labels = []
        for name, likely in self.client.predict(rows):
            by_chance = noise or chance.random() >= 0.85
            repaid = chance.random() < 0.5 if by_chance else (likely > 0.5) != turned
            labels.append({"id": name, "label": {"label": "yes" if repaid else "no"}})
        status, said = self.client.label(labels)
        assert (status, said["unknown"]) == (202, 0)
        self.labelled += rows

    def verdict(self, turned: bool) -> str:
        """The verdict after some more rows."""
        self.lend(100, turned)
        return str(self.client.drift().get("verdict"))

    def settle(self) -> None:
        """Answer rows until it is known how good the model is: by enough labels that chance does not flatter it."""
        self.lend(600)
        until(lambda: "live rows" in self.client.drift().get("source", ""))
        self.lend(1500)
        until(lambda: self.verdict(False) == "HEALTHY" and self.was_judged())

    def was_judged(self) -> bool:
        """Whether labels have told how good the model is."""
        return any(line["realised"] is not None for line in self.client.drift()["windows"])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A service that was well, and then was not: what it had learnt was turned around."""
    folder = tmp_path_factory.mktemp("loans")
    (folder / "service.py").write_text(service("inputs"), "utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, "utf-8")
    with ExitStack() as stack:
        world = World(folder, stack)
        world.settle()
        world.turned = datetime.now(UTC)
        world.lend(1500, turned=True)
        until(lambda: world.verdict(True) == "UPDATE_RECOMMENDED")
        yield world


@pytest.fixture
def push(world: World, tmp_path: Path, run: Run) -> Callable[[str], str]:
    """Pushes a release that scores otherwise to the store of the folder."""

    def pushed(instead: str) -> str:
        folder = tmp_path / "loans"
        shutil.copytree(world.folder, folder, ignore=shutil.ignore_patterns(".tenfold"))
        text = (folder / "service.py").read_text("utf-8")
        (folder / "service.py").write_text(text.replace("(scores - 40) / 8", instead), "utf-8")
        done = run("push", str(folder), "--store", str(world.folder), "--json")
        assert done.code == 0, done.err
        return f"loans@{done.json()['number']}"

    return pushed


def test_a_challenger_that_is_no_better_wont_help(world: World, push: Callable[[str], str], run: Run) -> None:
    """With the numbers; the command says so, and so does the server that runs, by itself."""
    name = push(ALIKE)
    done = run("drift", str(world.folder), "--challenger", name, "--since", world.began.isoformat())
    assert done.code == 0, done.err
    assert done.out.startswith("UPDATE_WONT_HELP since ")
    assert f"{name} saves " in done.out
    assert "would be worth a release" in done.out
    found = until(lambda: (said := world.client.drift())["verdict"] == "UPDATE_WONT_HELP" and said)
    assert found["challenge"]["name"] == name
    assert found["challenge"]["rows"] >= 600
    assert run("drift", str(world.folder), "--fail-on", "UPDATE_RECOMMENDED").code == 0


def test_a_challenger_that_is_better_is_recommended(world: World, push: Callable[[str], str], run: Run) -> None:
    """By its name, with how much better it is at the least, and the command that deploys it."""
    name = push(TURNED)
    done = run("drift", str(world.folder), "--challenger", name, "--since", world.turned.isoformat(), "--json")
    assert done.code == 0, done.err
    document = done.json()
    challenge = document["challenge"]
    assert document["verdict"] == "UPDATE_RECOMMENDED", document["challenge"]
    assert f"{name} is better by {challenge['gain']:.4f}, at least {challenge['low']:.4f}" in document["because"]
    assert document["next"] == f"tenfold deploy {name}"


def test_a_server_is_asked_to_try_a_challenger(world: World, push: Callable[[str], str], run: Run) -> None:
    """From wherever it can be reached, by its admin address: it loads the release aside, and the verdict comes back."""
    name = push("(scores - 42) / 4")
    told = (
        "--server",
        world.client.server.admin_url,
        "--challenger",
        name,
        "--since",
        world.began.isoformat(),
        "--json",
    )
    refused = run("drift", "loans", *told)
    assert refused.code == 1
    assert "--access KEY, of one that may operate" in refused.json()["error"]["fix"]
    world.client.key = key(world.folder, run)
    done = until(
        lambda: (d := run("drift", "loans", *told, "--access", world.client.key)) and "may operate" not in d.out and d
    )
    assert done.code == 0, done.err
    document = done.json()
    assert document["challenge"]["name"] == name
    assert document["challenge"]["rows"] >= 600
    status, said = world.client.challenge({"challenger": name, "since": "lately"})
    assert (status, said["code"]) == (400, "invalid_option")
    assert "lately" in said["detail"]
    assert world.client.challenge({"challenger": name, "since": "lately"})[1]["hint"].startswith("2026-")
    assert world.client.challenge({"since": "2026-01-01"})[0] == 400
    assert world.client.challenge({"challenger": "loans@99"})[0] == 404
    assert world.client.challenge({"challenger": name}, "other")[0] == 404
    known = world.client.drift()["challenger"]
    assert (known["name"], known["trouble"]) == (name, "")
    assert known["state"] in ("trying", "over")


def test_what_a_challenger_has_learnt_from_is_no_proof(world: World, push: Callable[[str], str], run: Run) -> None:
    """Unless it is said since when it learnt nothing, rows count that were answered after it was pushed: none yet."""
    name = push("(scores - 41) / 8")
    done = run("drift", str(world.folder), "--challenger", name)
    assert done.code == 5
    assert "waits for labels" in done.err
    assert "--since TIME" in done.err


def test_training_keeps_labels_back_and_deploys_nothing_that_is_of_no_use(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The latest labels are not told to the training; what it made is tried on them, and stays in the store."""
    assert world.labelled >= 700
    (world.folder / "train.py").write_text(TRAIN, "utf-8")
    serving, _ = driftkept.latest(world.folder)
    policy = Drift(retrain="python train.py", journal="inputs", labels_after="1 s")
    doing = Actions(world.folder, "loans", serving, time.time)
    verdict = Report(verdict=Verdict.UPDATE_RECOMMENDED, since=None, because="turned", next="", windows=())
    with caplog.at_level(logging.WARNING, "tenfold"):
        doing.consider(verdict, policy, world.labelled)
        doing.wait(120.0)
    said = (world.folder / ".tenfold" / "drift" / "recent" / "output.txt").read_text()
    contest = driftchallenge.read(world.folder, serving)
    assert contest is not None, said
    predictions, labels = json.loads((world.folder / ".tenfold" / "drift" / "training" / "known.json").read_text())
    assert labels <= 0.81 * world.labelled
    assert predictions < world.client.asked
    assert contest.result is not None, contest.trouble
    assert contest.result.rows >= 0.19 * world.labelled - 200  # those that are due
    assert contest.result.outcome == "futile"
    assert f"{contest.name} is not deployed: {contest.name} saves" in caplog.text


def test_where_no_inputs_are_kept_that_is_said(tmp_path: Path, run: Run) -> None:
    """Nothing can be answered again then; the mend is named."""
    (tmp_path / "service.py").write_text(service("outputs"), "utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, "utf-8")
    with ExitStack() as stack:
        world = World(tmp_path, stack)
        world.lend(600)
        until(lambda: world.client.drift().get("source"))
        assert run("push", str(tmp_path)).code == 0
        (tmp_path / "service.py").write_text(service("outputs").replace("/ 8", "/ 4"), "utf-8")
        assert run("push", str(tmp_path)).code == 0
        since, server = world.began.isoformat(), ("--server", world.client.server.admin_url)
        at = (*server, "--access", key(tmp_path, run))
        asked = [
            run("drift", str(tmp_path), "--challenger", "@2"),  # whatever labels are still to come
            run("drift", str(tmp_path), "--challenger", "@2", "--since", since),
            until(
                lambda: (
                    (d := run("drift", "loans", "--challenger", "@2", "--since", since, *at))
                    and "may operate" not in d.err
                    and d
                )
            ),
        ]
        for done in asked:
            assert done.code == 5, done.err
            assert "loans@2 cannot be compared: the inputs of labelled rows are not in the journal" in done.err
            assert 'fix:   write Drift(journal="inputs"), which keeps those to come; or let a canary tell' in done.err
        assert run("drift", str(tmp_path), "--challenger", "@9").code == 4
        assert run("drift", "loans", "--challenger", "@9", *at).code == 4
        assert run("drift", "loans", "--challenger", "@2", *server, "--store", "x").code == 2
        assert run("drift", str(tmp_path), "--since", since).code == 2
        assert run("drift", str(tmp_path), "--challenger", "@2", "--since", "lately").code == 2
    listed = driftkept.kept(tmp_path, "loans").reasons
    assert any("the inputs of labelled rows are not in the journal" in reason for reason in listed)

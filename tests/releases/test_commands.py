"""``tenfold releases`` and ``tenfold store``: what a person sees of the store, and how it is cared for."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from tenfold.control.releases import last_changes
from tenfold.control.stores import opened, place_of
from tenfold.store import Act, resolve
from tests.cli.conftest import Run
from tests.releases.test_push import edit


@pytest.fixture
def pushed(service: Path, run: Run) -> Path:
    """A service with two releases, of which the first answers."""
    run("push", service, "--why", "first")
    edit(service, "* 2", "* 3")
    run("push", service, "--why", "three is better")
    with opened("", str(service)) as store:
        store.pointers.move("double", resolve(store, "@1").id, Act("anna@laptop", "deploy", "go"), expected=0)
    return service


def test_releases_are_listed_with_what_is_new(pushed: Path, run: Run) -> None:
    """A line each, the newest first: name, id, when, who, what points at it, what changed, why."""
    lines = run("releases", "--store", pushed).out.splitlines()
    assert [line.split()[0] for line in lines] == ["double@2", "double@1"]
    assert "new code" in lines[0]
    assert lines[0].endswith("three is better")
    assert "current" in lines[1]
    said = run("releases", "double", "--store", pushed, "--json").json()["releases"]
    assert [(one["number"], one["pointers"], one["changed"]) for one in said] == [
        (2, [], ["code"]),
        (1, ["current"], []),
    ]
    assert [one["number"] for one in run("releases", "double@1", "--store", pushed, "--json").json()["releases"]] == [1]


def test_who_did_what_and_why_is_on_record(pushed: Path, run: Run) -> None:
    """Events in their order, and a proof that none was altered."""
    lines = run("releases", "double", "--events", "--verify", "--store", pushed).out.splitlines()
    assert [line.split()[3] for line in lines[:3]] == ["push", "push", "deploy"]
    assert "anna@laptop  deploy  double@1  go" in lines[2]
    assert lines[3].startswith("verified  3 events, the last is ")
    said = run("releases", "--events", "--verify", "--store", pushed, "--json").json()
    assert said["verified"] == {"events": 3, "hash": said["events"][-1]["hash"]}
    assert [event["n"] for event in said["events"]] == [1, 2, 3]
    assert {"who", "what", "from", "to", "why", "at"} <= said["events"][0].keys()


def test_who_changed_code_and_model_last_is_told_apart(pushed: Path, run: Run) -> None:
    """The deployment that brought each part of what answers, also after a roll-back; one that is no more is not named."""
    (pushed / "offset.json").write_text("2.5")
    run("push", pushed)
    with opened("", str(pushed)) as store:
        for expected, (which, name) in enumerate([("@2", "ben"), ("@3", "cleo"), ("@2", "dora")], start=1):
            release = resolve(store, which)
            store.pointers.move("double", release.id, Act(name, "deploy"), expected=expected)
            store.pointers.move("double", release.id, Act("eve", "canary"), expected=expected - 1, name="canary")
        found = last_changes(store, "double")
    assert {part: event.who for part, event in found.items()} == {
        "code": "ben",
        "contract": "anna@laptop",
        "environment": "anna@laptop",
        "files": "dora",
    }


def test_an_altered_record_is_told(pushed: Path, run: Run) -> None:
    """Exit code 6, and which event."""
    connection = sqlite3.connect(pushed / ".tenfold" / "store.db")
    connection.executescript("DROP TRIGGER event_is_not_altered; UPDATE event SET who = 'nobody' WHERE n = 2;")
    connection.close()
    done = run("releases", "--events", "--verify", "--store", pushed)
    assert done.code == 6
    assert "event 2 (push by nobody) was altered" in done.err
    assert run("releases", "--events", "--store", pushed).code == 0


def test_a_store_is_saved_and_brought_back(pushed: Path, run: Run, tmp_path: Path) -> None:
    """The restored one lists the same, and the restoration is on its record."""
    file = tmp_path / "backup.tar.gz"
    assert run("store", "backup", file, "--store", pushed).code == 0
    assert run("store", "backup", file, "--store", pushed).code == 5
    other = tmp_path / "other"
    said = run("store", "restore", file, "--store", other, "--json").json()
    assert (said["services"], said["releases"], said["events"]) == (["double"], 2, 4)
    assert run("releases", "--store", other).out == run("releases", "--store", pushed).out
    assert run("releases", "--events", "--verify", "--store", other).out.splitlines()[3].split()[3] == "restore"
    assert run("store", "restore", file, "--store", other).code == 5
    assert run("store", "restore", tmp_path / "nothing.tar", "--store", tmp_path / "x").code == 4
    (tmp_path / "text.tar").write_text("hello")
    done = run("store", "restore", tmp_path / "text.tar", "--store", tmp_path / "x")
    assert done.code == 6
    assert "is no backup of a store" in done.err


def test_what_is_not_needed_is_removed(pushed: Path, run: Run) -> None:
    """Old releases give up their files when asked to; what answers doesn't, and the current schema needs no migration."""
    edit(pushed, "* 3", "* 4")
    run("push", pushed)
    for path in (pushed / ".tenfold" / "blobs").glob("??/*"):
        os.utime(path, (0, 0))
    assert "removed 0 files" in run("store", "gc", "--store", pushed).out
    said = run("store", "gc", "--keep", "1", "--grace", "0 s", "--store", pushed, "--json").json()
    assert said["releases"] == ["double@2"]
    assert said["blobs"] > 0
    assert "files given up" in run("releases", "double@2", "--store", pushed).out
    with opened("", str(pushed)) as store:
        store.materialise(resolve(store, "double@1"))
    assert run("store", "gc", "--grace", "soon", "--store", pushed).code == 2
    assert run("store", "migrate", "--store", pushed).out.endswith("nothing to do\n")


def test_a_store_in_figures(pushed: Path, run: Run) -> None:
    """Where it is, of which engine, and how much is in it; options before a further command are not lost in silence."""
    said = run("store", "--store", pushed, "--json").json()
    assert (said["services"], said["releases"], said["events"]) == (["double"], 2, 3)
    assert said["engine"].startswith("SQLite 3.")
    assert "2 of double" in run("store", "--store", pushed).out
    assert "no keys" in run("keys", "--store", pushed).out
    for group, command in (("store", "gc"), ("keys", "list")):
        done = run(group, "--store", pushed, command)
        assert done.code == 2
        assert f"--store and --json go behind {command}" in done.err


@pytest.mark.parametrize(
    "command",
    [
        ["releases"],
        ["releases", "--events"],
        ["releases", "double@1", "--bill"],
        ["diff", "@1", "@2"],
        ["keys", "list"],
        ["keys", "revoke", "x"],
        ["store", "backup", "b.tar"],
        ["store", "gc"],
        ["store", "migrate"],
    ],
    ids=" ".join,
)
def test_where_there_is_no_store_none_is_made(run: Run, tmp_path: Path, command: list[str]) -> None:
    """Looking makes nothing; the message has the first step."""
    done = run(*command, "--store", tmp_path / "nowhere")
    assert done.code == 4
    assert f"tenfold push SERVICE --store {tmp_path / 'nowhere'} makes one" in done.err
    assert list(tmp_path.iterdir()) == []


def test_the_store_that_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said, else the service's own, wherever the command is run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double").mkdir()
    (tmp_path / "double" / "service.py").write_text("")
    assert place_of("fleet", "double") == "fleet"
    assert place_of("", "double") == "double/.tenfold"
    assert place_of("", "double/service.py:Double") == "double/.tenfold"
    assert place_of("", "double@1") == "double/.tenfold"
    assert place_of("") == place_of("", "treble@1") == ".tenfold"


def test_a_folder_is_named_for_what_is_in_its_store(pushed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever pushed a folder goes on with its name, from beside it or from within it, whatever its class is called."""
    monkeypatch.chdir(pushed.parent)
    assert run("releases", "double").code == 0
    assert run("diff", "double@1", "double@2").code == 0
    pushed.rename(pushed.parent / "twice")
    for name in ("twice", "twice@1"):
        assert "double@1" in run("releases", name).out
        assert run("releases", name, "--events").code == 0
    assert run("diff", "twice@1", "twice").code == 0
    monkeypatch.chdir(pushed.parent / "twice")
    for name in ("", "double", "double@1", "@1"):
        assert "double@1" in run("releases", *([name] if name else [])).out


def test_the_environment_may_name_the_store(pushed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """TENFOLD_STORE saves typing; what is typed comes first."""
    monkeypatch.setenv("TENFOLD_STORE", str(pushed))
    assert len(run("releases", "--json").json()["releases"]) == 2
    assert run("releases", "--store", pushed / "nowhere").code == 4

"""``tenfold scale``: what a person asks for is on record, is listed while it holds, and can be withdrawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tenfold.cli import main
from tenfold.engines.overrides import Override
from tenfold.scaling.schedule import NOBODY
from tenfold.store import open_store
from tests.scaling.test_live import written

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["scale", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A service folder without a store."""
    return written(tmp_path / "doubles", "Scaling(1, 4)")


def test_an_override_is_on_record_and_listed_until_it_is_withdrawn(run: Run, folder: Path) -> None:
    """Whoever comes next sees how many were asked for, until when, by whom and why."""
    code, out, _ = run(folder, "--min", 3, "--for", "2h", "--why", "a launch")
    assert code == 0
    assert out.startswith("doubles: at least 3 replicas until ")
    code, out, _ = run("--store", folder / ".tenfold", "--json")
    (listed,) = json.loads(out)["overrides"]
    assert (listed["service"], listed["min"], listed["why"]) == ("doubles", 3, "a launch")
    assert run(folder, "--clear", "--why", "it is over")[1] == "doubles: its Scaling decides again\n"
    assert run("--store", folder / ".tenfold")[1].startswith("nothing is asked for")
    events = open_store(str(folder / ".tenfold")).events
    assert [(event.what, event.why) for event in events.list("doubles")] == [
        ("scale", "a launch"),
        ("scale", "it is over"),
    ]
    assert events.verify() is not None


def test_an_override_runs_out_by_itself() -> None:
    """At its end it holds no more, whoever forgot about it."""
    until = datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()
    override = Override(3, until, "ada")
    assert override.floor(until - 1).because == "ada asked for 3 until 2026-07-01 12:00 UTC"
    assert override.floor(until) == NOBODY


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["FOLDER", "--min", "3"], 2, "for how long?"),
        (["--min", "3", "--for", "2h"], 2, "which service, and how many replicas for how long?"),
        (["FOLDER", "--for", "2h"], 2, "error: how many replicas for how long?"),
        (["FOLDER", "--why", "a launch"], 2, "error: how many replicas for how long?"),
        (["FOLDER", "--min", "3", "--for", "0 s"], 2, "is no while of up to 30 days"),
        (["FOLDER", "--min", "0", "--for", "2h"], 2, "0 is not in the range"),
        (["FOLDER", "--min", "300", "--for", "2h"], 2, "300 is not in the range"),
        (["./nowhere", "--min", "3", "--for", "2h"], 4, "./nowhere does not exist"),
        (["FOLDER", "--min", "3", "--for", "soon"], 2, "--for: 'soon' is not a quantity"),
        (["FOLDER", "--min", "3", "--for", "1 weeks", "--clear"], 2, "--clear ends what --min asked for"),
        (["FOLDER", "--min", "3", "--for", "90 days"], 2, "is no while of up to 30 days"),
        (["tumour", "--min", "3", "--for", "2h", "--store", "STORE"], 4, "has no service tumour"),
    ],
)
def test_what_cannot_be_meant_is_said(run: Run, folder: Path, arguments: list[str], code: int, said: str) -> None:
    """Each slip has a sentence and the mend, and nothing is put on record."""
    store = folder / ".tenfold"
    open_store(str(store), create=True)
    places = {"FOLDER": str(folder), "STORE": str(store)}
    done = run(*[places.get(word, word) for word in arguments])
    assert done[0] == code
    assert said in done[2]
    assert "fix:" in done[2]
    assert open_store(str(store)).events.list() == []

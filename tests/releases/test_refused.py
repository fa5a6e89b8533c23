"""A release that its gates refuse: what is said before, what is said afterwards, and what can be done."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from tenfold.control import deployments, standings
from tenfold.control.stores import opened
from tenfold.errors import GateFailed
from tenfold.store import Act
from tenfold.store.records import Gate
from tests.cli.conftest import Run
from tests.releases.test_push import edit

MEND = "tenfold deploy double@2 --accept-breaking"


def refuse(store: Path, name: str, why: str, *, rollout: bool = False) -> None:
    """Deploy a release, or take the ``rollout`` of it that is on its way, as if a server's gates refused it at once."""
    with opened(str(store)) as one:
        under_way = (
            one.rollouts.open(name.partition("@")[0]) if rollout else deployments.deploy(name, str(store)).rollout
        )
        assert under_way is not None
        one.rollouts.change(under_way, "refused", Act("tenfold", "refuse", why), ended=True)


@pytest.fixture
def breaking(service: Path, run: Run) -> Path:
    """A service whose first release answers, and whose second one refuses what the first one takes."""
    assert run("push", service).code == 0
    edit(service, "Le(100)", "Le(50)")
    assert run("push", service).code == 0
    with opened(str(service)) as store:
        first = store.releases.by_number("double", 1)
        assert first is not None
        store.pointers.move("double", first.id, Act("anna", "deploy"), expected=0)
    return service


def test_a_plan_says_what_the_contract_gate_will_say(breaking: Path, run: Run) -> None:
    """Before anything is asked for: whom it breaks, and how both may answer."""
    shown = run("deploy", "double@2", "--plan", "--store", breaking).out
    assert "failed: /x: at most 100 → at most 50" in shown
    assert MEND in shown
    assert "next" not in shown
    said = run("deploy", "double@2", "--plan", "--store", breaking, "--json").json()
    assert said["foreseen"]["contract"]["verdict"] == "failed"
    assert MEND in said["fix"]


def test_a_refused_release_is_shown_with_its_mend(breaking: Path, run: Run) -> None:
    """By status and by whoever waits for it, until another one is deployed."""
    assert standings.awaited(place=str(breaking)) == ["double@1"]
    asked = deployments.deploy("double@2", str(breaking))
    assert asked.rollout is not None
    assert standings.awaited(["double"], str(breaking)) == ["double@2"]
    with opened(str(breaking)) as store:
        act = Act("tenfold", "refuse", "contract: /x: at most 100 → at most 50")
        store.rollouts.change(asked.rollout, "refused", act, ended=True)
    with pytest.raises(GateFailed, match="did not take over: contract: /x") as refused:
        deployments.wait(asked, 60)
    assert refused.value.hint.startswith(MEND)
    assert " · tenfold diff double@current double@2" in refused.value.message
    shown = run("status", "--store", breaking).out
    assert "double@2 refused 20" in shown
    assert "UTC: contract: /x: at most 100 → at most 50" in shown
    assert MEND in shown
    deployments.deploy("double@2", str(breaking))
    assert "refused" not in run("status", "--store", breaking).out


def test_what_was_refused_is_shown_no_more_once_it_answers_beside(breaking: Path, run: Run) -> None:
    """Nor is it what is wrong with the service that goes on."""
    refuse(breaking, "double@2", "contract: /x: at most 100 → at most 50")
    assert "double@2 refused" in run("status", "--store", breaking).out
    deployments.deploy("double@2", str(breaking), accept_breaking=True)
    assert "refused" not in run("status", "--store", breaking).out


def test_what_is_to_be_done_can_be_run_as_it_stands(breaking: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command that is printed as a mend says in which store, wherever that would not be found by itself."""
    monkeypatch.chdir(breaking.parent)
    refuse(breaking, "double@2", "contract: /x: at most 100 → at most 50")
    for place in ("double", str(breaking), "double/.tenfold"):  # each is what double@2 is looked for in, from here
        fix = run("status", "--store", place, "--json").json()["services"][0]["refused"]["fix"]
        assert fix == MEND
    assert run(*shlex.split(fix)[1:], "--why", "both").code == 0
    events = run("releases", "--events", "--store", "double").out
    assert any("double-2@1" in line and "double@2" not in line for line in events.splitlines())
    refuse(breaking, "double-2@1", "golden: 3 of 20 differ", rollout=True)
    with opened(str(breaking)) as store:
        release = store.releases.latest("double-2")
        assert release is not None
        of: Any = {"service": release.service, "release": release.id, "at": store.clock()}
        store.gates.add(Gate(name="golden", verdict="failed", because="3 of 20 differ", **of))
    services = run("status", "--store", "double", "--json").json()["services"]
    fix = next(one["refused"]["fix"] for one in services if one["name"] == "double-2")
    assert fix == "tenfold gates double-2@1 --last --store double/.tenfold · says more; mend it, and push again"
    assert "double-2@1 takes no traffic: golden" in run(*shlex.split(fix.partition(" ·")[0])[1:]).err
    for words in (("deploy", "double@2", "--from", "double@2"), ("releases", "double@9"), ("keys", "revoke", "nobody")):
        monkeypatch.chdir("/")
        assert f"--store {breaking}/.tenfold" in run(*words, "--store", breaking).err


def test_the_store_of_the_surroundings_needs_no_word(breaking: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TENFOLD_STORE says which store, no command has to."""
    monkeypatch.setenv("TENFOLD_STORE", str(breaking))
    assert "fix:   the newest is double@2; tenfold releases double lists them all" in run("releases", "double@9").err


@pytest.mark.slow
def test_gates_say_how_what_breaks_others_may_answer(breaking: Path, run: Run) -> None:
    """--accept-breaking passes, and says that it takes another name, and how."""
    done = run("gates", "double@2", "--accept-breaking", "--store", breaking)
    assert done.code == 0, done.err
    assert "it may answer under another name alone" in done.out
    assert "broken" not in done.out
    assert MEND in done.out
    assert "--accept-breaking" in run("gates", "double@2", "--last", "--store", breaking).err

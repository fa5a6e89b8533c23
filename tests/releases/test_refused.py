"""A release that its gates refuse: what is said before, what is said afterwards, and what can be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from tenfold.control import deployments
from tenfold.control.stores import opened
from tenfold.errors import GateFailed
from tenfold.store import Act
from tests.cli.conftest import Run
from tests.releases.test_push import edit

MEND = "tenfold deploy double@2 --accept-breaking"


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
    asked = deployments.deploy("double@2", str(breaking))
    assert asked.rollout is not None
    with opened(str(breaking)) as store:
        act = Act("tenfold", "refuse", "contract: /x: at most 100 → at most 50")
        store.rollouts.change(asked.rollout, "refused", act, ended=True)
    with pytest.raises(GateFailed, match="did not take over: contract: /x") as refused:
        deployments.wait(asked, 60)
    assert MEND in refused.value.hint
    shown = run("status", "--store", breaking).out
    assert "double@2 refused 20" in shown
    assert "UTC: contract: /x: at most 100 → at most 50" in shown
    assert MEND in shown
    deployments.deploy("double@2", str(breaking))
    assert "refused" not in run("status", "--store", breaking).out


@pytest.mark.slow
def test_gates_say_how_what_breaks_others_may_answer(breaking: Path, run: Run) -> None:
    """--accept-breaking passes, and says that it takes another name, and how."""
    done = run("gates", "double@2", "--accept-breaking", "--store", breaking)
    assert done.code == 0, done.err
    assert "it may answer under another name alone" in done.out
    assert "broken" not in done.out
    assert MEND in done.out
    assert "--accept-breaking" in run("gates", "double@2", "--last", "--store", breaking).err

"""Question 9 on the sheet: what answers, what is on its way, and who changed code and model last."""

from __future__ import annotations

from typing import Any

from tenfold import Releases
from tenfold.answers import Answer, sheet
from tests.answers.examples import live, spec

KNOWN: dict[str, Any] = {
    "release": "tumour@14",
    "rollout": None,
    "held": None,
    "changes": {
        "code": {"who": "anna@laptop", "at": "2026-11-21T09:00:00+00:00", "why": "texture"},
        "model": {"who": "ben@ci", "at": "2026-11-14T10:30:00+00:00", "why": ""},
    },
    "gates": {"passed": 7, "failed": 0, "unproven": 1, "at": "2026-11-21T08:59:00+00:00"},
}


def answer(known: dict[str, Any] | None, **options: Any) -> Answer:
    """The ninth answer of a service that runs."""
    return sheet(spec(**options), live={**live(), "releases": known}, target="tumour").answers[8]


def test_who_changed_code_and_model_last_is_on_the_sheet() -> None:
    """With the release that answers, and what its gates said."""
    found = answer(KNOWN)
    assert found.state == "met"
    assert found.live["text"] == "@14; code 21 Nov 09:00 by anna@laptop; model 14 Nov 10:30 by ben@ci"
    assert found.measured["text"] == "gates: 7 passed, 1 unproven"


def test_a_release_on_its_way_says_what_it_waits_for() -> None:
    """And what a person can do about it."""
    rollout = {"release": "tumour@15", "state": "stepping", "percent": 1.0, "said": "canary at 1 %", "fix": "wait"}
    found = answer({**KNOWN, "rollout": rollout})
    assert found.live["text"].startswith("@14; @15 stepping, 1 %;")
    assert (found.because, found.next) == ("canary at 1 %", "wait")


def test_a_hold_is_open_until_somebody_resumes() -> None:
    """Who took back what, and the command that goes on."""
    found = answer({**KNOWN, "held": {"who": "anna", "why": "a doubt", "at": "2026-11-21T08:59:00+00:00"}})
    assert found.state == "open"
    assert "a doubt" in found.because
    assert found.next == "tenfold resume tumour"


def test_a_folder_and_another_system_are_told_apart() -> None:
    """A folder is open, with the mend; what another system decides is met."""
    assert answer(None).state == "open"
    assert answer(None, releases=Releases("external")).state == "met"

"""What each gate says of what was seen: decided from plain values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.contract.changes import Difference
from tenfold.gates import Answered, Golden, Seen, Variant, verdicts
from tenfold.gates.verdicts import Measured

MIB = 2**20


def seen_golden(**changes: Any) -> Golden:
    """Golden records of training that hold."""
    usual: dict[str, Any] = {
        "state": "ok",
        "rows": 20,
        "equal": 20,
        "provenance": "training",
        "diverged": "",
        "says": "20 of 20 equal at every stage",
        "stages": (),
        "proven": True,
    }
    return Golden(**usual | changes)


def variant(**changes: Any) -> Variant:
    """A setting that matters."""
    usual: dict[str, Any] = {
        "field": "picture",
        "name": "colours",
        "instead": "BGR for RGB",
        "is_setting": True,
        "rows": 20,
        "has_labels": True,
        "labels": 12,
        "largest": 0.4,
    }
    return Variant(**usual | changes)


def answers(*labels: str, probability: float = 0.5) -> list[Answered]:
    """An answer of one row for each label; an error for one in capitals."""
    return [
        Answered(code=label.lower(), detail="as it says")
        if label.isupper()
        else Answered(rows=({"label": label, "p": probability},))
        for label in labels
    ]


def test_a_contract_fails_where_somebody_has_to_change() -> None:
    """What breaks is named, with whom it breaks; what does not is counted."""
    wider = Difference("request", "/x", "at most 100", "at most 200")
    stricter = Difference("request", "/age", "at most 100", "at most 90", "requests that were taken are refused")
    assert verdicts.contract([], []) == ("passed", "the contract is the same")
    assert verdicts.contract([wider], answers("a", "b")).verdict == "passed"
    said = verdicts.contract([stricter, wider], [])
    assert said == ("failed", "/age: at most 100 → at most 90: requests that were taken are refused")


def test_a_rule_that_no_contract_shows_is_found_by_requests_of_before() -> None:
    """Requests that were taken and are refused now fail the gate, though nothing in the contract says so; an answer that
    fails for other reasons is not the contract's."""
    said = verdicts.contract([], [*answers("a", "b"), Answered(code="rule:rough", at="/x"), *answers("MODEL_FAILED")])
    assert said.verdict == "failed"
    assert "1 of 4 requests of before are refused, 1 of them rule:rough at /x" in said.because


@pytest.mark.parametrize(
    ("found", "verdict", "words"),
    [
        (None, "unproven", "tenfold.record"),
        (seen_golden(), "passed", "20 of 20"),
        (seen_golden(state="open", provenance="self"), "unproven", "20 of 20"),
        (seen_golden(state="broken", diverged="pictures", says="0 of 20 equal"), "failed", "pictures differs"),
    ],
)
def test_golden_records_have_to_hold(found: Golden | None, verdict: str, words: str) -> None:
    """A stage that differs fails and is named; what the service recorded of itself, or nothing, proves nothing."""
    said = verdicts.golden(found)
    assert said.verdict == verdict
    assert words in said.because


def test_a_setting_that_matters_has_to_be_shown_by_training() -> None:
    """Whether colours matter is one question, whether training and serving agree on them another; and records in which
    they make no difference answer neither."""
    assert verdicts.skew(seen_golden(), [variant()]).verdict == "passed"
    unshown = verdicts.skew(seen_golden(proven=False), [variant()])
    assert unshown.verdict == "unproven"
    assert "BGR for RGB (picture): 12 of 20 labels differ" in unshown.because
    blind = verdicts.skew(seen_golden(), [variant(), variant(instead="the filter of resizing", blind=True, labels=0)])
    assert blind.verdict == "unproven"
    assert "cannot tell the filter of resizing" in blind.because
    assert verdicts.skew(seen_golden(), [variant(labels=0)]).verdict == "passed"
    assert verdicts.skew(seen_golden(proven=False), [variant(is_setting=False)]).verdict == "passed"
    assert verdicts.skew(None, []).verdict == "unproven"


def test_a_number_without_labels_matters_by_its_spread() -> None:
    """A regression that moves by a hundredth of what it ranges over depends on the setting; less is noise."""
    regression = {"has_labels": False, "labels": 0, "spread": 10.0}
    assert variant(**regression, largest=0.2).matters
    assert not variant(**regression, largest=0.05).matters
    assert variant(labels=0, failed="ValueError").matters


def test_answers_may_move_and_may_not_stop() -> None:
    """Equal and a little moved pass; much is left to the canary; rows without an answer, or with one and the same, fail."""
    before = answers(*"ab" * 15)
    assert verdicts.predictions(before, before) == ("passed", "equal in 30 rows")
    moved = verdicts.predictions(before, [*answers("b", probability=0.9), *before[1:]])
    assert moved.verdict == "passed"
    assert "1 of 30 rows get another label, numbers move by at most 0.4" in moved.because
    assert verdicts.predictions(before, [*answers(*"cc"), *answers(*"ba" * 14)]).verdict == "unproven"
    assert verdicts.predictions(before, answers(*"a" * 30)).verdict == "failed"
    lost = verdicts.predictions(before, [*before[:29], *answers("MODEL_FAILED")])
    assert lost == ("failed", "1 of 30 requests that are answered now get no answer: as it says")
    assert verdicts.predictions(answers("UNSEEN"), answers("a")).verdict == "unproven"
    assert verdicts.predictions(answers("a"), answers("UNSEEN")).verdict == "unproven"


@pytest.mark.parametrize(
    ("promised", "measured", "verdict"),
    [
        (None, None, "passed"),
        (500.0, None, "unproven"),
        (500.0, Measured(600.0, None, 0.01, here=True), "passed"),
        (500.0, Measured(600.0, None, 0.01, here=False), "unproven"),
        (500.0, Measured(300.0, 0.2, 0.01, here=True), "failed"),
        (500.0, Measured(300.0, None, 0.01, here=True), "unproven"),
    ],
)
def test_a_promise_is_proven_by_a_measurement_here(
    promised: float | None, measured: Measured | None, verdict: str
) -> None:
    """Nothing promised, nothing to prove; measured elsewhere, or not at the promised rate, is no proof of either."""
    assert verdicts.capacity(promised, measured).verdict == verdict


@given(need=st.integers(0, 2**40), free=st.integers(0, 2**40), freed=st.integers(0, 2**40))
def test_a_swap_never_runs_out_of_memory(need: int, free: int, freed: int) -> None:
    """Both run at once only where both fit; the old one goes first only where that makes room; else nothing is swapped."""
    word, how = verdicts.memory(need, free, freed)
    if how == "overlap":
        assert need <= free
    elif word.verdict == "passed":
        assert need <= free + freed
    else:
        assert need > verdicts.ROOM * (free + freed)


def test_forks_share_what_was_loaded() -> None:
    """Ten forks of a large model need little more than one; ten processes need ten times as much."""
    seen = Seen(seconds=1.0, loaded_bytes=1000 * MIB, peak_bytes=1100 * MIB, forkable=True)
    alone = Seen(seconds=1.0, loaded_bytes=1000 * MIB, peak_bytes=1100 * MIB, forkable=False)
    assert verdicts.need_bytes(seen, 10) == 1100 * MIB + 10 * 350 * MIB
    assert verdicts.need_bytes(alone, 10) == 11_000 * MIB
    assert verdicts.memory(100, None, 0)[0].verdict == "unproven"

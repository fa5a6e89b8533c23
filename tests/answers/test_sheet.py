"""The ten rules: what makes an answer met, open or broken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tenfold.answers import Answer, Evidence, Sheet, sheet
from tenfold.releases import Releases
from tenfold.scaling import Scaling
from tests.answers.examples import evidence, fit, golden, latency, live, spec, startup


def answer(n: int, **known: Any) -> Answer:
    """One answer of the example service."""
    described = known.pop("spec", None) or spec()
    return sheet(described, **known).answers[n - 1]


def test_a_service_that_was_shown_to_work_has_its_first_six_answers() -> None:
    """Contract to deadline are met by a table, golden records and a measurement."""
    made = sheet(spec(), evidence=evidence())
    assert [found.state for found in made.answers] == ["met"] * 6 + ["open"] * 4


def test_nothing_is_met_by_declaring_it_but_validation() -> None:
    """A service of which nothing was measured shows what is left to do."""
    made = sheet(spec())
    assert [found.n for found in made.in_state("met")] == [2]
    assert made.count()["broken"] == 0


def test_the_sheet_has_the_promised_json() -> None:
    """Programs read the sheet by the documented names."""
    made = msgspec.json.decode(sheet(spec(), evidence=evidence(), live=live()).to_json())
    assert list(made) == ["schema", "service", "release", "answers"]
    assert (made["schema"], made["service"]) == (1, "tumour-check")
    assert [found["n"] for found in made["answers"]] == list(range(1, 11))
    names = ["n", "word", "question", "state", "declared", "measured", "live", "because", "next"]
    assert all(list(found) == names for found in made["answers"])
    assert made["answers"][0]["measured"]["at"].startswith("2026-11-14")
    assert msgspec.convert(made, Sheet) == sheet(spec(), evidence=evidence(), live=live())


@pytest.mark.parametrize(
    "known", [{}, {"evidence": evidence()}, {"live": live()}, {"evidence": Evidence(startup=startup())}]
)
def test_every_answer_says_why_and_what_next(known: dict[str, Any]) -> None:
    """Nobody is left with an open answer and no idea what to do about it."""
    for found in sheet(spec(), **known).answers:
        assert found.because
        assert found.state == "met" or found.next


def test_a_server_that_just_started_has_a_sheet() -> None:
    """The sheet works before the first request."""
    nothing = live(rows=0, answered=0, refused=0, latency_s={"p50": None, "p99": None}, batch_rows={"p50": None})
    made = sheet(spec(), live=nothing | {"violations": {}, "changes": {}})
    assert made.answers[5].live["text"] == "no answer yet"


def test_a_default_is_said_to_be_one() -> None:
    """Whoever did not choose an answer can see that it was chosen for them."""
    assert answer(5).declared == "up to 64 rows (default)"


# 1 contract


def test_a_model_that_needs_another_field_breaks_the_contract() -> None:
    """The message names the model's feature and the nearest field."""
    found = answer(1, evidence=Evidence(startup=startup(features=("mean radius", "mean textur"))))
    assert found.state == "broken"
    assert "'mean textur'" in found.because
    assert "'mean texture'" in found.next


def test_a_model_of_another_width_breaks_the_contract() -> None:
    """A model without names still has a number of inputs."""
    found = answer(1, evidence=Evidence(startup=startup(features=(), width=30)))
    assert (found.state, found.because) == ("broken", "the model takes 30 values a row, Tumour has 4 fields")


def test_a_service_with_its_own_preprocess_may_name_its_fields_as_it_likes() -> None:
    """What the model takes is then the business of preprocess."""
    assert answer(1, spec=spec(defaults=()), evidence=Evidence(startup=startup(features=("x1", "x2")))).state == "met"


def test_a_table_of_which_no_row_fits_breaks_the_contract() -> None:
    """A contract that refuses everything is no contract."""
    assert answer(1, evidence=evidence(fit=fit(refused=891))).state == "broken"


# 2 validation


def test_a_feed_that_breaks_shows_in_validation() -> None:
    """When most live rows are refused, the sheet says which field and which code."""
    found = answer(
        2, live=live(rows=1000, refused=700, violations={"/mean radius:out_of_range": 690, ":malformed": 10})
    )
    assert found.state == "broken"
    assert found.because == "700 of 1,000 rows are refused, most of them mean radius out_of_range"
    assert found.next == "tenfold explain out_of_range"


def test_a_rule_that_refuses_most_rows_is_named() -> None:
    """Rules have codes of two parts."""
    found = answer(2, live=live(rows=1000, refused=700, violations={":rule:big_tumours_are_rough": 700}))
    assert found.because.endswith("most of them rule:big_tumours_are_rough")
    assert found.next == "tenfold explain rule"


def test_a_handful_of_bad_rows_breaks_nothing() -> None:
    """Somebody who tries the service out with nonsense does not turn the sheet red."""
    assert answer(2, live=live(rows=10, refused=9)).state == "met"


def test_the_most_frequent_change_is_shown() -> None:
    """Imputation that creeps up is visible."""
    assert answer(2, live=live()).live["text"] == "0.2 % refused; mean texture impute 3.1 %"


# 3 and 4 transforms


def test_golden_records_of_the_service_itself_prove_nothing_about_training() -> None:
    """They catch changes, and the answer stays open."""
    found = answer(3, evidence=evidence(golden=golden(provenance="self"), fit=None))
    assert found.state == "open"
    assert "prove nothing about training" in found.because


def test_answers_equal_to_the_models_on_a_whole_table_are_proof() -> None:
    """What init does on every row of the table counts, also beside records of the service itself."""
    found = answer(3, evidence=evidence(golden=golden(provenance="self")))
    assert (found.state, found.measured["text"]) == ("met", "equals predict, 888 of 888")


@pytest.mark.parametrize("stage", ["decode", "pictures", "preprocess"])
def test_a_difference_before_the_model_breaks_preprocess(stage: str) -> None:
    """The stage is named, and the answers after the model are not blamed."""
    known = evidence(golden=golden(equal=0, diverged=stage, detail="channels are reversed"))
    assert answer(3, evidence=known).because == f"golden records differ at {stage}: channels are reversed"
    assert answer(3, evidence=known).state == "broken"
    assert answer(4, evidence=known).state == "met"


@pytest.mark.parametrize("stage", ["model", "postprocess"])
def test_a_difference_after_preprocess_breaks_postprocess(stage: str) -> None:
    """An upgraded library shows where it acts."""
    known = evidence(golden=golden(equal=19, diverged=stage))
    assert answer(3, evidence=known).state == "met"
    assert answer(4, evidence=known).state == "broken"


def test_rows_that_are_answered_otherwise_than_by_the_model_break_preprocess() -> None:
    """Served and predicted have to be equal on every accepted row."""
    assert answer(3, evidence=evidence(fit=fit(equal=887), golden=None)).state == "broken"


def test_failing_code_breaks_postprocess() -> None:
    """More than one failure in a thousand rows is not noise."""
    assert answer(4, live=live(failed=42)).state == "broken"
    assert answer(4, live=live(failed=41)).state == "met"


def test_an_invalid_golden_answer_breaks_postprocess() -> None:
    """An answer that the output contract refuses is never one."""
    found = answer(4, evidence=evidence(golden=golden(valid=19)))
    assert (found.state, found.next) == ("broken", "tenfold explain output_invalid")


# 5 batching and 6 deadline


def test_a_batch_that_takes_longer_than_the_deadline_breaks_batching() -> None:
    """The mend proposes a size that would keep it."""
    found = answer(5, evidence=evidence(latency=latency(many_s=0.1)))
    assert (found.state, found.next) == ("broken", "Batching(max_rows=16), or a later Deadline")


def test_a_row_that_takes_longer_than_the_deadline_breaks_it() -> None:
    """A promise that the model cannot keep is known before traffic."""
    assert answer(6, evidence=evidence(latency=latency(one_s=0.051, one_p99_s=0.06))).state == "broken"


def test_a_row_that_rarely_takes_longer_than_the_deadline_is_to_be_looked_at() -> None:
    """A slow call among many may be the machine's fault, which a bench tells."""
    found = answer(6, evidence=evidence(latency=latency(one_p99_s=0.051)))
    assert (found.state, found.next.startswith("tenfold bench")) == ("open", True)


def test_late_and_refused_requests_break_the_deadline() -> None:
    """One in a hundred is too many."""
    assert answer(6, live=live(rows=1000, late=3, shed=8)).state == "broken"


def test_live_answers_in_time_meet_the_deadline() -> None:
    """Traffic is evidence, too."""
    assert answer(6, live=live()).state == "met"
    assert answer(6, live=live(rows=99)).state == "open"


# 7 to 10: what is declared and not yet acted on


def test_a_promised_rate_is_met_by_carrying_it() -> None:
    """The live rate counts while the deadline is kept."""
    assert answer(7, live=live(rows_per_s=512.0)).state == "met"
    assert answer(7, live=live(rows_per_s=512.0, latency_s={"p99": 0.2})).state == "open"


def test_too_few_replicas_break_scaling() -> None:
    """The least number is a promise, too."""
    assert answer(8, spec=spec(scaling=Scaling(2, 8)), live=live(replicas=1)).state == "broken"


def test_a_fixed_number_of_replicas_is_an_answer() -> None:
    """A service may decide not to scale by itself."""
    assert answer(8, spec=spec(scaling=Scaling(2)), live=live(replicas=2)).state == "met"


def test_another_system_may_decide_about_releases() -> None:
    """Then there is nothing left for tenfold to do."""
    assert answer(9, spec=spec(releases=Releases("external"))).state == "met"


def test_golden_rows_that_get_no_answer_break_no_output_contract() -> None:
    """A request that is refused has no answer that could be invalid: the sheet says that it was not reached."""
    refused = golden(equal=0, valid=0, unanswered=20, diverged="decode", detail="x must be at least 30")
    found = answer(4, evidence=evidence(golden=refused))
    assert (found.state, found.because) == (
        "open",
        "not reached: golden records differ at decode: x must be at least 30",
    )
    assert found.measured == {}

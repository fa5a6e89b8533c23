"""Question 8 on the answer sheet: what a replayed traffic says, and how many replicas there are."""

from __future__ import annotations

from typing import Any

import pytest

from tenfold.answers import Answer, Evidence, Simulation, sheet
from tenfold.scaling import Scaling
from tests.answers.examples import live as counters
from tests.answers.examples import spec, without_golden

WIDE = Scaling(1, 8)


def answer(live: dict[str, Any] | None = None, scaling: Scaling = WIDE, **changes: Any) -> Answer:
    """The answer of a service whose scaling was simulated, on a traffic that cost 1.2 times the ideal."""
    known: dict[str, Any] = {"trace": "week.csv", "scaling": WIDE, "seconds": 604_800, "rows": 1e6, "cost_ratio": 1.2}
    known |= {"late_ratio": 0.0001, "refused_ratio": 0.0002, "changes_per_day": 40.0, "most_replicas": 5}
    kept = Simulation(at="2026-11-14T09:30:00+00:00", of=without_golden(), **known | changes)
    return sheet(spec(scaling=scaling), evidence=Evidence(simulation=kept), live=live, target="tumour").answers[7]


def test_a_traffic_that_is_carried_is_the_evidence() -> None:
    """The sheet quotes cost and misses, and on which traffic."""
    found = answer()
    assert found.state == "met"
    assert found.measured["text"] == "1.20 × ideal, 0.03 % missed in 7 days of week.csv"
    assert found.because == "it follows the traffic, at 1.20 times the ideal cost"


def test_other_criteria_were_not_simulated() -> None:
    """What was found for one declaration says nothing about another."""
    found = answer(scaling=Scaling(1, 9))
    assert (found.state, found.measured) == ("open", {})
    assert "tenfold simulate tumour --trace FILE" in found.next


@pytest.mark.parametrize(
    ("changes", "state", "because"),
    [
        ({"refused_ratio": 0.05}, "open", "5 % of week.csv would be missed while replicas start"),
        ({"broken": "even 8 replicas at all times miss 40 %"}, "broken", "even 8 replicas"),
    ],
)
def test_what_is_missed_is_said(changes: dict[str, Any], state: str, because: str) -> None:
    """Late starts leave the answer open, too few replicas at any time break it; both say what to do."""
    found = answer(**changes)
    assert found.state == state
    assert because in found.because
    assert found.next


def test_what_limits_it_now_is_shown() -> None:
    """Live is how many there are, and that the machine has no more."""
    live = counters(replicas=2, scaling={"limit": "cores", "wanted": 5})
    shown = answer(live).live
    assert shown["text"] == "2 replicas, limited by the machine's cores"
    assert shown["wanted"] == 5


def test_a_stopped_service_is_not_broken() -> None:
    """With min_replicas=0, none is as many as there have to be."""
    live = counters(replicas=0)
    assert answer(live, scaling=Scaling(0, 8)).state == "open"
    assert answer(live).state == "broken"

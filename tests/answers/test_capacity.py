"""What a measured capacity says on the sheet: question 7, and the latency at a rate in question 6."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from tenfold.answers import Answer, Capacity, Evidence, keep, render_curve, sheet
from tenfold.capacity import Capacity as Promise
from tenfold.capacity.card import Card, Point
from tenfold.deadline import Deadline
from tenfold.scaling import Scaling
from tests.answers.examples import evidence, latency, live, spec, without_golden

CARD = Card(
    rows_per_s=1840.0,
    deadline_s=0.05,
    above=1930.0,
    limit="deadline",
    p50_s=0.004,
    p99_s=0.038,
    requests=36_800,
    missed=12,
    confidence=0.9999,
    promised=Point(500.0, 0.0008, 0.0041, 0.0),
    curve=(Point(500.0, 0.0008, 0.0041, 0.0), Point(1840.0, 0.004, 0.038, 0.0003), Point(1930.0, 0.02, 0.06, 0.08)),
)


def benched(**changes: Any) -> Evidence:
    """All the usual evidence, and what a benchmark found, some of it changed."""
    piece = Capacity(
        at="2026-11-14T09:32:00+00:00", of=without_golden(), machine="2 cores", card=replace(CARD, **changes)
    )
    return evidence(capacity=piece)


def answer(n: int, kept: Evidence, now: dict[str, Any] | None = None, **declared: Any) -> Answer:
    """One answer of the example service."""
    return sheet(spec(**declared), evidence=kept, live=now, target="tumour").answers[n - 1]


def test_a_promise_that_was_measured_is_met() -> None:
    """The sheet says how much is carried, by how many, and when that was found out."""
    found = answer(7, benched())
    assert (found.state, found.because) == ("met", "1,840 rows/s were carried within the deadline")
    assert found.measured["text"] == "1,840 rows/s, 1 replica"
    assert (found.measured["rows_per_s"], found.measured["above"], found.measured["at"][:10]) == (
        1840,
        1930,
        "2026-11-14",
    )


def test_the_live_rate_is_held_against_the_capacity() -> None:
    """How much of it is used can be seen at a glance."""
    assert answer(7, benched(), live()).live["text"] == "11.4 rows/s, 0.62 %"
    assert answer(7, evidence(), live()).live["text"] == "11.4 rows/s"


def test_a_capacity_without_a_promise_is_an_answer() -> None:
    """Throughput was asked for, and it is known."""
    assert answer(7, benched(), capacity=Promise()).state == "met"
    found = answer(7, evidence(), capacity=Promise())
    assert (found.state, found.next) == ("open", "tenfold bench tumour")


def test_a_promise_that_nobody_measured_is_open() -> None:
    """The command that measures it is named."""
    assert answer(7, evidence()).next == "tenfold bench tumour"


def test_a_promise_beyond_the_capacity_is_broken() -> None:
    """Where no number of replicas that may run could carry it."""
    found = answer(7, benched(rows_per_s=400.0, above=420.0), scaling=Scaling(1))
    assert (found.state, found.because) == ("broken", "500 rows/s are promised, 400 rows/s were carried by 1 replica")
    assert "Scaling(max_replicas=2)" in found.next


def test_a_promise_that_more_replicas_may_keep_is_open() -> None:
    """It is to be shown with as many as it takes."""
    found = answer(7, benched(rows_per_s=140.0, above=150.0), scaling=Scaling(1, 4))
    assert (found.state, found.next) == ("open", "tenfold bench tumour --replicas 4")


def test_one_rate_alone_says_nothing_of_a_larger_one() -> None:
    """--rate 100 does not break a promise of 500."""
    found = answer(7, benched(rows_per_s=100.0, above=None, limit=""))
    assert (found.state, found.measured["text"]) == ("open", "at least 100 rows/s, 1 replica")


def test_a_promise_that_the_load_generator_could_not_reach_is_open() -> None:
    """It is not the service that was found too slow."""
    found = answer(7, benched(above=1930.0, limit="generator"), capacity=Promise("5000 rows/s"), scaling=Scaling(1))
    assert found.state == "open"
    assert "at least" in found.measured["text"]


def test_a_short_run_is_not_believed() -> None:
    """Sixty requests without a miss do not show that 99 of 100 are in time."""
    found = answer(7, benched(requests=60, missed=0, confidence=0.453))
    assert (found.state, "45 % sure" in found.because) == ("open", True)


def test_a_service_that_is_always_late_breaks_both() -> None:
    """A capacity of nothing is a finding, too."""
    late = replace(benched(rows_per_s=0.0, above=None), latency=latency(one_s=0.08, one_p99_s=0.08))
    assert answer(7, late).state == "broken"
    assert answer(6, late).state == "broken"


def test_a_measurement_with_a_laxer_deadline_counts_for_nothing() -> None:
    """What is kept within 50 ms says nothing of 10 ms, but all of 100 ms."""
    assert answer(7, benched(), deadline=Deadline("10 ms")).state == "open"
    assert answer(7, benched(), deadline=Deadline("100 ms")).state == "met"


def test_the_deadline_is_answered_at_the_promised_rate() -> None:
    """One row alone says little; p99 at the promised rate is what was asked for."""
    assert answer(6, benched()).measured["text"] == "p99 4.1 ms at 500 rows/s"
    assert answer(6, benched(promised=None)).measured["text"] == "p99 38 ms at 1,840 rows/s"
    assert answer(6, evidence()).measured["text"] == "p99 900 µs for one row"


def test_the_sheet_tells_programs_what_is_promised() -> None:
    """Whoever measures a running service asks it for its deadline and its promise."""
    assert answer(6, benched(), live()).live["deadline_s"] == 0.05
    assert answer(7, benched(), live()).live["promised_rows_per_s"] == 500.0


def test_a_capacity_is_found_again(tmp_path: Path) -> None:
    """It is evidence like any other."""
    kept = keep(tmp_path, spec(), datetime(2026, 11, 14, tzinfo=UTC), Capacity(card=CARD, traffic="20 golden requests"))
    assert kept.capacity is not None
    assert Evidence.read(tmp_path).capacity == kept.capacity
    assert kept.capacity.card == CARD


def test_the_curve_is_a_picture_of_its_own() -> None:
    """It has the points, the deadline and the capacity, and can be read aloud."""
    picture = render_curve(CARD, "tumour & <co>")
    root = ElementTree.fromstring(picture)
    words = "".join(root.itertext())
    assert "1,840 rows/s within 50 ms" in words
    assert "deadline 50 ms" in words
    assert "tumour & <co>: latency against rate" in words
    assert "8 % missed" in words
    assert len(root.findall(".//{*}circle")) == 3
    assert not [word for word in ("script", "href", "url(") if word in picture]


@pytest.mark.parametrize(
    "card", [Card(rows_per_s=0, deadline_s=0.05), replace(CARD, curve=()), replace(CARD, rows_per_s=0.5)]
)
def test_a_curve_without_points_can_be_drawn(card: Card) -> None:
    """A service that carries nothing has a picture, too."""
    ElementTree.fromstring(render_curve(card, "x"))

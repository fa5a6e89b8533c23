"""What the deployer reads off its server: who answers, how it goes, and how many of it was bad."""

from __future__ import annotations

from collections import Counter, deque
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tenfold.contract.form import Form
from tenfold.control.fleet import Fleet, fleet_of, requests_of, tallies
from tenfold.control.rollouts import rate
from tenfold.releases.evidence import Guard, Tally
from tenfold.releases.rollout import Presence
from tenfold.releases.shadow import Comparison
from tenfold.server.metrics import Counters, names_for
from tenfold.server.parting import outputs_of
from tenfold.server.responses import problem, response
from tenfold.server.totals import Totals, read

OLD = Counter({"good": 900, "many:good": 50, "refusal:missing": 40, "refusal:not_found": 99, "overdue": 10})
NEW = Counter({
    "good": 70, "refusal:model_failed": 5, "refusal:deadline": 4, "late": 4, "refusal:overloaded": 3, "shed": 3,
    "refusal:not_ready": 2, "unready": 2, "requests:fallback": 1, "refusal:out_of_range": 6, "refusal:unauthorized": 7,
})  # fmt: skip


def test_each_bad_request_counts_once_under_its_kind() -> None:
    """Failures, lack of time and invalid input are told apart; whoever asks for nothing that is there counts for nobody."""
    assert requests_of(OLD) == 1000
    assert requests_of(NEW) == 91
    assert tallies(NEW, OLD) == {
        Guard.ERRORS: Tally(5 + 2, 91, 0, 1000),
        Guard.LATE: Tally(4 + 3, 91, 10, 1000),
        Guard.VIOLATIONS: Tally(6, 91, 40, 1000),
    }


def test_the_rate_is_that_of_the_last_minute() -> None:
    """Also when counters begin anew."""
    counts: deque[tuple[float, int]] = deque()
    assert rate(counts, 0.0, 100) == 0
    assert rate(counts, 10.0, 200) == 10
    assert rate(counts, 100.0, 200) == 0
    assert rate(counts, 101.0, 50) == 0
    assert rate(counts, 103.0, 150) == 50


def test_the_last_word_of_the_supervisor_counts() -> None:
    """What it told before is out of date."""
    crew = {"folder": "f", "service": "a", "release": "1" * 64, "label": "a@1", "presence": "ready", "failure": ""}
    compared = [msgspec.to_builtins(Comparison(3, 1)), msgspec.to_builtins(Comparison(2))]
    told: list[dict[str, Any]] = [
        {"do": "fleet"},
        {"do": "fleet", "crews": [crew], "routes": {"a": None}, "compared": {"a": compared}},
    ]
    fleet = fleet_of(told)
    assert fleet is not None
    assert fleet.presence("1" * 64) is Presence.READY
    assert fleet.presence("2" * 64) is Presence.ABSENT
    assert fleet.label("1" * 64) == "a@1"
    assert fleet.routes == {"a": None}
    assert fleet.comparison("a") == Comparison(5, 1)
    assert Fleet().comparison("a") == Comparison()
    assert fleet_of([]) is None


def test_counters_are_read_once_while_they_are_folded(tmp_path: Path) -> None:
    """Of a front that is gone, either its file counts or the sum in which it is."""
    names = names_for(Form(name="", fields=()))
    for number, count in ((1, 3), (2, 4)):
        Counters(tmp_path / f"front-{number}.a@1.counters", names).add("good", count)
    assert read(tmp_path, "a@1")["good"] == 7
    left = (tmp_path / "front-1.a@1.counters").read_bytes()
    Totals(tmp_path).fold()
    assert read(tmp_path, "a@1")["good"] == 7
    (tmp_path / "front-1.a@1.counters").write_bytes(left)  # folded, and not yet deleted
    assert read(tmp_path, "a@1")["good"] == 7
    assert read(tmp_path, "a@2") == Counter()


@pytest.mark.parametrize(
    ("answer", "outputs"),
    [
        (response(200, b'{"id":"1","release":"a@1","output":{"y":1}}'), [{"y": 1}]),
        (response(200, b'{"output":{"y":1},"fallback":{"because":"late","by":"constant"}}'), []),
        (response(200, b'{"outputs":[{"y":1},{"y":2}],"errors":[]}'), [{"y": 1}, {"y": 2}]),
        (response(200, b'{"outputs":[{"y":1},null],"errors":[]}'), []),
        (problem("model_failed"), [None]),
        (problem("deadline"), []),
        (problem("missing"), []),
    ],
)
def test_answers_are_compared_where_they_say_something_of_the_release(
    answer: bytes, outputs: list[dict[str, int] | None]
) -> None:
    """An output, or a failure of its own; a refusal of the input or for lack of time says nothing."""
    assert outputs_of(answer) == outputs

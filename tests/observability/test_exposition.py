"""What scrapers read: the formats, the names, and the numbers."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tenfold.console.exposition import OPENMETRICS, TEXT, Family, Sample, document
from tenfold.console.metrics import FAMILIES, Counted, measured
from tenfold.contract.form import Field, Form, Rule
from tenfold.server.metrics import Counters, names_for
from tenfold.server.outcomes import OUTCOMES
from tenfold.server.totals import Totals
from tenfold.server.usage import Used
from tests.observability.prometheus import MISSING

FORM = Form(name="F", fields=(Field(name="a", wire="a b", kind="float"),), rules=(Rule("r"),))
ODD = 'with "quotes", a \\ and\na new line'
PAGE = Path(__file__).parents[2] / "docs" / "observability.md"


def counted(run: Path) -> Counter[str]:
    """The counters of a front to which everything has happened."""
    counters = Counters(run / "front-1.f@1.counters", names_for(FORM))
    for name in counters.place:
        counters.add(name)
    counters.answered(0.0004, 0.01)
    counters.answered(0.0006, 0.01)
    counters.batch(3, (10**9, 0, 0, 0, 0, 0))
    return Totals(run).of("f@1")


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that is exported, by format."""
    of = Counted({"service": "f", "release": "f@1"}, 0.05, 8, 2, counted(tmp_path_factory.mktemp("run")))
    usage = {("replica", "f"): Used(2, 2048, 1.5)}
    toll = [{"role": "replica", "service": "f", "deaths": 3, "restarts": 2}]
    found = {}
    for accept in ("text/plain", "application/openmetrics-text"):
        body, media_type = document(accept, measured([of], Counter({"refusal:not_found": 4}), usage, toll))
        found[media_type] = body.decode()
    return found


def value(text: str, start: str) -> float:
    """The number of the only sample that starts like this."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return float(line.rpartition(" ")[2])


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_each_metric_is_described(metrics: dict[str, str], family: Family) -> None:
    """Whoever meets a metric finds what it means, its type and its unit: beside it, in its name, and on the page."""
    kind = "gauge" if family.kind == "info" else family.kind
    described = f"# HELP {family.exported} {family.meaning}\n# TYPE {family.exported} {kind}\n{family.exported}"
    assert described in metrics[TEXT]
    described = f"# TYPE {family.name} {family.kind}\n"
    described += f"# UNIT {family.name} {family.unit}\n" if family.unit else ""
    assert f"{described}# HELP {family.name} {family.meaning}\n{family.exported}" in metrics[OPENMETRICS]
    assert family.kind == "info" or family.name.endswith(f"_{family.unit}")
    assert f"| `{family.exported}` | {family.kind} | {family.meaning} |" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(("outcome", "meaning"), OUTCOMES.items())
def test_each_outcome_is_explained(outcome: str, meaning: str) -> None:
    """The page says what each outcome means, in the words of the code; the good one is goodput."""
    assert outcome == "good" or f"`{outcome}` ({meaning})" in PAGE.read_text("utf-8").replace("\n  ", " ")


def test_both_formats_say_the_same(metrics: dict[str, str]) -> None:
    """A scraper may change its mind without a series changing its name, its labels or its value."""
    text, openmetrics = (
        [line for line in metrics[media_type].splitlines() if not line.startswith("#")]
        for media_type in (TEXT, OPENMETRICS)
    )
    assert text == openmetrics
    assert metrics[OPENMETRICS].endswith("\n# EOF\n")


def test_histograms_count_what_was_counted(metrics: dict[str, str]) -> None:
    """Buckets are cumulative, begin at 50 µs, and end with everything; batches go up to the service's own limit."""
    text = metrics[TEXT]
    labels = 'service="f",release="f@1"'
    bounds = re.findall(r'tenfold_request_seconds_bucket\{.*le="(.+)"\} (\d+)', text)
    assert bounds[0][0] == "5e-05"
    assert [int(count) for _, count in bounds] == sorted(int(count) for _, count in bounds)
    names = [float(bound) for bound, _ in bounds]
    assert names == sorted(names)
    of_ones = 284  # each bucket was counted once, and two answers more
    assert value(text, f"tenfold_request_seconds_count{{{labels}}}") == int(bounds[-1][1]) == of_ones
    within = {float(bound): int(count) for bound, count in bounds}
    assert (within[0.0005] - within[0.0003], within[0.00075] - within[0.0005]) == (10, 8)
    assert re.findall(r'tenfold_batch_rows_bucket\{.*le="(.+)"\}', text) == ["1.0", "2.0", "4.0", "8.0", "+Inf"]
    assert value(text, f"tenfold_batch_rows_sum{{{labels}}}") == 4
    assert re.findall(r'tenfold_prediction_ratio_bucket\{.*le="1\.0"\} (\d+)', text) == ["20"]


def test_numbers_stand_where_they_belong(metrics: dict[str, str]) -> None:
    """Violations and changes by field and rule, seconds by stage, processes by role."""
    text, labels = metrics[TEXT], 'service="f",release="f@1"'
    assert value(text, f'tenfold_violations_total{{{labels},field="/a b",rule="",code="missing"}}') == 1
    assert value(text, f'tenfold_violations_total{{{labels},field="",rule="r",code="rule"}}') == 1
    assert value(text, f'tenfold_changes_total{{{labels},field="/a b",rule="",action="clamp"}}') == 1
    assert value(text, f'tenfold_changes_total{{{labels},field="",rule="r",action="flag"}}') == 1
    assert value(text, f'tenfold_stage_seconds_total{{{labels},stage="decode"}}') == 1 + 1e-9
    assert value(text, f'tenfold_rows_total{{{labels},outcome="good"}}') == 4
    assert value(text, "tenfold_deadline_seconds{") == 0.05
    assert value(text, 'tenfold_resident_memory_bytes{role="replica",service="f"}') == 2048
    assert value(text, 'tenfold_deaths_total{role="replica",service="f"}') == 3
    assert value(text, 'tenfold_http_refusals_total{code="not_found"}') == 4


def test_a_late_deadline_has_later_buckets(tmp_path: Path) -> None:
    """A service that may take a minute tells its slow answers apart; others do without such buckets."""
    for deadline_s, last in ((60.0, "50.0"), (0.05, "10.0")):
        body, _ = document("", measured([Counted({}, deadline_s, 1, 1, Counter())], Counter(), {}, []))
        assert re.findall(r'tenfold_request_seconds_bucket\{le="(.+)"\}', body.decode())[-2] == last


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.9", TEXT),
        ("Application/OpenMetrics-Text; q=0", TEXT),
        ("application/openmetrics-text;q=much", TEXT),
    ],
)
def test_the_scraper_chooses(accept: str, media_type: str) -> None:
    """Who asks for OpenMetrics gets it; everybody else gets what everybody reads."""
    assert document(accept, [])[1] == media_type


def test_odd_names_are_escaped() -> None:
    """A field may be called anything; it stays one label of one line."""
    family = Family("tenfold_odd", "gauge", "odd", ODD)
    text = document("", [(family, [Sample({"field": ODD}, 1)])])[0].decode()
    assert text.splitlines() == [
        '# HELP tenfold_odd with "quotes", a \\\\ and\\na new line',
        "# TYPE tenfold_odd gauge",
        'tenfold_odd{field="with \\"quotes\\", a \\\\ and\\na new line"} 1',
    ]


@pytest.mark.skipif(MISSING is not None, reason=f"no {MISSING} on this machine; Debian: make debian")
def test_the_linter_of_prometheus_agrees(metrics: dict[str, str]) -> None:
    """``promtool check metrics`` finds nothing to say about names, types and units."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics[TEXT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")

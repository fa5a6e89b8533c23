"""``tenfold simulate`` as a person, and as a program, uses it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.answers import Capacity, Evidence, Startup, keep
from tenfold.capacity.card import Card
from tenfold.cli import main
from tenfold.control import demo
from tenfold.control.simulate_trace import read_journal
from tenfold.service import find, spec
from tests.scaling.test_live import written
from tests.server.running import serve, write_service

Run = Callable[..., tuple[int, str, str]]
GIVEN = ("--rate-per-replica", "20", "--start", "30s")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: its exit code and what it printed."""

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main(["simulate", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """An hour with a burst, by the second."""
    counts = np.random.default_rng(3).poisson([50.0] * 1800 + [400.0] * 600 + [50.0] * 1200)
    path = tmp_path / "burst.csv"
    path.write_text("count\n" + "\n".join(map(str, counts)))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service folder of the demonstration, 1 to 8 replicas."""
    folder = tmp_path_factory.mktemp("trained") / "demo"
    demo.train(folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, of which was measured that a replica carries 20 rows/s and starts in 30 s."""
    copy = shutil.copytree(trained, tmp_path / "demo")
    shutil.rmtree(copy / ".tenfold", ignore_errors=True)
    card = Card(rows_per_s=40.0, replicas=2, deadline_s=0.05)
    keep(copy, spec(find(copy)), datetime.now(UTC), Capacity(card=card), Startup(seconds=30.0))
    return copy


def test_without_a_service_two_figures_do(run: Run, trace: Path, tmp_path: Path) -> None:
    """Whoever knows what a replica carries and how long it starts can compare policies; page and picture stand alone."""
    page, picture = tmp_path / "page.html", tmp_path / "plot.svg"
    code, out, _ = run("--trace", trace, "--every", "1 s", *GIVEN, "--html", page, "--svg", picture)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[4:8]] == ["tenfold", "knative", "hpa", "fixed"]
    assert "20 rows/s each within 1 s, 30 s to start, as given" in out
    assert "→" in out
    assert "<svg" in page.read_text("utf-8")
    assert "http" not in page.read_text("utf-8").replace("http://www.w3.org", "")
    assert picture.read_text("utf-8").startswith("<svg")


def test_programs_get_every_policy_with_its_figures(run: Run, trace: Path) -> None:
    """Cost against the ideal, and shares of rows that were late and refused, for each policy."""
    code, out, _ = run("--trace", trace, "--every", "1 s", *GIVEN, "--json")
    document: dict[str, Any] = json.loads(out)
    assert code == 0
    assert document["schema"] == 1
    assert [policy["name"] for policy in document["policies"]] == ["tenfold", "knative", "hpa", "fixed"]
    for policy in document["policies"]:
        assert policy["cost_ratio"] > 0.8
        assert 0 <= policy["late_ratio"] + policy["refused_ratio"] < 0.2
        assert policy["changes_per_day"] >= 0
    assert document["policies"][3]["refused_ratio"] == 0
    assert document["changes"][0]["reason"]


def test_a_service_brings_what_was_measured_of_it(run: Run, trace: Path, folder: Path) -> None:
    """Its capacity, start-up time, deadline and limits are taken, and the answer sheet quotes the result."""
    code, out, _ = run(folder, "--trace", trace, "--every", "1 s")
    assert code == 6  # eight replicas carry 160 of the 400 rows/s
    assert "as measured" in out
    assert "broken    even 8 replicas at all times miss" in out
    assert "Scaling(max_replicas=" in out
    kept = Evidence.read(folder).simulation
    assert kept is not None
    assert kept.most_replicas == 8


def test_the_sheet_quotes_the_simulation(run: Run, trace: Path, folder: Path, capsys: Any) -> None:
    """Question 8 says what the declared scaling would have cost and missed."""
    run(folder, "--trace", trace, "--every", "1 s")
    main(["answers", str(folder), "--json"])
    measured = json.loads(capsys.readouterr().out)["answers"][7]["measured"]
    assert "× ideal" in measured["text"]
    assert "in 1 h of burst.csv" in measured["text"]
    source = folder / "service.py"
    source.write_text(source.read_text("utf-8").replace("max_replicas=8", "max_replicas=7"), "utf-8")
    main(["answers", str(folder), "--json"])
    assert json.loads(capsys.readouterr().out)["answers"][7]["measured"] == {}


def test_other_bounds_are_tried_without_being_kept(run: Run, trace: Path, folder: Path) -> None:
    """What is not what the class declares is no evidence about it."""
    code, out, _ = run(folder, "--trace", trace, "--every", "1 s", "--max", 40, "--json")
    assert code == 0
    assert json.loads(out)["policies"][0]["most_replicas"] > 8
    assert Evidence.read(folder).simulation is None


def test_criteria_are_fitted(run: Run, trace: Path) -> None:
    """The fitted criteria are printed as they are written in the class, and miss no more than asked."""
    code, out, _ = run("--trace", trace, "--every", "1 s", *GIVEN, "--fit", "--miss", "10 %", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["fitted"].startswith("Scaling(min_replicas=1, headroom=")
    ours = document["policies"][0]
    assert ours["late_ratio"] + ours["refused_ratio"] <= 0.1
    assert document["notes"] == []


def test_criteria_that_nobody_can_keep_are_said(run: Run, trace: Path) -> None:
    """Where no criteria miss as little as asked, it is said what was tried, what those miss that miss the least, and why; and
    what would help."""
    code, out, _ = run("--trace", trace, "--every", "1 s", *GIVEN, "--fit", "--miss", "0.01 %")
    assert code == 0
    note = " ".join(out.partition("note ")[2].split())
    tried = "scale_in_after of 1 min to 20 min with headroom of 0% to 80%"
    assert note.startswith(f"none of 30 settings misses 0.01 % or less ({tried}); of the one that misses the least, ")
    assert note.endswith(": a faster start, more replicas at all times (--min), a schedule, or a larger --miss")
    assert "--fit" not in note
    _, out, _ = run("--trace", trace, "--every", "1 s", *GIVEN, "--fit", "--miss", "0%", "--max", "20")
    note = " ".join(out.partition("note ")[2].split())
    assert note.startswith("none of 30 settings misses nothing")
    assert "; even 20 replicas at all times miss " in note
    assert note.endswith(": a higher limit (--max), a faster model, or a larger --miss")


def test_figures_that_are_given_are_not_called_measured(run: Run, trace: Path, folder: Path) -> None:
    """What was tried is told from what was measured of the service."""
    for options, source in (
        ((), "as measured"),
        (GIVEN[:2], "the rate as given, the other as measured"),
        (GIVEN, "as given"),
    ):
        _, out, _ = run(folder, "--trace", trace, "--every", "1 s", *options)
        assert f"30 s to start, {source}\n" in out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--start", "30s"], 2, "what a replica carries, and how long it takes to start, is not said"),
        ([*GIVEN], 2, "there is no traffic to replay"),
        ([*GIVEN, "--trace", "nowhere.csv"], 4, "there is no file nowhere.csv"),
        ([*GIVEN, "--trace", "TRACE", "--every", "1 s", "--min", "5", "--max", "2"], 2, "--min 5 is more than --max 2"),
        ([*GIVEN, "--trace", "TRACE", "--every", "1 s", "--miss", "2 %"], 2, "--miss says what --fit may miss"),
        (
            [*GIVEN, "--trace", "TRACE", "--every", "1 s", "--fit", "--miss", "150%"],
            2,
            "--miss 150% is no share of the rows",
        ),
        (
            [*GIVEN, "--trace", "TRACE", "--every", "1 s", "--html", "nowhere/page.html"],
            4,
            "there is no folder nowhere",
        ),
        (["--rate-per-replica", "20", "--start", "1 parsec"], 2, "--start: '1 parsec' has the unit 'parsec'"),
        ([*GIVEN, "--trace", "TRACE", "--every", "soon"], 2, "--every: 'soon' is not a quantity"),
        (["--rate-per-replica", "0", "--start", "30", "--trace", "TRACE"], 2, "measures nothing"),
    ],
)
def test_wrong_use_is_said(run: Run, trace: Path, arguments: list[str], code: int, said: str) -> None:
    """Limits that contradict each other, missing figures and files: a sentence and the mend."""
    done = run(*[str(trace) if one == "TRACE" else one for one in arguments])
    assert done[0] == code
    assert said in done[2]
    assert "fix:" in done[2]


def test_a_bound_that_contradicts_the_class_is_said_with_the_other_one(run: Run, trace: Path, folder: Path) -> None:
    """The service has 1 to 8 replicas: more than 8 need both options."""
    code, _, err = run(folder, "--trace", trace, "--every", "1 s", "--min", "9")
    assert (code, "--min 9 is more than max_replicas=8" in err, "fix:   add --max 9, or more" in err) == (2, True, True)
    assert run(folder, "--trace", trace, "--every", "1 s", "--min", "9", "--max", "40")[0] == 0


def test_what_was_not_measured_is_named(run: Run, trace: Path, folder: Path) -> None:
    """A service that nobody benched says which command does."""
    (folder / ".tenfold" / "evidence.json").unlink()
    code, _, err = run(folder, "--trace", trace)
    assert code == 2
    assert f"tenfold bench {folder}" in err


def test_a_service_that_is_too_slow_for_one_row_is_told_so(run: Run, trace: Path, folder: Path) -> None:
    """Where no rate keeps the deadline, no number of replicas does, and nothing is simulated."""
    card = Card(rows_per_s=0.0, deadline_s=0.05)
    keep(folder, spec(find(folder)), datetime.now(UTC), Capacity(card=card))
    code, _, err = run(folder, "--trace", trace)
    assert code == 6
    assert "no number of replicas keeps that" in err


def test_a_service_without_a_journal_names_the_other_way(folder: Path, run: Run) -> None:
    """Without --trace the journal is replayed; where it is empty, that is said."""
    code, _, err = run(folder)
    assert code == 4
    assert "the journal of demo has no predictions" in err


@pytest.mark.slow
def test_its_own_journal_is_a_trace(tmp_path: Path) -> None:
    """What a service answered can be replayed, each row at the second of its answer."""
    folder = write_service(tmp_path / "echoes")
    with serve(folder) as server:
        for x in range(20, 40):
            assert server.ask("/predict", {"x": x}).status == 200
    trace = read_journal(folder)
    assert sum(trace.counts) == 20
    assert "what was refused is not in it" in trace.remarks[0]


@pytest.mark.parametrize(
    ("counts", "rate"),
    [("100000000000\n" * 3, "20"), ("60\n60\n", "1e-300"), ("1e12\n", "1")],
    ids=["many", "slow", "most"],
)
def test_more_replicas_than_anybody_has_are_refused(tmp_path: Path, run: Run, counts: str, rate: str) -> None:
    """At once, with what they follow from: nobody waits for it."""
    (tmp_path / "trace.csv").write_text("count\n" + counts)
    options = ("--trace", tmp_path / "trace.csv", "--every", "1 min", "--rate-per-replica", rate, "--start", "30s")
    code, _, err = run(*options)
    assert code == 2
    assert "more than 10,000 replicas" in err


def test_a_bound_that_the_schedule_contradicts_is_wrong_use(run: Run, trace: Path, tmp_path: Path) -> None:
    """What --min and --max make of the class is said like any other wrong option."""
    folder = written(tmp_path / "doubles", 'Scaling(1, 4, schedule=("Mon-Fri 08:00-18:00: 3",))')
    code, _, err = run(folder, "--trace", trace, "--every", "1 s", *GIVEN, "--max", "2")
    assert (code, "more than the 2 replicas that there may be at most" in err) == (2, True)

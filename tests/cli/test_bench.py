"""``tenfold bench``, as a person types it: on a folder, on a running service, and on somebody else's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tenfold.control import servers
from tests.bench.servers import served
from tests.cli.conftest import Run

pytestmark = pytest.mark.alone
PROMISED_KEYS = {"rows_per_s", "p99_s", "deadline_s", "replicas", "machine"}


@pytest.mark.slow
def test_a_folder_is_searched_and_what_was_found_is_kept(folder: Path, run: Run) -> None:
    """The number, the curve and the evidence; a promise that cannot be kept is told to the caller and on the sheet."""
    service = folder / "service.py"
    service.write_text(service.read_text("utf-8").replace("500 rows/s", "900000 rows/s"), "utf-8")
    done = run("bench", folder, "--for", "0.5 s", "--json")
    found = done.json()
    assert done.code == found["exit"] == 6
    assert found.keys() >= PROMISED_KEYS
    assert 0 < found["rows_per_s"] < 900_000
    assert 0 < found["p99_s"] <= 1.01 * found["deadline_s"] == pytest.approx(0.1, rel=0.02)
    assert found["above_rows_per_s"] > found["rows_per_s"]
    assert found["promised_rows_per_s"] == 900_000
    assert not found["kept"]
    assert found["calibrated_rows_per_s"] == pytest.approx(found["rows_per_s"] / found["speed"])
    assert found["traffic"] == "20 golden requests, 1 row each"
    rates = [one["rate"] for one in found["rates"]]
    assert rates == sorted(rates)
    assert rates[0] < 0.3 * found["rows_per_s"]
    assert ElementTree.parse(found["svg"]).getroot().tag.endswith("svg")
    assert Path(found["svg"]) == folder / ".tenfold" / "capacity.svg"
    answers = run("answers", folder, "--json").json()["answers"]
    assert answers[6]["state"] in ("broken", "open")  # open where our own generator was the limit
    assert answers[6]["because"].startswith("900,000 rows/s are promised")
    assert answers[6]["measured"]["rows_per_s"] == found["rows_per_s"]
    assert "rows/s" in answers[5]["measured"]["text"]


@pytest.mark.slow
def test_one_rate_is_kept_or_not(folder: Path, run: Run) -> None:
    """What is promised is carried at that rate; the sheet believes it, and a deadline of nothing is not kept."""
    shutil.rmtree(folder / ".tenfold", ignore_errors=True)
    done = run("bench", folder, "--rate", "30 rows/s", "--for", "1.5 s")
    assert done.code == 0
    assert "20 golden requests" in done.out
    assert "0 of " in done.out
    assert "kept" in done.out
    assert [kept.name for kept in (folder / ".tenfold").iterdir()] == ["evidence.json"]  # nothing of our own requests
    sheet = run("answers", folder, "--json").json()["answers"]
    assert sheet[6]["state"] == "open"
    assert sheet[6]["because"] == "500 rows/s are promised, 30 rows/s were carried, and no more was tried"
    done = run("bench", folder, "--rate", "30", "--for", "1s", "--deadline", "10 us", "--json")
    assert done.code == 6
    assert done.json()["rows_per_s"] == 0
    assert done.json()["rates"][0]["late"] > 0
    assert run("answers", folder, "--json").json()["answers"][6]["measured"]["rows_per_s"] == 30


@pytest.mark.slow
def test_a_running_service_says_itself_what_it_takes(trained: Path, run: Run) -> None:
    """Of one of ours, the address is enough, with or without its name, and its own deadline counts."""
    with servers.serving(trained) as server:
        for url in (server.url, f"{server.url}/tumour/predict"):
            done = run("bench", url, "--rate", "20", "--for", "0.5s", "--json")
            found = done.json()
            assert done.code == 0, done.out
            assert (found["service"], found["replicas"], found["deadline_s"]) == ("tumour", 1, 0.1)
            assert found["url"] == f"{server.url}/tumour/predict"
            assert "an example" in found["notes"][0]


@pytest.mark.slow
def test_any_service_can_be_measured(run: Run, tmp_path: Path) -> None:
    """Whatever takes a POST: the caller says what to send and what counts as in time."""
    bodies = tmp_path / "bodies.ndjson"
    bodies.write_text('{"x": 1}\n\n[{"x": 1}, {"x": 2}, {"x": 3}]\n')
    with served() as server:
        url = f"{server}/each?n=2&status=503"
        done = run("bench", url, "--rate", "200", "--for", "1s", "--deadline", "50 ms", "--requests", bodies, "--json")
        assert done.code == 6
        found = done.json()
        assert found["traffic"] == "2 requests of bodies.ndjson, 2 rows each"
        assert found["rates"][0]["refused"] == pytest.approx(found["rates"][0]["requests"] / 2, abs=2)
        assert "50" in found["because"]
        curve = tmp_path / "curve.svg"
        done = run(
            "bench",
            f"{server}/queue?ms=1",
            "--for",
            "0.3s",
            "--deadline",
            "50 ms",
            "--requests",
            bodies,
            "--svg",
            curve,
        )
        assert done.code == 0, done.out
        assert "capacity" in done.out
        assert curve.read_text().startswith("<svg")


@pytest.mark.slow
def test_a_service_that_hangs_or_is_not_there(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever, and the message says what happened."""
    monkeypatch.setattr("tenfold.bench.generator.LEAST_PATIENCE_S", 0.3)
    body = tmp_path / "body.json"
    body.write_text("{}")
    options = ["--requests", body, "--deadline", "50 ms"]
    with served() as server:
        done = run("bench", f"{server}/hang?after=0", *options)
        assert (done.code, "no answer within 0.3 s" in done.err) == (1, True)
        done = run("bench", f"{server}/each?n=1&status=422", *options)
        assert (done.code, "--requests FILE sends others" in done.err) == (3, True)
        done = run("bench", f"{server}/each?n=1&status=401", *options)
        assert "--header" in done.err
    done = run("bench", "localhost:8000/x", *options)
    assert (done.code, "tenfold bench http://localhost:8000/x" in done.err) == (4, True)
    done = run("bench", f"http://127.0.0.1:{servers.free_port()}/x", *options)
    assert (done.code, "nobody answers" in done.err) == (4, True)


@pytest.mark.slow
def test_requests_that_the_contract_refuses_are_no_traffic(folder: Path, run: Run, tmp_path: Path) -> None:
    """A mistaken file is told with the service's own words, before any rate is tried."""
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"mean radius": "wide"}))
    done = run("bench", folder, "--requests", body, "--rate", "10", "--for", "1s")
    assert done.code == 3
    assert "request 1 alone is answered with 422" in done.err
    assert "mean radius" in done.err


def usage(run: Run, *arguments: object) -> str:
    """The message of a wrong command line."""
    done = run("bench", *arguments)
    assert done.code == 2, done.err
    return done.err


def test_wrong_command_lines_are_told_before_anything_starts(folder: Path, run: Run, tmp_path: Path) -> None:
    """Each with what was wrong and how it is written."""
    broken = tmp_path / "broken.ndjson"
    broken.write_text("{}\n{\n")
    empty = tmp_path / "empty.ndjson"
    empty.write_text("\n")
    assert "--rate: 'fast' is not a quantity" in usage(run, folder, "--rate", "fast")
    assert "that measures nothing" in usage(run, folder, "--rate", "0")
    assert "that measures nothing" in usage(run, folder, "--rate=-5")
    assert "that measures nothing" in usage(run, folder, "--rate", "nan")
    assert "has no unit" in usage(run, folder, "--for", "10")
    assert "--deadline" in usage(run, folder, "--deadline", "soon")
    assert "--svg draws a curve" in usage(run, folder, "--rate", "5", "--svg", "x.svg")
    assert "line 2" in usage(run, folder, "--requests", broken)
    assert "has no body" in usage(run, folder, "--requests", empty)
    assert "is no header" in usage(run, folder, "--header", "nonsense", "--rate", "5")
    assert "add --deadline" in usage(run, "http://127.0.0.1:9/x")
    assert "add --requests" in usage(run, "http://127.0.0.1:9/x", "--deadline", "1 s")
    assert "is no address" in usage(run, "http://")
    assert run("bench", folder, "--requests", "nowhere.json").code == 4
    assert run("bench", tmp_path).code == 4

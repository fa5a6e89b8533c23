"""``tenfold render``: files that another system takes as they are."""

from __future__ import annotations

import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tenfold.answers import Startup, keep
from tenfold.answers.evidence import Capacity as Measured
from tenfold.capacity.card import Card
from tenfold.cli.render import TARGETS
from tenfold.console.metrics import FAMILIES
from tenfold.control import renders
from tenfold.control.alerts import rules_file
from tenfold.control.grafana import WIDTH, dashboard
from tenfold.deadline import Deadline
from tenfold.scaling import Scaling
from tenfold.service import find
from tenfold.service import spec as read_spec
from tests.answers.examples import spec
from tests.cli.conftest import Run
from tests.server.running import write_service


@pytest.fixture(scope="module")
def panels() -> list[dict[str, Any]]:
    """The panels of a service's dashboard."""
    found: list[dict[str, Any]] = dashboard(spec())["panels"]
    return found


def test_files_are_written_and_named(tmp_path: Path, run: Run) -> None:
    """The command says what it wrote and what to do with it; written again, the files are the same."""
    service = write_service(tmp_path / "echoes")
    done = run("render", "grafana", service, "-o", tmp_path / "out" / "grafana", "--json")
    assert done.code == 0, done.err
    files = [Path(file) for file in done.json()["files"]]
    assert [file.name for file in files] == ["echoes-dashboard.json", "echoes-rules.yml"]
    before = [file.read_bytes() for file in files]
    done = run("render", "grafana", service, "-o", tmp_path / "out" / "grafana")
    assert "wrote" in done.out
    assert "rule_files of prometheus.yml" in done.out
    assert [file.read_bytes() for file in files] == before


def test_a_file_is_no_folder(tmp_path: Path, run: Run) -> None:
    """A mistaken -o is one message, and overwrites nothing."""
    (tmp_path / "out").write_text("mine")
    done = run("render", "grafana", write_service(tmp_path / "echoes"), "-o", tmp_path / "out")
    assert done.code == 2
    assert "out is a file" in done.err
    assert (tmp_path / "out").read_text() == "mine"


def test_the_command_line_knows_every_target() -> None:
    """What can be rendered can be asked for."""
    assert list(renders.TARGETS) == TARGETS


# -- kubernetes and the like: what is written is looked at in tests/render ------------------------------------------------


def test_what_was_measured_is_what_is_written(tmp_path: Path, run: Run) -> None:
    """Numbers come from the evidence beside the service, as long as it is about this very release."""
    service = write_service(tmp_path / "echoes")
    (service / "tenfold.toml").write_text('[production.releases]\nsteps = "external"\n[scaling]\nmax_replicas = 3\n')
    stated = read_spec(find(service, "production"))
    card = Card(rows_per_s=800.0, deadline_s=10.0, replicas=2)
    keep(service, stated, datetime.now(UTC), Startup(seconds=50.0), Measured(card=card))
    done = run("render", "kubernetes", service, "--env", "production", "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    texts = {Path(file).name: Path(file).read_text("utf-8") for file in done.json()["files"]}
    assert texts.keys() == {"echoes.yaml", "echoes-custom.yaml"}
    assert 'averageValue: "300"' in texts["echoes.yaml"]
    assert "failureThreshold: 100" in texts["echoes.yaml"]
    assert f"image: echoes:{stated.release[:12]}" in texts["echoes.yaml"]
    assert '- "--env"\n            - production' in texts["echoes.yaml"]
    (service / "more.py").write_text("x = 1\n")
    done = run("render", "kubernetes", service, "--env", "production", "-o", tmp_path / "out")
    assert done.code == 6
    assert "nobody has measured" in done.err


def test_the_next_command_has_the_names_that_are_known(tmp_path: Path, run: Run) -> None:
    """What is to be typed after render dockerfile can be: the tag is the one that the file says."""
    service = write_service(tmp_path / "echoes")
    (service / "requirements.lock").write_text("tenfold\n")
    done = run("render", "dockerfile", service, "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    tag = f"echoes:{read_spec(find(service)).release[:12]}"
    command = (
        f"docker build --tag {tag} --file {tmp_path}/out/Dockerfile --build-context tenfold={tmp_path}/out {service}"
    )
    assert done.json()["next"] == command


def test_a_refusal_writes_nothing(tmp_path: Path, run: Run) -> None:
    """A canary that Kubernetes would leave out is refused, with two ways on, and no folder is made."""
    done = run("render", "kubernetes", write_service(tmp_path / "echoes"), "-o", tmp_path / "out")
    assert done.code == 3
    assert "Releases(steps=" in done.err
    assert "--store-secret" in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grafana", "--image", "a:1"], "render grafana has no use for --image"),
        (["kserve", "--hostname", "a.example"], "render kserve has no use for --hostname"),
        (["kubernetes", "--base", "python:3"], "render kubernetes has no use for --base"),
        (["dockerfile", "--store-secret", "x"], "render dockerfile has no use for --store-secret"),
        (["kubernetes", "--start", "8"], "--start: '8' has no unit"),
        (["kubernetes", "--memory", "much"], "--memory: 'much' is not a quantity"),
        (["kubernetes", "--rate-per-replica", "9 rows"], "--rate-per-replica: '9 rows'"),
        (["kubernetes", "--rate-per-replica", "0 rows/s"], "--rate-per-replica 0 rows/s: that is nothing"),
        (["kubernetes", "--memory", "1 KiB"], "--memory: 1024 bytes are too few for any server"),
        (["kubernetes", "--namespace", "Bad_NS"], "--namespace 'Bad_NS' cannot be that in a cluster"),
        (["kubernetes", "--secret", "keys", "--secret", "Keys"], "--secret 'Keys' cannot be that"),
        (["kubernetes", "--store-secret", "-store"], "--store-secret '-store' cannot be that"),
        (
            ["kubernetes", "--hostname", "a_b.example", "--gateway", "infra/public"],
            "--hostname 'a_b.example' cannot be",
        ),
        (["kubernetes", "--hostname", "a.example", "--gateway", "a/b/c"], "--gateway 'a/b/c' cannot be that"),
        (["kserve", "--prometheus", "prometheus:9090"], "--prometheus 'prometheus:9090' cannot be that"),
        (["dockerfile", "--base", "python 3"], "--base 'python 3' cannot be that"),
    ],
)
def test_options_that_mean_nothing_are_refused(tmp_path: Path, run: Run, words: list[str], said: str) -> None:
    """What one target takes and another does not is said, as is a quantity without its unit, or a name that is none."""
    target, *options = words
    done = run("render", target, write_service(tmp_path / "echoes"), "-o", tmp_path / "out", *options)
    assert done.code == 2
    assert said in done.err


def test_an_image_is_written(tmp_path: Path, run: Run) -> None:
    """A folder whose pyproject.toml names its libraries and its Python needs no more."""
    service = write_service(tmp_path / "echoes")
    (service / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=3.12"\ndependencies = ["tenfold[onnx, sklearn]>=0.1"]\n'
    )
    done = run("render", "dockerfile", service, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "--build-context tenfold=" in done.out
    text = (tmp_path / "out" / "Dockerfile").read_text("utf-8")
    (wheel,) = (tmp_path / "out").glob("tenfold-*.whl")
    assert "FROM python:3.12-slim" in text
    assert f"echo 'tenfold[onnx,sklearn] @ file:///build/{wheel.name}'" in text
    with zipfile.ZipFile(wheel) as archive:
        points = next(name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        assert b"tenfold = tenfold.cli:main" in archive.read(points), "the image begins with this command"
    before = wheel.read_bytes()
    assert run("render", "dockerfile", service, "-o", tmp_path / "out").code == 0
    assert wheel.read_bytes() == before


def test_panels_fill_the_page(panels: list[dict[str, Any]]) -> None:
    """No panel lies over another, and no row is left half empty."""
    taken: dict[tuple[int, int], str] = {}
    for panel in panels:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
    assert {x for x, _ in taken} == set(range(WIDTH))
    assert len(taken) == WIDTH * (1 + max(y for _, y in taken))
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))


def test_panels_say_what_they_show(panels: list[dict[str, Any]]) -> None:
    """Each panel has a title, a sentence, a unit, and queries of this service alone; the data source is chosen at import."""
    for panel in panels:
        if panel["type"] == "row":
            continue
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            names = re.findall(r"tenfold_\w+(\{[^}]*\})?", target["expr"])
            server_wide = "http_refusals" in target["expr"] or "build_info" in target["expr"]
            assert server_wide or all(spec().name in selector for selector in names), target["expr"]


def test_every_metric_is_used_and_every_used_metric_exists(panels: list[dict[str, Any]]) -> None:
    """The dashboard and the rules draw and watch exactly what is exported."""
    asked = set(re.findall(r"tenfold_\w+", json.dumps(panels) + rules_file(spec())))
    exported = {family.exported for family in FAMILIES if family.kind != "histogram"}
    stems = {family.name for family in FAMILIES if family.kind == "histogram"}
    assert {name for name in asked if not name.endswith(("_bucket", "_sum", "_count"))} == exported
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in asked - exported} == stems


def test_rules_know_what_was_declared() -> None:
    """Slow is measured by the service's own deadline, few by its own scaling, much by its own promise."""
    slow = spec(deadline=Deadline("80 ms"), scaling=Scaling(min_replicas=3, max_replicas=8))
    text = rules_file(slow)
    assert "> 0.072'" in text
    assert "< 3'" in text
    assert "TenfoldFewReplicas" not in rules_file(spec(scaling=Scaling(min_replicas=1, max_replicas=8)))
    assert ("TenfoldBeyondPromise" in text) == (spec().capacity.rows_per_s is not None)


def test_long_names_stay_apart() -> None:
    """Grafana knows dashboards by at most 40 characters; two services with the same beginning are two dashboards."""
    uids = [dashboard(spec(name=f"{'a' * 50}{k}"))["uid"] for k in range(2)]
    assert len(set(uids)) == 2
    assert all(len(uid) <= 40 for uid in uids)

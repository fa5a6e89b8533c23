"""``tenfold diff``: what lies between two releases, and whom a change breaks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.releases.test_push import edit

FIRST = {"request": {"x": 1}, "media_type": "application/json", "answer": {"label": "benign", "p": 0.9}}


def golden(service: Path, *records: dict[str, Any]) -> None:
    """Golden records that say no more than diff looks at."""
    (service / "golden").mkdir(exist_ok=True)
    (service / "golden" / "records.json").write_text(json.dumps({"records": records}))


@pytest.fixture
def pushed(service: Path, run: Run) -> Path:
    """A service folder of which there is a release, to be changed."""
    golden(service, FIRST)
    assert run("push", service).code == 0
    return service


def compared(run: Run, service: Path, a: object = "double@1", b: object = "double@2") -> Any:
    """What diff says to a program."""
    done = run("diff", a, b, "--store", service, "--json")
    assert done.code == 0, done.err
    return done.json()


def test_nothing_lies_between_a_release_and_itself(pushed: Path, run: Run) -> None:
    """Equal is said to be equal; a folder that wasn't touched is what was pushed of it."""
    for other in ("double@1", pushed):
        said = compared(run, pushed, "double@1", other)
        assert said.pop("schema") == 1
        assert (said.pop("from"), said.pop("to")) == ("double@1", str(other))
        assert not any(said.values())
    assert "no changed" in run("diff", "@1", "@latest", "--store", pushed).out


def test_a_stricter_contract_is_said_to_break(pushed: Path, run: Run) -> None:
    """Where, from what to what, and whom."""
    edit(pushed, "Le(100)", "Le(50)")
    run("push", pushed)
    said = compared(run, pushed)
    assert said["breaking"]
    (difference,) = said["contract"]
    assert (difference["side"], difference["pointer"]) == ("request", "/x")
    assert (difference["was"], difference["now"]) == ("at most 100", "at most 50")
    shown = run("diff", "double@1", "double@2", "--store", pushed).out
    assert "breaks · request /x: at most 100 → at most 50: requests that were taken are refused" in shown
    assert not compared(run, pushed, "double@2", "double@1")["breaking"]


def test_the_lines_of_the_code_are_shown(pushed: Path, run: Run) -> None:
    """As a unified diff; a file that came or went is one, too."""
    edit(pushed, "* 2", "* 3")
    (pushed / "features.py").write_text("HELLO = 1\n")
    run("push", pushed)
    said = compared(run, pushed)
    edited = {one["path"]: one["diff"] for one in said["code"]}
    assert set(edited) == {"service.py", "features.py"}
    assert edited["features.py"].endswith("@@ -0,0 +1 @@\n+HELLO = 1\n")
    assert "--- double@1/service.py\n+++ double@2/service.py\n" in edited["service.py"]
    assert "-    model = staticmethod(lambda matrix: matrix.sum(axis=1) * 2)" in edited["service.py"]


def test_libraries_and_tables_and_options_are_compared(pushed: Path, run: Run) -> None:
    """What was pinned to what, what came and went; tables by their digests; options in their own words."""
    project = pushed / "pyproject.toml"
    project.write_text(project.read_text().replace("numpy==2.4.6", "numpy==2.5.0").replace('"click>=8"', '"scipy"'))
    (pushed / "offset.json").write_text("1.5")
    (pushed / "tenfold.toml").write_text('[deadline]\nbudget = "20 ms"\n')
    run("push", pushed)
    said = compared(run, pushed)
    moved = {one["name"]: (one["was"], one["now"]) for one in said["libraries"]}
    assert moved == {"numpy": ("2.4.6", "2.5.0"), "click": (">=8", ""), "scipy": ("", "any")}
    assert [one["name"] for one in said["files"]] == ["files offset.json"]
    assert [(one["name"], one["now"][:5]) for one in said["options"]] == [("deadline", "20 ms")]
    shown = run("diff", "double@1", "double@2", "--store", pushed).out
    assert "numpy 2.4.6 → 2.5.0" in shown
    assert "scipy none → any" in shown


def test_golden_answers_that_moved_are_counted(pushed: Path, run: Run) -> None:
    """How many are equal, how many labels differ, by how much, and which requests have nothing to be compared with."""
    same = FIRST | {"request": {"x": 2}}
    closer = FIRST | {"request": {"x": 3}}
    golden(pushed, FIRST, same, closer, FIRST | {"request": {"x": 4}})
    run("push", pushed)
    golden(
        pushed,
        FIRST | {"answer": {"label": "malignant", "p": 0.4}},
        same,
        closer | {"answer": {"label": "benign", "p": 0.8}},
        FIRST | {"request": {"x": 5}},
    )
    run("push", pushed)
    said = compared(run, pushed, "double@2", "double@3")["golden"]
    assert said == {"requests": 3, "equal": 1, "labels": 1, "largest": pytest.approx(0.5), "gone": 1, "new": 1}
    shown = run("diff", "double@2", "double@3", "--store", pushed).out
    assert "1 of 3 answers equal; 1 labels differ, largest 0.5; 1 requests gone; 1 requests new" in shown


def test_a_folder_is_compared_before_it_is_pushed(pushed: Path, run: Run, tmp_path: Path) -> None:
    """What a push would change is seen without pushing, from whatever side; two folders need no store."""
    shutil.copytree(pushed, tmp_path / "other", ignore=shutil.ignore_patterns(".tenfold"))
    edit(tmp_path / "other", "Le(100)", "Le(50)")
    assert compared(run, pushed, "double@latest", tmp_path / "other")["breaking"]
    assert not compared(run, pushed, tmp_path / "other", "double@latest")["breaking"]
    done = run("diff", pushed, tmp_path / "other", "--store", tmp_path / "nowhere", "--json")
    assert done.json()["parts"] == ["code", "contract"]
    assert not (tmp_path / "nowhere").exists()


def test_a_name_that_means_nothing_is_explained(pushed: Path, run: Run) -> None:
    """With the nearest, and exit code 4."""
    done = run("diff", "double@1", "dubble@1", "--store", pushed)
    assert done.code == 4
    assert "did you mean double?" in done.err

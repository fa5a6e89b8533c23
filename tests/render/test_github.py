"""The workflow: what GitHub would read, and what its shell would run."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
import yaml

from tenfold.errors import NotFound, UsageError
from tenfold.render import Image, github
from tests.render.test_kubernetes import asked


def workflow(path: str = "services/tumour", pins: str = "pyproject.toml") -> dict[Any, Any]:
    """The one file, read."""
    image = Image(pins, "3.12", "tenfold-1-py3-none-any.whl", "tenfold[sklearn]")
    [text] = github.files(asked(path=path, image_of=image)).values()
    found: dict[Any, Any] = yaml.safe_load(text)
    return found


def steps(found: dict[Any, Any]) -> dict[str, dict[str, Any]]:
    """The steps that have a name."""
    return {step["name"]: step for step in found["jobs"]["release"]["steps"] if "name" in step}


@pytest.mark.parametrize("pins", ["pyproject.toml", "uv.lock", "requirements.lock"])
@pytest.mark.parametrize("path", ["services/tumour", ".", "a b/it's.py"])
def test_what_runs_is_what_a_shell_reads(path: str, pins: str) -> None:
    """Each script is one that bash can read, whatever the folder is called."""
    for step in steps(workflow(path, pins)).values():
        subprocess.run(["bash", "-n"], input=step["run"].encode(), check=True)


def test_a_pull_request_gets_a_plan_and_deploys_nothing() -> None:
    """What deploys runs on a push to main alone."""
    found = steps(workflow())
    assert found["Plan"]["if"] == "github.event_name == 'pull_request'"
    assert "--plan" in found["Plan"]["run"]
    assert found["Deploy"]["if"] == "github.event_name == 'push'"
    others = [step["run"] for name, step in found.items() if name not in ("Plan", "Deploy")]
    assert not any("tenfold deploy" in run for run in others)


def test_nothing_that_a_stranger_writes_is_run() -> None:
    """Values of the event reach the shell as variables, and a fork gets no secret."""
    found = workflow()
    assert not any("${{" in step["run"] for step in steps(found).values())
    assert "head.repo.full_name == github.repository" in found["jobs"]["release"]["if"]
    assert found["jobs"]["release"]["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_a_path_outside_the_repository_is_refused() -> None:
    """A checkout has no other folders."""
    for path in ("/srv/tumour", "../tumour"):
        with pytest.raises(UsageError, match="no path in a repository"):
            workflow(path)


def test_libraries_have_to_be_named() -> None:
    """Without pins the checks would run with whatever is newest."""
    with pytest.raises(NotFound, match="nothing pins"):
        workflow(pins="")

"""The image: two stages, no rights, and a command that serves."""

from __future__ import annotations

import json

import pytest

from tenfold.errors import NotFound
from tenfold.render import Asked, Image, dockerfile, kubernetes
from tests.render.semantics import documents, of_kind
from tests.render.test_kubernetes import asked


def instructions(one: Asked) -> list[tuple[str, str]]:
    """The Dockerfile in pairs of a word and what it says."""
    text = dockerfile.files(one)["Dockerfile"].replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def pinned(pins: str = "pyproject.toml") -> Asked:
    """A service whose libraries are named in a file."""
    return asked(image_of=Image(pins, "3.12", "tenfold-1-py3-none-any.whl", "tenfold[sklearn]"))


def test_libraries_are_installed_in_a_stage_of_their_own() -> None:
    """What installs stays behind; what serves is copied from it."""
    found = instructions(pinned())
    stages = [said for word, said in found if word == "FROM"]
    assert stages == ["python:3.12-slim AS libraries", "python:3.12-slim"]
    second = found[[k for k, (word, _) in enumerate(found) if word == "FROM"][1] :]
    assert ("COPY", "--from=libraries /opt/venv /opt/venv") in second
    assert not any("pip" in said for _, said in second)


def test_nobody_is_root_in_it() -> None:
    """The user is a number that Kubernetes can check, and comes after everything that needs rights."""
    words = [word for word, _ in instructions(pinned())]
    user = dict(instructions(pinned()))["USER"]
    assert user == "10001:10001"
    assert "RUN" not in words[words.index("USER") :]


def test_it_is_checked_before_it_is_an_image() -> None:
    """Golden records are replayed by the very libraries that will serve."""
    runs = [said for word, said in instructions(pinned()) if word == "RUN"]
    assert runs[-1].startswith("tenfold check .")


def test_the_command_is_that_of_the_deployment() -> None:
    """By itself or in a cluster, the image serves in the same way: serve is an argument."""
    one = pinned()
    said = dict(instructions(one))
    deployment = of_kind(documents(kubernetes.files(one)), "Deployment")
    assert deployment is not None
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert json.loads(said["ENTRYPOINT"]) == ["tenfold"]
    assert json.loads(said["CMD"]) == container["args"]
    assert said["WORKDIR"] == container["workingDir"]
    assert said["EXPOSE"].split() == [str(port["containerPort"]) for port in container["ports"]]


def test_this_very_tenfold_is_in_it() -> None:
    """The wheel beside the Dockerfile overrides whatever an index has under the name, with the extras that are asked for."""
    text = dockerfile.files(pinned())["Dockerfile"]
    assert "COPY --from=tenfold tenfold-1-py3-none-any.whl ./" in text
    assert "echo 'tenfold[sklearn] @ file:///build/tenfold-1-py3-none-any.whl' > own.txt" in text
    assert "--requirements pyproject.toml --overrides own.txt --requirements own.txt" in text


@pytest.mark.parametrize("pins", dockerfile.PINS)
def test_every_way_of_pinning_is_installed(pins: str) -> None:
    """Whatever pins the libraries is copied before it is installed, so that a change of the code installs nothing anew."""
    found = instructions(pinned(pins))
    copied = next(said for word, said in found if word == "COPY")
    assert pins in copied
    assert found.index(("COPY", copied)) < found.index(("COPY", ". /srv/service"))


def test_without_pins_there_is_no_image() -> None:
    """Libraries that nobody named are not guessed."""
    with pytest.raises(NotFound, match="nothing pins"):
        dockerfile.files(asked())

"""Would training again help? Told live from labels alone, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tenfold.control import driftlessons
from tenfold.control.driftactions import Actions
from tenfold.control.driftlessons import EVERY_S, Lesson
from tenfold.drift.folder import folder_of
from tenfold.drift.options import Drift
from tenfold.drift.verdicts import Challenge, Verdict
from tests.cli.conftest import Run, run
from tests.drift.streams import RANKING, classified, profile_of
from tests.drift.test_challenge import PROJECT, World, service
from tests.drift.test_serving import until
from tests.drift.watching import RELEASE

__all__ = ["run"]

NOISY = 1500  # rows at a time
ENOUGH = 12_000  # rows of noise, for what they teach to be told from nothing: test_judge shows that


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A service that was well."""
    (tmp_path / "service.py").write_text(service("inputs"), "utf-8")
    (tmp_path / "pyproject.toml").write_text(PROJECT, "utf-8")
    with ExitStack() as stack:
        world = World(tmp_path, stack)
        world.settle()
        yield world


def test_where_labels_have_become_noise_an_update_wont_help(world: World, run: Run) -> None:
    """What labels teach is tried on those that came after them, without a release that challenges; and it is kept."""
    for _ in range(ENOUGH // NOISY):
        world.lend(NOISY, noise=True)

    def judged() -> dict[str, Any]:
        world.lend(NOISY, noise=True)
        found = world.client.drift()
        return found if found["verdict"] == "UPDATE_WONT_HELP" else {}

    found = until(judged)
    assert found["challenge"]["name"] == ""
    assert found["challenge"]["rows"] >= NOISY
    assert "what recent labels teach saves" in found["because"]
    done = run("drift", str(world.folder))
    assert done.out.startswith("UPDATE_WONT_HELP since ")


FUTILE, OPEN, BETTER = (Challenge(4000, gain, gain - 0.02, gain + 0.02, 0.02) for gain in (-0.01, 0.01, 0.1))


def test_a_look_that_decides_nothing_takes_nothing_back() -> None:
    """A verdict does not go to and fro with chance; what is proven otherwise is."""
    lesson = Lesson().begun(10.0, 500).then(OPEN)
    assert (lesson.result, lesson.at) == (OPEN, 10.0)
    decided = lesson.begun(20.0, 1000).then(FUTILE)
    assert (decided.result, decided.at) == (FUTILE, 20.0)
    for nothing in (OPEN, None):
        later = decided.begun(30.0, 2000).then(nothing)
        assert (later.result, later.at, later.tried) == (FUTILE, 20.0, 30.0)
    assert later.then(BETTER).result == BETTER
    assert not later.is_due(31.0, 3999)
    assert later.is_due(31.0, 4000)
    assert later.is_due(30.0 + EVERY_S, 2000)


def test_what_was_learnt_of_a_harm_is_forgotten_with_it(tmp_path: Path) -> None:
    """The next harm may be one that training again would mend."""
    folder_of(tmp_path, RELEASE).mkdir(parents=True)
    driftlessons.keep(tmp_path, RELEASE, Lesson(10.0, FUTILE, 10.0, 500))
    profile, policy = profile_of(classified(np.random.default_rng(1), 1000), 200, RANKING), Drift(journal="inputs")
    doing = Actions(tmp_path, "loans", RELEASE, lambda: 20.0)
    for verdict in (Verdict.FIX_DATA, Verdict.UPDATE_WONT_HELP):
        doing.learn(verdict, profile, policy, 0.0, 500)
        assert doing.lesson is not None
        assert doing.lesson.result == FUTILE
    doing.learn(Verdict.HEALTHY, profile, policy, 0.0, 500)
    assert doing.lesson is None
    assert driftlessons.read(tmp_path, RELEASE) is None

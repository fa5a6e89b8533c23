"""What is counted of a canary's answers: those that were rare before, and those that labels prove wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tenfold.control import deployments, labelfiles, releases
from tenfold.control.canaries import Answers, Side, rare_cells
from tenfold.control.labelfiles import Label
from tenfold.drift.folder import folder_of, replace, spool_in
from tenfold.drift.profile import pack
from tenfold.releases import Releases
from tenfold.releases.evidence import Evidence, Guard, Tally
from tenfold.releases.verdicts import harmed
from tests.cli.conftest import Run
from tests.drift.test_following import WINDOW_S, Replica
from tests.drift.test_watch import World
from tests.drift.watching import RELEASE
from tests.releases.serving import Clients, deploy, push, served, state, until

NEW = "loans@7654321"
BOTH = (Guard.PREDICTIONS, Guard.LABELS)
POLICY = Releases(steps=("50%",), guard_rails=("errors", "predictions", "labels"))


class Canary:
    """An old release with a reference, and a new one beside it, both of which leave pieces."""

    def __init__(self, home: Path) -> None:
        self.world = World(home)
        self.world.minutes(3)
        self.random, self.replica, self.pieces = np.random.default_rng(2), Replica(seed=2), 0
        self.replica.now = self.world.replica.now
        spec = self.world.spec
        self.began = self.world.replica.now
        self.answers = Answers(home, Side(spec, NEW), Side(spec, RELEASE), self.began)

    def minute(self, richer: float = 0.0) -> None:
        """A minute of rows of each; those of the new release are of people who are so much richer."""
        self.world.leave()
        spool = spool_in(folder_of(self.world.home, NEW))
        spool.mkdir(parents=True, exist_ok=True)
        for delta in self.replica.minute(self.random, 100, richer):
            self.pieces += 1
            replace(spool / f"{int(delta.start * 1000):015}-new-{self.pieces}", pack(delta))

    def tally(self, guard: Guard, since: float | None = None) -> Tally:
        """What was counted so far."""
        return self.answers.tallies(BOTH, since, self.replica.now)[guard]


def test_the_rarest_bins_hold_a_hundredth_together() -> None:
    """Those that no row of the reference fell into first, and none that it gave often."""
    assert rare_cells(np.array([0, 900, 6, 4, 90, 0])).tolist() == [True, False, True, True, False, True]
    assert rare_cells(np.array([0, 0])).tolist() == [True, True]


@pytest.mark.parametrize(("richer", "found"), [(0.0, None), (60.0, Guard.PREDICTIONS)])
def test_answers_that_were_rare_are_harm(tmp_path: Path, richer: float, found: Guard | None) -> None:
    """A model whose scores lie where hardly any did is told from one that answers as before, by the values of samples; what
    was answered before the step does not count."""
    canary = Canary(tmp_path)
    canary.minute(60.0)
    assert canary.tally(Guard.PREDICTIONS) == Tally()
    since = canary.replica.now
    canary.minute(richer)
    one = canary.tally(Guard.PREDICTIONS, since)
    assert (one.new_of, one.old_of) == (100, 600)
    assert one.old_share < 0.03
    assert (one.new_share > 0.5) is (found is not None)
    assert harmed(POLICY, {Guard.PREDICTIONS: Evidence().after(one)}) is found
    canary.answers = Answers(tmp_path, *canary.answers._sides, canary.began)  # another deployer, in its place
    assert canary.tally(Guard.PREDICTIONS, since) == Tally()


def test_pieces_of_one_side_wait_for_the_other(tmp_path: Path) -> None:
    """Replicas leave theirs at moments of their own: none is held against nothing."""
    canary = Canary(tmp_path)
    since = canary.replica.now
    canary.world.leave()
    assert canary.tally(Guard.PREDICTIONS, since) == Tally()
    canary.replica.now += WINDOW_S
    canary.minute()
    assert canary.tally(Guard.PREDICTIONS, since).old_of == 1200


def label(canary: Canary, release: str, numbers: range, wrong: int) -> None:
    """Labels of requests with two rows each; of every ``wrong``-th answer, that it was wrong (0: of none)."""
    labelfiles.append(
        canary.world.home,
        [
            Label(
                f"{release}-{n}/{row}",
                canary.began + n,
                release,
                {"label": "yes", "yes": 0.9},
                {"label": "no" if wrong and n % wrong == 0 else "yes"},
            )
            for n in numbers
            for row in (0, 1)
        ],
    )


def test_answers_that_labels_prove_wrong_are_harm(tmp_path: Path) -> None:
    """One answer of each request counts, once its label is due; what is labelled again counts once."""
    canary = Canary(tmp_path)
    label(canary, NEW, range(1, 31), 2)
    canary.replica.now += 120.0
    assert canary.tally(Guard.LABELS) == Tally()
    label(canary, RELEASE, range(1, 101), 20)
    canary.replica.now += 120.0
    one = canary.tally(Guard.LABELS)
    assert one == Tally(15, 30, 5, 100)
    assert harmed(POLICY, {Guard.LABELS: Evidence().after(one)}) is Guard.LABELS
    label(canary, NEW, range(1, 31), 0)
    canary.replica.now += 120.0
    assert canary.tally(Guard.LABELS) == one


def test_corrected_labels_prove_nothing_twice() -> None:
    """Counts that are read anew after a restart, and are less than before, add nothing."""
    before = Tally(15, 30, 5, 100)
    assert Tally(14, 31, 5, 100).beyond(before) == Tally(0, 1, 0, 0)
    assert Tally(14, 31, 5, 100).since(before) == Tally(14, 31, 5, 100)


@pytest.mark.slow
def test_a_release_that_answers_as_none_did_is_taken_back(tmp_path: Path, run: Run) -> None:
    """Served for real: the first release has a reference of what it answers; the second one answers far beyond."""
    store = tmp_path / "multiply"
    policy = 'steps=("50%",), shadow_requests=0, tolerable="0.1%"'
    push(store, 2, policy)
    source = store / "service.py"
    source.write_text(source.read_text().replace('journal="off"', 'journal="off", window="2 s"'))
    releases.push(str(store))
    source.write_text(source.read_text().replace("TIMES = 2", "TIMES = 90000"))
    releases.push(str(store))
    with served(store) as server:
        deploy("@2", store)
        with Clients(server, cycle=40):
            until(lambda: list(store.glob(".tenfold/drift/*/profile")), "a reference")
            deployments.deploy("@3", str(store))
            until(lambda: state(store) == "rolled_back", "a rollback")
    shown = run("releases", "multiply", "--events", "--store", store).out
    assert "answers sampled of multiply@3 were rare before" in shown

"""Verdicts: which evidence leads to which, and what is said along with it."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.drift.challenger import challenge
from tenfold.drift.judge import Circumstances, Deployment, find
from tenfold.drift.monitor import State
from tenfold.drift.performance import Task
from tenfold.drift.profile import Profile
from tenfold.drift.reporting import report
from tenfold.drift.verdicts import Verdict
from tests.drift.streams import (
    ANSWERS,
    NUMBERS,
    POLICY,
    RANKING,
    Rows,
    classified,
    profile_of,
    regressed,
    verdicts,
    watch,
    windows_of,
)

SIZE = 1000
PROFILE = profile_of(classified(np.random.default_rng(1), 10_000), SIZE, RANKING)
HEALTHY = classified(np.random.default_rng(2), 4000)
NOWHERE = Circumstances()


def after(change: Rows, profile: Profile = PROFILE, task: Task = RANKING, before: Rows = HEALTHY) -> State:
    """The state after four healthy windows and those of a change."""
    return watch(profile, windows_of(profile.columns, before.then(change), SIZE, task))


def without_labels(rows: Rows) -> Rows:
    """The same rows before any label has come."""
    return rows._replace(actual=np.full(len(rows.fields), np.nan))


def turned(seed: int, n: int = 4000) -> Rows:
    """Rows whose label no longer depends on the fields as the model thinks."""
    return classified(np.random.default_rng(seed), n, turn=-1)


def test_all_is_well() -> None:
    """Nothing moved, so nothing is said, and there is nothing to do."""
    state = after(classified(np.random.default_rng(3), 4000))
    said = report(PROFILE, POLICY, state, NOWHERE, int)
    assert (said.verdict, said.since, said.next) == (Verdict.HEALTHY, None, "nothing to do")
    assert said.because.startswith("nothing moved beyond its tolerance; realised auc 0.8")


def test_drift_without_harm_is_watched() -> None:
    """Other rows, answered as well as ever: that is to be known, and no reason to train."""
    said = report(PROFILE, POLICY, after(classified(np.random.default_rng(3), 4000, (2, 2, 0))), NOWHERE, int)
    assert (said.verdict, said.since) == (Verdict.WATCH, 4)
    assert said.features[0].name == "x0"
    assert said.features[0].proven
    assert sum(said.features[0].current) == pytest.approx(1)
    assert "no harm is seen" in said.because


def test_harm_that_labels_prove_asks_for_an_update() -> None:
    """The relation turned; no field moved, labels tell, and what recent ones teach makes it better."""
    stream = turned(3)
    state = after(stream)
    samples = [window.sample for window in windows_of(PROFILE.columns, stream, SIZE, RANKING) if window.sample]
    challenged = challenge(PROFILE, samples)
    said = report(PROFILE, POLICY, state, Circumstances(challenge=challenged), int)
    assert (said.verdict, said.since) == (Verdict.UPDATE_RECOMMENDED, 4)
    assert challenged is not None
    assert challenged.outcome == "better"
    assert said.performance is not None
    assert said.performance.realised is not None
    assert said.performance.realised[2] < said.performance.tolerated
    assert not any("relation" in line for line in said.ruled_out)


def test_harm_that_is_estimated_asks_for_an_update_before_labels_come() -> None:
    """Rows moved to where labels are hard to tell; the estimate says so, and has no reason to be doubted."""
    worse = without_labels(classified(np.random.default_rng(4), 4000, spread=0.5))
    state = after(worse, before=without_labels(HEALTHY))
    said = report(PROFILE, POLICY, state, NOWHERE, int)
    assert said.verdict is Verdict.UPDATE_RECOMMENDED
    assert said.performance is not None
    assert said.performance.trusted
    assert said.performance.realised is None
    assert said.segments
    assert said.segments[0].loss_now > said.segments[0].loss_before


def test_harm_that_is_estimated_from_afar_needs_labels() -> None:
    """Rows that the reference hardly knew are a guess: so many labels would tell."""
    random = np.random.default_rng(5)
    profile = profile_of(regressed(random, 10_000), SIZE, NUMBERS)
    far = regressed(random, 4000, shift=4.0)
    state = after(without_labels(far), profile, NUMBERS, without_labels(regressed(random, 4000)))
    said = report(profile, POLICY, state, NOWHERE, int)
    assert said.verdict is Verdict.NEED_LABELS
    assert said.labels_needed is not None
    assert 10 < said.labels_needed < 10_000
    assert f"label about {said.labels_needed:,} rows" in said.next
    assert "hardly knew" in said.because


@pytest.mark.parametrize("seed", range(6, 11))
def test_noise_that_nobody_can_learn_wont_be_helped_by_an_update(seed: int) -> None:
    """Labels became a coin's throw: the model is worse, and so would be any other. Ten or twenty thousand of them tell."""
    random = np.random.default_rng(seed)
    stream = classified(random, 30_000)._replace(actual=(random.random(30_000) < 0.5).astype(np.float64))
    samples = [window.sample for window in windows_of(PROFILE.columns, stream, 3000, RANKING) if window.sample]
    challenged = challenge(PROFILE, samples)
    assert challenged is not None
    assert challenged.outcome == "futile"
    state = after(stream.cut(0, 8000))
    assert find(PROFILE, POLICY, state, NOWHERE).verdict is Verdict.UPDATE_RECOMMENDED
    said = report(PROFILE, POLICY, state, Circumstances(challenge=challenged), int)
    assert said.verdict is Verdict.UPDATE_WONT_HELP


@pytest.mark.parametrize("task", [ANSWERS, NUMBERS])
def test_challengers_of_other_kinds_of_answers(task: Task) -> None:
    """What recent labels teach of classes without a score, and of numbers, is tried the same way."""
    random = np.random.default_rng(8)
    if task is ANSWERS:
        reference, now = classified(random, 5000), turned(8, 6000)
    else:
        reference, now = regressed(random, 5000), regressed(random, 6000, bend=1.0)
    profile = profile_of(reference, SIZE, task)
    samples = [window.sample for window in windows_of(profile.columns, now, SIZE, task) if window.sample]
    challenged = challenge(profile, samples)
    assert challenged is not None
    assert challenged.outcome == "better"
    assert challenge(profile, samples[:1]) is None
    assert challenge(PROFILE, []) is None


def test_harm_that_began_with_a_release_is_rolled_back() -> None:
    """What was deployed in the window before is named; what was deployed long ago is ruled out."""
    state = after(turned(3))
    recent = Circumstances((Deployment(0.5, "tumour@13"), Deployment(3.9, "tumour@14")))
    said = report(PROFILE, POLICY, state, recent, int)
    assert (said.verdict, said.deployed) == (Verdict.ROLLBACK, "tumour@14")
    old = report(PROFILE, POLICY, state, Circumstances((Deployment(0.5, "tumour@13"),)), int)
    assert old.verdict is Verdict.UPDATE_RECOMMENDED
    assert "a release: none was deployed when it began" in old.ruled_out


def test_a_broken_feed_comes_first() -> None:
    """Harm is proven, too, but training on a feed that lost a column would teach the loss."""
    broken = turned(3)
    broken.fields[:, 1] = np.nan
    said = report(PROFILE, POLICY, after(broken), NOWHERE, int)
    assert said.verdict is Verdict.FIX_DATA
    assert said.because == "x1: every value is missing"
    assert "keep these rows out of training" in said.next


def test_a_label_shift_is_recognised() -> None:
    """More of one class and each class as it was: the scores moved, the ranking did not, and the share is named."""
    random = np.random.default_rng(7)
    many = classified(random, 40_000)
    assert many.actual is not None
    chosen = [np.flatnonzero(many.actual == 1)[:3600], np.flatnonzero(many.actual == 0)[:400]]
    index = random.permutation(np.concatenate(chosen))
    shifted = Rows(*(values[index] for values in many if values is not None))
    found = find(PROFILE, POLICY, after(shifted), NOWHERE)
    assert found.verdict is Verdict.WATCH
    assert [doubt for doubt in found.doubts if "instead of 50% (label shift)" in doubt]


def test_nothing_to_judge_is_said() -> None:
    """One row, or none: no verdict is made up."""
    said = report(PROFILE, POLICY, State(), NOWHERE, int)
    assert said.because == "no window has enough rows to be compared"
    assert said.to_dict()["windows"] == []


def test_verdicts_are_ordered_by_gravity() -> None:
    """A command that fails on one verdict fails on all that are graver."""
    assert Verdict.HEALTHY.grave < Verdict.WATCH.grave < Verdict.UPDATE_RECOMMENDED.grave < Verdict.FIX_DATA.grave


def test_the_same_state_gives_the_same_report() -> None:
    """Judging has no memory of its own."""
    state = after(turned(3))
    assert report(PROFILE, POLICY, state, NOWHERE, int) == report(PROFILE, POLICY, state, NOWHERE, int)
    assert verdicts(state)[:4] == [Verdict.HEALTHY] * 4

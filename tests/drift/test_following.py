"""A release is followed while it answers: pieces become windows, windows evidence, labels come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from tenfold import Alias, Contract, Ge, Key, Le, Private
from tenfold.contract.form import layout_of
from tenfold.drift.columns import Column
from tenfold.drift.deltas import MOST_PENDING, Delta, Tally
from tenfold.drift.following import GRACE_S, Following, Release, add, begin, close
from tenfold.drift.judge import Circumstances
from tenfold.drift.labelling import due, label
from tenfold.drift.live import Reader, watched
from tenfold.drift.making import Known, profile_of
from tenfold.drift.monitor import State
from tenfold.drift.options import Drift
from tenfold.drift.performance import Task
from tenfold.drift.profile import Profile, pack, unpack
from tenfold.drift.reporting import report
from tenfold.drift.rules import Rates, rates_of
from tenfold.drift.verdicts import Report, Verdict
from tenfold.rows import Answer, Rows

WINDOW_S = 60.0
BEGAN = 1_790_000_040.0  # a whole minute


class Loan(Contract):
    """What is asked."""

    ref: Annotated[str, Key()]
    name: Annotated[str, Private()]
    salary: Annotated[float, Alias("the salary")]
    years: int
    region: Literal["north", "south"]


class Repaid(Contract):
    """What is answered."""

    label: Literal["no", "yes"]
    yes: Annotated[float, Ge(0), Le(1)]


COLUMNS = watched(Loan.form, Repaid.form)
GIVEN, ANSWERED = layout_of(Loan.form), layout_of(Repaid.form)
POLICY = Drift(window="1 min", labels_after="10 min")


def reader(columns: Sequence[Column]) -> Reader:
    """What reads rows by columns."""
    return Reader(columns, GIVEN, ANSWERED)


def answered(random: np.random.Generator, rows: int, richer: float = 0.0) -> tuple[Rows, Answer]:
    """Rows and their answers, as a replica has them."""
    salary = random.normal(40 + richer, 10, rows)
    score = 1 / (1 + np.exp(-(salary - 40) / 8))
    numbers = {"f8": salary[:, None], "i8": random.integers(0, 30, (rows, 1))}
    text = np.array(["x"] * rows, dtype=object)
    codes = random.integers(0, 2, (rows, 1)).astype("<i4")
    given = Rows(GIVEN, rows, numbers | {"i4": codes}, own=[text, text])
    said = Rows(ANSWERED, rows, {"f8": score[:, None], "i4": (score > 0.5)[:, None].astype("<i4")})
    return given, Answer(said, np.arange(rows), rows)


class Replica:
    """Counts what it is shown at a time that the test says."""

    def __init__(self, seed: int = 1) -> None:
        self.now = BEGAN
        self.sent: list[Delta] = []
        self.tally = Tally(COLUMNS, reader, WINDOW_S, lambda: self.now, seed, self.sent.append)

    def minute(self, random: np.random.Generator, rows: int, richer: float = 0.0) -> list[Delta]:
        """What is sent of a minute with so many rows."""
        for k in range(rows // 10):
            self.tally.saw(*answered(random, 10, richer))
            self.now += WINDOW_S / (rows // 10) * (k < rows // 10 - 1)
        self.tally.flush()
        self.now = self.now // WINDOW_S * WINDOW_S + WINDOW_S
        sent = list(self.sent)
        self.sent.clear()
        return sent


class World:
    """A release that is followed, and one replica of it."""

    def __init__(self, training: Profile | None = None, policy: Drift = POLICY) -> None:
        self.random = np.random.default_rng(1)
        self.replica = Replica()
        self.now = Following(began=BEGAN)
        self.release = Release(policy, COLUMNS, training)
        self.profile: Profile | None = None

    def minutes(self, count: int, rows: int = 600, richer: float = 0.0) -> None:
        """Time passes, with so many rows a minute."""
        for _ in range(count):
            for delta in self.replica.minute(self.random, rows, richer):
                add(self.now, self.profile, self.release, unpack(pack(delta), Delta), self.replica.now)
            self.look()

    def look(self) -> None:
        """What the admin process does once a second."""
        time = self.replica.now + GRACE_S
        if self.profile is None:
            self.profile = begin(self.now, self.release, time)
            if self.profile is not None:
                self.replica.tally.know(self.profile.columns)
        if self.profile is not None:
            close(self.now, self.profile, self.release, time)

    def report(self) -> Report:
        """The verdict."""
        assert self.profile is not None
        return report(self.profile, self.release.policy, self.now.state, Circumstances(), int)


def training_rows(rows: int, richer: float = 0.0) -> Profile:
    """The profile of the fields that a model was trained on."""
    given, answer = answered(np.random.default_rng(7), rows, richer)
    values = reader(COLUMNS).block(given, answer.outputs).values
    fields = [k for k, column in enumerate(COLUMNS) if column.role == "input"]
    made, _ = profile_of(Known([COLUMNS[k] for k in fields], values[:, fields]), f"{rows:,} rows of train.csv")
    assert made is not None
    return made


# -- in a replica ---------------------------------------------------------------------------------------------


def test_private_fields_keys_and_text_are_not_counted() -> None:
    """What must not be kept is in no counter and in no sample; a score is known by its bounds."""
    assert [(column.name, column.role) for column in COLUMNS] == [
        ("the salary", "input"),
        ("years", "input"),
        ("region", "input"),
        ("label", "prediction"),
        ("yes", "score"),
    ]


def test_every_row_is_counted_once_by_whichever_replica() -> None:
    """The counts of replicas add up to those of one that had answered all, bit for bit."""
    profile = training_rows(2000)
    random = np.random.default_rng(3)
    batches = [answered(random, 7) for _ in range(400)]
    whole, parts = Replica(), [Replica(2), Replica(3), Replica(4)]
    for one in (whole, *parts):
        one.tally.know(profile.columns)
    for k, (rows, answer) in enumerate(batches):
        whole.tally.saw(rows, answer)
        parts[k % 3].tally.saw(rows, answer)
        if k % 50 == 0:
            parts[k % 3].tally.flush()
    for one in (whole, *parts):
        one.tally.flush()
    pieces = [delta.counts for one in reversed(parts) for delta in one.sent if delta.counts]
    merged = pieces[0]
    for counts in pieces[1:]:
        merged = merged.merge(counts)
    expected = whole.sent[0].counts
    assert expected is not None
    assert expected.rows == merged.rows == 2800
    assert (expected.cells == merged.cells).all()
    assert (expected.sums == merged.sums).all()


def test_a_flood_is_sampled_and_its_size_is_known() -> None:
    """Where more comes than can be counted beside answering, rows are chosen by a hash, in small batches and in large ones;
    how many came is counted all the same."""
    replica = Replica()
    replica.tally.know(training_rows(500).columns)
    random = np.random.default_rng(3)
    for size, batches in ((64, 10_000), (1, 50_000)):
        rows, answer = answered(random, size)
        for _ in range(batches):
            replica.now += size / 200_000
            replica.tally.saw(rows, answer)
    replica.tally.flush()
    assert sum(delta.answered for delta in replica.sent) == 690_000
    assert replica.tally.pending < MOST_PENDING
    counted = sum(delta.counts.rows for delta in replica.sent if delta.counts)
    later = 490_000 / 8  # of three fields each; all of the first second were counted
    assert abs(counted - (200_000 + later)) < 6 * np.sqrt(64 * later)  # 64 neighbours are chosen together


def test_which_rows_of_a_flood_are_counted_does_not_depend_on_batches() -> None:
    """The same rows in other batches, or told in other pieces, give the same counts to the bit."""
    columns = training_rows(500).columns
    one, other = Replica(7), Replica(7)
    random = np.random.default_rng(3)
    for some in (one, other):
        some.tally.know(columns)
        some.tally._shift = 2
    for _ in range(400):
        rows, answer = answered(random, 40)
        one.tally.saw(rows, answer)
        for index in (np.arange(1), np.arange(1, 40)):
            other.tally.saw(rows.take(index), Answer(answer.outputs.take(index), np.arange(len(index)), len(index)))
        other.tally.count()
    for some in (one, other):
        some.tally.flush()
    (a,), (b,) = one.sent, other.sent
    assert a.counts is not None
    assert b.counts is not None
    assert a.answered == b.answered == 16_000
    assert abs(a.counts.rows - 4000) < 6 * np.sqrt(64 * 4000)  # 64 neighbours are chosen together
    assert (a.counts.cells == b.counts.cells).all()
    assert (np.sort(a.keys)[:1000] == np.sort(b.keys)[:1000]).all()


def test_only_rows_that_were_answered_count() -> None:
    """A row that was refused has no answer to compare."""
    replica = Replica()
    rows, answer = answered(np.random.default_rng(1), 10)
    some = Answer(answer.outputs.take([1, 5]), np.array([1, 5]), 10)
    replica.tally.saw(rows, some)
    replica.tally.flush()
    assert replica.sent[0].answered == 2
    assert sorted(replica.sent[0].values[:, 0]) == pytest.approx(sorted(rows.salary[[1, 5]]))


# -- windows --------------------------------------------------------------------------------------------------


def test_the_first_window_becomes_the_reference_where_there_is_none() -> None:
    """It says so; and what moves from then on is seen."""
    world = World()
    world.minutes(15)
    assert world.report().verdict is Verdict.HEALTHY
    assert world.report().source == "the first 600 live rows"
    world.minutes(5, richer=15)
    found = world.report()
    assert found.verdict is Verdict.WATCH
    assert "the salary" in found.because
    assert found.since == BEGAN + 15 * WINDOW_S


def test_a_first_window_with_few_rows_waits_for_more() -> None:
    """A reference of eight rows would be none."""
    world = World()
    world.minutes(20, rows=40)
    assert world.profile is not None
    assert world.profile.counts.rows >= 500


def test_fields_are_compared_with_those_of_training() -> None:
    """What came in differs from the training's rows on the first day; answers are compared with the first live ones, since a
    model does better on what it was trained on."""
    world = World(training_rows(3000, richer=15))
    world.minutes(4)
    found = world.report()
    assert found.verdict is Verdict.WATCH
    assert found.source == "3,000 rows of train.csv; answers with the first 600 live rows"
    moved = {feature.name for feature in found.features if feature.proven}
    assert "the salary" in moved
    assert not moved & {"label", "yes"}


def test_windows_without_a_length_wait_for_rows() -> None:
    """Nobody said how long a window is: an hour, or as long as 500 rows take, up to a day."""
    policy = Drift(labels_after="1 h")
    world = World(policy=policy)
    world.replica.tally = Tally(COLUMNS, reader, 3600.0, lambda: world.replica.now, 1, world.replica.sent.append)
    world.minutes(60 * 6, rows=10)
    assert world.profile is not None
    assert world.now.state.number >= 4
    assert all(seen.rows >= 500 for seen in world.now.state.seen)


def test_a_clock_that_jumps_is_said() -> None:
    """Rows of windows that are over, and rows of next year, count for none; the others do."""
    world = World()
    world.minutes(3)
    before = world.now.state
    late, far = (world.replica.minute(world.random, 20)[0] for _ in range(2))
    late.start, late.end = BEGAN, BEGAN + WINDOW_S
    far.start, far.end = BEGAN + 1e7, BEGAN + 1e7 + WINDOW_S
    for delta in (late, far):
        add(world.now, world.profile, world.release, delta, world.replica.now)
    assert (world.now.late, world.now.strange) == (20, 20)
    assert world.now.state is before


def test_what_is_kept_goes_on_as_if_nothing_had_been() -> None:
    """A restart between two windows changes no figure."""
    one, other = World(), World()
    for k in range(8):
        for world in (one, other):
            world.minutes(1, richer=4.0 * (k > 4))
        other.now = unpack(pack(other.now), Following)
        other.profile = unpack(pack(other.profile), Profile) if other.profile else None
    assert pack(one.now) == pack(other.now)


# -- labels ---------------------------------------------------------------------------------------------------


def pairs(random: np.random.Generator, rows: int, right: float) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Answers, and labels of which a share is as answered."""
    scores = random.random(rows)
    said = scores > 0.5
    true = np.where(random.random(rows) < right, said, ~said)
    words = ("no", "yes")
    return [
        ({"label": words[s], "yes": float(p)}, {"label": words[t]})
        for s, p, t in zip(said.tolist(), scores.tolist(), true.tolist(), strict=True)
    ]


def test_labels_are_looked_at_when_they_are_due_and_once() -> None:
    """The first ones tell how good the model is; later ones whether it still is."""
    world = World()
    world.minutes(40)
    assert world.profile is not None
    waiting = due(world.now, POLICY, world.replica.now)
    assert len(waiting) == 28  # of 39 windows, ten minutes later
    for window in waiting[:6]:
        world.profile = label(world.now, world.profile, world.release, window, pairs(world.random, 600, 0.9))
    assert world.profile.realised is not None
    assert world.report().verdict is Verdict.HEALTHY
    for window in waiting[6:]:
        world.profile = label(world.now, world.profile, world.release, window, pairs(world.random, 600, 0.6))
    found = world.report()
    assert found.verdict is Verdict.UPDATE_RECOMMENDED
    assert "realised" in found.because
    assert due(world.now, POLICY, world.replica.now) == []


def test_labels_that_are_no_picture_of_all_prove_nothing() -> None:
    """Where only refused loans are followed up, their labels say nothing about the others."""
    world = World()
    world.minutes(40)
    assert world.profile is not None
    waiting = due(world.now, POLICY, world.replica.now)
    for window in waiting[:6]:
        world.profile = label(world.now, world.profile, world.release, window, pairs(world.random, 600, 0.9))
    for window in waiting[6:]:
        some = [pair for pair in pairs(world.random, 600, 0.5) if pair[0]["label"] == "no"]
        world.profile = label(world.now, world.profile, world.release, window, some)
    assert world.report().verdict is Verdict.HEALTHY
    assert world.now.state.seen[-15].selected.share > 0.2


def test_nothing_is_lost_where_no_label_comes() -> None:
    """A window without labels is judged without them."""
    world = World()
    world.minutes(20)
    assert world.profile is not None
    for window in due(world.now, POLICY, world.replica.now):
        assert label(world.now, world.profile, world.release, window, []) is world.profile
    assert world.now.labelled == 0
    assert world.report().verdict is Verdict.HEALTHY
    assert isinstance(world.now.state, State)


# -- rules ----------------------------------------------------------------------------------------------------


class Counting:
    """The counters of a server's fronts."""

    def __init__(self) -> None:
        self.known = {
            "came": 0,
            "violation:/the salary:wrong_type": 0,
            "change:/years:impute": 0,
            "violation::internal": 0,
        }

    def minute(self, refused: int, imputed: int = 0, rows: int = 600) -> Rates:
        """They are after another minute."""
        for name, count in zip(self.known, (rows, refused, imputed, rows), strict=True):
            self.known[name] += count
        return rates_of(self.known, ("internal",))


def test_a_feed_whose_rows_are_refused_is_broken() -> None:
    """What is refused is never compared; that it is refused more often than it was says enough, and names the rule."""
    world, counting = World(), Counting()
    world.minutes(2)
    for minute in range(12):
        broken = minute >= 8
        for delta in world.replica.minute(world.random, 200 if broken else 600):
            add(world.now, world.profile, world.release, delta, world.replica.now)
        rates = counting.minute(400 if broken else 6, imputed=30)
        assert world.profile is not None
        close(world.now, world.profile, world.release, world.replica.now + GRACE_S, rates)
    found = world.report()
    assert found.verdict is Verdict.FIX_DATA
    assert "/the salary wrong_type refused: 67% of the rows, 1.0% in the first windows" in found.because
    assert [line.verdict for line in found.windows][:8] == [Verdict.HEALTHY] * 8


def test_a_feed_of_which_nothing_is_answered_any_more_is_judged() -> None:
    """Where every row is refused, no replica counts any: the counters of the fronts tell."""
    world, counting = World(), Counting()
    world.minutes(1)
    assert world.profile is not None
    for minute in range(16):
        refused = 600 if minute >= 6 else 0
        for delta in world.replica.minute(world.random, 600 - refused) if not refused else []:
            add(world.now, world.profile, world.release, delta, world.replica.now)
        if refused:
            world.replica.now += WINDOW_S
        rates = counting.minute(refused)
        close(world.now, world.profile, world.release, world.replica.now + GRACE_S, rates)
    found = world.report()
    assert found.verdict is Verdict.FIX_DATA
    assert "/the salary wrong_type refused: 100%" in found.because


def test_counters_of_before_are_no_window() -> None:
    """Rows that came before anybody looked, and those of another server, which counts from nothing, make no empty window."""
    world, counting = World(), Counting()
    rates = counting.minute(0)
    world.minutes(1)
    assert world.profile is not None
    for _ in range(20):
        world.replica.now += WINDOW_S
        close(world.now, world.profile, world.release, world.replica.now + GRACE_S, rates)
    assert world.now.state.number == 0
    world.minutes(1)
    fresh = Counting()
    close(world.now, world.profile, world.release, world.replica.now + GRACE_S, fresh.minute(0, rows=10))
    assert world.now.fresh == 10


def test_refusals_that_were_always_there_are_no_fault() -> None:
    """A client that sends nonsense from the first day on is nobody's drift."""
    world, counting = World(), Counting()
    world.minutes(1)
    assert world.profile is not None
    for _ in range(30):
        for delta in world.replica.minute(world.random, 300):
            add(world.now, world.profile, world.release, delta, world.replica.now)
        close(world.now, world.profile, world.release, world.replica.now + GRACE_S, counting.minute(300))
    assert world.report().verdict is Verdict.HEALTHY


@pytest.mark.parametrize(("name", "values"), [("unit", 1000.0), ("constant", 0.0)])
def test_a_broken_field_is_told_from_a_changed_world(name: str, values: float) -> None:
    """Salaries in thousandths, or a field that stands still: the feed is to be mended, and nothing trained on it."""
    world = World()
    world.minutes(10)
    random = world.random

    def minute() -> None:
        replica = world.replica
        for _ in range(60):
            rows, answer = answered(random, 10)
            blocks, _bits, own = rows.parts()
            blocks["f8"][:] = blocks["f8"] * values + (7.0 if not values else 0.0)
            replica.tally.saw(Rows(rows.layout, 10, blocks, own=own), answer)
            replica.now += 0.9
        replica.tally.flush()
        replica.now = replica.now // WINDOW_S * WINDOW_S + WINDOW_S
        for delta in replica.sent:
            add(world.now, world.profile, world.release, delta, replica.now)
        replica.sent.clear()
        world.look()

    for _ in range(5):
        minute()
    found = world.report()
    assert found.verdict is Verdict.FIX_DATA, (name, found.because)
    assert "the salary" in found.because


# -- estimates ------------------------------------------------------------------------------------------------


def test_harm_is_estimated_before_any_label_comes() -> None:
    """Where the reference says how good answers to unseen rows were, live ones are held against that: salaries that lie close
    together rank worse, and no label is needed to say so."""
    random = np.random.default_rng(11)
    rows, answer = answered(random, 6000)
    values = reader(COLUMNS).block(rows, answer.outputs).values
    scores = values[:, 4]
    actual = (random.random(6000) < scores).astype(float)
    known = Known(COLUMNS, values, Task("auc", ("no", "yes")), (scores > 0.5).astype(float), actual)
    profile, _ = profile_of(known, "6,000 rows of unseen.csv")
    assert profile is not None
    assert profile.realised is not None
    world = World()
    world.profile = profile
    world.replica.tally.know(profile.columns)
    world.minutes(6)
    calm = world.report()
    assert calm.verdict is Verdict.HEALTHY
    estimated = [line.estimated for line in calm.windows]
    assert estimated == pytest.approx([profile.realised[0]] * 6, abs=0.03)
    narrow = 0.25  # salaries that lie close together rank worse
    for _ in range(12):
        for _k in range(60):
            given, said = answered(random, 10)
            salary = 40 + (given.salary - 40) * narrow
            score = 1 / (1 + np.exp(-(salary - 40) / 8))
            blocks, _bits, own = given.parts()
            numbers = blocks | {"f8": salary[:, None]}
            outputs = Rows(ANSWERED, 10, {"f8": score[:, None], "i4": (score > 0.5)[:, None].astype("<i4")})
            world.replica.tally.saw(Rows(GIVEN, 10, numbers, own=own), Answer(outputs, said.index, 10))
            world.replica.now += 0.9
        world.replica.tally.flush()
        world.replica.now = world.replica.now // WINDOW_S * WINDOW_S + WINDOW_S
        for delta in world.replica.sent:
            add(world.now, world.profile, world.release, delta, world.replica.now)
        world.replica.sent.clear()
        world.look()
    found = world.report()
    assert found.verdict in (Verdict.UPDATE_RECOMMENDED, Verdict.NEED_LABELS), found.because
    assert "estimated auc" in found.because

"""Watching for ever: quiet while nothing changes, quick when something does, the same after a restart."""

from __future__ import annotations

import numpy as np
import pytest

from tenfold.drift import Drift
from tenfold.drift.columns import Floats
from tenfold.drift.judge import step
from tenfold.drift.monitor import State, mature
from tenfold.drift.profile import REALISED, Profile, Window, pack, unpack
from tenfold.drift.verdicts import Verdict
from tests.drift.streams import (
    ANSWERS,
    POLICY,
    RANKING,
    Rows,
    autocorrelated,
    classified,
    first_alarm,
    last,
    profile_of,
    verdicts,
    watch,
    windows_of,
)

SIZE = 500


def watched(reference: Floats, stream: Floats, size: int = SIZE, policy: Drift = POLICY) -> State:
    """The state after a stream of fields, given the fields of a reference."""
    profile = profile_of(Rows(reference), size)
    return watch(profile, windows_of(profile.columns, Rows(stream), size), policy)


def normal(seed: int, n: int, k: int = 2, shift: float = 0.0) -> Floats:
    """Independent normal fields (n, k), of which the first is shifted."""
    fields = np.random.default_rng(seed).normal(size=(n, k))
    fields[:, 0] += shift
    return fields


@pytest.mark.parametrize("seed", range(3))
def test_a_stationary_stream_is_healthy(seed: int) -> None:
    """Nothing changes, nothing is said, for forty windows."""
    assert first_alarm(watched(normal(seed, 5000), normal(seed + 100, 20_000))) is None


@pytest.mark.parametrize("rho", [0.9, 0.99])
def test_autocorrelated_traffic_is_healthy(rho: float) -> None:
    """Slow waves move every window, on the reference as well; that is no drift."""
    series = autocorrelated(np.random.default_rng(int(rho * 1000)), 15_000, rho)
    assert first_alarm(watched(series[:5000], series[5000:])) is None


def test_a_shuffled_reference_learns_restlessness_from_the_stream() -> None:
    """Where the reference has no order, neighbouring windows tell how much is natural: after some, nothing is drift."""
    series = autocorrelated(np.random.default_rng(5), 40_000, 0.995)
    reference = np.random.default_rng(6).permutation(series[:10_000])
    state = watched(reference, series[10_000:])
    assert verdicts(state)[-20:].count(Verdict.HEALTHY) >= 17


def test_trivia_of_many_rows_is_healthy() -> None:
    """A shift of a twentieth of a standard deviation is certain in 20,000 rows, and nothing to anybody."""
    assert first_alarm(watched(normal(1, 60_000, 1), normal(2, 60_000, 1) + 0.05, size=20_000)) is None


def test_noise_of_few_rows_is_healthy() -> None:
    """Windows of twenty rows look different each, and prove nothing."""
    assert first_alarm(watched(normal(1, 1000), normal(2, 2000), size=20)) is None


def test_an_abrupt_change_is_seen_at_once() -> None:
    """A shift of one standard deviation is seen in its first window, and dated to it."""
    state = watched(normal(1, 5000), np.vstack([normal(2, 5000), normal(3, 1000, shift=1)]))
    assert first_alarm(state) == 10
    assert state.wealth["x0"].since == 10


def test_a_gradual_change_is_seen_on_its_way() -> None:
    """A field that wanders off over twenty windows is noticed before it has arrived."""
    stream = normal(2, 15_000)
    stream[5000:, 0] += np.linspace(0, 2, 10_000)
    assert 12 <= (first_alarm(watched(normal(1, 5000), stream)) or 99) <= 22


def test_a_change_that_ends_is_over() -> None:
    """A drift that recurs is announced each time, and taken back in between."""
    shifted = normal(3, 2000, shift=1.5)
    stream = np.vstack([normal(2, 2000), shifted, normal(4, 5000), shifted, normal(5, 5000)])
    alarms = [verdict is not Verdict.HEALTHY for verdict in verdicts(watched(normal(1, 5000), stream))]
    assert alarms[4:8] == [True] * 4
    assert alarms[12:18] == [False] * 6
    assert alarms[18:22] == [True] * 4
    assert alarms[-1] is False


def test_a_broken_relation_is_seen_where_no_field_moved() -> None:
    """Two fields that went together no longer do: each is what it was, and yet the rows are others."""
    random = np.random.default_rng(7)
    base = random.normal(size=8000)
    together = np.column_stack([base, base + 0.3 * random.normal(size=8000)])
    apart = np.column_stack([base[:2000], random.permutation(together[:2000, 1])])
    state = watched(together[:5000], np.vstack([together[5000:], apart]))
    assert first_alarm(state) == 6
    assert max(state.seen[-1].moved[name] for name in ("x0", "x1")) < 0.05
    assert max(share for name, share in state.seen[-1].moved.items() if name.startswith("joint: x")) > 0.2


def test_alarms_may_renew_themselves() -> None:
    """The other promise, of so many windows between false alarms, finds the same changes."""
    policy = Drift(mean_windows_between_false_alarms=1000)
    stream = np.vstack([normal(2, 10_000), normal(3, 1000, shift=1)])
    assert first_alarm(watched(normal(1, 5000), stream, policy=policy)) == 20


def test_what_moves_in_one_segment_is_not_lost_in_the_sum() -> None:
    """A tenth of the rows changes altogether: too few to be seen among all, enough within their region."""

    def rows(seed: int, n: int, shift: float) -> Rows:
        random = np.random.default_rng(seed)
        region = random.choice([0.0, 1.0, 2.0], n, p=[0.6, 0.3, 0.1])
        return Rows(np.column_stack([region, random.normal(size=n) + shift * (region == 2)]))

    reference = rows(1, 10_000, 0)
    for segments, expected in ((("region",), Verdict.WATCH), ((), Verdict.HEALTHY)):
        profile = profile_of(reference, 1000, names=("region", "amount"), segments=segments)
        state = watch(profile, windows_of(profile.columns, rows(2, 8000, 1.5), 1000))
        assert last(profile, state) is expected
    assert not any(name.endswith("region is 2") for name in state.wealth)


# -- state ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled() -> tuple[Profile, list[Window]]:
    """A profile, and windows of which the later ones are worse."""
    random = np.random.default_rng(9)
    profile = profile_of(classified(random, 5000), SIZE, RANKING)
    stream = classified(random, 3000).then(classified(random, 3000, turn=0.0))
    return profile, windows_of(profile.columns, stream, SIZE, RANKING)


@pytest.mark.parametrize("stop", [0, 1, 5, 11])
def test_a_restart_changes_nothing(labelled: tuple[Profile, list[Window]], stop: int) -> None:
    """A monitor that is stopped, kept and restored goes on as if nothing had been, to the last bit."""
    profile, windows = labelled
    state = watch(profile, windows[:stop])
    restored = unpack(pack(state), State)
    kept = unpack(pack(profile), Profile)
    for window in windows[stop:]:
        restored = step(kept, POLICY, restored, unpack(pack(window), Window))
    assert pack(restored) == pack(watch(profile, windows))


def test_watching_leaves_the_state_before_as_it_was(labelled: tuple[Profile, list[Window]]) -> None:
    """A state is a value: whoever keeps an old one can judge from it again."""
    profile, windows = labelled
    state = watch(profile, windows[:3])
    before = pack(state)
    step(profile, POLICY, state, windows[3])
    assert pack(state) == before


def test_late_labels_say_what_prompt_ones_do(labelled: tuple[Profile, list[Window]]) -> None:
    """Labels that mature after a month count for the window of their rows."""
    profile, windows = labelled
    prompt = watch(profile, windows)
    late = watch(profile, [Window(w.start, w.end, w.counts, None, w.sample) for w in windows])
    assert REALISED not in late.wealth
    for number, window in enumerate(windows):
        assert window.outcomes is not None
        late = mature(profile, POLICY, late, number, window.outcomes)
    assert late.wealth[REALISED] == prompt.wealth[REALISED]
    assert [seen.realised for seen in late.seen] == [seen.realised for seen in prompt.seen]


def test_too_few_labels_say_nothing(labelled: tuple[Profile, list[Window]]) -> None:
    """A handful of labels in a window moves no verdict, nor do labels of a window that nobody remembers."""
    profile, windows = labelled
    state = watch(profile, [Window(w.start, w.end, w.counts, None, w.sample) for w in windows[:2]])
    outcomes = windows[0].outcomes
    assert outcomes is not None
    assert mature(profile, POLICY, state, 99, outcomes) is state
    outcomes.rows, rows = 10, outcomes.rows
    assert mature(profile, POLICY, state, 0, outcomes) is state
    outcomes.rows = rows


def test_labels_of_a_chosen_few_do_not_decide() -> None:
    """Where only hard cases were labelled, the model looks bad on them; that is seen, and not held against it."""
    random = np.random.default_rng(10)
    profile = profile_of(classified(random, 5000), SIZE, ANSWERS)
    stream = classified(random, 6000)
    assert stream.score is not None
    assert stream.actual is not None
    hard = np.abs(stream.score - 0.5) < 0.15
    windows = windows_of(profile.columns, stream._replace(actual=np.where(hard, stream.actual, np.nan)), SIZE, ANSWERS)
    state = watch(profile, windows)
    assert min(seen.selected.share for seen in state.seen) > 0.1
    assert first_alarm(state) is None

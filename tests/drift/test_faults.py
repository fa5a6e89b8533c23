"""Broken feeds are called broken, by what is wrong with them; honest changes are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tenfold.drift.columns import Floats, category_column
from tenfold.drift.judge import Circumstances, find
from tenfold.drift.pictures import channel_names, channel_numbers
from tenfold.drift.verdicts import Fault, Verdict
from tests.drift.streams import POLICY, Rows, profile_of, strangers, watch, window_of, windows_of

NAMES = ("celsius", "price", "height", "tenure")


def honest(seed: int, n: int) -> Floats:
    """Temperatures, prices, heights in metres and years, none like another."""
    random = np.random.default_rng(seed)
    columns = [random.normal(12, 8, n), random.lognormal(4, 1, n), random.normal(1.7, 0.1, n), random.gamma(2, 3, n)]
    return np.column_stack(columns)


PROFILE = profile_of(Rows(honest(1, 8000)), 1000, names=NAMES)


def faults_of(break_it: Callable[[Floats], object]) -> tuple[Verdict, list[Fault]]:
    """The verdict and the faults after the feed was broken for two windows of five."""
    before, after = honest(2, 3000), honest(3, 2000)
    break_it(after)
    state = watch(PROFILE, windows_of(PROFILE.columns, Rows(np.vstack([before, after])), 1000))
    found = find(PROFILE, POLICY, state, Circumstances())
    assert found.since == 3
    return found.verdict, found.faults


def swap(values: Floats, one: int, other: int) -> None:
    """Exchange two columns."""
    values[:, [one, other]] = values[:, [other, one]]


def put(values: Floats, column: int, now: Floats | float) -> None:
    """Give a column other values."""
    values[:, column] = now


def some(values: Floats, column: int, now: float, share: float = 0.5) -> None:
    """Give a share of a column's rows, here and there, another value."""
    values[: int(len(values) * share), column] = now
    np.random.default_rng(4).shuffle(values)


@pytest.mark.parametrize(
    ("break_it", "kind", "fields", "words"),
    [
        (lambda v: swap(v, 0, 3), "swapped", {"celsius", "tenure"}, "celsius holds what was tenure"),
        (lambda v: put(v, 2, v[:, 2] * 100), "unit", {"height"}, "100 times"),
        (lambda v: put(v, 2, v[:, 2] * 3.28084), "unit", {"height"}, "feet and metres"),
        (lambda v: put(v, 0, v[:, 0] * 1.8 + 32), "unit", {"celsius"}, "°F instead of °C"),
        (lambda v: put(v, 0, v[:, 0] + 273.15), "unit", {"celsius"}, "K instead of °C"),
        (lambda v: put(v, 1, v[:, 1] / 1000), "unit", {"price"}, "0.001 times"),
        (lambda v: put(v, 1, v[:, 1] * 17), "unit", {"price"}, "times what it was"),
        (lambda v: put(v, 3, 4.0), "constant", {"tenure"}, "always 4"),
        (lambda v: put(v, 3, np.nan), "missing", {"tenure"}, "every value is missing"),
        (lambda v: some(v, 3, np.nan), "missing", {"tenure"}, "of the values are missing, 0% on the reference"),
        (lambda v: put(v, 1, np.inf), "infinite", {"price"}, "100% of the values are infinite"),
    ],
    ids=["swap", "cm", "feet", "°F", "K", "thousands", "x17", "constant", "missing", "half", "infinite"],
)
def test_a_broken_feed_is_named(break_it: Callable[[Floats], object], kind: str, fields: set[str], words: str) -> None:
    """Whoever is woken at three in the morning reads which field, and what happened to it."""
    verdict, faults = faults_of(break_it)
    assert verdict is Verdict.FIX_DATA
    assert [(fault.kind, set(fault.fields)) for fault in faults] == [(kind, fields)]
    assert words in faults[0].detail


@pytest.mark.parametrize(
    "change",
    [
        lambda v: put(v, 0, v[:, 0] + 6),  # a warm spring
        lambda v: put(v, 1, v[:, 1] * 2),  # inflation
        lambda v: put(v, 3, np.random.default_rng(5).permutation(v[:, 3]) ** 1.5 + 2),
        lambda v: put(v, 2, np.where(np.arange(len(v)) % 3 == 0, 1.2, v[:, 2])),  # children, too
    ],
    ids=["warmer", "dearer", "mixed", "children"],
)
def test_an_honest_change_is_no_fault(change: Callable[[Floats], object]) -> None:
    """The world may change; that is to be watched, and nothing to mend."""
    verdict, faults = faults_of(change)
    assert (verdict, faults) == (Verdict.WATCH, [])


def test_rising_columns_are_not_exchanged() -> None:
    """Where all prices rise, the low looks like what the mean was; nobody swapped them, since nobody is the low now."""
    random = np.random.default_rng(6)
    level = random.normal(100, 3, 9000)
    prices = np.column_stack([level - 5, level, level + 5]) + random.normal(0, 0.5, (9000, 3))
    profile = profile_of(Rows(prices[:5000]), 1000, names=("low", "mean", "high"))
    now = windows_of(profile.columns, Rows(prices[5000:] + 5), 1000)
    state = watch(profile, now)
    assert find(profile, POLICY, state, Circumstances()).verdict is Verdict.WATCH


def test_renamed_and_exchanged_categories() -> None:
    """Names that nobody has seen are another encoding, or those of another column."""
    random = np.random.default_rng(7)
    columns = [category_column("sex", ["f", "m"] * 50), category_column("port", ["S", "C", "Q"] * 50)]
    rows = np.column_stack([random.integers(0, 2, 5000), random.integers(0, 3, 5000)]).astype(np.float64)
    profile = profile_of(Rows(rows), 1000, columns=columns)
    unseen = np.column_stack([np.full(1000, 3.0), rows[:1000, 1]])
    renamed = strangers(window_of(columns, Rows(unseen), 0, 1), {"sex": {"female": 480, "male": 520}})
    found = find(profile, POLICY, watch(profile, [renamed]), Circumstances())
    assert [fault.kind for fault in found.faults] == ["renamed"]
    assert '"female", "male"' in found.faults[0].detail
    both = np.column_stack([np.full(1000, 3.0), np.full(1000, 4.0)])
    names = {"sex": {"S": 300, "C": 300, "Q": 400}, "port": {"f": 500, "m": 500}}
    exchanged = strangers(window_of(columns, Rows(both), 0, 1), names)
    found = find(profile, POLICY, watch(profile, [exchanged]), Circumstances())
    assert [fault.kind for fault in found.faults] == ["swapped"]


def pictures(seed: int, n: int) -> np.ndarray:
    """Small pictures with more red than blue, brightly or darkly lit, as RGB."""
    random = np.random.default_rng(seed)
    light = random.uniform(40, 180, (n, 1, 1, 1))
    colour = np.array([1.15, 1.0, 0.85]) + random.normal(0, 0.06, (n, 1, 1, 3))
    return np.clip(light * colour + random.normal(0, 8, (n, 8, 8, 3)), 0, 255).astype(np.uint8)


def test_a_red_and_blue_swap_is_recognised_as_one() -> None:
    """Pictures that were trained as RGB and come as BGR are called that, though each channel is about as bright as before."""
    channels = ("red", "green", "blue")
    names = channel_names("photo", channels)
    profile = profile_of(Rows(channel_numbers(pictures(1, 4000), channels)), 500, names=names)
    right, wrong = pictures(2, 1000), pictures(3, 1000)[..., ::-1]
    numbers = channel_numbers(np.concatenate([right, wrong]), channels)
    state = watch(profile, windows_of(profile.columns, Rows(numbers), 500))
    found = find(profile, POLICY, state, Circumstances())
    assert [seen.verdict for seen in state.seen[:2]] == [Verdict.HEALTHY] * 2
    assert found.verdict is Verdict.FIX_DATA
    assert "photo: red and blue are swapped" in [fault.detail for fault in found.faults]


def test_grey_pictures_have_no_colours_to_compare() -> None:
    """One channel is watched by its brightness alone; large pictures are looked at sparsely."""
    grey = np.random.default_rng(1).integers(0, 255, (3, 300, 200, 1), dtype=np.uint8)
    assert channel_names("scan", ("grey",)) == ["scan: grey", "scan: grey spread"]
    assert channel_numbers(grey, ("grey",))[:, 0] == pytest.approx(grey.mean(axis=(1, 2, 3)), abs=5)

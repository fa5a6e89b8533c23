"""How the answers of two releases differ."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tenfold.releases.shadow import Comparison, Difference

values = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.floats(), max_size=3)
)
outputs = st.none() | st.dictionaries(st.sampled_from(["label", "score", "box"]), values)


def compare(pairs: list[tuple[Any, Any]]) -> Comparison:
    """The comparison of some requests."""
    comparison = Comparison()
    for old, new in pairs:
        comparison = comparison.after(old, new)
    return comparison


def test_labels_flip_and_numbers_differ() -> None:
    """A person sees how many labels changed, and by how much the scores did."""
    pairs = [({"label": "a", "score": 0.9}, {"label": "a", "score": 0.9})] * 97
    pairs += [({"label": "a", "score": 0.5}, {"label": "b", "score": 0.19})] * 3
    comparison = compare(pairs)
    assert comparison.fields["label"].flipped == 3
    assert comparison.fields["score"].largest == 0.31
    assert comparison.describe() == (
        "100 requests compared, label differs in 3 of 100, score by 0.31 at most, half of them by up to 0"
    )
    assert compare(pairs[:5]).describe() == "5 requests compared, all equal"
    assert Comparison().describe() == "0 requests compared"


def test_failures_of_one_release_alone_are_told() -> None:
    """What both fail is no difference."""
    comparison = compare([({}, None), (None, {}), (None, None), ({}, {})])
    assert (comparison.compared, comparison.new_failed, comparison.old_failed) == (4, 1, 1)
    assert "1 failed at the new release alone" in comparison.describe()


def test_classes_as_numbers_are_labels_too() -> None:
    """1 for 0 is another class, and not a difference of one."""
    assert Difference().after(0, 1).flipped == 1
    assert Difference().after(0.0, 1.0).flipped == 0
    assert Difference().after(True, False).flipped == 1


def test_what_is_not_finite_has_no_distance() -> None:
    """NaN is NaN, and anything else for it is another answer."""
    nan = Difference().after(math.nan, math.nan)
    assert (nan.flipped, nan.largest) == (0, 0)
    assert Difference().after(0.5, math.nan).flipped == 1
    assert Difference().after(math.inf, math.inf).flipped == 0
    assert Difference().after(10**400, 0.5).flipped == 1


def test_nested_fields_and_lists_are_compared_leaf_by_leaf() -> None:
    """A box of four numbers is compared by its numbers; one of another length is another answer."""
    old, new = {"box": {"at": [1.0, 2.0]}}, {"box": {"at": [1.0, 2.5]}}
    assert compare([(old, new)]).fields["box.at"].largest == 0.5
    assert compare([(old, {"box": {"at": [1.0]}})]).fields["box.at"].flipped == 1
    assert compare([(old, {})]).fields["box"].flipped == 1


@given(st.lists(st.tuples(outputs, outputs), max_size=6), st.integers(0, 6))
def test_comparisons_add_up(pairs: list[tuple[Any, Any]], cut: int) -> None:
    """Whether one front compared all requests or several some of them is the same, also when saved in between."""
    comparison = compare(pairs)
    assert compare(pairs[:cut]).plus(compare(pairs[cut:])) == comparison
    assert msgspec.json.decode(msgspec.json.encode(comparison), type=Comparison) == comparison
    assert comparison.describe()
    for field in comparison.fields.values():
        assert field.flipped <= field.of
        assert 0 <= field.within(0.5) <= field.largest or not sum(field.bins)

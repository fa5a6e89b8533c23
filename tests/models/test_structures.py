"""A .skops file that was made to do harm is refused before the first prediction, which it would crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from tenfold import ModelError, trust
from tenfold.models import load
from tests.models import making
from tests.models.making import labels, matrix


def _spoil(tree: Any, field: str, node: int, value: int) -> None:
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    nodes[field][node] = value
    tree.__setstate__({**state, "nodes": nodes})


def _forest() -> Any:
    return RandomForestClassifier(3, random_state=0).fit(matrix(), labels())


def _boosting() -> Any:
    return HistGradientBoostingClassifier(max_iter=2).fit(matrix(), labels())


def _child_far_away(forest: Any) -> None:
    _spoil(forest.estimators_[1].tree_, "left_child", 0, 10**9)


def _child_before_its_parent(forest: Any) -> None:
    _spoil(forest.estimators_[1].tree_, "right_child", 0, 0)


def _negative_child(forest: Any) -> None:
    _spoil(forest.estimators_[1].tree_, "right_child", 0, -7)


def _feature_far_away(forest: Any) -> None:
    _spoil(forest.estimators_[2].tree_, "feature", 0, 10**6)


def _wider_tree(forest: Any) -> None:
    wide = np.column_stack([matrix(), matrix()])
    forest.estimators_[0] = DecisionTreeClassifier(random_state=0).fit(wide, labels() == "yes")


@pytest.mark.parametrize(
    "spoil", [_child_far_away, _child_before_its_parent, _negative_child, _feature_far_away, _wider_tree]
)
def test_a_forest_of_no_trees(spoil: Callable[[Any], None], tmp_path: Path) -> None:
    """Every index that scikit-learn follows blindly is looked at first."""
    forest = _forest()
    spoil(forest)
    path = making.skops_file(forest, tmp_path)
    with pytest.raises(ModelError, match=r"model\.skops is damaged, or was made to do harm: a tree in it") as error:
        load(path)
    assert "do not trust it" in error.value.hint


@pytest.mark.parametrize(
    ("field", "value"), [("left", 2**31), ("right", 0), ("feature_idx", 4), ("feature_idx", -1), ("bitset_idx", 5)]
)
def test_histogram_boosting_of_no_trees(field: str, value: int, tmp_path: Path) -> None:
    """Its trees are of another kind, and checked as well."""
    boosting = _boosting()
    nodes = boosting._predictors[0][0].nodes
    if field == "bitset_idx":
        nodes["is_categorical"][0] = 1
    nodes[field][0] = value
    with pytest.raises(ModelError, match="a tree in it"):
        load(making.skops_file(boosting, tmp_path))


def test_lists_of_categories_of_another_length(tmp_path: Path) -> None:
    """256 categories take eight words each, and all eight are read."""
    boosting = _boosting()
    boosting._predictors[0][0].raw_left_cat_bitsets = np.zeros((1, 2), dtype=np.uint32)
    with pytest.raises(ModelError, match="lists of categories of another length"):
        load(making.skops_file(boosting, tmp_path))


@pytest.mark.parametrize(
    "estimator",
    [RandomForestClassifier(3), GradientBoostingClassifier(n_estimators=2), HistGradientBoostingClassifier(max_iter=2)],
    ids=lambda estimator: type(estimator).__name__,
)
def test_honest_trees_pass(estimator: Any, tmp_path: Path) -> None:
    """No tree that scikit-learn grew is refused."""
    load(making.skops_file(estimator.fit(matrix(), labels()), tmp_path))


@pytest.mark.parametrize("algorithm", ["kd_tree", "ball_tree"])
def test_search_trees_are_made_anew(algorithm: Any, tmp_path: Path) -> None:
    """What a file says of the order of its points is not believed; the tree from the points is the same one."""
    neighbours = KNeighborsClassifier(algorithm=algorithm, leaf_size=4, metric="minkowski", p=3).fit(matrix(), labels())
    expected = neighbours.predict_proba(matrix())
    state = list(neighbours._tree.__getstate__())
    state[1] = np.full_like(np.asarray(state[1]), 10**9)  # the indices of the points
    neighbours._tree.__setstate__(tuple(state))
    model = load(making.skops_file(neighbours, tmp_path))
    assert np.array_equal(model.predict(matrix()), expected)


def test_a_search_tree_without_its_points(tmp_path: Path) -> None:
    """What cannot be made anew is not believed either."""
    neighbours = KNeighborsClassifier(algorithm="kd_tree").fit(matrix(), labels())
    del neighbours._fit_X
    with pytest.raises(ModelError, match="is not whole"):
        load(making.skops_file(neighbours, tmp_path))


def test_a_trusted_file_is_not_second_guessed(tmp_path: Path) -> None:
    """Who trusts a file trusts all of it."""
    forest = _forest()
    _spoil(forest.estimators_[0].tree_, "feature", 0, 3)
    assert load(trust(making.skops_file(forest, tmp_path))).facts.name == "RandomForestClassifier"

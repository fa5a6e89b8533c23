"""The indices in a fitted model that scikit-learn follows without looking, looked at once, when the model is loaded.

Loading a .skops file runs no code of its own, but a tree whose child is node 10 billion would end the process, or
read memory that is not its own, at the first prediction. So each tree has to be one: children come after their parent
and exist, features are columns of the input. Search trees are made anew from their points, which gives the same tree.

Sources: ``sklearn/tree/_tree.pyx`` (Node), ``sklearn/ensemble/_hist_gradient_boosting/common.pyx`` (X_DTYPE,
PREDICTOR_RECORD).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tenfold.errors import ModelError
from tenfold.models.graph import parts
from tenfold.rows import Array

LEAF = -1  # the left child of a node that has none
WORDS = 8  # of 32 bits, in a list of up to 256 categories


def make_safe(model: Any, name: str) -> None:
    """Check the trees of a model, and make its search trees anew. ``ModelError`` names the file if one is no tree."""
    for part in parts(model):
        try:
            _check(part, name)
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise _no_tree("is not whole", name) from error


def _check(part: Any, name: str) -> None:
    kind = f"{type(part).__module__}.{type(part).__qualname__}"
    holds = vars(part) if hasattr(part, "__dict__") else {}
    if kind == "sklearn.tree._tree.Tree":
        _check_tree(part, name)
    elif kind.endswith("_hist_gradient_boosting.predictor.TreePredictor"):
        _check_predictor(part, name)
    if kind.startswith("sklearn.ensemble.") and "estimators_" in holds:
        _check_members(part, name)
    if "tree_" in holds and "n_features_in_" in holds:
        _check_width(part, part.n_features_in_, name)
    if "_predictors" in holds:
        _check_features(part, name)
    if holds.get("_tree") is not None:
        part._tree = _same_tree(part)


def _check_tree(tree: Any, name: str) -> None:
    if tree.node_count > tree.capacity:
        raise _no_tree("counts more nodes than it has", name)
    nodes = tree.__getstate__()["nodes"]
    inner = nodes["left_child"] != LEAF
    _children_follow(nodes["left_child"], nodes["right_child"], inner, name)
    _within(nodes["feature"][inner], tree.n_features, "a feature", name)


def _check_predictor(tree: Any, name: str) -> None:
    nodes, lists = tree.nodes, tree.raw_left_cat_bitsets
    inner = nodes["is_leaf"] == 0
    _children_follow(nodes["left"], nodes["right"], inner, name)
    by_list = inner & (nodes["is_categorical"] != 0)
    _within(nodes["bitset_idx"][by_list], len(lists), "a list of categories", name)
    if lists.shape[1:] != (WORDS,):
        raise _no_tree("has lists of categories of another length", name)


def _children_follow(left: Array, right: Array, inner: Array, name: str) -> None:
    """Both children of an inner node exist and come after it, so that every walk ends."""
    if not len(inner):
        raise _no_tree("has no nodes", name)
    at = np.arange(len(inner))
    for child in (left.astype(np.int64), right.astype(np.int64)):
        if np.any(inner & ((child <= at) | (child >= len(inner)))):
            raise _no_tree("names a node that is none of its own", name)


def _check_members(ensemble: Any, name: str) -> None:
    """A forest gives its columns to every tree without a look, and a bagged one those that it picked for the tree."""
    members = ensemble.estimators_
    members = members.ravel().tolist() if isinstance(members, np.ndarray) else members
    picked = getattr(ensemble, "estimators_features_", None)
    for k, member in enumerate(members):
        _check_width(member, ensemble.n_features_in_ if picked is None else len(picked[k]), name)


def _check_width(estimator: Any, width: int, name: str) -> None:
    tree = getattr(estimator, "tree_", None)
    if tree is not None and tree.n_features != width:
        raise _no_tree(f"is made for {tree.n_features} columns, and is given {width}", name)


def _check_features(boosting: Any, name: str) -> None:
    for tree in (tree for group in boosting._predictors for tree in group):
        inner = tree.nodes["is_leaf"] == 0
        _within(tree.nodes["feature_idx"][inner], boosting.n_features_in_, "a feature", name)


def _within(indices: Array, size: int, what: str, name: str) -> None:
    if np.any((indices < 0) | (indices >= size)):
        raise _no_tree(f"names {what} that there is none of", name)


def _same_tree(neighbours: Any) -> Any:
    """The search tree of a nearest-neighbours model, made anew from its points."""
    metric, params = neighbours.effective_metric_, neighbours.effective_metric_params_
    points = np.asarray(neighbours._fit_X)
    return type(neighbours._tree)(points, neighbours.leaf_size, metric=metric, **params)


def _no_tree(why: str, name: str) -> ModelError:
    return ModelError(
        f"{name} is damaged, or was made to do harm: a tree in it {why}",
        "get the file again from whoever trained it; do not trust it before you know how this came about",
    )

"""Estimators of scikit-learn: what they take and give, one thread each, and no column names where none count."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from tenfold.errors import ModelError
from tenfold.model import Facts, Model
from tenfold.models.graph import parts
from tenfold.models.python import PythonModel, classes_of


class Takes(NamedTuple):
    """The input that an estimator was fitted on, as ``Facts`` has it."""

    wants: Literal["matrix", "frame", "column"]
    dtype: str = "float64"
    categorical: tuple[str, ...] = ()


def adapt_estimator(estimator: Any, threads: int, *, kind: str, libraries: Mapping[str, str], own: bool) -> Model:
    """The model that a fitted estimator is.

    A DataFrame costs four times a prediction, so it is only given to an estimator that selects columns by name, or
    may. The others forget the names they were fitted with, or else scikit-learn would warn of their absence each
    time.
    """
    import sklearn

    _check_fitted(estimator)
    features = tuple(map(str, getattr(estimator, "feature_names_in_", ())))
    takes = _takes(estimator, features)
    served = estimator if own else _copied(estimator)
    for part in parts(served):
        if isinstance(part, sklearn.base.BaseEstimator):
            _settle(part, threads, named=takes.wants == "frame")
    gives, task = _gives(estimator)
    facts = Facts(
        format=kind,
        name=type(estimator).__name__,
        task=task,
        features=features,
        width=getattr(estimator, "n_features_in_", None),
        dtype=takes.dtype,
        classes=classes_of(estimator),
        wants=takes.wants,
        categorical=takes.categorical,
        gives=gives,
        libraries={"scikit-learn": sklearn.__version__, **libraries},
        threads=threads,
    )
    predict = served.predict_proba if gives == "probabilities" else served.predict
    return PythonModel(estimator, predict, facts, forkable=_is_forkable())


def _is_forkable() -> bool:
    """A fork lacks the threads of OpenMP, and some of scikit-learn's code (histogram boosting) waits for them forever.

    With ``OMP_NUM_THREADS=1`` there are none to lack.
    """
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    return all(pool["num_threads"] == 1 for pool in threadpool_info() if pool["user_api"] == "openmp")


def _check_fitted(estimator: Any) -> None:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    name = type(estimator).__name__
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise ModelError(f"the model, a {name}, is not fitted", "call fit, and save it afterwards") from None
    if not hasattr(estimator, "predict"):
        raise ModelError(f"the model, a {name}, transforms and does not predict", "save the whole pipeline")


def _copied(estimator: Any) -> Any:
    """A copy that shares the arrays, so that settling it leaves the user's own object as it is."""
    arrays = {id(part): part for part in parts(estimator) if isinstance(part, np.ndarray) and part.dtype != object}
    return copy.deepcopy(estimator, arrays)


def _settle(part: Any, threads: int, *, named: bool) -> None:
    """One thread, since starting others takes longer than most predictions; and no names where none are given."""
    if "n_jobs" in vars(part):
        part.n_jobs = threads
    if not named and "feature_names_in_" in vars(part):
        del part.feature_names_in_


def _gives(
    estimator: Any,
) -> tuple[Literal["probabilities", "labels", "values"], Literal["classifier", "regressor", "other"]]:
    """What predicting gives. A tuned threshold decides labels otherwise than the highest probability, so there it is
    labels."""
    from sklearn.base import is_classifier, is_regressor

    if is_regressor(estimator):
        return "values", "regressor"
    if not is_classifier(estimator) or not classes_of(estimator):
        return "values", "other"
    has_threshold = any(base.__name__ == "BaseThresholdClassifier" for base in type(estimator).__mro__)
    return "probabilities" if hasattr(estimator, "predict_proba") and not has_threshold else "labels", "classifier"


def _takes(estimator: Any, features: tuple[str, ...]) -> Takes:
    first, behind = _steps(estimator)
    if hasattr(first, "build_analyzer"):
        return Takes("column")
    if not features:
        return Takes("matrix", "object" if any(map(_lists_text, parts(estimator))) else "float64")
    for part in parts(estimator):
        if _selects_by_name(part) or _lists_text(part) or (_may_select(part) and id(part) not in behind):
            return Takes("frame", categorical=_categorical(first, features))
    return Takes("matrix")


def _steps(estimator: Any) -> tuple[Any, set[int]]:
    """The step that sees the input, and the ids of the last steps of pipelines, which see what others made of it."""
    behind = {
        id(part.steps[-1][1])
        for part in parts(estimator)
        if isinstance(getattr(part, "steps", None), list) and len(part.steps) > 1
    }
    return _first(estimator), behind


def _first(estimator: Any) -> Any:
    if hasattr(estimator, "best_estimator_"):  # of a search
        return _first(estimator.best_estimator_)
    steps = getattr(estimator, "steps", None)
    return _first(steps[0][1]) if isinstance(steps, list) else estimator


def _selects_by_name(part: Any) -> bool:
    """A ColumnTransformer with names; or a step that hands DataFrames on to others."""
    selections = [columns for _, _, columns in getattr(part, "transformers_", ())]
    named = any(isinstance(item, str) for columns in selections for item in np.ravel(np.asarray(columns, dtype=object)))
    return named or bool(getattr(part, "_sklearn_output_config", None)) or bool(_is_categorical(part).any())


def _lists_text(part: Any) -> bool:
    """An encoder of categories that are no numbers."""
    categories = getattr(part, "categories_", None)
    return isinstance(categories, list) and any(np.asarray(listed).dtype.kind in "OUST" for listed in categories)


def _may_select(part: Any) -> bool:
    """Code that is not scikit-learn's own and was fitted on a DataFrame may well use its names."""
    foreign = hasattr(part, "fit") and not type(part).__module__.startswith("sklearn.")
    return foreign or (type(part).__name__ == "FunctionTransformer" and part.func is not None)


def _is_categorical(part: Any) -> Any:
    """Which columns histogram boosting learnt to be categories by their dtype in the DataFrame."""
    by_dtype = isinstance(getattr(part, "categorical_features", None), str)
    learnt = getattr(part, "is_categorical_", None)
    return np.asarray(learnt if by_dtype and learnt is not None else [], dtype=bool)


def _categorical(first: Any, features: tuple[str, ...]) -> tuple[str, ...]:
    learnt = _is_categorical(first)
    return tuple(name for name, listed in zip(features, learnt.tolist(), strict=False) if listed)

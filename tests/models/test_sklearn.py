"""scikit-learn's estimators: served as they predict, on one thread, with as little around them as possible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC

from tenfold import ModelError, trust
from tenfold.model import Model
from tenfold.models import load
from tests.models import making
from tests.models.making import labels, matrix, table

CLASSIFIERS = [
    LogisticRegression(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    RandomForestClassifier(3, random_state=0),
    GradientBoostingClassifier(n_estimators=3),
    HistGradientBoostingClassifier(max_iter=3),
    KNeighborsClassifier(),
    KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
    GaussianNB(),
    MLPClassifier(4, max_iter=2000, random_state=0, tol=0.1),
    GaussianProcessClassifier(),
    CalibratedClassifierCV(LinearSVC(), cv=2),
    BaggingClassifier(n_estimators=2, max_features=0.5, random_state=0),
    VotingClassifier([("a", RandomForestClassifier(2, random_state=0)), ("b", GaussianNB())], voting="soft"),
    StackingClassifier([("a", GaussianNB())], cv=2),
    GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1, 2]}, cv=2),
]


@pytest.mark.parametrize("estimator", CLASSIFIERS, ids=lambda estimator: str(estimator)[:40])
def test_served_equals_predicted_however_it_came(estimator: Any, tmp_path: Path) -> None:
    """From a .skops file, a joblib file or the object itself, an array gives what the table gave, without a warning."""
    expected = estimator.fit(table(), labels()).predict_proba(table())
    sources = [making.skops_file(estimator, tmp_path), trust(making.joblib_file(estimator, tmp_path)), estimator]
    for source in sources:
        model = load(source)
        assert np.array_equal(model.predict(matrix()), expected)
        facts = model.facts
        assert (facts.task, facts.gives, facts.wants) == ("classifier", "probabilities", "matrix")
        assert (facts.features, facts.width, facts.classes) == (("a", "b", "c", "d"), 4, ("no", "yes"))
        assert (facts.dtype, facts.threads) == ("float64", 1)
        assert model.footprint() > 50


def test_the_users_own_object_stays_as_it_is() -> None:
    """An estimator that the service names as an object keeps its names and its threads."""
    forest = RandomForestClassifier(2, n_jobs=2, random_state=0).fit(table(), labels())
    load(forest)
    assert forest.n_jobs == 2
    assert forest.feature_names_in_.tolist() == ["a", "b", "c", "d"]


def test_one_thread_unless_told_otherwise(tmp_path: Path) -> None:
    """n_jobs from training is not n_jobs for serving, wherever in the model it stands."""
    inner = VotingClassifier([("a", RandomForestClassifier(2))], voting="soft")
    pipeline = make_pipeline(StandardScaler(), inner).fit(table(), labels())
    inner.n_jobs, inner.estimators_[0].n_jobs = 2, -1
    path = making.skops_file(pipeline, tmp_path)
    voting = load(path).object[-1]
    assert (voting.n_jobs, voting.estimators_[0].n_jobs) == (1, 1)
    model = load(path, threads=2)
    assert (model.object[-1].n_jobs, model.facts.threads) == (2, 2)


@pytest.mark.parametrize(
    ("estimator", "task", "gives"),
    [
        (LinearRegression(), "regressor", "values"),
        (RandomForestRegressor(2, n_jobs=1), "regressor", "values"),
        (KMeans(2, random_state=0), "other", "values"),
        (IsolationForest(n_estimators=2), "other", "values"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_classifier_gives_values(estimator: Any, task: str, gives: str) -> None:
    """Regressors, clusterings and outlier detectors give what predict gives."""
    estimator.fit(table(), table()["a"])
    model = load(estimator)
    assert (model.facts.task, model.facts.gives, model.facts.classes) == (task, gives, ())
    assert np.array_equal(model.predict(matrix()), estimator.predict(table()))


def test_classifiers_without_probabilities_give_labels() -> None:
    """A margin is no probability, and a threshold somebody chose is kept."""
    threshold = FixedThresholdClassifier(LogisticRegression(), threshold=0.9, pos_label="yes")
    for estimator in (RidgeClassifier(), LinearSVC(), threshold):
        model = load(estimator.fit(table(), labels()))
        assert (model.facts.task, model.facts.gives, model.facts.classes) == ("classifier", "labels", ("no", "yes"))
        assert model.predict(matrix()).tolist() == estimator.predict(table()).tolist()


def test_several_outputs_are_values() -> None:
    """Which output is the label only postprocess can say."""
    both = np.column_stack([labels(), labels()])
    model = load(MultiOutputClassifier(GaussianNB()).fit(table(), both))
    assert (model.facts.gives, model.predict(matrix()).shape) == ("values", (60, 2))


class Cleaner(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A transformer of one's own, which selects a column by name."""

    def fit(self, frame: pd.DataFrame, target: Any = None) -> Cleaner:
        self.feature_names_in_ = np.array(frame.columns, dtype=object)
        self.n_features_in_ = len(frame.columns)
        return self

    def transform(self, frame: pd.DataFrame) -> Any:
        return frame[["a"]].to_numpy()


def _first_column(frame: pd.DataFrame) -> Any:
    return frame[["a"]]


def mixed() -> pd.DataFrame:
    """The table with a column of text."""
    return table().assign(town=np.where(table()["c"] > 0, "Ulm", "Bonn"))


def _by_name() -> Any:
    return make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["town"]))


def _by_dtype() -> Any:
    return make_column_transformer((StandardScaler(), make_column_selector(dtype_include=float)), remainder="drop")


@pytest.mark.parametrize(
    "first",
    [
        _by_name(),
        _by_dtype(),
        Cleaner(),
        FunctionTransformer(_first_column),
        FeatureUnion([("a", Cleaner())]),
        make_column_transformer((OneHotEncoder(), ["town"])).set_output(transform="default"),
    ],
    ids=["by name", "by dtype", "own", "function", "union", "encoder"],
)
def test_a_frame_only_where_columns_are_selected_by_name(first: Any) -> None:
    """A step that looks at names, or may, gets a DataFrame."""
    estimator = make_pipeline(first, LogisticRegression()).fit(mixed(), labels())
    model = load(estimator)
    assert model.facts.wants == "frame"
    assert np.array_equal(model.predict(mixed()), estimator.predict_proba(mixed()))


def test_steps_that_hand_frames_on_get_one() -> None:
    """A pipeline that was told to work with DataFrames inside starts with one."""
    scaler = StandardScaler().set_output(transform="pandas")
    assert load(make_pipeline(scaler, LogisticRegression()).fit(table(), labels())).facts.wants == "frame"


def test_selecting_by_position_needs_no_frame() -> None:
    """Names cost four times a prediction; numbers cost nothing."""
    chosen = make_column_transformer((StandardScaler(), [0, 1]), remainder="drop")
    assert load(make_pipeline(chosen, LogisticRegression()).fit(matrix(), labels())).facts.wants == "matrix"


def test_text_without_names_is_an_array_of_objects() -> None:
    """An encoder that was fitted on an array of text gets one."""
    towns = mixed()[["town"]].to_numpy(dtype=object)
    facts = load(make_pipeline(OneHotEncoder(), LogisticRegression()).fit(towns, labels())).facts
    assert (facts.wants, facts.dtype, facts.width) == ("matrix", "object", 1)


def test_vectorizers_take_texts() -> None:
    """A pipeline that starts with words takes one text a row, also within a search."""
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    search = GridSearchCV(words, {"logisticregression__C": [1]}, cv=2)
    for estimator in (words, search):
        assert load(estimator.fit(mixed()["town"], labels())).facts.wants == "column"


def test_categories_by_dtype_are_remembered() -> None:
    """Boosting that learnt categories from a DataFrame's dtype needs that dtype again."""
    frame = mixed().astype({"town": "category"})
    facts = load(HistGradientBoostingClassifier(max_iter=2).fit(frame, labels())).facts
    assert (facts.wants, facts.categorical) == ("frame", ("town",))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (LogisticRegression(), "a LogisticRegression, is not fitted"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "a Pipeline, is not fitted"),
        (StandardScaler().fit(matrix()), "a StandardScaler, transforms and does not predict"),
    ],
    ids=["estimator", "pipeline", "transformer"],
)
def test_what_cannot_predict_is_refused(estimator: Any, message: str) -> None:
    """An estimator that was never fitted is an error at load, not at the first request."""
    with pytest.raises(ModelError, match=message):
        load(estimator)


FORK = """if True:
    import os, sys
    from tenfold.models import load
    from tests.models.making import matrix
    model = load(sys.argv[1])
    model.warm(matrix())
    if not model.forkable:
        sys.exit(2)
    if os.fork() == 0:
        os._exit(int(len(model.predict(matrix())) != 60))
    sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("omp_threads", "expected"), [("1", 0), ("2", 2)])
def test_a_fork_predicts_where_it_is_allowed(omp_threads: str, expected: int, tmp_path: Path) -> None:
    """OpenMP's threads do not survive a fork, so a model says whether there are any."""
    path = making.skops_file(HistGradientBoostingClassifier(max_iter=3).fit(table(), labels()), tmp_path)
    environment = {**os.environ, "OMP_NUM_THREADS": omp_threads}
    run = subprocess.run([sys.executable, "-c", FORK, str(path)], env=environment, timeout=60, check=False)
    assert run.returncode == expected


def test_warming_and_closing() -> None:
    """A model is warmed with any input of its kind, and let go of."""
    model: Model = load(making.pipeline())
    model.warm(matrix()[:1])
    model.close()
    assert not hasattr(model, "object")

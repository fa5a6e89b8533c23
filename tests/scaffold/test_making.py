"""From a trained model to a folder that serves it: every format, every row, and what is refused."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import tenfold
from tenfold.errors import Conflict, ContractError, GateFailed, ModelError, NotFound, TenfoldError, UsageError
from tenfold.scaffold.making import make

RNG = np.random.default_rng(7)
ROWS = 80


def passengers() -> pd.DataFrame:
    """A table with gaps, words, integers and a key, whose target depends on some of them."""
    table = pd.DataFrame(
        {
            "ticket": [f"T{k}" for k in range(ROWS)],
            "class": RNG.integers(1, 4, ROWS),
            "sex": RNG.choice(["male", "female"], ROWS),
            "age in years": np.where(RNG.random(ROWS) < 0.2, np.nan, RNG.uniform(0.4, 80, ROWS)),
            "fare": RNG.gamma(2, 20, ROWS),
            "port": RNG.choice(np.array(["S", "C", "Q", None], dtype=object), ROWS),
        }
    )
    table["survived"] = ((table.sex == "female") | (table.fare > 60)).astype(int)
    return table


TABLE = passengers()
NUMBERS = ["age in years", "fare", "class"]
FEATURES = ["fare", "class", "age in years", "sex", "port"]


def numeric_pipeline() -> Any:
    """A classifier of numbers that was fitted on a frame."""
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(TABLE[NUMBERS], TABLE.survived)


def mixed_pipeline() -> Any:
    """A classifier whose steps select columns by name, words among them."""
    words = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    steps = ColumnTransformer([("numbers", SimpleImputer(), NUMBERS), ("words", words, ["sex", "port"])])
    return make_pipeline(steps, LogisticRegression(max_iter=1000)).fit(TABLE[FEATURES], TABLE.survived)


@pytest.mark.parametrize("golden", [0, 3])
def test_an_object_and_a_frame_make_a_service(tmp_path: Path, golden: int) -> None:
    """``tenfold.init`` with a fitted model and its DataFrame gives a folder whose answers are the model's."""
    folder = tmp_path / "titanic"
    made = tenfold.init(folder, model=numeric_pipeline(), data=TABLE, target="survived", golden=golden)
    assert made.proof is not None
    assert (made.proof.rows, made.proof.asked) == (ROWS, "model.predict_proba")
    assert made.proof.largest < 1e-12
    assert made.golden == golden
    assert (folder / "golden").exists() is (golden > 0)
    answers = tenfold.load(folder).predict(TABLE)
    assert answers["label"].tolist() == numeric_pipeline().predict(TABLE[NUMBERS]).tolist()


def test_the_folder_has_what_a_service_needs(tmp_path: Path) -> None:
    """The folder holds the model, the versions that it was trained with, and what git should not keep."""
    folder = tmp_path / "titanic"
    make(folder, model=numeric_pipeline(), data=TABLE, target="survived")
    assert {path.name for path in folder.iterdir()} >= {"service.py", "pyproject.toml", "model.skops", ".gitignore"}
    import sklearn

    project = (folder / "pyproject.toml").read_text("utf-8")
    assert f'"scikit-learn=={sklearn.__version__}"' in project
    assert f'"numpy=={np.__version__}"' in project
    assert f'"joblib=={joblib.__version__}"' in project
    assert ".tenfold/" in (folder / ".gitignore").read_text("utf-8")


def test_a_model_that_selects_by_name_is_served_frames(tmp_path: Path) -> None:
    """Words, gaps and integers reach a ColumnTransformer as they were in training."""
    model = tmp_path / "model.joblib"
    joblib.dump(mixed_pipeline(), model)
    TABLE.to_parquet(tmp_path / "train.parquet")
    made = make(tmp_path / "titanic", model=model, data=tmp_path / "train.parquet", target="survived", trusted=True)
    assert made.facts.wants == "frame"
    assert [guess.field.wire for guess in made.inferred.guesses] == FEATURES
    assert made.inferred.unused == ("ticket",)
    assert made.proof is not None
    assert repr(made).startswith("model    ")
    assert "trust" in (tmp_path / "titanic" / "service.py").read_text("utf-8")
    assert any("age in years, missing in" in question for question in made.look_at)


def test_csv_is_read_as_the_person_read_it(tmp_path: Path) -> None:
    """A CSV file serves as training data as well as a DataFrame does."""
    TABLE.to_csv(tmp_path / "train.csv", index=False)
    made = make(tmp_path / "titanic", model=numeric_pipeline(), data=tmp_path / "train.csv", target="survived")
    assert made.proof is not None


@pytest.mark.parametrize(
    ("model", "outputs", "asked"),
    [
        (LinearRegression().fit(TABLE[["fare", "class"]], TABLE.fare * 2), "value: float", "model.predict"),
        (
            LinearRegression().fit(TABLE[["fare", "class"]], TABLE[["fare", "class"]]),
            "value_2: float",
            "model.predict",
        ),
        (
            RidgeClassifier().fit(TABLE[["fare", "class"]], TABLE.sex),
            'label: Literal["female", "male"]',
            "model.predict",
        ),
        (
            DecisionTreeClassifier().fit(TABLE[["fare", "class"]], TABLE.survived == 1),
            "label: bool",
            "model.predict_proba",
        ),
        (KMeans(2, n_init=1).fit(TABLE[["fare", "class"]]), "value: int", "model.predict"),
    ],
)
def test_every_kind_of_answer(tmp_path: Path, model: Any, outputs: str, asked: str) -> None:
    """Classes, truth values, one number, several numbers: the output contract is what the model gives."""
    made = make(tmp_path / "service-x", model=model, data=TABLE)
    assert outputs in (made.folder / "service.py").read_text("utf-8")
    assert made.proof is not None
    assert made.proof.asked == asked


class Handmade:
    """A classifier by hand: it predicts, and names no classes."""

    def predict_proba(self, rows: Any) -> Any:
        """Two columns of probabilities."""
        yes = 1 / (1 + np.exp(-np.asarray(rows, dtype=float).sum(axis=1)))
        return np.column_stack([1 - yes, yes])

    def predict(self, rows: Any) -> Any:
        """The likelier of two classes."""
        return self.predict_proba(rows).argmax(axis=1)


def test_a_model_by_hand_that_names_no_classes(tmp_path: Path) -> None:
    """What is served is what it gives for the table: a probability for each class."""
    joblib.dump(Handmade(), tmp_path / "m.joblib")
    table = TABLE[["fare", "class"]]
    made = make(tmp_path / "x", model=tmp_path / "m.joblib", data=table, trusted=True)
    assert made.outputs == ("value_1", "value_2")
    assert made.proof is not None
    assert made.proof.asked == "model.predict_proba"


def test_a_model_fitted_on_arrays(tmp_path: Path) -> None:
    """A model that knows no names takes the columns in the order of the table."""
    numbers = TABLE[["fare", "class"]]
    model = LogisticRegression().fit(numbers.to_numpy(), TABLE.survived)
    made = make(tmp_path / "x", model=model, data=numbers.assign(survived=TABLE.survived), target="survived")
    assert [guess.field.wire for guess in made.inferred.guesses] == ["fare", "class"]


def test_integer_column_names_are_served(tmp_path: Path) -> None:
    """A frame that was made of an array, with columns 0 and 1, is served under these names."""
    table = pd.DataFrame(TABLE[["fare", "class"]].to_numpy())
    model = LogisticRegression().fit(table.to_numpy(), TABLE.survived)
    made = make(tmp_path / "x", model=model, data=table)
    assert [guess.field.wire for guess in made.inferred.guesses] == ["0", "1"]


def test_a_model_of_texts(tmp_path: Path) -> None:
    """A text classifier gets its texts, and nothing else."""
    table = pd.DataFrame({"text": [f"word{k % 7} and word{k}" for k in range(30)], "y": [k % 2 for k in range(30)]})
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(table["text"], table["y"])
    made = make(tmp_path / "x", model=model, data=table, target="y")
    assert made.proof is not None
    assert made.facts.wants == "column"


def test_an_onnx_model(tmp_path: Path) -> None:
    """An ONNX file is served as its own runtime answers."""
    from skl2onnx import to_onnx

    numbers = TABLE[["fare", "class"]].to_numpy(np.float32)
    model = LogisticRegression().fit(numbers, TABLE.survived)
    (tmp_path / "net.onnx").write_bytes(to_onnx(model, numbers[:1]).SerializeToString())
    made = make(tmp_path / "x", model=tmp_path / "net.onnx", data=TABLE[["fare", "class"]])
    assert made.proof is not None
    assert (tmp_path / "x" / "net.onnx").exists()
    assert '"onnxruntime==' in (tmp_path / "x" / "pyproject.toml").read_text("utf-8")


def test_a_model_without_a_table(tmp_path: Path) -> None:
    """A model that knows its features makes a service without data; nothing is guessed and nothing proven."""
    made = make(tmp_path / "x", model=numeric_pipeline())
    source = (tmp_path / "x" / "service.py").read_text("utf-8")
    assert made.proof is None
    assert 'age_in_years: Annotated[float, Alias("age in years")]' in source
    assert "guessed" not in source


class Sneaky(LogisticRegression):  # type: ignore[misc]
    """Decides otherwise than by the likeliest class."""

    def predict(self, X: Any) -> Any:  # noqa: N803 - scikit-learn's name
        return 1 - super().predict(X)


def test_a_difference_is_a_failure(tmp_path: Path) -> None:
    """Where the service would answer otherwise than the model, init fails, names the row, and keeps the folder."""
    model = tmp_path / "model.joblib"
    joblib.dump(Sneaky().fit(TABLE[["fare", "class"]], TABLE.survived), model)
    with pytest.raises(GateFailed, match="row 0 is served") as raised:
        make(tmp_path / "x", model=model, data=TABLE, target="survived", trusted=True)
    assert "postprocess" in raised.value.hint
    assert (tmp_path / "x" / "service.py").exists()


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "nowhere.skops"}, NotFound, "nowhere.skops"),
        ({"data": "nowhere.parquet"}, NotFound, "nowhere.parquet"),
        ({"target": "survivd"}, ContractError, "survivd"),
        ({"data": TABLE.drop(columns="fare")}, ContractError, "fare"),
        ({"data": TABLE.assign(fare="a lot")}, ModelError, "a lot"),
        ({"data": TABLE.head(0)}, ContractError, "no rows"),
        ({"folder": "predict"}, UsageError, "predict"),
        ({"folder": "a b"}, UsageError, "a b"),
    ],
)
def test_what_cannot_be_made_leaves_nothing_behind(
    tmp_path: Path, change: dict[str, Any], error: type[TenfoldError], words: str
) -> None:
    """A mistake on the way is one message that names the thing and the mend, and no half-made folder."""
    asked = {"folder": "x", "model": numeric_pipeline(), "data": TABLE, "target": "survived"} | change
    folder = tmp_path / str(asked.pop("folder"))
    with pytest.raises(error, match=words) as raised:
        make(folder, **asked)
    assert raised.value.hint
    assert not folder.exists()


def test_a_pickle_has_to_be_trusted(tmp_path: Path) -> None:
    """A file that can run code is not loaded unless the person says so."""
    joblib.dump(numeric_pipeline(), tmp_path / "model.joblib")
    with pytest.raises(ModelError, match="pickle") as raised:
        make(tmp_path / "x", model=tmp_path / "model.joblib", data=TABLE, target="survived")
    assert "--trust" in raised.value.hint


def test_a_table_that_is_not_there_is_told_before_the_model_is_loaded(tmp_path: Path) -> None:
    """A misspelt --data costs no minute of loading, and leaves no folder."""
    with pytest.raises(NotFound, match=r"no file .*train\.csv"):
        make(tmp_path / "x", model=tmp_path / "absent.skops", data=tmp_path / "train.csv")
    assert not (tmp_path / "x").exists()


def year_and_month(frame: pd.DataFrame) -> Any:
    """What a model makes of days."""
    return np.column_stack([frame["since"].dt.year, frame["since"].dt.month])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_days_are_days(tmp_path: Path, kind: str) -> None:
    """A column of days is a date, whether the table can say so or not, and a client writes it as one."""
    days = pd.date_range("2020-01-31", periods=60, freq="17D")
    table = pd.DataFrame({"since": days, "y": days.year > 2021})
    model = make_pipeline(FunctionTransformer(year_and_month), LogisticRegression()).fit(table[["since"]], table.y)
    file = tmp_path / f"train.{kind}"
    table.to_csv(file, index=False) if kind == "csv" else table.to_parquet(file)
    made = make(tmp_path / "x", model=model, data=file, target="y")
    assert made.inferred.guesses[0].field.kind == "date"
    assert made.proof is not None
    assert '{"since":"2020-01-31"}' in (tmp_path / "x" / "golden" / "records.json").read_text("utf-8")


def test_what_was_made_is_told_in_a_notebook(tmp_path: Path) -> None:
    """What a cell shows of it is what the command prints: each line a word and what is to be said."""
    made = make(tmp_path / "x", model=LinearRegression().fit(TABLE[["fare", "class"]], TABLE[["fare", "class"]]))
    assert [line.split()[0] for line in repr(made).splitlines()] == ["model", "fields", "rules", "parity", "next"]
    text = (tmp_path / "x" / "service.py").read_text("utf-8")
    assert f"max_replicas={os.cpu_count()}" in text
    assert "capacity = " not in text  # nobody promised anything, and nothing was timed


def test_a_folder_is_never_overwritten(tmp_path: Path) -> None:
    """What is there already stays as it is."""
    (tmp_path / "x").mkdir()
    with pytest.raises(Conflict):
        make(tmp_path / "x", model=numeric_pipeline(), data=TABLE, target="survived")
    assert list((tmp_path / "x").iterdir()) == []


FEATURES_FILE = """
from sklearn.base import BaseEstimator, TransformerMixin
from words import zero

class Cleaner(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.feature_names_in_ = X.columns.to_numpy(dtype=object)
        return self

    def transform(self, X):
        return X.fillna(zero())
"""


@pytest.fixture
def training_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's training, with modules of their own."""
    (tmp_path / "features.py").write_text(FEATURES_FILE, "utf-8")
    (tmp_path / "words.py").write_text("from figures import ZERO\n\ndef zero():\n    return ZERO\n", "utf-8")
    (tmp_path / "figures.py").write_text("ZERO = 0.0\n\ndef late():\n    import later\n", "utf-8")
    (tmp_path / "later.py").write_text("", "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("features", "words", "figures"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.slow
def test_own_modules_come_along(training_folder: Path) -> None:
    """A model that needs features.py gets it, and what that imports; the folder is then served anywhere."""
    cleaner = importlib.import_module("features").Cleaner()
    model = make_pipeline(cleaner, LogisticRegression()).fit(TABLE[NUMBERS], TABLE.survived)
    made = make(Path("x"), model=model, data=TABLE, target="survived")
    assert made.trusted
    assert {"features.py", "words.py", "figures.py", "later.py", "model.joblib"} <= {
        path.name for path in Path("x").iterdir()
    }
    command = [sys.executable, "-P", "-m", "tenfold", "check", str(training_folder / "x")]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_folder_that_lacks_a_module_is_told_at_once(training_folder: Path) -> None:
    """A module that is found by name only while the program runs cannot be brought: init says so, and not the server."""
    (training_folder / "figures.py").write_text("from importlib import import_module\nZERO = import_module('later').X")
    (training_folder / "later.py").write_text("X = 0.0")
    cleaner = importlib.import_module("features").Cleaner()
    model = make_pipeline(cleaner, LogisticRegression()).fit(TABLE[NUMBERS], TABLE.survived)
    with pytest.raises(ModelError, match=r"does not load by itself.*later"):
        make(Path("x"), model=model, data=TABLE, target="survived")


def test_what_only_the_notebook_has_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that was typed into a notebook cannot be served, and the message says where to put it."""
    monkeypatch.setattr(Sneaky, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Sneaky", Sneaky, raising=False)
    model = Sneaky().fit(TABLE[["fare", "class"]], TABLE.survived)
    with pytest.raises(ModelError, match="Sneaky") as raised:
        make(tmp_path / "x", model=model, data=TABLE, target="survived")
    assert "features.py" in raised.value.hint

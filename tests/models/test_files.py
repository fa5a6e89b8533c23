"""A model's file that cannot be used is one message that names the file and the mend."""

from __future__ import annotations

import gzip
import io
import pickle
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from tenfold import ModelError, trust
from tenfold.model import Model
from tenfold.models import load
from tests.models import making


def _refused(source: object, folder: Path) -> ModelError:
    with pytest.raises(ModelError) as error:
        load(source, folder)
    assert error.value.hint
    return error.value


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """The mend names the models that are there instead, or the script that makes one."""
    assert "does not exist" in _refused("model.skops", tmp_path).message
    (tmp_path / "train.py").touch()
    assert "train.py" in _refused("model.skops", tmp_path).hint
    (tmp_path / "other.onnx").touch()
    assert "other.onnx" in _refused("model.skops", tmp_path).hint
    assert "no folder" in _refused("gone/model.skops", tmp_path).hint
    (tmp_path / "folder.skops").mkdir()
    assert "is a folder" in _refused("folder.skops", tmp_path).message


@pytest.mark.parametrize("name", ["model.skops", "model.joblib", "model.pkl", "model.onnx"])
def test_an_empty_or_damaged_file(name: str, tmp_path: Path) -> None:
    """Whatever the format, the message is one sentence and no traceback."""
    (tmp_path / name).write_bytes(b"")
    assert "is empty" in _refused(trust(name), tmp_path).message
    for content in (b"hello, I am no model", b"\x08\x0a" + bytes(range(1, 200))):
        (tmp_path / name).write_bytes(content)
        error = _refused(trust(name), tmp_path)
        assert error.message.startswith(f"{name} cannot be read")
        assert "\n" not in error.message


def test_a_truncated_file(tmp_path: Path) -> None:
    """A copy that broke off is called that."""
    for path in (making.skops_file(making.pipeline(), tmp_path), making.joblib_file(making.pipeline(), tmp_path)):
        path.write_bytes(path.read_bytes()[:-300])
        error = _refused(trust(path), tmp_path)
        assert "damaged or truncated" in error.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html><html>Please log in</html>", "a web page"),
        (pickle.dumps({}), "a pickle"),
        (gzip.compress(b"x", mtime=0), "gzip data"),
    ],
)
def test_a_file_that_is_something_else(content: bytes, what: str, tmp_path: Path) -> None:
    """The suffix does not decide what a file is."""
    (tmp_path / "model.skops").write_bytes(content)
    assert what in _refused("model.skops", tmp_path).message


def test_a_format_that_nobody_loads(tmp_path: Path) -> None:
    """The formats that there are stand in the message."""
    (tmp_path / "model.h5").write_bytes(b"x")
    assert ".onnx, .pickle, .pkl, .skops" in _refused("model.h5", tmp_path).message


def test_a_pickle_needs_trust(tmp_path: Path) -> None:
    """No code runs until the service says that it may."""
    path = making.joblib_file(making.pipeline(), tmp_path)
    error = _refused("model.joblib", tmp_path)
    assert "does not trust it" in error.message
    assert 'trust("model.joblib")' in error.hint
    assert load(trust("model.joblib"), tmp_path).facts.format == "joblib"
    path.rename(tmp_path / "model.pkl")
    assert "does not trust it" in _refused("model.pkl", tmp_path).message


def test_a_plain_pickle_is_loaded(tmp_path: Path) -> None:
    """What pickle wrote, pickle reads."""
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(making.pipeline()))
    model = load(trust("model.pkl"), tmp_path)
    assert model.predict(making.matrix()).shape == (60, 2)


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("xz", 3)])
def test_joblib_under_the_name_of_a_pickle_is_loaded(compress: Any, tmp_path: Path) -> None:
    """Many a ``.pkl`` is what joblib wrote: the content decides, not the suffix."""
    joblib.dump(making.pipeline(), tmp_path / "model.pkl", compress=compress)
    assert load(trust("model.pkl"), tmp_path).predict(making.matrix()).shape == (60, 2)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> type:
    """A class that was defined in a notebook, which is gone when the model is loaded."""
    cleaner = type("Cleaner", (), {"predict": len, "__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Cleaner", cleaner, raising=False)
    return cleaner


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl", "model.skops"])
def test_a_class_from_a_notebook(name: str, notebook: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the class, and the file that it belongs into."""
    folder = tmp_path / "titanic"
    folder.mkdir()
    if name == "model.skops":
        making.skops_file(notebook(), folder)
    elif name == "model.joblib":
        making.joblib_file(notebook(), folder)
    else:
        (folder / name).write_bytes(pickle.dumps(notebook()))
    monkeypatch.delattr(sys.modules["__main__"], "Cleaner")
    for source in {name, trust(name)} if name == "model.skops" else {trust(name)}:
        error = _refused(source, folder)
        assert error.message == f'{name} needs "Cleaner" from your notebook or script, which no server can import'
        assert error.hint == "put it in titanic/features.py, import it from there, fit and save again"


def test_a_module_or_class_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of one's own belongs beside the service, a library into its pyproject.toml."""
    features = types.ModuleType("features_of_mine")
    features.Cleaner = type("Cleaner", (), {"__module__": "features_of_mine"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "features_of_mine", features)
    making.joblib_file(features.Cleaner(), tmp_path)
    del features.Cleaner
    assert "needs Cleaner from features_of_mine" in _refused(trust("model.joblib"), tmp_path).message
    monkeypatch.delitem(sys.modules, "features_of_mine")
    error = _refused(trust("model.joblib"), tmp_path)
    assert error.message == "model.joblib needs the module features_of_mine, which cannot be imported here"
    assert "features_of_mine.py" in error.hint


@pytest.mark.parametrize("name", ["model.joblib", "model.skops"])
def test_the_version_that_trained_the_model(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of another scikit-learn loads without a warning, and its facts say which it was."""
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "1.2.0")
        save = making.skops_file if name == "model.skops" else making.joblib_file
        save(making.pipeline(), tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = load(trust(name), tmp_path)
    assert not caught
    assert model.facts.libraries == {"scikit-learn": "1.2.0"}


def test_the_version_here_where_it_is_the_same(tmp_path: Path) -> None:
    """No news is the version that is installed."""
    import sklearn

    making.skops_file(making.pipeline(), tmp_path)
    assert load("model.skops", tmp_path).facts.libraries == {"scikit-learn": sklearn.__version__}


def test_a_file_that_another_version_wrote_and_this_one_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the missing module is the message, but the version to pin."""
    gone = types.ModuleType("sklearn.ensemble._gone")
    gone.Loss = type("Loss", (), {"__module__": "sklearn.ensemble._gone"})  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr("sklearn.base.__version__", "0.24.2")
        patch.setitem(sys.modules, "sklearn.ensemble._gone", gone)
        making.joblib_file([making.pipeline(), gone.Loss()], tmp_path)
    error = _refused(trust("model.joblib"), tmp_path)
    assert "was saved with scikit-learn 0.24.2" in error.message
    assert "pin scikit-learn==0.24.2" in error.hint


def test_other_warnings_are_shown(tmp_path: Path) -> None:
    """Only what is reported elsewhere is kept quiet."""
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Warns()))
    with pytest.warns(UserWarning, match="mind the step"):
        load(trust("model.pkl"), tmp_path)


class Warns:
    """Warns when it is loaded."""

    def __setstate__(self, state: object) -> None:
        warnings.warn("mind the step", stacklevel=1)

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}

    def predict(self, inputs: list[float]) -> list[float]:
        return inputs


def test_a_format_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers a suffix has its models loaded."""
    site = tmp_path / "site"
    info = site / "toy-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[tenfold.models]\ntoy = tests.models.test_files:load_toy\n")
    monkeypatch.syspath_prepend(str(site))
    (tmp_path / "model.toy").write_text("3")
    assert load("model.toy", tmp_path).predict(2) == 6


def load_toy(path: Path, trusted: bool, threads: int) -> Model:
    """The loader of a format whose models multiply."""
    factor = int(path.read_text())
    assert (trusted, threads) == (False, 1)
    return load(lambda value: value * factor)


def test_a_trusted_skops_file_may_hold_types_of_ones_own(tmp_path: Path) -> None:
    """What nobody reviewed is named; trusting the file lets it in."""
    making.skops_file(making.pipeline().set_params(logisticregression=Custom().fit()), tmp_path)
    error = _refused("model.skops", tmp_path)
    assert "tests.models.test_files.Custom, which nobody has reviewed" in error.message
    assert 'trust("model.skops")' in error.hint
    assert load(trust("model.skops"), tmp_path).facts.name == "Pipeline"


class Custom(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier of one's own."""

    def fit(self) -> Custom:
        self.classes_ = ["no", "yes"]
        return self

    def predict(self, inputs: list[float]) -> list[str]:
        return ["no"] * len(inputs)


def test_joblib_files_may_be_compressed(tmp_path: Path) -> None:
    """What joblib wrote, joblib reads."""
    import joblib

    file = io.BytesIO()
    joblib.dump(making.pipeline(), file, compress=("gzip", 3))
    (tmp_path / "model.joblib").write_bytes(file.getvalue())
    assert load(trust("model.joblib"), tmp_path).facts.width == 4

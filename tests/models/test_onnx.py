"""ONNX models, from whichever converter: served as they predict, with the classes that they are about."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tenfold import ModelError
from tenfold.models import load
from tenfold.models.onnx_file import check_paths
from tests.models.making import matrix, table

FLOATS = matrix().astype(np.float32)
TARGETS = {
    "text": np.where(FLOATS[:, 0] + FLOATS[:, 1] > 0, "yes", "no"),
    "numbers": np.digitize(FLOATS[:, 0], [-0.5, 0.5]) * 2 - 3,  # -3, -1, 1
}


def _file(estimator: Any, folder: Path, **options: Any) -> Path:
    path = folder / "model.onnx"
    model = to_onnx(estimator, FLOATS[:1], options={id(estimator): options} if options else None)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("zipmap", [True, False])
@pytest.mark.parametrize(
    "estimator",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        RandomForestClassifier(3, random_state=0),
        GaussianNB(),
        KNeighborsClassifier(),
        BaggingClassifier(n_estimators=2, random_state=0),  # its trees count classes from 0, whatever these are
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_classifiers_give_probabilities_of_their_classes(
    estimator: Any, zipmap: bool, target: str, tmp_path: Path
) -> None:
    """A tensor or a mapping a row, text or numbers, listed here or there in the file: the answer is the same."""
    estimator.fit(FLOATS, TARGETS[target])
    model = load(_file(estimator, tmp_path, zipmap=zipmap))
    assert (model.facts.task, model.facts.gives) == ("classifier", "probabilities")
    assert model.facts.classes == tuple(estimator.classes_.tolist())
    assert (model.facts.dtype, model.facts.width, model.facts.threads) == ("float32", 4, 1)
    assert np.allclose(model.predict(FLOATS), estimator.predict_proba(FLOATS), atol=1e-4)


@pytest.mark.parametrize("zipmap", [True, False])
def test_margins_are_not_taken_for_probabilities(zipmap: bool, tmp_path: Path) -> None:
    """Converters write distances where there are no probabilities; then the labels are what counts."""
    estimator = SGDClassifier(random_state=0).fit(FLOATS, TARGETS["text"])
    model = load(_file(estimator, tmp_path, zipmap=zipmap))
    assert (model.facts.gives, model.facts.classes) == ("labels", ("no", "yes"))
    assert model.predict(FLOATS).tolist() == estimator.predict(FLOATS).tolist()


def test_regressors_give_values(tmp_path: Path) -> None:
    """A column (n, 1) is n values."""
    estimator = LinearRegression().fit(FLOATS, FLOATS[:, 0])
    model = load(_file(estimator, tmp_path))
    assert (model.facts.task, model.facts.gives, model.facts.classes) == ("regressor", "values", ())
    assert model.predict(FLOATS).shape == (60,)


def test_any_floats_are_fed_in_the_dtype_of_the_model(tmp_path: Path) -> None:
    """float64 from preprocess, or a view of other memory, becomes what the model declares."""
    model = load(_file(LinearRegression().fit(FLOATS, FLOATS[:, 0]), tmp_path))
    expected = model.predict(FLOATS)
    wide = np.zeros((60, 9))
    wide[:, 3:7] = FLOATS
    assert np.array_equal(model.predict(wide[:, 3:7]), expected)
    assert np.array_equal(model.predict(FLOATS[::2]), expected[::2])


def test_an_input_for_each_feature(tmp_path: Path) -> None:
    """Columns of several types go in by name, text among them."""
    frame = table()[["a", "b"]].astype(np.float32).assign(town=np.where(table()["c"] > 0, "Ulm", "Bonn"))
    first = make_column_transformer((OneHotEncoder(), ["town"]), (StandardScaler(), ["a", "b"]))
    estimator = make_pipeline(first, LogisticRegression()).fit(frame, TARGETS["text"])
    inputs = [(name, FloatTensorType([None, 1])) for name in ("a", "b")] + [("town", StringTensorType([None, 1]))]
    path = tmp_path / "model.onnx"
    path.write_bytes(to_onnx(estimator, initial_types=inputs, options={"zipmap": False}).SerializeToString())
    model = load(path)
    assert (model.facts.wants, model.facts.features, model.facts.width) == ("named", ("a", "b", "town"), 3)
    columns = {name: frame[name].to_numpy(dtype=object if name == "town" else np.float64) for name in frame}
    assert np.allclose(model.predict(columns), estimator.predict_proba(frame), atol=1e-4)


def _network(shape: list[Any], folder: Path) -> Path:
    """A network that adds 1 to an input of this shape."""
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "one"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [one],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_networks_take_arrays_and_give_values(tmp_path: Path) -> None:
    """Any shape goes in, any comes out, and there are no classes to know."""
    model = load(_network(["n", 3, 2, 2], tmp_path))
    assert (model.facts.task, model.facts.gives, model.facts.wants, model.facts.width) == (
        "other",
        "values",
        "matrix",
        None,
    )
    assert model.predict(np.zeros((5, 3, 2, 2), np.float32)).shape == (5, 3, 2, 2)


def test_a_model_for_one_row_runs_once_a_row(tmp_path: Path) -> None:
    """Networks are often exported for a batch of one."""
    model = load(_network([1, 3], tmp_path))
    assert model.predict(np.arange(6).reshape(2, 3)).tolist() == [[1, 2, 3], [4, 5, 6]]
    with pytest.raises(ModelError, match=r"net\.onnx takes exactly 8 rows at a time"):
        load(_network([8, 3], tmp_path))


def _with_weights_at(location: str, folder: Path, *, nested: str = "") -> Path:
    """A model whose weights lie in another file, named in a plain, a sparse or an attribute's tensor."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    constant = helper.make_node("Constant", [], ["w"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t.CopyFrom(tensor)
    branch = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, [1])])
    nodes = {
        "": [helper.make_node("Add", ["x", "w"], ["y"])],
        "attribute": [constant, helper.make_node("Add", ["x", "w"], ["y"])],
        "branch": [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
    }
    graph = helper.make_graph(
        nodes[nested],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [] if nested else [tensor],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    """Large models keep their weights in a file of their own."""
    (tmp_path / "net.data").write_bytes(np.array([2], dtype=np.float32).tobytes())
    model = load(_with_weights_at("net.data", tmp_path))
    assert model.predict(np.array([1, 2])).tolist() == [3, 4]


@pytest.mark.parametrize("nested", ["", "attribute", "branch"])
@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("../secret", "is a path out of the model's folder"),
        ("sub/../../secret", "is a path out of the model's folder"),
        ("/etc/passwd", "is a path out of the model's folder"),
        ("..\\secret", "is a path out of the model's folder"),
        ("link", "is a link out of the model's folder"),
        ("gone", "does not exist"),
        ("folder", "does not exist"),
    ],
)
def test_weights_anywhere_else_are_refused(location: str, why: str, nested: str, tmp_path: Path) -> None:
    """However deep in the file the path stands, the runtime never follows it."""
    folder = tmp_path / "service"
    (folder / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"0123")
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelError, match=why):
        load(_with_weights_at(location, folder, nested=nested))


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    """A folder called service-of-others is not within service."""
    (tmp_path / "service").mkdir()
    (tmp_path / "service-of-others").mkdir()
    (tmp_path / "service-of-others" / "w").write_bytes(b"0123")
    (tmp_path / "service" / "w").symlink_to(tmp_path / "service-of-others" / "w")
    with pytest.raises(ModelError, match="is a link out"):
        check_paths(_with_weights_at("w", tmp_path / "service"))


def test_a_truncated_file_is_unreadable(tmp_path: Path) -> None:
    """Wherever the copy broke off, the message is one sentence."""
    path = _file(GaussianNB().fit(FLOATS, TARGETS["text"]), tmp_path)
    whole = path.read_bytes()
    for size in range(1, len(whole), len(whole) // 20):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"model\.onnx cannot be read"):
            load(path)


def test_a_fork_goes_on_predicting(tmp_path: Path) -> None:
    """A session of one thread has no pool that a fork would lack."""
    path = _file(make_pipeline(StandardScaler(), LogisticRegression()).fit(FLOATS, TARGETS["text"]), tmp_path)
    script = """if True:
        import os, sys
        import numpy as np
        from tenfold.models import load
        model = load(sys.argv[1])
        expected = model.predict(np.zeros((3, 4), np.float32))
        assert model.forkable
        if os.fork() == 0:
            os._exit(int(not np.array_equal(model.predict(np.zeros((3, 4), np.float32)), expected)))
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    """
    assert subprocess.run([sys.executable, "-c", script, str(path)], timeout=60, check=False).returncode == 0

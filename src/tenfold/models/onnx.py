"""``.onnx`` through ONNX Runtime, on the CPU and with one thread unless told otherwise.

Converters disagree about what a classifier gives: labels beside probabilities as a tensor, or as one mapping a row
(ZipMap), or scores alone. Here it is probabilities (n, k) with the classes that the file lists, whichever of these it
was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tenfold.errors import ModelError
from tenfold.model import Facts, Model
from tenfold.models.files import unreadable
from tenfold.models.onnx_file import check_paths, class_labels
from tenfold.rows import Array

DTYPES = {
    "tensor(float16)": "float16",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
    **{f"tensor({name})": name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")},
}


class Output(NamedTuple):
    """The output that is asked for, what it gives, and the classes that it is about."""

    name: str
    gives: Literal["probabilities", "labels", "values"]
    classes: tuple[str | int, ...] = ()


class Input(NamedTuple):
    """What the session said of an input: asking it anew for each batch takes longer than feeding it."""

    name: str
    dtype: np.dtype[Any]
    axes: int


class OnnxModel:
    """A session of the runtime. ``predict`` takes a matrix, or a mapping of input to array where there are several."""

    def __init__(self, path: Path, session: Any, facts: Facts, output: Output) -> None:
        self.object = session
        self.facts = facts
        self.forkable = facts.threads == 1  # more of them are a pool, which no fork has
        self._size = path.stat().st_size
        self._output = output
        inputs = session.get_inputs()
        self._inputs = [Input(node.name, np.dtype(DTYPES[node.type]), len(node.shape)) for node in inputs]
        self._outputs = [output.name]
        self._one_by_one = _batch_size(inputs[0]) == 1

    def predict(self, inputs: Any) -> Array:
        """Probabilities (n, k), labels (n,), or values (n,) or (n, m)."""
        first = self._inputs[0]
        if type(inputs) is np.ndarray:  # nearly always, and asked much faster than whether it is a Mapping
            fed = {first.name: _fed(first, inputs)}
        else:
            given = inputs if isinstance(inputs, Mapping) else {first.name: inputs}
            fed = {node.name: _fed(node, given[node.name]) for node in self._inputs}
        if not self._one_by_one:
            return self._run(fed)
        rows = range(len(next(iter(fed.values()))))
        return np.concatenate([self._run({name: values[k : k + 1] for name, values in fed.items()}) for k in rows])

    def _run(self, fed: dict[str, Array]) -> Array:
        (result,) = self.object.run(self._outputs, fed)
        if isinstance(result, list):  # of ZipMap: a mapping of class to probability for each row
            result = np.array([[row[name] for name in self._output.classes] for row in result], dtype=np.float32)
        values: Array = result
        return values[:, 0] if self._output.gives == "values" and values.shape[1:] == (1,) else values

    def warm(self, inputs: Any) -> None:
        """Predict once and forget it."""
        self.predict(inputs)

    def footprint(self) -> int:
        """Bytes of the file, which are those of the weights."""
        return self._size

    def close(self) -> None:
        """Release the session."""
        del self.object


def load(path: Path, trusted: bool, threads: int) -> Model:  # noqa: ARG001 -- nothing in such a file can run
    """The model in an .onnx file, and in the files beside it that hold its weights."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan of the memory for each number of rows, of which there are many
    options.log_severity_level = 3  # errors only, and these are raised
    try:
        check_paths(path)
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        output = _output(path, session)
    except ModelError:
        raise
    except Exception as error:  # the runtime has a class of its own for each of its many reasons
        raise unreadable(path, error) from error
    inputs = session.get_inputs()
    _refuse_what_cannot_be_fed(path, inputs)
    facts = Facts(
        format="onnx",
        name=path.stem,
        task=_task(session, output),
        features=tuple(node.name for node in inputs) if len(inputs) > 1 else (),
        width=_width(inputs),
        dtype=DTYPES[inputs[0].type] if len(inputs) == 1 else "float64",
        classes=output.classes,
        wants="named" if len(inputs) > 1 else "matrix",
        gives=output.gives,
        threads=threads,
    )
    return OnnxModel(path, session, facts, output)


def _output(path: Path, session: Any) -> Output:
    """The output to ask for: probabilities with their classes, else labels with theirs, else the first numbers."""
    outputs = session.get_outputs()
    label = next((node for node in outputs if node.type in ("tensor(int64)", "tensor(string)")), None)
    scores = next(
        (node for node in outputs if node.type.startswith(("seq(map(", "tensor(float", "tensor(double"))), None
    )
    traced = scores if scores is not None and (label is None or scores.type.startswith("seq(")) else label
    if traced is None:
        raise ValueError(f"none of its outputs is numbers or labels, but {outputs[0].type}")
    classes = class_labels(path, traced.name)
    if scores is not None and classes and _are_probabilities(session, scores, classes):
        return Output(scores.name, "probabilities", classes)
    if label is not None and classes:
        return Output(label.name, "labels", classes)
    return Output((scores or outputs[0]).name, "values")


def _are_probabilities(session: Any, scores: Any, classes: Sequence[str | int]) -> bool:
    """Whether the scores sum to 1 for a row of zeros. Converters call them probabilities even where they are
    distances."""
    zeros = {node.name: np.zeros([1, *map(_known, node.shape[1:])], DTYPES[node.type]) for node in session.get_inputs()}
    for name, values in zeros.items():
        zeros[name] = np.full(values.shape, "", dtype=object) if values.dtype == object else values
    try:
        (result,) = session.run([scores.name], zeros)
    except Exception:  # zeros are no input for this model; then its word has to do
        return True
    row = [result[0][name] for name in classes] if isinstance(result, list) else result[0]
    return len(row) == len(classes) and abs(float(np.sum(row)) - 1) < 1e-3


def _known(size: int | str | None) -> int:
    return size if isinstance(size, int) else 1


def _batch_size(node: Any) -> int | None:
    """How many rows an input takes at a time; None where any number will do."""
    return node.shape[0] if node.shape and isinstance(node.shape[0], int) else None


def _task(session: Any, output: Output) -> Literal["classifier", "regressor", "other"]:
    if output.classes:
        return "classifier"
    shape = next(node.shape for node in session.get_outputs() if node.name == output.name)
    return "regressor" if len(shape) == 1 or shape[1:] == [1] else "other"


def _width(inputs: Sequence[Any]) -> int | None:
    if len(inputs) > 1:
        return len(inputs)
    shape = inputs[0].shape
    return shape[1] if len(shape) == 2 and isinstance(shape[1], int) else None


def _fed(node: Input, values: Any) -> Array:
    """An array of the dtype of its input; a column (n,) as (n, 1) where that is the input's shape."""
    array: Array = np.asarray(values, node.dtype)
    return array[:, None] if array.ndim == 1 and node.axes == 2 else array


def _refuse_what_cannot_be_fed(path: Path, inputs: Sequence[Any]) -> None:
    for node in inputs:
        if node.type not in DTYPES:
            raise ModelError(f"{path.name} takes {node.type} as {node.name}", "export it with tensors as inputs")
        if _batch_size(node) not in (None, 1):
            raise ModelError(
                f"{path.name} takes exactly {_batch_size(node)} rows at a time",
                "export it with a dynamic first axis (dynamic_axes, or a dimension of None)",
            )

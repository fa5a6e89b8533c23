"""The proof that serving changes nothing: every row of the table, answered, against the model asked directly."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tenfold.contract.form import show
from tenfold.errors import GateFailed, ModelError
from tenfold.parity import compare as parity
from tenfold.parity.values import Unrecordable, canonical
from tenfold.rows import Array, Rows

if TYPE_CHECKING:
    import pandas as pd

    from tenfold.model import Facts, Model


class Direct(NamedTuple):
    """What the model says when it is asked without any of us: scores or values, labels, and how it was asked."""

    values: Array | None
    labels: list[Any] | None
    asked: str


class Proof(NamedTuple):
    """That ``rows`` rows got the same answer as from ``asked``, and the largest difference of a number."""

    rows: int
    asked: str
    largest: float


def ask_directly(model: Model, table: pd.DataFrame, columns: Sequence[int]) -> Direct:
    """The model's own answer to the table's ``columns`` (positions, in its order)."""
    try:
        with _names_are_fine():
            return _ask(model, plain_input(model.facts, table, columns))
    except Exception as error:
        raise ModelError(
            f"{model.facts.name} cannot predict on the table: {type(error).__name__}: {error}",
            "is this the table that it was trained on? A model that knows no names gets every column but the target",
        ) from error


def seconds_of_one(model: Model, table: pd.DataFrame, columns: Sequence[int]) -> float:
    """How long the model takes for one row: the best of five."""
    inputs = plain_input(model.facts, table.iloc[:1], columns)
    times = []
    with _names_are_fine():
        for _ in range(5):
            started = time.perf_counter()
            model.predict(inputs)
            times.append(time.perf_counter() - started)
    return min(times)


@contextmanager
def _names_are_fine() -> Iterator[None]:
    """A loaded estimator has forgotten the names that the table still has, since serving never gives it any."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names", UserWarning)
        yield


def _ask(model: Model, inputs: Any) -> Direct:
    facts, original = model.facts, model.object
    if facts.gives == "probabilities" and hasattr(original, "predict_proba"):
        values = np.asarray(original.predict_proba(inputs))
        return Direct(values.max(axis=1), np.asarray(original.predict(inputs)).tolist(), "model.predict_proba")
    if not hasattr(original, "predict"):
        values = np.asarray(model.predict(inputs))
        if facts.gives != "probabilities":
            return Direct(values, None, "the model")
        labels = [facts.classes[k] for k in values.argmax(axis=1)]
        return Direct(values.max(axis=1), labels, "the model")
    if model.predict == getattr(original, "predict_proba", None):  # of classes that the model does not name
        return Direct(np.asarray(original.predict_proba(inputs)), None, "model.predict_proba")
    values = np.asarray(original.predict(inputs))
    if facts.gives == "labels":
        return Direct(None, values.tolist(), "model.predict")
    return Direct(values, None, "model.predict")


def plain_input(facts: Facts, table: pd.DataFrame, columns: Sequence[int]) -> Any:
    """The table's columns as a person would give them to the model: no contract, no transform of ours."""
    chosen = table.iloc[:, list(columns)]
    match facts.wants:
        case "column":
            return chosen.iloc[:, 0]
        case "named":
            return {name: chosen.iloc[:, k].to_numpy() for k, name in enumerate(facts.features)}
        case "frame":
            return chosen
        case _ if facts.features:
            return chosen
        case _:
            return chosen.to_numpy(None if facts.dtype == "object" else np.dtype(facts.dtype))


def compare(served: Rows, direct: Direct) -> Proof:
    """Hold the answers against the model's own; ``GateFailed`` names the first row that differs."""
    columns = served.columns()
    largest = 0.0
    if direct.labels is not None:
        _same_labels(columns.pop(next(iter(columns))).tolist(), direct.labels)
    if direct.values is not None and columns:
        values = np.column_stack(list(columns.values()))
        largest = _same_values(values, direct.values.reshape(len(values), -1), direct.asked)
    return Proof(len(served), direct.asked, largest)


def _same_labels(served: Sequence[Any], labels: Sequence[Any]) -> None:
    for row, (ours, theirs) in enumerate(zip(served, labels, strict=True)):
        if ours != theirs and str(ours) != show(theirs):
            raise GateFailed(
                f"row {row} is served {ours!r}, and model.predict says {theirs!r}",
                "write postprocess(self, scores) so that it decides as the model does",
            )


def _same_values(served: Array, wanted: Array, asked: str) -> float:
    """The largest difference, where all are within the tolerance of their dtype."""
    difference = parity.compare(wanted, served, len(served))
    if difference.rows.any():
        row = int(difference.rows.argmax())
        raise GateFailed(
            f"row {row} is served {served[row].tolist()}, and {asked} says {wanted[row].tolist()}; "
            f"{int(difference.rows.sum()):,} of {len(served):,} rows differ",
            "write preprocess(self, rows) so that the model gets what it was trained on",
        )
    return difference.largest


def first_difference(given: Any, wanted: Any, n: int) -> str:
    """In what two inputs of a model for the same n rows differ, in words; "" where they don't."""
    try:
        difference = parity.compare(canonical(wanted), canonical(given), n)
    except Unrecordable:
        return ""
    return difference.detail.replace("in the record", "in the table")

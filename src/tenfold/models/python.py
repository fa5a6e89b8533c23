"""Any object that predicts: ``predict_proba``, ``predict`` or a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tenfold.errors import ModelError
from tenfold.model import Facts, Model
from tenfold.models.graph import parts


class PythonModel:
    """A model whose ``predict`` is a function of Python: nothing stands between the pipeline and it."""

    def __init__(self, thing: Any, predict: Callable[[Any], Any], facts: Facts, *, forkable: bool) -> None:
        self.object = thing
        self.predict = predict
        self.facts = facts
        self.forkable = forkable

    def warm(self, inputs: Any) -> None:
        """Predict once and forget it."""
        self.predict(inputs)

    def footprint(self) -> int:
        """Bytes of all arrays and trees in the object."""
        return sum(map(_weight, parts(self.object)))

    def close(self) -> None:
        """Forget the object."""
        del self.object, self.predict


def adapt_object(thing: Any, threads: int, *, kind: str, libraries: Mapping[str, str]) -> Model:
    """The model that an object of whatever class is."""
    predict, gives, task = _ways(thing)
    facts = Facts(
        format=kind,
        name=getattr(thing, "__name__", type(thing).__name__),
        task=task,
        features=tuple(map(str, getattr(thing, "feature_names_in_", ()))),
        width=getattr(thing, "n_features_in_", None),
        classes=classes_of(thing),
        gives=gives,
        libraries=libraries,
        threads=threads,
    )
    return PythonModel(thing, predict, facts, forkable=bool(getattr(thing, "forkable", False)))


def _weight(part: Any) -> int:
    """Bytes of an array, or of one of scikit-learn's trees, whose nodes take 64 each."""
    if isinstance(part, np.ndarray):
        return part.nbytes
    return part.value.nbytes + 64 * part.node_count if hasattr(part, "node_count") else 0


def classes_of(thing: Any) -> tuple[Any, ...]:
    """The classes of a classifier with one output, as Python's own values; () for anything else."""
    classes = getattr(thing, "classes_", None)
    if classes is None or (isinstance(classes, list) and classes and isinstance(classes[0], np.ndarray)):
        return ()
    return tuple(np.asarray(classes).tolist())


def _ways(thing: Any) -> tuple[Callable[[Any], Any], Any, Any]:
    """How the object predicts, what that gives, and its task."""
    if isinstance(thing, type):
        raise ModelError(
            f"the model is the class {thing.__name__}, not an object of it", f"model = {thing.__name__}(...)"
        )
    classes = classes_of(thing)
    if hasattr(thing, "predict_proba"):
        return thing.predict_proba, "probabilities" if classes else "values", "classifier" if classes else "other"
    if hasattr(thing, "predict"):
        return thing.predict, "labels" if classes else "values", "classifier" if classes else "other"
    if callable(thing):
        return thing, "values", "other"
    raise ModelError(
        f"the model is a {type(thing).__name__}, which has neither predict_proba nor predict and cannot be called",
        "name a path, trust(path), or an object that predicts",
    )

"""What every model must do: tell its facts, predict, warm up, say what it weighs, close.

Adapters in ``tenfold.models`` make one of each format; a format of somebody else's registers there with one function.
A model never sees a contract: ``Facts`` is all that the default transforms need to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a loaded model says of itself.

    ``features`` are the names that it was trained with, in its order, empty where it knows none; ``width`` is how
    many it takes, None where it does not say. ``dtype`` is that of the matrix it wants: the declared one (ONNX), else
    float64, and "object" where text stands among the numbers.

    ``wants`` is the shape of its input: a ``matrix`` (n, width), a ``frame`` (a DataFrame with columns by name),
    ``named`` (a mapping of name to an array of length n) or a ``column`` (n texts). In a frame, the features in
    ``categorical`` have pandas' categorical dtype.

    ``gives`` is what ``predict`` returns: ``probabilities`` (n, k), a column for each of ``classes``; ``labels``
    (n,), where a classifier has no probabilities; or ``values`` (n,) or (n, m), any other numbers. ``libraries`` are
    the versions that the model was trained with, as far as its file tells, and ``threads`` how many one prediction
    may use.
    """

    format: str
    name: str
    task: Literal["classifier", "regressor", "other"] = "other"
    features: tuple[str, ...] = ()
    width: int | None = None
    dtype: str = "float64"
    classes: tuple[str | int | float | bool, ...] = ()
    wants: Literal["matrix", "frame", "named", "column"] = "matrix"
    categorical: tuple[str, ...] = ()
    gives: Literal["probabilities", "labels", "values"] = "values"
    libraries: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1


class Model(Protocol):
    """A loaded model. ``predict`` is pure: it keeps nothing of its input and answers one row as it answers many."""

    facts: Facts
    object: Any  # what was loaded, for user code that needs more than predict
    forkable: bool  # whether a fork of this process may go on predicting with it

    def predict(self, inputs: Any, /) -> Any:
        """What the model gives for n rows, as ``facts.gives`` says."""
        ...

    def warm(self, inputs: Any) -> None:
        """Predict once and forget it, so that the first request does not pay for what is made lazily."""
        ...

    def footprint(self) -> int:
        """Bytes of memory that the parameters take; an estimate from below."""
        ...

    def close(self) -> None:
        """Let go of what the model holds. It is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Trusted:
    """A model file that may run code while it is loaded, because the service says so."""

    path: Path


def trust(path: str | Path) -> Trusted:
    """Say that a model file may run code while it is loaded (``.joblib``, ``.pkl``, or ``.skops`` with types of your
    own).

    A pickle can do whatever you can do. Trust files that you made, or got from somebody whom you would let log in.
    """
    return Trusted(Path(path))

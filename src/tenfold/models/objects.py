"""Which adapter an object gets, however it came: none, scikit-learn's, or that of any object which predicts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from tenfold.model import Facts, Model
from tenfold.models.python import adapt_object

NONE: Mapping[str, str] = {}


def adapt(
    thing: Any, threads: int, *, kind: str = "python", libraries: Mapping[str, str] = NONE, own: bool = False
) -> Model:
    """The model that an object is. ``own`` says that nobody else has it, so that it may be changed."""
    if isinstance(getattr(thing, "facts", None), Facts):
        model: Model = thing
        return model
    base = sys.modules.get("sklearn.base")  # an estimator cannot have come without it
    if base is not None and isinstance(thing, base.BaseEstimator):
        from tenfold.models.sklearn import adapt_estimator

        return adapt_estimator(thing, threads, kind=kind, libraries=libraries, own=own)
    return adapt_object(thing, threads, kind=kind, libraries=libraries)

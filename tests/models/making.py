"""Small fitted models, and files of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


@cache
def table() -> pd.DataFrame:
    """Sixty rows of four columns, of which the first two matter."""
    values = np.random.default_rng(0).normal(size=(60, 4))
    return pd.DataFrame(values, columns=["a", "b", "c", "d"])


@cache
def labels() -> NDArray[np.str_]:
    """A label for each row of the table."""
    return np.where(table()["a"] + table()["b"] > 0, "yes", "no")


def matrix() -> NDArray[np.float64]:
    """The table's values."""
    values: NDArray[np.float64] = table().to_numpy()
    return values


def pipeline() -> Any:
    """A scaler and a logistic regression, fitted on the table with its names."""
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(table(), labels())


def skops_file(model: Any, folder: Path, name: str = "model.skops") -> Path:
    """The model as a .skops file."""
    import skops.io

    skops.io.dump(model, folder / name)
    return folder / name


def joblib_file(model: Any, folder: Path, name: str = "model.joblib") -> Path:
    """The model as joblib saves it."""
    import joblib

    joblib.dump(model, folder / name)
    return folder / name

"""The work that every server gets: the same real rows, the same model, and what that model answers.

The rows are scikit-learn's breast-cancer set, 30 numbers each. Their names on the wire are short (`f0` to
`f29`) on purpose: with long names the decoding, which all share, would hide more of what sets them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

Library = Literal["sklearn", "onnx"]
Row = dict[str, float]

FIELDS = tuple(f"f{i}" for i in range(30))
ROWS = 256  # distinct rows in rotation, so that nobody gains by remembering an answer
HERE = Path(__file__).parent
MODELS: dict[Library, Path] = {
    "sklearn": HERE / "service" / "model.joblib",
    "onnx": HERE / "service" / "model.onnx",
}


@dataclass(frozen=True, slots=True)
class Work:
    """The rows to send, and for each the probability that the model itself gives."""

    rows: list[Row]
    probabilities: dict[Library, list[float]]


def prepare() -> Work:
    """Train the pipeline, write it in each format into `service/`, and keep what it answers for the rows."""
    import joblib
    import numpy as np
    import skops.io
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    cancer = load_breast_cancer()
    labels = cancer.target_names[cancer.target].astype(str)  # "benign", "malignant": malignant is column 1
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(cancer.data, labels)
    joblib.dump(pipeline, MODELS["sklearn"])
    skops.io.dump(pipeline, MODELS["sklearn"].with_suffix(".skops"))
    MODELS["onnx"].write_bytes(_as_onnx(pipeline))

    block = cancer.data[:ROWS]
    by_sklearn = pipeline.predict_proba(block)[:, 1]
    by_onnx = _predict_onnx(MODELS["onnx"], block.astype(np.float32))
    if float(np.abs(by_sklearn - by_onnx).max()) > 1e-4:
        raise SystemExit("error: skl2onnx changed the model's answers: its file would be another work.")
    return Work(
        [dict(zip(FIELDS, row, strict=True)) for row in block.tolist()],
        {"sklearn": by_sklearn.tolist(), "onnx": by_onnx.tolist()},
    )


def write_bodies(bodies: list[object], path: Path) -> None:
    """Write one JSON document per line, as `post.lua` reads them."""
    path.write_bytes(b"".join(msgspec.json.encode(body) + b"\n" for body in bodies))


def _as_onnx(pipeline: Any) -> bytes:
    """The pipeline as ONNX, with the probabilities as one matrix (`zipmap` would make a dict of each row)."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    inputs = [("X", FloatTensorType([None, len(FIELDS)]))]
    model = to_onnx(pipeline, initial_types=inputs, options={"zipmap": False})
    return bytes(model.SerializeToString())


def _predict_onnx(path: Path, block: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"X": block})[1][:, 1]

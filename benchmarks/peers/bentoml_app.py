"""BentoML with its adaptive batching on; a body is `{"rows": [[30 numbers]]}`, for its batches join lists."""

import os

import bentoml
import joblib
import numpy as np


@bentoml.service(workers=1, traffic={"timeout": 10}, logging={"access": {"enabled": False}})
class Tumour:
    def __init__(self) -> None:
        self.model = joblib.load(os.environ["MODEL"])

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=1000)
    def predict(self, rows: list[list[float]]) -> list[float]:
        return self.model.predict_proba(np.array(rows))[:, 1].tolist()

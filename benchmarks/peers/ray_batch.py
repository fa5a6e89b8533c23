"""Ray Data over the same file: read, predict in one actor, write."""

import sys
import time

import joblib
import numpy as np
import ray


class Model:
    def __init__(self, path: str) -> None:
        self.model = joblib.load(path)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        shares = self.model.predict_proba(np.column_stack(list(batch.values())))
        return {"label": self.model.classes_[shares.argmax(axis=1)], "probability": shares.max(axis=1)}


if __name__ == "__main__":
    model, rows, out = sys.argv[1:]
    ray.init(log_to_driver=False, logging_level="error")
    began = time.perf_counter()
    data = ray.data.read_parquet(rows)
    done = data.map_batches(Model, fn_constructor_args=(model,), batch_size=20_000, batch_format="numpy", concurrency=1)
    done.write_parquet(out)
    print(time.perf_counter() - began)

"""BentoML with its adaptive batching on, told the deadline."""

import os

import bentoml
from steady_model import call

DEADLINE_MS = int(1000 * float(os.environ["DEADLINE_S"]))


@bentoml.service(workers=1, traffic={"timeout": 10}, logging={"access": {"enabled": False}})
class Echoes:
    @bentoml.api(batchable=True, max_batch_size=int(os.environ["MAX_ROWS"]), max_latency_ms=DEADLINE_MS)
    def predict(self, numbers: list[float]) -> list[float]:
        return call(numbers)

"""Ray Serve with a model that takes 5 ms a call: its own HTTP path, its own batches, no access log."""

import asyncio
import signal
import sys
import time

import ray
from ray import serve
from starlette.requests import Request

SLEEP_S, MAX_ROWS, REPLICAS = float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


@serve.deployment(
    num_replicas=REPLICAS,
    max_ongoing_requests=4 * MAX_ROWS,
    ray_actor_options={"num_cpus": 1},
    logging_config={"enable_access_log": False, "log_level": "WARNING"},
)
class Echoes:
    @serve.batch(max_batch_size=MAX_ROWS, batch_wait_timeout_s=0.001)
    async def many(self, numbers: list[float]) -> list[float]:
        await asyncio.to_thread(time.sleep, SLEEP_S)  # so that the next batch is gathered meanwhile
        return numbers

    async def __call__(self, request: Request) -> dict[str, float]:
        asked = await request.json()
        return {"number": await self.many(asked["number"])}


if __name__ == "__main__":
    ray.init("local", num_cpus=REPLICAS + 1, include_dashboard=False, log_to_driver=False, logging_level="error")
    quiet = {"enable_access_log": False, "log_level": "WARNING"}
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])}, logging_config=quiet)
    serve.run(Echoes.bind(), route_prefix="/predict")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # Ray's own way leaves its processes behind
    try:
        while True:
            time.sleep(1)
    finally:
        serve.shutdown()
        ray.shutdown()

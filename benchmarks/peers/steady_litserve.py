"""LitServe with its batching on, and the deadline as the time after which it gives a request up."""

import os

import litserve
from steady_model import call


class Echoes(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["number"]

    def batch(self, numbers):
        return list(numbers)

    def predict(self, numbers):
        return call(numbers)

    def unbatch(self, numbers):
        return numbers

    def encode_response(self, number):
        return {"number": number}


if __name__ == "__main__":
    api = Echoes(max_batch_size=int(os.environ["MAX_ROWS"]), batch_timeout=0.002)
    timeout = float(os.environ["DEADLINE_S"])
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, timeout=timeout)
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning")

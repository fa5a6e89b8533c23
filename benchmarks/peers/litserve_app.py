"""LitServe with its batching on: up to 64 rows, gathered for 2 ms at most."""

import os

import joblib
import litserve
import numpy as np

FIELDS = tuple(f"f{i}" for i in range(30))


class Tumour(litserve.LitAPI):
    def setup(self, device):  # noqa: ARG002  (LitServe's own signature)
        self.model = joblib.load(os.environ["MODEL"])

    def decode_request(self, request):
        return [request[name] for name in FIELDS]

    def batch(self, rows):
        return np.array(rows)

    def predict(self, block):
        return self.model.predict_proba(block)[:, 1]

    def unbatch(self, scores):
        return scores.tolist()

    def encode_response(self, score):
        return {"probability": score}


if __name__ == "__main__":
    api = Tumour(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    port = int(os.environ["PORT"])
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")

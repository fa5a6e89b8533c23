"""Trains model.skops on pictures as clients send them, and records golden requests. Takes two seconds.

python train.py
"""

import io
from pathlib import Path

import numpy as np
import skops.io
from PIL import Image
from service import ReadDigit, Scan
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tenfold
from tenfold.transforms.pictures import decoded

FOLDER = Path(__file__).parent


def main() -> None:
    digits = load_digits()
    bodies = [as_png(pixels) for pixels in digits.images]

    rows = decoded(tenfold.Rows.of({"picture": bodies}, Scan), Scan.form)
    inputs = ReadDigit().preprocess(rows)
    train, test = train_test_split(np.arange(len(bodies)), test_size=0.25, random_state=0, stratify=digits.target)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(
        inputs[train], digits.target[train]
    )
    skops.io.dump(pipeline, FOLDER / "model.skops")

    golden = test[:20]
    tenfold.record(
        ReadDigit,
        [bodies[k] for k in golden],
        model_input=inputs[golden],
        output=pipeline.predict_proba(inputs[golden]),
        media_type="image/png",
    )
    (FOLDER / "digit.png").write_bytes(bodies[golden[0]])
    accuracy = pipeline.score(inputs[test], digits.target[test])
    print(f"model.skops: {accuracy:.1%} of {len(test)} digits that it has not seen; 20 golden requests in golden/")


def as_png(pixels: np.ndarray) -> bytes:
    """The set's 8 x 8 pixels from 0 to 16, as a PNG file."""
    file = io.BytesIO()
    Image.fromarray((pixels * 255 / 16).round().astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()

"""Trains model.skops on what the service itself makes of the rows, and records golden requests. Takes a second.

python train.py
"""

import json
from pathlib import Path

import numpy as np
import skops.io
from service import Tumour, TumourCheck
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tenfold

FOLDER = Path(__file__).parent


def main() -> None:
    cancer = load_breast_cancer(as_frame=True)
    table = cancer.data.assign(sample=[f"B-{number:03d}" for number in range(len(cancer.data))])
    labels = cancer.target_names[cancer.target].astype(str)

    inputs = TumourCheck().preprocess(tenfold.Rows.of(table, Tumour))  # loads no model: there is none yet
    train, test = train_test_split(np.arange(len(table)), test_size=0.25, random_state=0, stratify=labels)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs[train], labels[train])
    skops.io.dump(pipeline, FOLDER / "model.skops")

    golden = test[:20]
    requests = table.iloc[golden].to_dict("records")
    tenfold.record(
        TumourCheck,
        requests,
        model_input=inputs[golden],
        output=pipeline.predict_proba(inputs[golden]),
    )
    (FOLDER / "row.json").write_text(json.dumps(requests[0], indent=1))
    accuracy = pipeline.score(inputs[test], labels[test])
    print(f"model.skops: {accuracy:.1%} of {len(test)} tumours that it has not seen; 20 golden requests in golden/")


if __name__ == "__main__":
    main()

"""The demonstration: a small real model, trained here and now, and what a client sends to see it answer and refuse."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from tenfold.answers import Fit, keep
from tenfold.control.servers import Reply, Server, ask
from tenfold.errors import Conflict, UsageError
from tenfold.parity import record
from tenfold.pipeline import Pipeline
from tenfold.rows import Rows
from tenfold.service import Service, find, spec
from tenfold.validation import block

NAME = "tumour"
GOLDEN = 20
MANY = 64
BAD_ROWS = {7: None, 40: "wide", 41: -1.0}  # of those many: where the mean radius is missing, text, negative

SERVICE = '''\
"""tumour: is a biopsy malignant? Ten questions of a deployment, answered. Yours to read, to change and to break."""

from typing import Annotated, Literal

import numpy as np

from tenfold import (
    Alias, Batching, Capacity, Contract, Deadline, Drift, Ge, Gt, Le, Releases, Scaling, Service,
    clamp, flag, on_invalid, on_missing, rule,
)


class Biopsy(Contract):                                        # 1 what comes in, 2 what is valid, and otherwise
    """One biopsy: means over the cells in its picture, as the laboratory sends them."""

    radius: Annotated[float, Alias("mean radius"), Gt(0), Le(60)]                     # out of range: refused
    texture: Annotated[float, Alias("mean texture"), Ge(0), on_missing(18.84)]        # imputed, and told
    perimeter: Annotated[float, Alias("mean perimeter"), Gt(0)]
    area: Annotated[float, Alias("mean area"), Gt(0)]
    smoothness: Annotated[float, Alias("mean smoothness"), Ge(0), Le(0.3), on_invalid(clamp)]
    concavity: Annotated[float, Alias("mean concavity"), Ge(0), Le(1), on_invalid(flag)]
    symmetry: Annotated[float, Alias("mean symmetry"), Ge(0), Le(1)]

    @rule(on_invalid=flag)
    def no_rounder_than_a_circle(rows):
        """Nothing has a larger area than a circle of the same perimeter."""
        return rows.area <= rows.perimeter**2 / (4 * np.pi)


class Diagnosis(Contract):
    label: Literal["benign", "malignant"]
    probability: Annotated[float, Ge(0), Le(1)]


class Tumour(Service):
    """Is it malignant? Trained on 569 biopsies from Wisconsin."""

    input, output, model = Biopsy, Diagnosis, "model.skops"

    def preprocess(self, rows):                                # 3 the training calls it, too
        return np.log1p(rows.matrix())

    # 4 postprocess: the default, the likeliest class and its probability
    batching = Batching(max_rows=64)                           # 5 what waits goes together; nothing waits for more
    deadline = Deadline("100 ms")                              # 6 what would be late is refused at once
    capacity = Capacity(at_least="500 rows/s")                 # 7 a promise, until it is measured
    scaling = Scaling(min_replicas=1, max_replicas=8)          # 8 processes, at least and at most
    releases = Releases(steps=("1%", "10%", "50%"))            # 9 the traffic of a new release, step by step
    drift = Drift(labels_after="30 days")                      # 10 when the truth about an answer is known
'''


class Trained(NamedTuple):
    """What was trained: on how many rows, in how many seconds, and the lines of service.py (0 if it was there)."""

    rows: int
    seconds: float
    lines: int


class Shown(NamedTuple):
    """One request of the demonstration: what it was, and what came back."""

    what: str
    reply: Reply


def train(folder: Path) -> Trained:
    """Write demo/service.py, unless it is there, train its model, and record golden requests of the training.

    The model gets exactly what serving will give it: the service's own ``preprocess`` of the service's own rows.
    """
    try:
        import skops.io
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    except ImportError as error:
        raise UsageError(f"the demo needs {error.name}", "pip install 'tenfold[sklearn,batch]'") from None
    lines = _write_service(folder)
    started = time.perf_counter()
    service = find(folder)
    table, labels = biopsies()
    inputs = service.preprocess(Rows.of(table, service.input))
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(inputs, labels)
    skops.io.dump(model, folder / "model.skops")
    seconds = time.perf_counter() - started
    requests = [json.dumps(row).encode() for row in rows_of(table)[:GOLDEN]]
    output = {"label": model.predict(inputs[:GOLDEN]), "probability": model.predict_proba(inputs[:GOLDEN]).max(axis=1)}
    record(service, requests, model_input=inputs[:GOLDEN], output=output)
    _prove(service, table, model.predict(inputs))
    return Trained(len(table), seconds, lines)


def _write_service(folder: Path) -> int:
    """Write the folder's service.py. One that is there stays as it is; another folder of the name is left alone."""
    file = folder / "service.py"
    if file.exists():
        return 0
    if folder.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder}/ is there already, and holds no service.py", "run tenfold demo in another folder")
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(SERVICE, "utf-8")
    (folder / ".gitignore").write_text(".tenfold/\n__pycache__/\n", "utf-8")
    return len(SERVICE.splitlines())


def _prove(service: Service, table: Any, labels: Any) -> None:
    """Serve every row, and keep as evidence how many answers are the model's own."""
    answer = Pipeline(service.start()).answer(block.check(service.input.form, table))
    equal = sum(ours == theirs for ours, theirs in zip(answer.outputs["label"], labels[answer.index], strict=True))
    fit = Fit(
        source=f"{len(table)} biopsies",
        rows=len(table),
        refused=len({violation.row for violation in answer.violations}),
        changed=len({change.row for change in answer.changes}),
        flagged=len({flag.row for flag in answer.flags}),
        equal=equal,
    )
    keep(service.folder, spec(service), datetime.now(UTC), fit)


def biopsies() -> tuple[Any, Any]:
    """Breast Cancer Wisconsin (Diagnostic), which scikit-learn brings along: the table, and a label for each row."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    try:
        data = load_breast_cancer(as_frame=True)
    except ImportError:
        raise UsageError("the demo needs pandas", "pip install 'tenfold[sklearn,batch]'") from None
    columns = [
        f"mean {part}" for part in ["radius", "texture", "perimeter", "area", "smoothness", "concavity", "symmetry"]
    ]
    return data.frame[columns], np.where(data.target == 0, "malignant", "benign")


def rows_of(table: Any) -> list[dict[str, float]]:
    """The rows of the table as JSON objects."""
    rows: list[dict[str, float]] = table.to_dict("records")
    return rows


def show(server: Server) -> Iterator[Shown]:
    """Send good rows and bad ones to the running service, and give what each got."""
    url = f"{server.url}/{NAME}/predict"
    rows = rows_of(biopsies()[0])
    good, suspicious = rows[20], rows[13]
    _post(url, good)  # the first request pays for what is made lazily, on both sides
    yield Shown("good row", _post(url, good))
    broken = {**good, "mean radius": "wide", "mean area": -1.0, "mean colour": "red"}
    yield Shown('mean radius = "wide"', _post(url, broken))
    yield Shown("mean texture missing", _post(url, {k: v for k, v in suspicious.items() if k != "mean texture"}))
    yield Shown("mean smoothness = 0.9", _post(url, {**suspicious, "mean smoothness": 0.9}))
    yield Shown("area beyond a circle's", _post(url, {**good, "mean area": 2 * good["mean area"]}))
    many = [{**row, "mean radius": BAD_ROWS[k]} if k in BAD_ROWS else row for k, row in enumerate(rows[:MANY])]
    yield Shown(f"{MANY} rows, {len(BAD_ROWS)} bad", _post(url, many))


def _post(url: str, value: Any) -> Reply:
    return ask(url, json.dumps(value).encode())

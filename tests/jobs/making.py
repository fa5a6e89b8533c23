"""What the tests of jobs share: a service that can be made to fail in every way, and files of rows for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from tenfold.service import find, profiling
from tenfold.validation import block

SERVICE = '''\
import os
import signal
import time
import hashlib
from pathlib import Path
from typing import Annotated, Literal

import numpy as np

from tenfold import (
    Alias, Contract, Deadline, Ge, Key, Le, Private, Service, clamp, fallback, flag, on_invalid, on_missing, quarantine,
    rule,
)

KILLS, HANGS, RAISES, LEAVES, UNLUCKY = 66.0, 77.0, 88.0, 55.0, 44.0
ONCE, SLOW = Path(__file__).parent / "once", Path(__file__).parent / "slow"


class Row(Contract):
    code: Annotated[str, Key()]
    x: Annotated[float, Alias("the x"), Ge(-100), Le(100)]
    y: Annotated[float, on_missing(1.5)]
    z: Annotated[float, Ge(0), on_invalid(clamp)]
    name: Annotated[str, Private()]
    odd: Annotated[int, Ge(0), on_invalid(fallback)]
    far: Annotated[float, Le(10), on_invalid(quarantine)]

    @rule(on_invalid=flag)
    def x_is_less_than_ninety(rows):
        return rows.x < 90


class Out(Contract):
    value: float
    size: Literal["small", "large"]
    together: int


class Doubled(Service):
    """Twice the number, and how many rows it was answered with."""

    input, output = Row, Out
    model = staticmethod(lambda x: 2 * x)
    deadline = Deadline("1 s", otherwise={"value": 0.0, "size": "small", "together": 0})

    def preprocess(self, rows):
        if (rows.x == KILLS).any():
            os.kill(os.getpid(), signal.SIGKILL)
        if (rows.x == LEAVES).any():
            os._exit(3)
        if (rows.x == RAISES).any():
            raise ValueError("this is no number to double")
        if (rows.x == HANGS).any():
            time.sleep(1000)
        if SLOW.exists():
            time.sleep(0.2)
        if (rows.x == UNLUCKY).any() and ONCE.exists():
            ONCE.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return rows.x + rows.y + rows.z

    def postprocess(self, scores):
        return {
            "value": scores,
            "size": np.where(scores < 10, "small", "large").astype(object),
            "together": np.full(len(scores), len(scores)),
        }
'''


def service(folder: Path) -> Path:
    """Write the service folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "service.py").write_text(SERVICE, "utf-8")
    return folder


def trained(folder: Path, n: int = 2000) -> Path:
    """Write beside a service what n good rows are like, as if its model had been trained on them."""
    started = find(folder)
    checked = block.check(started.input.form, rows(n).to_pylist())
    profiling.keep(folder, profiling.of_training(started.input.form, checked.rows, "train.parquet"))
    return folder


def moved(n: int) -> Any:
    """A table of n good rows, of which x is another one than the model was trained on."""
    table = rows(n)
    xs = pa.array([float(k % 5) for k in range(n)])
    return table.set_column(table.column_names.index("the x"), "the x", xs)


def rows(n: int, **changed: dict[int, Any]) -> Any:
    """A table of n good rows, in which some cells are changed: ``x={3: 66.0}``. ``the x`` is called x here."""
    columns: dict[str, list[Any]] = {
        "code": [f"c{k}" for k in range(n)],
        "the x": [float(k % 50) for k in range(n)],
        "y": [0.5] * n,
        "z": np.linspace(0, 1, n).tolist(),
        "name": [f"secret {k}" for k in range(n)],
        "odd": list(range(n)),
        "far": [1.0] * n,
        "note": [f"note {k}" for k in range(n)],
    }
    for column, cells in changed.items():
        for row, value in cells.items():
            columns["the x" if column == "x" else column][row] = value
    return pa.table(columns)


def write(path: Path, table: Any) -> Path:
    """A table as a Parquet file in small row groups."""
    parquet.write_table(table, path, row_group_size=64)
    return path


def read(out: Path) -> list[dict[str, Any]]:
    """All answers of a job."""
    tables = [parquet.read_table(part) for part in sorted(out.glob("part-*.parquet"))]
    answers: list[dict[str, Any]] = pa.concat_tables(tables).to_pylist()
    return answers


def content(out: Path) -> dict[str, bytes]:
    """Every file of a folder, by name."""
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def digests(out: Path) -> dict[str, str]:
    """The digest of every file of a folder, by name."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in content(out).items()}

"""New service folders: made from a trained model, with what was proven about them kept as evidence."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenfold.answers import Fit, keep
from tenfold.scaffold.made import Made
from tenfold.scaffold.making import Progress, make
from tenfold.service import find, spec

__all__ = ["Made", "init"]


def init(
    name: str | Path,
    *,
    model: Any,
    data: Any = None,
    target: str | None = None,
    trust: bool = False,
    golden: int = 20,
    progress: Progress = lambda *_: None,
) -> Made:
    """Write the service folder ``name`` for a trained model, with its ten answers.

    ``model`` is a file (``.skops``, ``.onnx``; ``.joblib`` and ``.pkl`` with ``trust=True``) or a fitted object;
    ``data`` is what it was trained on, as a DataFrame or a CSV or Parquet file, and ``target`` the column that it
    predicts. The contract is inferred from the data, ``golden`` of its rows are recorded as requests, and every row is
    served and compared with the model's own prediction: a difference raises ``GateFailed``.
    """
    made = make(Path(name), model=model, data=data, target=target, trusted=trust, golden=golden, progress=progress)
    if made.proof:
        source = Path(data).name if isinstance(data, str | Path) else "the table"
        fit = Fit(source=source, rows=made.proof.rows, equal=made.proof.rows, largest=made.proof.largest)
        keep(made.folder, spec(find(made.folder)), datetime.now(UTC), fit)
    return made

"""Golden records taken anew after a retraining, and the reference data that ``impute`` takes medians and modes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenfold.contract.form import leaves
from tenfold.drift.profile import Profile
from tenfold.errors import UsageError
from tenfold.parity import Report, golden, renew
from tenfold.pipeline import Pipeline
from tenfold.rows import Rows
from tenfold.scaffold.tables import read_table
from tenfold.service import Service, find, profiling, reference
from tenfold.service.reference import Reference
from tenfold.validation import block

__all__ = ["Recorded", "Reference", "Report", "record"]

ROWS_AT_ONCE = 1024


class Recorded(NamedTuple):
    """How the answers differ from those recorded before, and what was measured; None where there was nothing to do."""

    before: Report | None
    reference: Reference | None
    profile: Profile | None = None
    remarks: Sequence[str] = ()


def record(target: str, data: Path | None = None, unseen: Path | None = None, label: str | None = None) -> Recorded:
    """Take over the answers of the service as it is now.

    With ``data``, the table that its model was trained on, the reference is measured first and kept in the service's
    folder. That needs no model, nor golden records. With ``unseen``, a table of rows that it was not trained on, live rows
    and answers will be compared with these, and with how good the answers are where the column ``label`` has the truth.
    """
    service = find(target)
    if data is None and unseen is None:
        return Recorded(renew(service), None)
    known = None
    found = profiling.Profiled(None, ())
    if data is not None:
        table = read_table(data, _texts(service))
        known = reference.measure(type(service).input, table, data.name)
        service.refer(known)
        rows = block.check(service.input.form, _of_contract(service, table)).rows
        found = profiling.of_training(service.input.form, rows, data.name, service.drift.segments)
    if unseen is not None:
        found = _unseen(service, unseen, label)
    before = renew(service) if data is not None and golden.exists(service.folder) else None
    if known is not None:
        reference.write(service.folder, known)
    remarks = (*found.remarks, *profiling.lost(service.folder, found))
    profiling.keep(service.folder, found)
    return Recorded(before, known, found.profile, remarks)


def _unseen(service: Service, file: Path, label: str | None) -> profiling.Profiled:
    """The profile of rows that the model has not seen, and of its answers to them."""
    table = read_table(file, _texts(service))
    if label is not None and label not in table:
        raise UsageError(
            f"{file.name} has no column {label!r}", f"its columns are {', '.join(map(str, table.columns))}"
        )
    checked = block.check(service.input.form, _of_contract(service, table))
    pipeline = Pipeline(service.start())
    answers, index = [], []
    for at in range(0, len(checked.rows), ROWS_AT_ONCE):
        some = np.arange(at, min(at + ROWS_AT_ONCE, len(checked.rows)))
        answer = pipeline.run(checked.rows.take(some), some)
        answers.append(answer.outputs)
        index.append(answer.index)
    answered = np.concatenate([np.zeros(0, dtype=np.intp), *index])
    if not len(answered):
        raise UsageError(f"no row of {file.name} gets an answer", "tenfold predict SERVICE FILE says why")
    truth = (
        [None] * len(table) if label is None else table[label].astype(object).where(table[label].notna(), None).tolist()
    )
    labels = [truth[row] for row in checked.index[answered].tolist()]
    forms = service.input.form, service.output.form
    rows, said = checked.rows.take(answered), Rows.concatenate(answers)
    return profiling.of_unseen(forms, rows, said, labels, file.name, service.drift.segments)


def _of_contract(service: Service, table: Any) -> Any:
    """The columns of a table that the contract has, as it may have others: the label, say."""
    known = {wire.partition(".")[0] for _, wire, _, _ in leaves(service.input.form.fields)}
    known |= {name.partition(".")[0] for name, _, _, _ in leaves(service.input.form.fields)}
    return table[[name for name in table.columns if name in known]]


def _texts(service: Service) -> list[str]:
    """The columns that hold text, even where a CSV file makes them look like numbers."""
    fields = leaves(type(service).input.form.fields)
    return [
        wire
        for _, wire, _, field in fields
        if field.kind == "text" or any(isinstance(c, str) for c in field.categories)
    ]

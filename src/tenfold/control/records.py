"""Golden records taken anew after a retraining, and the reference data that ``impute`` takes medians and modes from."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from tenfold.contract.form import leaves
from tenfold.parity import Report, golden, renew
from tenfold.scaffold.tables import read_table
from tenfold.service import Service, find, reference
from tenfold.service.reference import Reference

__all__ = ["Recorded", "Reference", "Report", "record"]


class Recorded(NamedTuple):
    """How the answers differ from those recorded before, and what was measured; None where there was nothing to do."""

    before: Report | None
    reference: Reference | None


def record(target: str, data: Path | None = None) -> Recorded:
    """Take over the answers of the service as it is now.

    With ``data``, the table that its model was trained on, the reference is measured first and kept in the service's
    folder. That needs no model, nor golden records.
    """
    service = find(target)
    if data is None:
        return Recorded(renew(service), None)
    known = reference.measure(type(service).input, read_table(data, _texts(service)), data.name)
    service.refer(known)
    before = renew(service) if golden.exists(service.folder) else None
    if known is not None:
        reference.write(service.folder, known)
    return Recorded(before, known)


def _texts(service: Service) -> list[str]:
    """The columns that hold text, even where a CSV file makes them look like numbers."""
    fields = leaves(type(service).input.form.fields)
    return [
        wire
        for _, wire, _, field in fields
        if field.kind == "text" or any(isinstance(c, str) for c in field.categories)
    ]

"""The whole path of a request in one process: body, decoder, packed batch, pipeline, without a socket in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.form import Field, Form, leaves
from tenfold.contract.reading import written
from tenfold.pipeline import Failure, Pipeline, log
from tenfold.rows import Answer, Checked, Rows
from tenfold.server.blocks import read_rows
from tenfold.server.frames import Joiner
from tenfold.service import Service
from tenfold.validation.packing import Parts
from tenfold.validation.scalar import Decoder, Outcomes


class Served:
    """A started service, asked in JSON."""

    def __init__(self, service: Service, report: Callable[[Failure], None] = log) -> None:
        """``report`` is told what the service's own code raised."""
        self.pipeline = Pipeline(service, report=report)
        self._decoder = Decoder(self.pipeline.form)
        self._joiner = Joiner(self.pipeline.layout)

    def check(self, body: bytes) -> Checked:
        """What the front makes of a JSON body, an array or one row: typed rows, and every reason for those refused."""
        return self._checked(self._decoder.many(body)) if is_array(body) else self.check_one(body)

    def check_one(self, body: bytes) -> Checked:
        """What the front makes of a body that is to be one row."""
        return self._checked(self._decoder.one_slow(body))

    def check_picture(self, body: bytes) -> Checked:
        """What the front makes of an encoded picture."""
        return self._checked(self._decoder.picture(body))

    def answer(self, checked: Checked) -> Answer:
        """What the replica makes of it."""
        return self.pipeline.answer(checked)

    def _checked(self, outcomes: Outcomes) -> Checked:
        parts = list(outcomes.parts)
        return Checked(
            rows=self._rows(parts),
            index=np.array(outcomes.index, dtype=np.intp),
            total=outcomes.total,
            violations=outcomes.violations,
            changes=outcomes.changes,
            flags=outcomes.flags,
            put_aside=outcomes.put_aside,
            fallbacks=outcomes.fallbacks,
        )

    def _rows(self, parts: list[Parts]) -> Rows:
        if not parts:
            return self.pipeline.service.input.read([])
        return read_rows(self.pipeline.layout, len(parts), self._joiner.join(parts))


def is_array(body: bytes) -> bool:
    """Whether a JSON body is an array, and so holds many rows."""
    return body.lstrip(b" \t\r\n")[:1] == b"["


def requests_of(form: Form, rows: Rows) -> list[bytes]:
    """Each row as the JSON object that a client would send; a missing value is left out."""
    columns = [(field, _values(rows, name, field), rows.missing(name)) for name, _, _, field in leaves(form.fields)]
    return [
        msgspec.json.encode(
            {field.wire: values[row] for field, values, missing in columns if not _absent(values[row], missing[row])}
        )
        for row in range(len(rows))
    ]


def _absent(value: Any, missing: Any) -> bool:
    return value is None or bool(missing)


def _values(rows: Rows, name: str, field: Field) -> list[Any]:
    """A column as JSON has it."""
    column = rows[name]
    if field.kind in ("datetime", "date"):
        gaps = rows.missing(name)
        return [
            None if gap else written(field, stored)
            for stored, gap in zip(column.astype(np.int64).tolist(), gaps, strict=True)
        ]
    values: list[Any] = [value.tolist() if isinstance(value, np.ndarray) else value for value in column.tolist()]
    return values

"""Rows that got no answer, for a person to look at: where they stood, why, and what they were.

A line of JSON each: ``{"file", "row", "line", "reasons": [{"pointer", "code", "detail"}], "data"}``. ``row`` counts from 0
within the file, ``line`` from 1 and only in files that have lines. ``data`` are the columns of the row, or its text
where it has none; values of Private fields are left out, and so is a text that may hold some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form
from tenfold.errors import Violation
from tenfold.formats.batches import Content


class Quarantine:
    """Writes the rows of one contract."""

    def __init__(self, form: Form) -> None:
        self._fields = form.fields
        self._has_private = _has_private(form.fields)

    def lines(
        self, content: Content, reasons: Mapping[int, Sequence[Violation]], file: str, row: int, line: int
    ) -> bytes:
        """The lines of some rows of a shard, whose first row and line are ``row`` and ``line`` of the file."""
        places = sorted(reasons)
        return b"".join(
            self._line(file, row + place, content.line(place), line, reasons[place], raw)
            for place, raw in zip(places, content.raw(places), strict=True)
        )

    def _line(
        self, file: str, row: int, at: int | None, line: int, why: Sequence[Violation], raw: dict[str, Any] | str
    ) -> bytes:
        document: dict[str, Any] = {"file": file, "row": row}
        if at is not None:
            document["line"] = line + at + 1
        document["reasons"] = [{"pointer": v.pointer, "code": v.code, "detail": v.detail} for v in why]
        document["data"] = self._told(raw)
        return msgspec.json.encode(document, enc_hook=str) + b"\n"

    def _told(self, raw: dict[str, Any] | str) -> dict[str, Any] | str | None:
        if not self._has_private:
            return raw
        return None if isinstance(raw, str) else _without_private(raw, self._fields, "")


def _has_private(fields: Sequence[Field]) -> bool:
    return any(field.private or _has_private(field.fields) for field in fields)


def _without_private(row: Mapping[str, Any], fields: Sequence[Field], prefix: str) -> dict[str, Any]:
    """A row without what is private, whether nested contracts are nested in it or taken apart (``address.city``)."""
    kept = dict(row)
    for field in fields:
        name = f"{prefix}{field.wire}"
        if field.private:
            kept = {key: value for key, value in kept.items() if key != name and not key.startswith(f"{name}.")}
        elif field.fields:
            nested = kept.get(name)
            if isinstance(nested, msgspec.Raw):
                nested = msgspec.json.decode(nested)
            if isinstance(nested, dict):
                kept[name] = _without_private(nested, field.fields, "")
            elif nested is not None:
                del kept[name]
            kept = _without_private(kept, field.fields, f"{name}.")
    return kept

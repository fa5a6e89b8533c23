"""Rows that were put aside, with their reasons, for a person to look at: append-only files of JSON lines, one a day.

Each line is ``{"time", "id", "release", "row", "reasons": [{"pointer", "code", "detail"}], "data"}``, where ``data`` has the
values of the row as they were sent, without those of Private fields and of fields that the contract does not know.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from tenfold.contract.form import Field, Form
from tenfold.errors import Violation

FOLDER = Path(".tenfold", "dead-letters")


class DeadLetters:
    """The dead letters of one service, whose folder is ``home``. Several processes may write at once."""

    def __init__(self, home: Path, form: Form) -> None:
        self._folder = home / FOLDER
        self._form = form

    def write(
        self, now: datetime, request_id: str, release: str, body: bytes, put_aside: Mapping[int, Sequence[Violation]]
    ) -> None:
        """Keep the rows of a request that ``put_aside`` names. A disk that refuses is logged: the row is refused anyway."""
        rows = rows_of(body, put_aside)
        lines = b"".join(
            msgspec.json.encode(
                {
                    "time": now,
                    "id": request_id,
                    "release": release,
                    "row": row,
                    "reasons": [{"pointer": v.pointer, "code": v.code, "detail": v.detail} for v in reasons],
                    "data": self._picture(body) if rows is None else self._kept(self._form.fields, rows[row]),
                }
            )
            + b"\n"
            for row, reasons in put_aside.items()
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _append(self._folder / f"{now:%Y-%m-%d}.ndjson", lines)
        except OSError as error:
            logging.getLogger("tenfold").error("%d dead letters of %s are lost: %s", len(put_aside), request_id, error)

    def _kept(self, fields: Sequence[Field], raw: msgspec.Raw) -> dict[str, Any] | None:
        """The values that may be kept, as they were sent; None for what is not an object."""
        try:
            sent = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return {
            field.wire: self._kept(field.fields, sent[field.wire]) if field.fields else sent[field.wire]
            for field in fields
            if field.wire in sent and not field.private
        }

    def _picture(self, body: bytes) -> dict[str, bytes]:
        """A request that was a picture, as base64."""
        return {field.wire: body for field in self._form.fields if field.kind == "image" and not field.private}


def rows_of(body: bytes, wanted: Iterable[int]) -> list[msgspec.Raw] | None:
    """The rows of a body, one or many, as they were sent: of JSON, or of NDJSON, some of whose lines may be none. None where
    the body is neither: a picture may have lines, too, but the ``wanted`` ones are no objects."""
    with suppress(msgspec.MsgspecError, RecursionError):
        return msgspec.json.decode(body, type=list[msgspec.Raw])
    with suppress(msgspec.MsgspecError, RecursionError):
        return [msgspec.json.decode(body, type=msgspec.Raw)]
    lines = [msgspec.Raw(line) for line in body.split(b"\n") if line and not line.isspace()]
    return lines if all(row < len(lines) and _is_object(lines[row]) for row in wanted) else None


def _is_object(line: msgspec.Raw) -> bool:
    try:
        msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _append(path: Path, lines: bytes) -> None:
    """One write to a file opened for appending: lines of several processes do not mix."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        written = os.write(handle, lines)
        if written < len(lines):  # the disk is full: no half line stays
            os.ftruncate(handle, os.fstat(handle).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)

"""Labels that come later: joined to what was predicted, by the id of the prediction or by the service's Key.

The journal says what was predicted. A label may come many times, corrected or in parts; for a prediction that the journal
does not have it is unknown, and said to be. In one request either every label can be read, or none is kept.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tenfold.contract.form import Field, leaves
from tenfold.control import labelfiles
from tenfold.control.labelfiles import Label
from tenfold.drift.live import watched
from tenfold.drift.truth import label_field
from tenfold.errors import Violation, status_of
from tenfold.journal.reader import EVER, Journal, Predictions
from tenfold.server.blocks import read_rows, write_rows
from tenfold.server.outputs import Outputs
from tenfold.server.responses import JSON, PROBLEM, problem_document
from tenfold.spec import Spec

WAIT_S = 0.4  # for the journal, which is written a few times a second
EARLY_US, LATE_US = 5_000_000, 300_000_000  # around the time in an id, within which it was answered
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # no JSON, or nested without end
APART_US = 600_000_000  # times that are nearer than this are looked up together

Answered = tuple[bytes, str, int]  # the body, its media type, the status


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A label as it comes: whose it is, and what is true, by field; or the one value that a table has for it."""

    label: Any
    id: str | None = None
    key: str | int | None = None


_decode = msgspec.json.Decoder(Item).decode


class Joined(NamedTuple):
    """Labels with what was predicted, and for how many of them nothing was."""

    labels: list[Label]
    accepted: int
    unknown: int


def take(about: Mapping[str, Any], body: bytes, wait_s: float = WAIT_S) -> Answered:
    """The answer to labels for the service that the supervisor tells ``about``, which are kept: 202 with how many were
    ``accepted`` and how many ``unknown``, or a problem."""
    spec = msgspec.convert(about["service"], Spec)
    items = _read(body)
    if items is None:
        detail = 'a body is {"id" or "key", "label": {…}}, an array of these, or one in each line'
        return problem_document("malformed", detail), PROBLEM, status_of("malformed")
    items = [*_spelled_out(spec, items)]
    if violations := [*_violations(spec, items)]:
        said = f"{len({v.row for v in violations}):,} of {len(items):,} labels cannot be read, and none was kept"
        code = violations[0].code
        return problem_document(code, said, violations), PROBLEM, status_of(code)
    joined = join(Path(about["home"]), spec, items, wait_s)
    labelfiles.append(Path(about["home"]), joined.labels)
    return msgspec.json.encode({"accepted": joined.accepted, "unknown": joined.unknown}), JSON, 202


def _read(body: bytes) -> list[Item] | None:
    """One label, an array of them, or one in each line; None where it is none of these."""
    with contextlib.suppress(*UNREADABLE):
        return msgspec.json.decode(body, type=list[Item])
    try:
        lines = [body] if body.lstrip()[:1] == b"[" else body.splitlines()
        return [_decode(line) for line in lines if line.strip()] or None
    except UNREADABLE:
        pass
    try:
        return [_decode(body)]  # over several lines
    except UNREADABLE:
        return None


# -- what may be said -----------------------------------------------------------------------------------------


def _spelled_out(spec: Spec, items: Sequence[Item]) -> Iterator[Item]:
    """The items, with a value alone as that of the field that labels are for, in that field's type."""
    name = label_field(watched(spec.input, spec.output))
    field = next((field for _, wire, _, field in leaves(spec.output.fields) if wire == name), None)
    for item in items:
        if isinstance(item.label, dict | list) or field is None or name is None:
            yield item
        else:
            yield msgspec.structs.replace(item, label={name: _typed(field, item.label)})


def _typed(field: Field, value: Any) -> Any:
    """A value as a table spells it, in the type of a field where it is of that; else as it came."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    match field.kind:
        case "category":
            return next((one for one in field.categories if str(one).lower() == text.lower()), value)
        case "bool":
            return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), value)
        case "float" | "int":
            with contextlib.suppress(ValueError):
                return float(text.lower().replace("true", "1").replace("false", "0"))
    return value


def _violations(spec: Spec, items: Sequence[Item]) -> Iterator[Violation]:
    fields = {wire: field for _, wire, _, field in leaves(spec.output.fields)}
    for row, item in enumerate(items):
        if (item.id is None) == (item.key is None):
            yield Violation(row, "", "missing", "a label belongs to an id or to a key, and to one of them alone")
        elif item.key is not None and spec.input.key is None:
            yield Violation(row, "/key", "unknown_field", f"no field of {spec.input.name} is a Key: labels go by id")
        if not isinstance(item.label, dict) or not item.label:
            yield Violation(row, "/label", "missing", "a label says what is true of at least one field")
            continue
        for name, value in item.label.items():
            if name not in fields:
                known = ", ".join(fields)
                yield Violation(row, f"/label/{name}", "unknown_field", f"{spec.output.name} has the fields {known}")
            elif fault := _fault(fields[name], value):
                yield Violation(row, f"/label/{name}", *fault)


def _fault(field: Field, value: Any) -> tuple[str, str] | None:
    """Why a value cannot be true of a field: a code and its detail."""
    match field.kind:
        case "category" if value not in field.categories or isinstance(value, bool):
            return "unseen", f"it is one of {', '.join(map(str, field.categories[:20]))}"
        case "bool" if not isinstance(value, bool):
            return "wrong_type", "it is true or false"
        case "float" | "int" if isinstance(value, bool) or not isinstance(value, int | float):
            return "wrong_type", "it is a number"
        case "text" | "date" | "datetime" if not isinstance(value, str):
            return "wrong_type", "it is text"
    return None if _is_within(field, value) else ("out_of_range", "it is outside what the output contract allows")


def _is_within(field: Field, value: Any) -> bool:
    """Whether a number is finite and between the bounds of its field."""
    if field.kind not in ("float", "int"):
        return True
    tests = ((field.ge, ge), (field.gt, gt), (field.le, le), (field.lt, lt))
    return -inf < value < inf and all(bound is None or test(value, bound) for bound, test in tests)


# -- what was predicted ---------------------------------------------------------------------------------------


def join(home: Path, spec: Spec, items: Sequence[Item], wait_s: float = 0.0) -> Joined:
    """Look up what was predicted. What was answered this moment may not be in the journal yet, for which this waits once."""
    found = _find(home, spec, items)
    if wait_s and any(_name(item) not in found for item in items):
        time.sleep(wait_s)
        found = found | _find(home, spec, [item for item in items if _name(item) not in found])
    labels = [
        msgspec.structs.replace(prediction, true=item.label)
        for item in items
        for prediction in found.get(_name(item), ())
    ]
    known = sum(_name(item) in found for item in items)
    return Joined(labels, known, len(items) - known)


def _name(item: Item) -> str:
    """What an item is found by."""
    return f"id {item.id}" if item.id is not None else f"key {item.key}"


def _find(home: Path, spec: Spec, items: Sequence[Item]) -> dict[str, list[Label]]:
    """What was predicted, by the names of the items that it belongs to."""
    journal = Journal(home, read_rows)
    wanted = {_name(item) for item in items}
    ids, keys = [item.id for item in items if item.id is not None], any(item.key is not None for item in items)
    found: dict[str, list[Label]] = {}
    encoders: dict[Any, Outputs] = {}
    for since_us, until_us in [EVER] if keys else _spans(ids):
        for some in journal.read(since_us, until_us):
            if some.header.service == spec.name:
                _match(some, wanted, ids, encoders, found)
    return found


def _spans(ids: Iterable[str]) -> list[tuple[int, int]]:
    """The times, in microseconds since 1970, within which requests with these ids were answered: ids begin with theirs."""
    times = sorted({moment for name in ids if (moment := _moment_us(name)) is not None})
    spans: list[tuple[int, int]] = []
    for moment in times:
        if spans and moment - EARLY_US <= spans[-1][1] + APART_US:
            spans[-1] = spans[-1][0], moment + LATE_US
        else:
            spans.append((moment - EARLY_US, moment + LATE_US))
    return spans


def _moment_us(name: str) -> int | None:
    """The time in a UUID of version 7; None where it is none."""
    text = name.partition("/")[0].replace("-", "")
    try:
        return int(text[:12], 16) * 1000 if len(text) == 32 else None
    except ValueError:
        return None


def _match(
    some: Predictions,
    wanted: set[str],
    ids: Sequence[str],
    encoders: dict[Any, Outputs],
    found: dict[str, list[Label]],
) -> None:
    """Add those of some predictions that are wanted."""
    names = [f"id {name}" for name in some.ids] if ids else [""] * some.size
    keys = ["" for _ in names] if some.keys is None else [f"key {key}" for key in some.keys.tolist()]
    rows = [k for k, pair in enumerate(zip(names, keys, strict=True)) if not wanted.isdisjoint(pair)]
    if not rows:
        return
    import numpy as np

    chosen = some.take(np.array(rows))
    table = some.header.output
    encode = encoders.setdefault(table, Outputs(table.form)) if table.columns else None
    parts = [memoryview(part) for part in write_rows(chosen.outputs)] if encode else []
    said = encode.encode(chosen.size, parts) if encode else [b"{}"] * chosen.size
    for k, name, at, text in zip(rows, chosen.ids, chosen.times.astype("int64").tolist(), said, strict=True):
        label = Label(name, at / 1e6, some.header.release, msgspec.json.decode(text), {})
        for one in (names[k], keys[k]):
            if one in wanted:
                found.setdefault(one, []).append(label)

"""``reference.json``: the median and the mode of each field in the data that the model was trained on.

    {
      "rows": 891,
      "source": "train.parquet",
      "fields": {
        "age": {"median": 28.0, "mode": 24.0},
        "port": {"mode": "S"}
      }
    }

``impute("median")`` and ``impute("mode")`` take their values from it, so that it is part of the contract: another value is
another contract. Names are those on the wire, dotted within nested contracts. Nothing of a Private field stands in it, nor
of text, unless the contract asks for its mode.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold.contract import Contract
from tenfold.contract.form import Action, Field, Form, leaves
from tenfold.contract.reading import written
from tenfold.errors import ContractError, InvalidInput, ServiceError
from tenfold.rows import Array, Rows
from tenfold.service.manifest import REFERENCE as FILE
from tenfold.validation import block
from tenfold.validation.actions import asked, resolve

FLAG = Action("flag")
ORDERED = ("float", "int", "datetime", "date")
MEASURED = (*ORDERED, "bool", "category")


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What the training data says of each field. ``rows`` and ``source`` say which data that was."""

    rows: int
    source: str
    fields: dict[str, dict[str, float | int | bool | str]]


def read(folder: Path) -> Reference | None:
    """The reference of a service's folder; None where it has none. Raises ``ServiceError``."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Reference)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        mend = "restore it from git; or remove it, and tenfold record SERVICE --data FILE writes it anew"
        raise ServiceError(f"{folder / FILE} cannot be read: {error}", mend) from None


def write(folder: Path, reference: Reference) -> None:
    """Put a reference into a service's folder, a line for each field, so that a diff shows which of them changed."""
    head = f'  "rows": {reference.rows},\n  "source": {_json(reference.source)},'
    lines = ",\n".join(f"    {_json(name)}: {_json(values)}" for name, values in reference.fields.items())
    (folder / FILE).write_text(f'{{\n{head}\n  "fields": {{\n{lines}\n  }}\n}}\n', "utf-8")


def resolved(contract: type[Contract], reference: Reference) -> type[Contract]:
    """The contract with values in place of "median" and "mode"; the very same where it asks for none."""
    form = resolve(contract.form, reference.fields)
    if form == contract.form:
        return contract
    served: Any = type(contract.__name__, (contract,), {"__doc__": contract.__doc__, "__module__": contract.__module__})
    served.form = form
    known: type[Contract] = served
    return known


def measure(contract: type[Contract], data: Any, source: str = "the table") -> Reference | None:
    """The reference of a table, which is whatever ``Rows.of`` takes; None where no field has a median or a mode.

    Values that break their field do not count. Raises ``InvalidInput`` for those of another type, and ``ContractError``
    where there is no value for a median or a mode that the contract asks for.
    """
    wanted = dict(asked(contract.form))
    fields = tuple(_measured(contract.form.fields, "", wanted))
    form = msgspec.structs.replace(contract.form, fields=fields, rules=())
    reference = _measure(form, data, source) if fields else None
    for name, statistic in wanted.items():
        if reference is None or name not in reference.fields:
            raise ContractError(
                f'{contract.form.name}: {name} has impute("{statistic}"), and {source} gives none',
                "write the value itself: Private fields are never measured, and others need a valid value in the table",
            )
    return reference


def _measure(form: Form, data: Any, source: str) -> Reference:
    checked = block.check(form, data)
    if checked.violations:
        raise InvalidInput(checked.violations)
    broken: dict[str | None, list[int]] = defaultdict(list)
    for flag in checked.flags:
        broken[flag.pointer].append(flag.row)
    columns = [
        (wire, field, _values(checked.rows, name, broken[pointer]))
        for name, wire, pointer, field in leaves(form.fields)
    ]
    found = {wire: _statistics(field, values) for wire, field, values in columns if len(values)}
    return Reference(rows=checked.total, source=source, fields=found)


def _measured(fields: Iterable[Field], prefix: str, wanted: dict[str, str]) -> Iterator[Field]:
    """The fields that are measured, each such that the values which break it can be told from the others."""
    for field in fields:
        name = prefix + field.wire
        if field.private or field.key:
            continue
        if field.kind == "object":
            inner = tuple(_measured(field.fields, f"{name}.", wanted))
            if inner:
                yield msgspec.structs.replace(field, fields=inner, nullable=True)
        elif field.kind in MEASURED or name in wanted:
            yield msgspec.structs.replace(field, nullable=True, on_invalid=FLAG, on_missing=None, on_unseen=None)


def _values(rows: Rows, name: str, broken: list[int]) -> Array:
    """The values of a column that are there and hold what their field says; dates as numbers."""
    present = ~rows.missing(name)
    present[broken] = False
    values = rows[name][present]
    return values.astype(np.int64) if values.dtype.kind == "M" else values


def _statistics(field: Field, values: Array) -> dict[str, Any]:
    """Median and mode, or the mode alone of what has no order. Of several modes it is the least."""
    different, counts = np.unique(values, return_counts=True)
    mode = written(field, different.tolist()[counts.argmax()])
    return {"median": written(field, _median(field, values)), "mode": mode} if field.kind in ORDERED else {"mode": mode}


def _median(field: Field, values: Array) -> Any:
    """The value in the middle. Between two, floats take what lies between them, and everything else the lower one: there
    need be no integer and no day in between."""
    if field.kind == "float" and field.multiple_of is None:
        return float(np.median(values))
    middle = (len(values) - 1) // 2
    return np.partition(values, middle)[middle].item()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)

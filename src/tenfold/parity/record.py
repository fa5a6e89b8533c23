"""Records golden requests: what training fed the model for them, and what the service makes of them at every stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.schema import example
from tenfold.errors import GateFailed, ServiceError
from tenfold.parity import golden
from tenfold.parity.compare import compare
from tenfold.parity.golden import BEFORE_MODEL, STAGES, Golden, Kept, Note, Record
from tenfold.parity.observe import JSON, Seen, observe, parse, refused, versions, without_private
from tenfold.parity.replay import held, report
from tenfold.parity.report import Report
from tenfold.parity.values import Unrecordable, canonical, take
from tenfold.service import Service, reference, spec, started

SHAPES = "predict_proba's matrix, labels, values, or columns of the output contract, a row for each request"


def record(
    service: Service | type[Service] | str | Path,
    requests: Iterable[bytes | str | Mapping[str, Any]],
    *,
    model_input: Any = None,
    output: Any = None,
    data: Any = None,
    media_type: str = JSON,
    folder: Path | None = None,
    clock: Callable[[], float] = time.time,
) -> Report:
    """Record requests in ``golden/`` of the service's folder, and say whether serving equals what training gave.

    ``requests`` are bodies as clients send them, or mappings that are sent as JSON. ``model_input`` is what training
    fed the model for them, and ``output`` what it answered: scores, labels, or columns of the output contract. With
    neither, the service is only recorded as it is (provenance ``self``).

    ``data`` is the table that the model was trained on, as ``Rows.of`` takes it: its medians and modes are written to
    ``reference.json``, where ``impute("median")`` and ``impute("mode")`` find them.

    Raises ``InvalidInput`` where the contract refuses a request, ``ContractError`` where the table gives no value for a
    median or mode, ``ServiceError`` where a stage raises.
    """
    service = started(service, folder)
    known = None if data is None else reference.measure(type(service).input, data)
    service.refer(known)
    bodies = [_encoded(request) for request in requests]
    if not bodies:
        raise ServiceError("there is no request to record", "give at least one; 20 are a good number")
    media_types = [media_type] * len(bodies)
    kept = without_private(service.input.form, bodies, media_types, example(service.input.form))
    seen = _observed(service, kept, media_types)
    given = _given(service, seen, model_input, output)
    if kept != bodies:
        given = _without_private_traces(seen, _observed(service, bodies, media_types), given)
    recorded, stages = _compose(service, seen, media_types, given, clock())
    if known is not None:
        reference.write(service.folder, known)
    golden.write(service.folder, recorded, kept, stages)
    return report(service, recorded, stages, seen)


def renew(service: Service | type[Service] | str | Path, *, clock: Callable[[], float] = time.time) -> Report:
    """Take over the answers of a new model to the golden requests, and say how they moved.

    What training fed the model stays, since a retraining does not change ``preprocess``. Requests that the contract
    refuses by now are left out, and values of fields that are Private by now replaced. Raises ``GateFailed``, and
    leaves the records as they are, where what training fed the model is no longer what serving feeds it.
    """
    service = started(service)
    kept, reasons = _accepted(service, golden.read(service.folder))
    before = replace(held(service, kept), refused=reasons)
    diverged = before.diverged
    if diverged is not None and diverged.name in BEFORE_MODEL and diverged.provenance == "training":
        raise GateFailed(
            f"{diverged.name} is not what training fed the model: {diverged.detail}",
            "mend it; or, if training changed too, call tenfold.record(…, model_input=…) in the training script",
        )
    media_types = [record.media_type for record in kept.golden.records]
    bodies = without_private(service.input.form, kept.bodies, media_types, example(service.input.form))
    seen = _observed(service, bodies, media_types)
    trained: Given = {
        name: (note, kept.stages[name])
        for name, note in kept.golden.stages.items()
        if name in BEFORE_MODEL and note.provenance == "training"
    }
    if bodies != kept.bodies:
        trained = _without_private_traces(seen, _observed(service, kept.bodies, media_types), trained)
    recorded, stages = _compose(service, seen, media_types, trained, clock())
    golden.write(service.folder, recorded, bodies, stages)
    return before


def _accepted(service: Service, kept: Kept) -> tuple[Kept, tuple[str, ...]]:
    """The records without the requests that the contract refuses by now, and the reasons for these."""
    records = kept.golden.records
    reasons = refused(service, kept.bodies, [record.media_type for record in records])
    if not reasons:
        return kept, ()
    if len(reasons) == len(records):
        raise GateFailed(
            f"the contract refuses every golden request: {next(iter(reasons.values()))}",
            "allow them again; or remove golden/, and call tenfold.record(…) with requests that it accepts",
        )
    sizes = [
        len(parse(service.input.form, body, record.media_type))
        for body, record in zip(kept.bodies, records, strict=True)
    ]
    rows = [row for row, number in enumerate(np.repeat(np.arange(len(sizes)), sizes)) if number not in reasons]
    chosen = [number for number in range(len(records)) if number not in reasons]
    golden_left = msgspec.structs.replace(
        kept.golden, rows=len(rows), records=tuple(records[number] for number in chosen)
    )
    stages = {name: take(value, rows, kept.golden.rows) for name, value in kept.stages.items()}
    return Kept(golden_left, [kept.bodies[number] for number in chosen], stages), tuple(reasons.values())


def _encoded(request: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(request, bytes | bytearray):
        return bytes(request)
    return request.encode() if isinstance(request, str) else msgspec.json.encode(request)


def _observed(service: Service, bodies: Sequence[bytes], media_types: Sequence[str]) -> Seen:
    seen = observe(service, bodies, media_types)
    if seen.failed is not None:
        stage, error = seen.failed
        raise ServiceError(f"{stage} raised {type(error).__name__}: {error}", "records need answers") from error
    return seen


Given = dict[str, tuple[Note, Any]]


def _given(service: Service, seen: Seen, model_input: Any, output: Any) -> Given:
    """The stages that the training code speaks about, with their values."""
    given: Given = {}
    if model_input is not None:
        try:
            given["preprocess"] = (Note("training"), canonical(model_input))
        except Unrecordable as error:
            given["preprocess"] = (Note("", f"model_input cannot be kept: {error}"), None)
    if output is not None:
        stage, note, value = _stage_of(service, seen, canonical(output))
        given[stage] = (note, value)
    return given


def _stage_of(service: Service, seen: Seen, output: Any) -> tuple[str, Note, Any]:
    """The stage whose value training's ``output`` is: columns of the contract, scores, or the labels of scores."""
    if isinstance(output, dict):
        by_name = service.output.layout.by_name
        unknown = [name for name in output if name not in by_name]
        if unknown:
            raise ServiceError(f"output has {unknown[0]!r}, which {service.output.form.name} has not", f"give {SHAPES}")
        return "postprocess", Note("training"), {by_name[name].wire: column for name, column in output.items()}
    scores = seen.values.get("model")
    shape = getattr(output, "shape", None)
    if shape is not None and shape == getattr(scores, "shape", ()):
        return "model", Note("training"), output
    if shape in ((seen.rows,), (seen.rows, 1)):
        if seen.labels is not None:
            return "model", Note("training", labels=True), output.reshape(-1)
        columns = service.output.layout.columns
        if len(columns) == 1:
            return "postprocess", Note("training"), {columns[0].wire: output.reshape(-1)}
    raise ServiceError(
        f"output has the shape {shape}, the model gives {getattr(scores, 'shape', None)} for {seen.rows} rows",
        f"give {SHAPES}",
    )


def _without_private_traces(kept: Seen, real: Seen, given: Given) -> Given:
    """Drop the stages of training that depend on a private value: another one stands in the record."""
    safe: Given = {}
    for name, (note, value) in given.items():
        same = compare(real.values.get(name), kept.values.get(name), kept.rows, exact=True)
        depends = bool(same.rows.any())
        safe[name] = (
            (Note("", "it depends on a Private field, which is not recorded"), None) if depends else (note, value)
        )
    return safe


def _compose(
    service: Service, seen: Seen, media_types: Sequence[str], given: Given, now_s: float
) -> tuple[Golden, dict[str, Any]]:
    """The record of everything: what is given from outside, and for the rest what the service makes itself."""
    notes: dict[str, Note] = {}
    stages: dict[str, Any] = {}
    for name in STAGES:
        note, value = given.get(name) or _own(name, seen)
        if note is None:
            continue
        notes[name] = note
        if note.provenance:
            stages[name] = value
    described = spec(service)
    recorded = Golden(
        service=described.name,
        recorded=datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds"),
        model=described.parts.get("model", ""),
        contract=described.input.digest,
        versions=versions(service),
        rows=seen.rows,
        stages=notes,
        records=tuple(_records(seen, media_types)),
    )
    return recorded, stages


def _own(name: str, seen: Seen) -> tuple[Note | None, Any]:
    if name in seen.values:
        return Note("self"), seen.values[name]
    return (Note("", seen.because[name]), None) if name in seen.because else (None, None)


def _records(seen: Seen, media_types: Sequence[str]) -> Iterable[Record]:
    """Each request's media type and answer; of many rows, a list."""
    at = 0
    for size, media_type in zip(seen.sizes, media_types, strict=True):
        answers = seen.answers[at : at + size]
        yield Record(media_type, answer=answers[0] if size == 1 else answers)
        at += size

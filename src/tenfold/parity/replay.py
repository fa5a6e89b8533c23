"""Holds a service against its golden records, and rehearses them before a replica takes traffic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold.contract.schema import example
from tenfold.errors import InvalidInput, ServiceError
from tenfold.parity import golden
from tenfold.parity.compare import compare
from tenfold.parity.golden import STAGES, Golden, Kept, Note
from tenfold.parity.observe import JSON, Seen, observe, typed, versions
from tenfold.parity.report import Report, Stage
from tenfold.pipeline import Failure, Pipeline
from tenfold.rows import Rows
from tenfold.service import Service, spec, started
from tenfold.service.manifest import model_digest


def replay(service: Service | type[Service] | str | Path) -> Report:
    """Send the golden requests through every stage and hold each against its record.

    Raises ``NotFound`` where there are no records. A request that the contract now refuses is a difference at
    ``decode``.
    """
    service = started(service)
    return held(service, golden.read(service.folder))


def held(service: Service, kept: Kept) -> Report:
    """A started service held against these records."""
    try:
        seen = observe(service, kept.bodies, [record.media_type for record in kept.golden.records])
    except InvalidInput as error:
        seen = Seen([kept.golden.rows], failed=("decode", error))
    return report(service, kept.golden, kept.stages, seen)


def report(service: Service, recorded: Golden, stages: Mapping[str, Any], seen: Seen) -> Report:
    """What was seen, held against what is recorded."""
    n = recorded.rows
    equal = np.ones(n, dtype=bool)
    found = [_stage(name, recorded.stages[name], stages, seen, n, equal) for name in STAGES if name in recorded.stages]
    now = versions(service)
    changed = {name: (then, now[name]) for name, then in recorded.versions.items() if now.get(name, then) != then}
    return Report(
        service=recorded.service,
        rows=n,
        equal=int(equal.sum()),
        valid=sum(answer is not None for answer in seen.answers),
        unanswered=n - len(seen.answers),
        stages=tuple(found),
        recorded=recorded.recorded,
        model_then=recorded.model,
        model_now=model_digest(type(service).model, service.folder),
        versions=changed,
    )


def _stage(name: str, note: Note, stages: Mapping[str, Any], seen: Seen, n: int, equal: Any) -> Stage:
    """One stage; rows that differ are taken out of ``equal``."""
    if not note.provenance:
        return Stage(name=name, provenance="", rows=n, detail=note.because)
    value = seen.labels if note.labels else seen.values.get(name)
    if value is None:
        equal[:] = False
        reached = seen.failed is None or name == seen.failed[0] or name in seen.because
        detail = _absent(name, seen)
        return Stage(name=name, provenance=note.provenance, rows=n, labels=n, detail=detail, reached=reached)
    expected = stages[name]
    if name == "postprocess" and isinstance(expected, dict) and isinstance(value, dict):
        value = {column: value[column] for column in expected if column in value}  # training may give some of them
    difference = compare(expected, value, n, exact=name in ("decode", "pictures"))
    equal &= ~difference.rows
    return Stage(
        name=name,
        provenance=note.provenance,
        rows=n,
        equal=int((~difference.rows).sum()),
        bits=difference.bits,
        labels=int(difference.labels.sum()),
        largest=difference.largest,
        detail=difference.detail,
        notes=tuple(difference.notes),
    )


def _absent(name: str, seen: Seen) -> str:
    """Why a stage has nothing to compare: it cannot be kept any more, or an earlier one raised."""
    if name in seen.because:
        return seen.because[name]
    if seen.failed is None:
        return "the service has no such stage any more"
    stage, error = seen.failed
    if stage != name:
        return f"not reached, since {stage} failed"
    if isinstance(error, InvalidInput):
        count = len({violation.row for violation in error.violations})
        return f"{count} of {seen.rows} rows are refused: {error.violations[0].detail}"
    return f"{type(error).__name__}: {error}"


def rehearse(pipeline: Pipeline) -> Rows | None:
    """Answer a golden record, or an example row where there is none, alone and as a full batch, before any request
    does.

    Returns the row that was answered, None where there was none: an example row is made up, and a model may well
    refuse it. Raises ``ServiceError`` where a golden record is not answered.
    """
    service = pipeline.service
    is_golden = golden.exists(service.folder)
    if is_golden:
        kept = golden.read(service.folder)
        checked, _ = typed(service.input.form, kept.bodies[:1], [kept.golden.records[0].media_type])
    else:
        try:
            checked, _ = typed(service.input.form, [msgspec.json.encode(example(service.input.form))], [JSON])
        except InvalidInput:
            return None
    failures: list[Failure] = []
    quiet = Pipeline(service, report=failures.append)
    answer = quiet.run(checked.rows)
    if is_golden and answer.violations:
        told = failures[0].error if failures else None
        because = f": {type(told).__name__}: {told}" if told else ""
        raise ServiceError(
            f"a golden record of {spec(service).name} is not answered: {answer.violations[0].detail}{because}",
            f"tenfold check {service.folder} names the stage",
        ) from told
    if answer.violations:
        return None
    quiet.run(checked.rows.take(np.zeros(service.batching.max_rows, dtype=np.intp)))
    return checked.rows

"""Looks at a release in its own interpreter: loads it, replays its records, tries what it depends on, has it answer requests.

It runs as a process of its own, beside what serves: behind everything else, and the first to go should memory run out.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tenfold import parity
from tenfold.contract.form import Form, leaves
from tenfold.contract.schema import example
from tenfold.errors import InvalidInput, TenfoldError
from tenfold.gates.seen import Answered, Asked, Golden, Request, Seen
from tenfold.gates.variants import variants
from tenfold.parity import golden
from tenfold.parity.observe import JSON, typed
from tenfold.pipeline import Pipeline
from tenfold.service import Service, find

ASKED, SEEN, TROUBLE = "asked.json", "seen.json", "trouble.json"
PROVING = ("preprocess", "model", "postprocess")  # where training can say what it fed, and what came out


class Trouble(msgspec.Struct, frozen=True):
    """Why a release could not be looked at."""

    message: str
    hint: str


def main(folder: str, work: str, env: str = "") -> None:
    """Look at the service in ``folder``. What is asked stands in the folder ``work``, and what was seen is written there."""
    place = Path(work)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        asked = msgspec.json.decode((place / ASKED).read_bytes(), type=Asked)
        seen = look(folder, env, asked)
    except TenfoldError as error:
        (place / TROUBLE).write_bytes(msgspec.json.encode(Trouble(error.message, error.hint)))
        sys.exit(error.exit_code)
    (place / SEEN).write_bytes(msgspec.json.encode(seen, enc_hook=_number))


def look(folder: str, env: str, asked: Asked) -> Seen:
    """Load a service and do what is asked. Raises what loading raises."""
    began = time.perf_counter()
    service = find(folder, env).start()
    pipeline = Pipeline(service, report=lambda _: None)
    parity.rehearse(pipeline)
    seconds, loaded = time.perf_counter() - began, _resident_bytes()
    answers = tuple(answer(pipeline, request) for request in asked.requests)
    examined = asked.examine and golden.exists(service.folder)
    report = _golden(parity.replay(service)) if examined else None
    tried = tuple(variants(pipeline, golden.read(service.folder))) if report and report.state != "broken" else ()
    return Seen(
        seconds=seconds,
        loaded_bytes=loaded,
        peak_bytes=max(_peak_bytes(), loaded),
        forkable=_is_forkable(service),
        answers=answers,
        golden=report,
        variants=tried,
    )


def answer(pipeline: Pipeline, request: Request) -> Answered:
    """The answer to one request; where a row of it has none, why."""
    form = pipeline.form
    try:
        body = _whole(form, request.body) if request.media_type == JSON else request.body
        checked, _ = typed(form, [body], [request.media_type])
        found = pipeline.answer(checked)
    except InvalidInput as error:
        _, at, code, detail = error.violations[0]
        return Answered(code=code, at=at, detail=detail)
    except TenfoldError as error:
        return Answered(code="malformed", detail=error.message)
    if found.violations:
        _, at, code, detail = found.violations[0]
        return Answered(code=code, at=at, detail=detail)
    columns = {name: column.tolist() for name, column in found.outputs.columns().items()}
    rows = range(len(found.outputs))
    return Answered(rows=tuple({name: values[row] for name, values in columns.items()} for row in rows))


def _whole(form: Form, body: bytes) -> bytes:
    """A request from the journal, which keeps no private values: those of an example stand in for them."""
    private = [wire for _, wire, _, field in leaves(form.fields) if field.private and "." not in wire]
    if not private:
        return body
    made_up = example(form)
    parsed = msgspec.json.decode(body)
    for row in parsed if isinstance(parsed, list) else [parsed]:
        for wire in private:
            if isinstance(row, dict) and wire in made_up:
                row.setdefault(wire, made_up[wire])
    return msgspec.json.encode(parsed)


def _golden(report: parity.Report) -> Golden:
    diverged = report.diverged
    given = [stage for stage in report.stages if stage.provenance == "training" and stage.name in PROVING]
    return Golden(
        state=report.state,
        rows=report.rows,
        equal=report.equal,
        provenance=report.provenance,
        diverged=diverged.name if diverged and report.state == "broken" else "",
        says=report.describe(),
        stages=tuple(map(str, report.stages)),
        proven=any(stage.name == "preprocess" and not stage.differs for stage in given),
    )


def _is_forkable(service: Service) -> bool:
    return service.predictor is not None and bool(service.predictor.forkable)


def _resident_bytes() -> int:
    """The memory of this process, or the most that it ever had where a system does not say more."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return _peak_bytes()


def _peak_bytes() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _number(value: Any) -> Any:
    """Numbers of NumPy within answers."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"a {type(value).__name__} is no JSON")

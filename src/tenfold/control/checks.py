"""Everything that can be known of a service before traffic: loaded, replayed, timed, and judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Literal, NamedTuple

from tenfold.answers import Answer, Golden, Latency, Sheet, Startup, keep, sheet
from tenfold.contract.schema import example
from tenfold.errors import InvalidInput, NotFound, UsageError, status_of
from tenfold.model import Facts
from tenfold.parity import Report, golden, replay
from tenfold.parity.observe import typed
from tenfold.pipeline import Failure, Pipeline
from tenfold.questions import QUESTIONS
from tenfold.rows import Rows
from tenfold.service import Service, Spec, find, spec
from tenfold.validation.scalar import Decoder

Progress = Callable[..., None]
State = Literal["ok", "open", "broken"]
STATES: dict[str, State] = {"met": "ok", "open": "open", "broken": "broken"}
PARTS = {3: "preprocess", 4: "postprocess"}  # of the one word that two questions have
TIMED_S = 0.5  # how long each batch size is timed, at most
TIMED_RUNS = 300


class Finding(NamedTuple):
    """One line of a check: its word, whether it is ok, open or broken, what is the case, and the mend."""

    word: str
    state: State
    text: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: its lines, and the answer sheet with what was measured on the way."""

    target: str
    findings: tuple[Finding, ...]
    sheet: Sheet

    @property
    def answers(self) -> tuple[Finding, ...]:
        """The lines of the ten answers, without what is said about model, libraries and records."""
        return self.findings[-len(self.sheet.answers) :]

    @property
    def broken(self) -> bool:
        """Whether a line or an answer is broken."""
        return any(finding.state == "broken" for finding in self.findings)


def check(target: str, progress: Progress = lambda *_: None) -> Checked:
    """Load a service, replay its golden records, time it, judge its ten answers, and keep what was measured."""
    progress("loading the service")
    service = find(target)
    stated = spec(service)
    Decoder(stated.input)  # as the front will; an action that cannot be carried out is told now
    started = time.perf_counter()
    service.start()
    loaded_s = time.perf_counter() - started
    assert service.facts is not None  # a started service has a model
    progress("replaying the golden records")
    report = _replayed(service)
    progress("timing the pipeline")
    rows = _some_rows(service)
    failed = _failed(service, rows)
    pieces: list[Golden | Latency | Startup] = [Startup(seconds=loaded_s, facts=service.facts)]
    pieces += [latency] if (latency := _timed(service, stated, rows)) else []
    pieces += [_golden(report)] if report else []
    evidence = keep(service.folder, stated, datetime.now(UTC), *pieces)
    judged = sheet(stated, evidence=evidence, target=target)
    extra = [_model(service.facts, loaded_s), _libraries(service.facts, target), _records(service, report, target)]
    findings = (*extra, *failed, *(_answer(answer, target) for answer in judged.answers))
    service.close()
    return Checked(target, findings, judged)


def unmet(judged: Sheet, require: str) -> list[str]:
    """The words of the answers that ``require`` ("all", "1-8", "1,5-7", "drift,scaling") wants met and that are not."""
    wanted = numbers(require)
    return [word_of(answer) for answer in judged.answers if answer.n in wanted and answer.state != "met"]


def numbers(require: str) -> set[int]:
    """The questions that "all", "1-8", "1,5-7" or "drift,scaling" name; none for ""."""
    if require == "all":
        return set(range(1, 11))
    chosen: set[int] = set()
    for part in filter(None, require.replace(" ", "").split(",")):
        if named := {question.n for question in QUESTIONS if part in (question.word, PARTS.get(question.n))}:
            chosen |= named
            continue
        first, _, last = part.partition("-")
        if not (first.isdigit() and (last or first).isdigit() and 1 <= int(first) <= int(last or first) <= 10):
            raise UsageError(
                f"--require {require!r} names no questions", "write all, 1-10, 1,5-7, or words such as drift"
            )
        chosen |= set(range(int(first), int(last or first) + 1))
    return chosen


def word_of(answer: Answer) -> str:
    """What a line calls an answer: its word, where the one word of two questions is told apart."""
    return PARTS.get(answer.n, answer.word)


# -- the lines ---------------------------------------------------------------------------------------------------------


def _answer(answer: Answer, target: str) -> Finding:
    """A judged answer as a line: what is declared and measured where it is met, else why it is not."""
    measured = str(answer.measured.get("text", ""))
    text = "; ".join(filter(None, [answer.declared, measured])) if answer.state == "met" else answer.because
    mend = "" if answer.next == f"tenfold check {target}" else answer.next  # which is what is running
    return Finding(word_of(answer), STATES[answer.state], text, mend)


def _model(facts: Facts, loaded_s: float) -> Finding:
    classes = f", {len(facts.classes)} classes" if facts.classes else ""
    return Finding("model", "ok", f"{facts.name}{classes}; loaded in {loaded_s:.2g} s")


def _libraries(facts: Facts, target: str) -> Finding:
    """Whether what the model was trained with is what is installed."""
    other = [
        f"{library} {trained} in training, {_installed(library)} here"
        for library, trained in facts.libraries.items()
        if _installed(library) != trained
    ]
    if other:
        return Finding("libraries", "open", "; ".join(other), f"uv pip install -r {target}/pyproject.toml")
    known = ", ".join(f"{library} {trained}" for library, trained in facts.libraries.items())
    return Finding("libraries", "ok", f"{known}, as in training" if known else "the model names none")


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "none"


def _records(service: Service, report: Report | None, target: str) -> Finding:
    record = f"tenfold record {target}"
    if report and golden.holds_private(golden.read(service.folder), service.input.form):
        return Finding("golden", "broken", "golden records hold values of a field that is Private now", record)
    if report is None:
        mend = "in the training script: tenfold.record(service, requests, model_input=…, output=…)"
        return Finding("golden", "open", "no golden records", mend)
    moved = report.retrained and report.diverged is not None
    mend = f"expected after retraining? {record}" if moved else ""
    if report.state == "broken" and not moved:
        mend = f"undo what changed; or, if it was meant: {record}"
    return Finding("golden", report.state, report.describe(), mend)


# -- what is measured --------------------------------------------------------------------------------------------------


def _replayed(service: Service) -> Report | None:
    try:
        return replay(service)
    except NotFound:
        return None


def _golden(report: Report) -> Golden:
    """The replay as evidence. Answers that moved with a retrained model are no divergence: they are to be recorded."""
    diverged = report.diverged
    counted = diverged is not None and report.state == "broken"
    return Golden(
        records=report.rows,
        equal=report.equal,
        valid=report.valid,
        unanswered=report.unanswered,
        provenance=report.provenance,
        diverged=diverged.name if diverged and counted else "",  # type: ignore[arg-type]
        detail=diverged.detail if diverged and counted else "",
    )


def _failed(service: Service, rows: Rows) -> list[Finding]:
    """A line where the service's own code cannot answer a row; none where it can, or where its rules refuse the row."""
    failures: list[Failure] = []
    said = [
        v for v in Pipeline(service, report=failures.append).run(rows.take([0])).violations if status_of(v.code) == 500
    ]
    if not said:
        return []
    because = f": {failures[0].error}" if failures else ""
    return [Finding("pipeline", "broken", said[0].detail + because, f"tenfold explain {said[0].code}")]


def _timed(service: Service, stated: Spec, rows: Rows) -> Latency | None:
    """How long one row and a full batch take in the pipeline; None where the model refuses the row that is tried."""
    pipeline = Pipeline(service, report=lambda _: None)
    most = stated.batching.max_rows
    one = _seconds(pipeline, rows.take([0]))
    many = _seconds(pipeline, rows.take([k % len(rows) for k in range(most)]))
    if not one or not many:
        return None
    return Latency(
        one_s=one[len(one) // 2],
        one_p99_s=one[min(len(one) - 1, int(len(one) * 0.99))],
        many_rows=most,
        many_s=many[len(many) // 2],
    )


def _some_rows(service: Service) -> Rows:
    """The rows of the golden records, or an example row of the contract."""
    form = service.input.form
    try:
        kept = golden.read(service.folder)
        return typed(form, kept.bodies, [record.media_type for record in kept.golden.records])[0].rows
    except (NotFound, InvalidInput):  # no records, or none that the contract still accepts
        return service.input.read([example(form)])


def _seconds(pipeline: Pipeline, rows: Rows) -> Sequence[float]:
    """The times of many runs, sorted; none where a row gets no answer. The first run, which pays for what is made
    lazily, is not counted."""
    if pipeline.run(rows).violations:
        return []
    times: list[float] = []
    until = time.perf_counter() + TIMED_S
    while len(times) < TIMED_RUNS and (not times or time.perf_counter() < until):
        started = time.perf_counter()
        pipeline.run(rows)
        times.append(time.perf_counter() - started)
    return sorted(times)

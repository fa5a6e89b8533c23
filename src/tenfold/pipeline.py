"""The waist: from typed rows to answers. The order of the stages stands here, and nowhere else.

    validate      pictures are decoded, predicates and rules are asked (bounds were checked by whoever decoded the
    rows) preprocess    the service's own, or the default: what the model takes model         what the model gives
    postprocess   the service's own, or the default: columns of the output contract, and these are checked

Requests, file jobs, ``check`` and golden replay all come through here. One bad row never fails the others: what a
stage raises is bisected down to the rows that make it raise, and everybody else is answered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec.structs import replace

from tenfold.contract.form import leaves
from tenfold.errors import ServiceError, Violation
from tenfold.rows import Answer, Array, Checked, Rows
from tenfold.service.declare import Service
from tenfold.service.meant import takes_rows
from tenfold.transforms import OutputCheck
from tenfold.transforms.pictures import decode_rows
from tenfold.validation import rules

_FIRST = np.arange(1024)
_FIRST.flags.writeable = False
LONG_S = 0.0005  # the service's own code: from here on it is looked at whether it computes or waits
STAGES = ("validate", "preprocess", "model", "postprocess")


class Failure(NamedTuple):
    """What the service's own code raised in a stage, and for which rows."""

    stage: str
    error: Exception
    rows: Sequence[int]


def log(failure: Failure) -> None:
    """Write a failure and its traceback to the log."""
    said = "%s raised for %d rows, the first of them row %d"
    rows = failure.rows
    logging.getLogger("tenfold").error(said, failure.stage, len(rows), rows[0], exc_info=failure.error)


class Usage(NamedTuple):
    """The processor time that a thread used, in seconds, and how often it gave its core away to wait for something."""

    cpu_s: float
    waits: int


class Misaligned(Exception):
    """A stage gave another number of rows than it got: whose answer is whose can no longer be told."""


class Tally:
    """What became of the rows so far, in pieces."""

    __slots__ = ("failures", "index", "outputs", "seconds", "violations", "waited_s")

    def __init__(self) -> None:
        self.waited_s = 0.0
        self.seconds = {"validate": 0.0, "preprocess": 0.0, "model": 0.0, "postprocess": 0.0}
        self.outputs: list[Rows] = []
        self.index: list[Array] = []
        self.violations: list[Violation] = []
        self.failures: list[Failure] = []

    def note(self, stage: str, error: Exception, rows: Sequence[int]) -> None:
        """Remember what was raised, once for each kind of error in a stage."""
        for k, failure in enumerate(self.failures):
            if failure.stage == stage and type(failure.error) is type(error):
                self.failures[k] = failure._replace(rows=[*failure.rows, *rows])
                return
        self.failures.append(Failure(stage, error, rows))


class Pipeline:
    """A started service, ready to answer batches."""

    def __init__(
        self,
        service: Service,
        clock: Callable[[], float] = time.perf_counter,
        report: Callable[[Failure], None] = log,
        usage: Callable[[], Usage] | None = None,
    ) -> None:
        """``report`` is told what the service's own code raised, once for each kind of failure in a batch. ``usage`` is what
        the thread used until now, by which time that preprocess or postprocess computes is told from time that it waits.

        Raises ``ServiceError`` where the service is not started.
        """
        if service.predictor is None:
            raise ServiceError(f"{type(service).__name__} is not started", "call start() before it answers")
        self.service = service
        self.form = service.input.form
        self.layout = service.input.layout
        self._predict = service.predictor.predict
        self._check = OutputCheck(service.output.form)
        self._takes_rows = takes_rows(type(service))
        self._pictures = [column for column in self.layout.columns if column.kind == "image"]
        fields = {name: form_field for name, _, _, form_field in leaves(self.form.fields)}
        self._images = {name: form_field.image for name, form_field in fields.items() if form_field.image}
        self._asks = bool(self.form.rules) or any(form_field.predicates for form_field in fields.values())
        self._clock = clock
        self._report = report
        self._usage = usage
        self._takes_long = False

    def run(self, rows: Rows, index: Array | None = None) -> Answer:
        """Answer n rows. ``index`` says where they stood in what came (by default at 0 to n - 1).

        Violations, changes and flags name rows by that place. Never raises for a row: what the service's own code
        raises becomes ``model_failed``.
        """
        tally = Tally()
        began = self._clock()
        places = _places(len(rows)) if index is None else index
        checked = self.validate(rows, places, tally.note)
        tally.seconds["validate"] = self._clock() - began
        if len(checked.index):
            self._answer(checked.rows, checked.index, tally)
        for failure in tally.failures:
            self._report(failure)
        whole = len(tally.outputs) == 1
        return Answer(
            outputs=tally.outputs[0] if whole else self._joined(tally.outputs),
            index=tally.index[0] if whole else np.concatenate([*tally.index, places[:0]]),
            total=len(places),
            violations=[*checked.violations, *tally.violations] if tally.violations else checked.violations,
            changes=checked.changes,
            flags=checked.flags,
            put_aside=checked.put_aside,
            fallbacks=checked.fallbacks,
            seconds=tally.seconds,
            waited_s=tally.waited_s,
            given=checked.rows,
            given_index=checked.index,
        )

    def answer(self, checked: Checked) -> Answer:
        """Answer what validation accepted of a table or a request, and keep what it said of the rest."""
        answer = self.run(checked.rows, checked.index)
        return replace(
            answer,
            total=checked.total,
            violations=sorted([*checked.violations, *answer.violations], key=lambda violation: violation.row),
            changes=[*checked.changes, *answer.changes],
            flags=[*checked.flags, *answer.flags],
            put_aside={**checked.put_aside, **answer.put_aside},
            fallbacks={**checked.fallbacks, **answer.fallbacks},
        )

    def validate(self, rows: Rows, index: Array, note: Callable[[str, Exception, Sequence[int]], None]) -> Checked:
        """The part of validation that needs user code or a decoder: pictures, predicates and rules.

        ``note`` is told what a predicate or rule raised, and for which rows.
        """
        violations: list[Violation] = []
        for column in self._pictures:
            decoded, refused = decode_rows(rows[column.name].tolist(), self._images[column.name])
            rows = rows.replacing({column.name: decoded})
            for row, error in refused.items():
                detail = f"{column.wire} {error.detail}"
                violations.append(Violation(int(index[row]), column.pointer, error.code, detail))
            if refused:
                keep = np.setdiff1d(np.arange(len(rows)), list(refused))
                rows, index = rows.take(keep), index[keep]
        if not self._asks:
            return Checked(rows, index, len(index), violations)
        checked = rules.apply(self.service.input, rows, index, note)
        return replace(checked, violations=[*violations, *checked.violations]) if violations else checked

    def stages(self, rows: Rows, n: int) -> Iterator[tuple[str, Any]]:
        """What each stage makes of n validated rows, by name; the last is the rows of the output contract with a
        violation for each value that breaks it. Whatever the service's code raises, it raises."""
        service = self.service
        inputs = service.preprocess(rows)
        _aligned(inputs, n, "preprocess")
        yield "preprocess", inputs
        scores = self._predict(inputs)
        _aligned(scores, n, "the model")
        yield "model", scores
        produced = service.postprocess(scores, rows) if self._takes_rows else service.postprocess(scores)
        accepted = self._check.accept(produced, n)
        if accepted is None:
            _aligned(produced, n, "postprocess")
            yield "postprocess", self._check(produced, n)
        else:
            yield "postprocess", (accepted, [])

    def _answer(self, rows: Rows, index: Array, tally: Tally) -> None:
        """Put the answers to these rows into the tally; where a stage raises, the halves are tried apart."""
        stage = 0
        seconds, clock = tally.seconds, self._clock
        before = clock()
        try:
            made: Any = None
            stages = self.stages(rows, len(index))
            for name, value in (
                self._watched(stages, tally, self._usage) if self._usage and self._takes_long else stages
            ):
                stage += 1
                now = clock()
                seconds[name] += now - before
                before, made = now, value
            self._takes_long = seconds["preprocess"] + seconds["postprocess"] > LONG_S
        except Exception as error:
            if len(index) == 1:
                name, place = STAGES[stage + 1], int(index[0])
                tally.violations.append(Violation(place, "", "model_failed", _said(name, error)))
                tally.note(name, error, [place])
                return
            half = len(index) // 2
            for part in (np.arange(half), np.arange(half, len(index))):
                self._answer(rows.take(part), index[part], tally)
            return
        outputs, faults = made
        if faults:
            tally.violations += [fault._replace(row=int(index[fault.row])) for fault in faults]
            keep = np.setdiff1d(np.arange(len(rows)), [fault.row for fault in faults])
            outputs, index = outputs.take(keep), index[keep]
        tally.outputs.append(outputs)
        tally.index.append(index)

    def _watched(
        self, stages: Iterator[tuple[str, Any]], tally: Tally, usage: Callable[[], Usage]
    ) -> Iterator[tuple[str, Any]]:
        """The same stages; how long the service's own code waited for something is noted. A model may well wait, for the
        threads that compute for it, and a core that is taken away is no waiting."""
        before, used = self._clock(), usage()
        for name, value in stages:
            now, uses = self._clock(), usage()
            waited_s = now - before - (uses.cpu_s - used.cpu_s)
            if name != "model" and uses.waits > used.waits and waited_s > (now - before) / 2:
                tally.waited_s += waited_s
            yield name, value
            before, used = self._clock(), usage()

    def _joined(self, outputs: Sequence[Rows]) -> Rows:
        return Rows.concatenate(outputs) if outputs else self._check((), 0)[0]


def _aligned(made: Any, n: int, stage: str) -> None:
    """Every array and table that a stage gave has a row for each row. Of lists, only postprocess can tell
    (``_check``): a model may take or give one array for each of its inputs or outputs."""
    # nearly always an array, which is asked much faster than whether it is a Mapping
    if type(made) is np.ndarray and made.ndim and len(made) == n:
        return
    is_mapping = isinstance(made, Mapping)
    for part in made.values() if is_mapping else (made,):
        shape = getattr(part, "shape", None)
        if shape is not None and (not shape or shape[0] != n):
            raise Misaligned(f"{stage} gave {shape[0] if shape else 'no'} rows for {n}")


def _places(n: int) -> Array:
    """0 to n - 1."""
    return _FIRST[:n] if n <= len(_FIRST) else np.arange(n)


def _said(stage: str, error: Exception) -> str:
    """What a client is told: the kind of an error, and not its text, which may quote what was sent."""
    return str(error) if isinstance(error, Misaligned) else f"{stage} raised {type(error).__name__}"

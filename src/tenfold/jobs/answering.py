"""One shard answered: its rows through the very path of a request, as a part of the output, what is put aside, and a sample.

A shard goes through the pipeline in blocks, cut alike each time, so that the same shard gives the same bytes.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tenfold.contract.form import Field, Form, leaves
from tenfold.errors import Change, Flag, Violation
from tenfold.formats.batches import Batch, Content, Reading
from tenfold.formats.shards import arrow
from tenfold.formats.tables import Columns, write
from tenfold.jobs.quarantine import Quarantine
from tenfold.jobs.sampling import Sampled, Sampling, reference_in
from tenfold.jobs.tasks import Setup
from tenfold.jobs.through import Through
from tenfold.pipeline import Pipeline
from tenfold.rows import Answer, Array, Checked, Rows
from tenfold.spec import Spec
from tenfold.transforms.pictures import shape_of
from tenfold.validation import block

BLOCK_ROWS = 20_000
BLOCK_BYTES = 2**25
KILLED = "quarantined"
BYTES = {"float": 8, "int": 8, "datetime": 8, "date": 8, "category": 4, "bool": 1, "text": 64, "list": 256}
UNSIZED_PICTURE_BYTES = 2**22


class Order(NamedTuple):
    """What to do with a shard: where its rows stand in the whole input and in their file, and which of them to leave
    out, each for its reason."""

    file: str
    row: int
    first: int
    line: int
    without: Mapping[int, str]


@dataclass(slots=True)
class Answered:
    """A shard that was answered: the bytes of its part, of what is put aside and of what is sampled; and the counts."""

    rows: int
    answers: bytes = b""
    aside: bytes = b""
    sample: bytes = b""
    answered: int = 0
    quarantined: int = 0
    changed: int = 0
    flagged: int = 0
    fallbacks: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    def note(self, reasons: Mapping[int, Sequence[Violation]]) -> None:
        """Count rows that are put aside, each by its first reason."""
        self.quarantined += len(reasons)
        self.codes.update(found[0].code for found in reasons.values())

    @property
    def pieces(self) -> tuple[bytes, bytes, bytes]:
        """What is to be written."""
        return self.answers, self.aside, self.sample

    def counts(self) -> dict[str, Any]:
        """The counts, and the digests of the pieces, as the manifest has them."""
        return {
            "rows": self.rows,
            "answered": self.answered,
            "quarantined": self.quarantined,
            "changed": self.changed,
            "flagged": self.flagged,
            "fallbacks": self.fallbacks,
            "codes": dict(sorted(self.codes.items())),
            "digest": hashlib.sha256(self.answers).hexdigest(),
            "aside": hashlib.sha256(self.aside).hexdigest() if self.aside else "",
            "sample": hashlib.sha256(self.sample).hexdigest() if self.sample else "",
        }


class Answering:
    """A started service that answers shards."""

    def __init__(self, pipeline: Pipeline | Through, spec: Spec, reading: Reading, setup: Setup) -> None:
        self._pipeline = pipeline
        self._spec = spec
        self._setup = setup
        self._form = reading.form
        self._columns = Columns(spec.output)
        self._quarantine = Quarantine(reading.form)
        self._size = block_rows(reading.form)
        known = reference_in(pipeline.service.folder)
        self._sampling = Sampling(known.columns, spec) if known is not None else None
        fallback = spec.deadline.fallback
        self._fallback = pipeline.service.output.read([fallback]) if fallback is not None else None

    def answer(self, content: Content, order: Order, tell: Callable[[], None] = lambda: None) -> Answered:
        """Answer every row of a shard, or put it aside with its reasons. ``tell`` is called after each block."""
        done = Answered(content.rows)
        tables: list[Any] = []
        sampled: list[Sampled] = []
        for first, stop in self._blocks(content):
            batch = content.batch(_others(first, stop, order.without))
            answer = self._answer(batch)
            tables.append(self._table(batch, answer, order.first, done))
            if self._sampling is not None:
                numbers = (batch.index[answer.index] + order.first).astype(np.uint64)
                sampled.append(self._sampling.of(answer, numbers))
            killed = {
                row: [Violation(row, "", KILLED, how)] for row, how in order.without.items() if first <= row < stop
            }
            reasons = _reasons(batch, answer) | killed
            if reasons:
                done.aside += self._quarantine.lines(content, reasons, order.file, order.row, order.line)
                done.note(reasons)
            tell()
        done.answers = write(arrow().concat_tables(tables), self._setup.format)
        if self._sampling is not None:
            done.sample = self._sampling.pack(sampled)
        if done.answered + done.quarantined != done.rows:
            raise AssertionError(f"{done.rows} rows, {done.answered} answered and {done.quarantined} put aside")
        return done

    def check(self, content: Content, order: Order) -> Answered:
        """Validate every row of a shard, and answer none."""
        done = Answered(content.rows)
        for first, stop in self._blocks(content):
            batch = content.batch(_others(first, stop, order.without))
            checked = block.check(self._form, batch.data)
            held = self._pipeline.validate(checked.rows, checked.index, lambda *_: None)
            changes, flags = [*checked.changes, *held.changes], [*checked.flags, *held.flags]
            reasons = _by_row([*checked.violations, *held.violations], batch.index) | _by_row(batch.refused, None)
            bad = {violation.row for violation in (*checked.violations, *held.violations)}
            done.answered += len(batch.index) - len(bad)
            done.changed += len({change.row for change in changes} - bad)
            done.flagged += len({flag.row for flag in flags} - bad)
            done.fallbacks += len(checked.fallbacks.keys() | held.fallbacks.keys())
            done.note(reasons)
        return done

    def probe(self, content: Content, first: int, stop: int, without: Mapping[int, str]) -> None:
        """Answer some rows and forget the answers."""
        self._answer(content.batch(_others(first, stop, without)))

    def _answer(self, batch: Batch) -> Answer:
        """What the pipeline makes of a batch. Rows on which the service's own code failed are tried once more: if that
        helps some of them, whatever was amiss is over, and the whole batch is answered anew."""
        checked = block.check(self._form, batch.data)
        answer = self._pipeline.answer(checked)
        failed = {violation.row for violation in answer.violations if violation.code == "model_failed"}
        if failed and self._succeeds(checked, failed):
            answer = self._pipeline.answer(checked)
        return answer

    def _succeeds(self, checked: Checked, failed: set[int]) -> bool:
        again = np.flatnonzero(np.isin(checked.index, list(failed)))
        return len(self._pipeline.run(checked.rows.take(again)).index) > 0

    def _table(self, batch: Batch, answer: Answer, first: int, done: Answered) -> Any:
        """The rows of a batch that have an answer, in order, as a table."""
        pa = arrow()
        outputs, index = self._with_fallbacks(answer)
        rows = batch.index[index]
        numbers = pa.array(rows.astype(np.int64) + first)
        ids = pa.compute.binary_join_element_wise(f"{self._setup.job}/", numbers.cast(pa.string()), "")
        kept = batch.kept if len(index) == batch.kept.num_rows else batch.kept.take(pa.array(index))
        own = self._setup.id_column
        columns = {own: ids, **dict(zip(kept.column_names, kept.columns, strict=True)), **self._columns(outputs)}
        fields = [pa.field(own, pa.string()), *kept.schema]
        fields += [pa.field(name, columns[name].type) for name in list(columns)[len(fields) :]]
        changes, flags = _changes(answer.changes, index), _flags(answer.flags, index)
        columns |= {"changes": changes, "flags": flags}
        fields += [pa.field("changes", changes.type), pa.field("flags", flags.type)]
        if self._fallback is not None:
            codes = [answer.fallbacks.get(row) for row in index.tolist()]
            columns["fallback"] = pa.array(codes, pa.string())
            fields.append(pa.field("fallback", pa.string()))
        done.answered += len(index)
        done.changed += len(index) - changes.null_count
        done.flagged += len(index) - flags.null_count
        done.fallbacks += len(answer.fallbacks)
        return pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields))

    def _with_fallbacks(self, answer: Answer) -> tuple[Rows, Array]:
        """The outputs, with the service's fallback answer for the rows that get it, in the order of the input."""
        if not answer.fallbacks or self._fallback is None:
            return answer.outputs, answer.index
        places = np.array(sorted(answer.fallbacks), dtype=np.intp)
        constant = self._fallback.take(np.zeros(len(places), dtype=np.intp))
        index = np.concatenate([answer.index, places])
        order = np.argsort(index, kind="stable")
        return Rows.concatenate([answer.outputs, constant]).take(order), index[order]

    def _blocks(self, content: Content) -> Iterator[tuple[int, int]]:
        """Where each block of a shard begins and ends; of a shard without rows, the one that it has."""
        for first in range(0, max(content.rows, 1), self._size):
            yield first, min(first + self._size, content.rows)


def _others(first: int, stop: int, without: Mapping[int, str]) -> Sequence[int]:
    """The rows from ``first`` up to ``stop``, without some."""
    return [row for row in range(first, stop) if row not in without] if without else range(first, stop)


def _reasons(batch: Batch, answer: Answer) -> dict[int, list[Violation]]:
    """Why rows of a batch have no answer, by their place in the shard."""
    reasons = _by_row(batch.refused, None)
    if answer.violations or answer.put_aside:
        told = [violation for violation in answer.violations if violation.row not in answer.put_aside]
        aside = [violation for violations in answer.put_aside.values() for violation in violations]
        reasons |= _by_row([*told, *aside], batch.index)
    return reasons


def block_rows(form: Form) -> int:
    """How many rows of a contract go through the pipeline together: what 32 MiB hold once they are decoded."""
    size = sum(_bytes(each) for _, _, _, each in leaves(form.fields))
    return max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(size, 1)))


def _bytes(each: Field) -> int:
    if each.image is not None:
        size = each.image.size
        shape = shape_of(each.image, size) if size else ()
        return math.prod(shape) * np.dtype(each.image.dtype).itemsize if size else UNSIZED_PICTURE_BYTES
    if each.kind == "tensor":
        return math.prod(abs(side) for side in each.shape) * np.dtype(each.dtype).itemsize
    return BYTES.get(each.kind, 64)


def _by_row(violations: Sequence[Violation], places: Array | None) -> dict[int, list[Violation]]:
    """Violations by the row of the shard that each is about; ``places`` says where the rows of a batch stand there."""
    found: dict[int, list[Violation]] = {}
    for violation in violations:
        row = violation.row if places is None else int(places[violation.row])
        found.setdefault(row, []).append(violation)
    return found


def _changes(changes: Sequence[Change], index: Array) -> Any:
    pa = arrow()
    told = [(change.row, (change.pointer, change.action, change.code, _said(change.value))) for change in changes]
    names = ("pointer", "action", "code", "value")
    return _remarks(told, names, index) if told else pa.nulls(len(index), _list_of(names))


def _flags(flags: Sequence[Flag], index: Array) -> Any:
    pa = arrow()
    names = ("pointer", "code")
    told = [(flag.row, (flag.pointer, flag.code)) for flag in flags]
    return _remarks(told, names, index) if told else pa.nulls(len(index), _list_of(names))


def _remarks(told: Sequence[tuple[int, tuple[Any, ...]]], names: Sequence[str], index: Array) -> Any:
    by_row: dict[int, list[dict[str, Any]]] = {}
    for row, values in told:
        by_row.setdefault(row, []).append(dict(zip(names, values, strict=True)))
    return arrow().array([by_row.get(row) for row in index.tolist()], _list_of(names))


def _list_of(names: Sequence[str]) -> Any:
    pa = arrow()
    return pa.list_(pa.struct([pa.field(name, pa.string()) for name in names]))


def _said(value: Any) -> str | None:
    """A value that took another's place, as text: changes of all fields stand in one column."""
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

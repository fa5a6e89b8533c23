"""Has the input of a job drifted? A sample of its rows, held against those that the model was trained on.

Mostly that is the sample which was kept with the answers, and the profile in the service's folder: the input is not read for
it. A table that somebody names is compared with rows of the input, which are read once more.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tenfold.contract.form import Form, layout_of, leaves
from tenfold.contract.leaf import compile_form
from tenfold.contract.tables import read_table
from tenfold.control import drifts
from tenfold.drift.counting import Counter
from tenfold.drift.following import with_answers
from tenfold.drift.judge import Circumstances, step
from tenfold.drift.monitor import FEWEST_ROWS, State
from tenfold.drift.options import Drift
from tenfold.drift.profile import Profile, Window
from tenfold.drift.reporting import report
from tenfold.drift.sampling import Sample, mix
from tenfold.drift.verdicts import Report
from tenfold.drift.windows import by_rows
from tenfold.errors import UsageError
from tenfold.formats.batches import Batch, Reading, unpack
from tenfold.formats.dialect import Dialect
from tenfold.formats.shards import Place, arrow, pack
from tenfold.formats.tables import Columns
from tenfold.jobs.run import Input
from tenfold.jobs.sampling import Sampled, gather
from tenfold.jobs.summary import Drifted

MOST_ROWS = 50_000
KINDS = ("float", "int", "bool", "category", "text", "date", "datetime")


def unknown(service: str) -> Drifted:
    """What is said where nobody knows what the model was trained on."""
    because = f"{service} has no profile of the rows that its model was trained on"
    return Drifted(None, because, fix=f"tenfold record {service} --data FILE makes one; or --reference FILE")


def judge_sample(known: Profile, policy: Drift, pieces: Iterable[bytes], rows: int) -> Drifted:
    """The verdict on what was kept of an input of so many ``rows``, as a running service would come to it: of what validation
    let through, as the model got it, and of its answers, where the profile knows some."""
    sample = gather(pieces, known.columns, rows)
    sampled = len(sample.numbers)
    if sampled < FEWEST_ROWS:
        because = f"{sampled:,} rows were answered and sampled: too few to compare"
        return Drifted(None, because, known.source, sampled, f"{FEWEST_ROWS} rows tell something, 500 and more a lot")
    found = _report(known, policy, sample)
    return Drifted(str(found.verdict), found.because, known.source, sampled)


@np.errstate(over="ignore", invalid="ignore")  # values near the end of floats are counted like all others
def _report(known: Profile, policy: Drift, sample: Sampled) -> Report:
    """The verdict on sampled rows, window by window in their order. How many rows a file has is no sign of anything."""
    state = State()
    for first, stop in pairwise(by_rows(len(sample.numbers)).edges.astype(int).tolist()):
        numbers, values, missing = sample.take(slice(first, stop))
        counter = Counter(known.columns)
        counter.add(values, missing)
        shown = with_answers(known, Sample(mix(numbers), {"values": values}))
        window = Window(float(numbers[0]), float(numbers[-1] + 1), counter.take(), sample=shown, whole=False)
        state = step(known, policy, state, window)
    return report(known, policy, state, Circumstances(), int)


def judge(
    reference: Path, source: Input, rows: int, form: Form, dialect: Dialect, say: Callable[[str], None]
) -> Drifted:
    """The verdict on up to 50,000 of the ``rows`` rows of an input, as they came: before anything was imputed.

    Which ones does not depend on when it is asked. Private fields and the Key are left out. ``say`` is told what is being
    done. Raises ``NotFound`` or ``UsageError`` where the reference cannot be read.
    """
    say("sampling the input")
    sample = arrow().concat_tables([*_sampled(source, rows, form, dialect)])
    if not sample.num_rows or not sample.num_columns:
        raise UsageError("there is nothing in the input that could be compared", "leave --reference out")
    with TemporaryDirectory() as folder:
        current = Path(folder, "sample.parquet")
        _write(sample, current)
        report = drifts.judge(reference, current, say=say).report
    return Drifted(str(report.verdict), report.because, reference.name, sample.num_rows)


def _sampled(source: Input, rows: int, form: Form, dialect: Dialect) -> Iterator[Any]:
    """The columns of the rows that are chosen, shard by shard."""
    reading, columns = Reading(form, (), dialect), Columns(form)
    before = 0
    for reader in source.readers:
        for shard in reader.shards(Place(), source.limits):
            numbers = np.arange(before, before + shard.rows, dtype=np.uint64)
            chosen = np.flatnonzero(mix(numbers) % np.uint64(max(rows, 1)) < MOST_ROWS)
            before += shard.rows
            if len(chosen):
                packed = io.BytesIO()
                pack(shard.content, packed)
                batch = unpack(packed.getbuffer(), reader.layout, reading).batch(chosen.tolist())
                yield _columns(batch, form, columns)


def _columns(batch: Batch, form: Form, columns: Columns) -> Any:
    """Rows by type alone: what is missing or of another type is null."""
    pa = arrow()
    draft, _ = read_table(compile_form(form), layout_of(form), batch.data)
    shown = [
        wire for _, wire, _, field in leaves(form.fields) if field.kind in KINDS and not (field.private or field.key)
    ]
    found = columns(draft.rows())
    blank = {leaf.column.wire: blank for leaf, blank in zip(draft.leaves, draft.blank, strict=True) if leaf.column}
    nothing = {wire: pa.scalar(None, found[wire].type) for wire in shown}
    return pa.table({wire: pa.compute.if_else(pa.array(blank[wire]), nothing[wire], found[wire]) for wire in shown})


def _write(table: Any, path: Path) -> None:
    from pyarrow import parquet

    parquet.write_table(table, path)

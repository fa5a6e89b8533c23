"""One-off answers: rows of a file or of standard input on the very path of a request, a JSON line for each."""

from __future__ import annotations

import csv
import io
import shlex
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar

import msgspec
import numpy as np

from tenfold.contract.form import Form
from tenfold.errors import Change, Flag, NotFound, UsageError, Violation
from tenfold.formats.dialect import Dialect
from tenfold.formats.opening import names_of
from tenfold.formats.records import Records
from tenfold.rows import Answer, Checked
from tenfold.scaffold.served import Served, is_array
from tenfold.server.blocks import write_rows
from tenfold.server.outputs import Outputs
from tenfold.server.replies import Ids, change_json, fallback_json
from tenfold.service import Spec, find, spec
from tenfold.validation import block
from tenfold.validation.parsing import Malformed

ROWS_AT_ONCE = 1000
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
PICTURE_STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
STDIN = "-"
COMMAS, TABS = Dialect(), Dialect(delimiter="\t")
MEDIA_TYPES = {".csv": "text/csv", ".ndjson": "application/x-ndjson", ".parquet": "application/vnd.apache.parquet"}
Remark = TypeVar("Remark", Violation, Change, Flag)


class Batch(NamedTuple):
    """Rows that were read together; ``alone`` is the one row of a request that has no others."""

    checked: Checked
    alone: bool = False


Batches = Callable[[Served], Iterator[Batch]]
Told = Callable[[Sequence[str]], object]


class Line(NamedTuple):
    """The answer to one row as JSON, and the code for which it was refused ("" where it was answered)."""

    text: bytes
    refused: str


def predict(
    target: str, source: str, standard_input: Callable[[], bytes], told: Told = lambda _: None
) -> Iterator[Line]:
    """Answer the rows of a file, or those of standard input where the source is "-".

    They are JSON, NDJSON, CSV, Parquet or a picture: a file by its suffix, standard input by its content. A
    line is the answer that the row would get over HTTP, or its ``errors``; ``row`` counts from 0. ``told`` hears of the
    columns of a table that are not the contract's: they are not used, whereas a field of JSON that nobody knows is refused.
    """
    if target.startswith(("http://", "https://")):
        media_type = MEDIA_TYPES.get(Path(source).suffix, "application/json")
        mend = f"curl -H 'Content-Type: {media_type}' --data-binary @{source} {target.rstrip('/')}/predict"
        raise UsageError(f"predict answers in this process and takes a folder; {target} is a running service", mend)
    batches = _standard_input(standard_input(), told) if source == STDIN else _file(target, Path(source), told)
    service = find(target)
    stated = spec(service)
    served = Served(service.start())
    write = Writer(stated)
    for batch in batches(served):
        yield from write(batch, served.answer(batch.checked))


# -- rows in -----------------------------------------------------------------------------------------------------------


def _file(target: str, path: Path, told: Told) -> Batches:
    if not path.exists():
        raise NotFound(f"there is no file {path}", "check the path; - reads standard input")
    match path.suffix.lower():
        case ".json":
            return _json(path.read_bytes())
        case ".ndjson" | ".jsonl":
            return _ndjson(path.read_bytes())
        case ".csv":
            return lambda served: _csv(path.read_bytes(), served, told)
        case ".tsv":
            return lambda served: _csv(path.read_bytes(), served, told, TABS)
        case ".parquet" | ".pq":
            return lambda served: _parquet(path, served, told)
        case suffix if suffix in PICTURES:
            return _picture(path.read_bytes())
        case ".arrow" | ".feather":
            command = f"tenfold batch {shlex.quote(target)} {shlex.quote(str(path))} -o answers"
            raise UsageError(f"{path.name} is of a kind that batch reads, and predict doesn't", command)
    raise UsageError(
        f"{path.name} is of no kind that predict reads", "name it .json, .ndjson, .csv, .tsv, .parquet, or as a picture"
    )


def _standard_input(data: bytes, told: Told) -> Batches:
    """JSON, NDJSON, CSV, Parquet or a picture: whatever the content begins with."""
    if data.startswith(PICTURE_STARTS):
        return _picture(data)
    if data.startswith(b"PAR1"):
        return lambda served: _parquet(io.BytesIO(data), served, told)
    first, _, rest = data.strip().partition(b"\n")
    if first[:1] not in (b"{", b"[", b'"'):
        return lambda served: _csv_or_json(data, served, told)
    return _ndjson(data) if rest and first.endswith(b"}") and first.startswith(b"{") else _json(data)


def _picture(data: bytes) -> Batches:
    return lambda served: iter([Batch(served.check_picture(data), alone=True)])


def _json(data: bytes) -> Batches:
    return lambda served: iter([Batch(served.check(data), alone=not is_array(data))])


def _ndjson(data: bytes) -> Batches:
    def batches(served: Served) -> Iterator[Batch]:
        lines = iter([line for line in data.splitlines() if line.strip()])
        while some := list(islice(lines, ROWS_AT_ONCE)):
            checked = served.check(b"[" + b",".join(some) + b"]")
            # a line that is no JSON spoils the array, so that each line has to be read by itself
            each = [checked] if checked.total == len(some) else map(served.check_one, some)
            yield from map(Batch, each)

    return batches


def _csv_or_json(data: bytes, served: Served, told: Told) -> Iterator[Batch]:
    """CSV, if the first line names a field of the contract; else what is malformed is JSON."""
    header = next(csv.reader([data.decode("utf-8-sig", "replace").partition("\n")[0]]), [])
    if any(name in served.pipeline.layout.by_name for name in header):
        return _csv(data, served, told)
    return _json(data)(served)


def _csv(data: bytes, served: Served, told: Told, dialect: Dialect = COMMAS) -> Iterator[Batch]:
    """CSV, with the rows and cells that a request or a job finds in it."""
    form = served.pipeline.form
    text = Records(data, form, dialect)
    told(_unused(text.columns, form))
    records = iter(text)
    while some := list(islice(records, ROWS_AT_ONCE)):
        yield Batch(_checked(form, [record.value for record in some]))


def _unused(columns: Sequence[str], form: Form) -> Sequence[str]:
    """The columns that are not the contract's."""
    known = names_of(form)
    return [name for name in columns if name not in known]


def _checked(form: Form, rows: Sequence[dict[str, Any] | Malformed]) -> Checked:
    """What validation makes of rows, some of which could not even be read."""
    places = [k for k, row in enumerate(rows) if not isinstance(row, Malformed)]
    checked = block.check(form, [rows[k] for k in places])
    broken = [Violation(k, "", "malformed", str(row)) for k, row in enumerate(rows) if isinstance(row, Malformed)]
    if not broken:
        return checked
    return Checked(
        rows=checked.rows,
        index=np.array(places, dtype=np.intp)[checked.index],
        total=len(rows),
        violations=sorted([*_placed(checked.violations, places), *broken], key=lambda one: one.row),
        changes=_placed(checked.changes, places),
        flags=_placed(checked.flags, places),
        put_aside={places[row]: _placed(reasons, places) for row, reasons in checked.put_aside.items()},
        fallbacks={places[row]: code for row, code in checked.fallbacks.items()},
    )


def _placed(remarks: Sequence[Remark], places: Sequence[int]) -> list[Remark]:
    """What was said of some rows, said of where these stand among all."""
    return [remark._replace(row=places[remark.row]) for remark in remarks]


def _parquet(file: Path | BinaryIO, served: Served, told: Told) -> Iterator[Batch]:
    try:
        from pyarrow import ArrowException, Table, parquet
    except ImportError:
        raise UsageError("reading Parquet needs pyarrow", "pip install 'tenfold[batch]'") from None
    try:
        table = parquet.ParquetFile(file)
        told(_unused(table.schema_arrow.names, served.pipeline.form))
        for rows in table.iter_batches(ROWS_AT_ONCE):
            yield Batch(block.check(served.pipeline.form, Table.from_batches([rows])))
    except ArrowException as error:
        raise UsageError(f"this is no Parquet file: {error}", "is it whole, and what its name says?") from None


# -- answers out -------------------------------------------------------------------------------------------------------


class Writer:
    """Writes answers as the JSON that a client reads over HTTP, a line for each row."""

    def __init__(self, stated: Spec) -> None:
        self._stated = stated
        self._release = f"{stated.name}@{stated.release[:7]}"
        self._encode = Outputs(stated.output).encode
        self._id = Ids().next(time.monotonic()).decode()
        self._before = 0

    def __call__(self, batch: Batch, answer: Answer) -> Iterator[Line]:
        """The lines of one batch; rows are numbered on from the batch before."""
        outputs = self._encode(len(answer.outputs), [memoryview(part) for part in write_rows(answer.outputs)])
        at = {int(place): text for place, text in zip(answer.index, outputs, strict=True)}
        errors, changes, flags = _by_row(answer.violations), _by_row(answer.changes), _by_row(answer.flags)
        keys = self._keys(batch.checked)
        for row in range(max(answer.total, 1)):
            place = self._before + row
            document: dict[str, Any] = {"id": self._id} if batch.alone else {"id": f"{self._id}/{place}", "row": place}
            if row in keys:
                document["key"] = keys[row]
            document["release"] = self._release
            refused = ""
            if row in at:
                document["output"] = msgspec.Raw(at[row])
            elif row in answer.fallbacks:
                document["output"] = self._stated.deadline.fallback
                document["fallback"] = fallback_json(answer.fallbacks[row])
            else:
                reasons = errors[row]
                refused = reasons[0].code
                document["errors"] = [{"pointer": e.pointer, "code": e.code, "detail": e.detail} for e in reasons]
            if changes[row]:
                document["changes"] = [change_json(change) for change in changes[row]]
            if flags[row]:
                document["flags"] = [{"pointer": flag.pointer, "code": flag.code} for flag in flags[row]]
            yield Line(msgspec.json.encode(document), refused)
        self._before += answer.total

    def _keys(self, checked: Checked) -> dict[int, Any]:
        """The key of each row that was accepted, where the contract has one."""
        key = self._stated.input.key
        return dict(zip(checked.index.tolist(), checked.rows[key.name].tolist(), strict=True)) if key else {}


def _by_row(remarks: Any) -> defaultdict[int, list[Any]]:
    found: defaultdict[int, list[Any]] = defaultdict(list)
    for remark in remarks:
        found[remark.row].append(remark)
    return found

"""From a trained model to a service folder: infer, write, and prove on every row that serving changes nothing."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenfold.contract.infer import Inferred, infer, wire_names
from tenfold.errors import ContractError, GateFailed, ModelError
from tenfold.model import Trusted
from tenfold.models import load
from tenfold.parity import record
from tenfold.pipeline import Failure
from tenfold.rows import Rows
from tenfold.scaffold.answering import describe, guesses_of, outputs_of
from tenfold.scaffold.code import bring, importable, require_whole
from tenfold.scaffold.folder import Placed, new_folder, place_model, write_project
from tenfold.scaffold.made import Made
from tenfold.scaffold.proof import Direct, Proof, ask_directly, compare, first_difference, plain_input, seconds_of_one
from tenfold.scaffold.served import Served, requests_of
from tenfold.scaffold.source import Answers, service_source
from tenfold.scaffold.tables import read_table, require_file
from tenfold.service import find, profiling, reference
from tenfold.validation import block

if TYPE_CHECKING:
    import pandas as pd

    from tenfold.model import Facts, Model

Progress = Callable[..., None]
ROWS_AT_ONCE = 1024
DEADLINES_MS = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000)


@dataclass(frozen=True, slots=True)
class Table:
    """The person's table: what it is called, and the positions of the columns that the model takes, in its order."""

    frame: pd.DataFrame
    name: str
    positions: Sequence[int]


def make(
    folder: Path,
    *,
    model: Any,
    data: Any = None,
    target: str | None = None,
    trusted: bool = False,
    golden: int = 20,
    progress: Progress = lambda *_: None,
) -> Made:
    """Write a service folder for a trained model, and prove that it serves what the model predicts.

    ``model`` is a file, ``trust(file)`` or the fitted object, ``data`` a DataFrame or a CSV or Parquet file with a
    column ``target`` that is not an input. ``golden`` rows are recorded as requests. Without data, the model has to
    know the names of its features. Where this raises, nothing is left behind; except by ``GateFailed``, when an
    answer differs from the model's: then the folder stays, to be looked into.
    """
    if isinstance(data, str | Path):
        require_file(Path(data))  # before the model, which may take long to load
    new_folder(folder)
    try:
        return _make(folder, model, data, target, trusted, golden, progress)
    except GateFailed as error:
        error.hint += f"; {folder} is kept: tenfold check {folder} says more"
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _make(
    folder: Path,
    model: Any,
    data: Any,
    target: str | None,
    trusted: bool,
    golden: int,
    progress: Progress,
) -> Made:
    progress("loading the model")
    source, loaded, brought = _model(model, folder, trusted)
    inferred, table = _inputs(loaded.facts, data, target, progress)
    progress("asking the model")
    direct = ask_directly(loaded, table.frame, table.positions) if table else None
    answers = _answers(folder.name, source.text, loaded, inferred, table, direct)
    text = service_source(answers)
    (folder / "service.py").write_text(text, "utf-8")
    write_project(folder, folder.name, loaded.facts)
    progress("loading the service")
    if brought:  # this process knows where they were; a server will not
        require_whole(folder)
    failures: list[Failure] = []
    served = Served(find(folder).start(), report=failures.append)
    proof, recorded = None, 0
    if table and direct:
        rows = _rows(served, table)
        _refer(served, table, rows)
        try:
            proof = _prove(served, rows, loaded.facts, table, direct, progress)
        except GateFailed as error:
            if failures:
                error.message += f": {failures[0].error}"
                raise error from failures[0].error
            raise
        recorded = _record(served, rows, golden)
    return Made(
        folder=folder,
        facts=loaded.facts,
        trusted=source.trusted,
        inferred=inferred,
        outputs=tuple(guess.field.wire for guess in outputs_of(loaded.facts, direct)),
        columns=len(table.frame.columns) if table else len(inferred.guesses),
        proof=proof,
        golden=recorded,
        look_at=_look_at(text, inferred),
    )


def _model(model: Any, folder: Path, trusted: bool) -> tuple[Placed, Model, list[str]]:
    """The model, placed in the folder and loaded from there, and the modules of the person's own that came along."""
    file = model.path if isinstance(model, Trusted) else model
    places = [Path(), Path(file).parent] if isinstance(file, str | Path) else [Path()]
    with importable(*places):
        try:
            source = place_model(model, folder, trusted)
            loaded = load(source.source, folder)
        except ModelError as error:  # whose mend may name the folder, which will not be left behind
            beside = "beside the model file"
            error.hint = error.hint.replace(f"{folder.name}/features.py", f"features.py {beside}")
            error.hint = error.hint.replace(f"into {folder.name}/", beside)
            raise
        brought = bring(loaded.object, folder, *places)
    return source, loaded, brought


# -- what comes in, and what goes out ------------------------------------------------------------------------


def _inputs(facts: Facts, data: Any, target: str | None, progress: Progress) -> tuple[Inferred, Table | None]:
    if data is None:
        return guesses_of(facts), None
    progress("reading the table")
    frame = read_table(data)
    if frame.empty:
        raise ContractError("the table has no rows", "give the table that the model was trained on")
    names = wire_names(frame)
    features = list(facts.features) or _columns_for(facts, frame, names, target)
    inferred = infer(frame, features=features, target=target)
    name = Path(data).name if isinstance(data, str | Path) else "the table"
    return inferred, Table(frame, name, [names.index(feature) for feature in features])


def _columns_for(facts: Facts, frame: pd.DataFrame, names: Sequence[str], target: str | None) -> list[str]:
    """The columns for a model that knows no names: all but the target, if that is as many as it takes."""
    import pandas as pd

    others = [name for name in names if name != target]
    numbers = [name for name in others if pd.api.types.is_numeric_dtype(frame.iloc[:, names.index(name)])]
    wanted = 1 if facts.wants == "column" else facts.width
    texts = [name for name in others if name not in numbers]
    for candidates in (others, numbers, texts):
        if wanted in (None, len(candidates)):
            return candidates
    raise ContractError(
        f"{facts.name} takes {wanted} columns and knows no names; the table has {len(others)} beside the target",
        "leave the others out of the table, or fit the model on a DataFrame, so that it knows their names",
    )


def _answers(
    name: str, model: str, loaded: Model, inferred: Inferred, table: Table | None, direct: Direct | None
) -> Answers:
    """The answers as the text will state them; time and rate from how long one row takes here."""
    took_s = seconds_of_one(loaded, table.frame, table.positions) if table else 0.0
    preprocess, postprocess = describe(loaded.facts)
    return Answers(
        name=name,
        doc=f"Predicts {inferred.target}." if inferred.target else f"What {loaded.facts.name} says of a row.",
        model=model,
        origin=f"{inferred.rows:,} rows of {table.name}" if table else "",
        guesses=inferred.guesses,
        outputs=outputs_of(loaded.facts, direct),
        keys=inferred.keys,
        preprocess=preprocess,
        postprocess=postprocess,
        deadline=_deadline(took_s),
        took=f"{took_s * 1000:.2g} ms" if took_s else "",
        capacity=_capacity(took_s) if took_s else "",
        cores=os.cpu_count() or 1,
    )


def _deadline(took_s: float) -> str:
    """Ten times what one row takes, in round figures, and at least 50 ms."""
    allowed = next((ms for ms in DEADLINES_MS if ms >= 10_000 * took_s), DEADLINES_MS[-1])
    return f"{allowed} ms" if allowed < 1000 else f"{allowed // 1000} s"


def _capacity(took_s: float) -> str:
    """Half of what one row after the other would give, in one figure, and at most 500: easily kept."""
    rate = min(500.0, 0.5 / took_s)
    step = 10 ** math.floor(math.log10(rate)) if rate >= 1 else 1
    return f"{max(1, int(rate // step * step))} rows/s"


# -- the proof -----------------------------------------------------------------------------------------------


def _rows(served: Served, table: Table) -> Rows:
    """The rows of the table, typed. One that the inferred contract refuses, alters or flags is a fault of ours."""
    form = served.pipeline.form
    checked = block.check(form, table.frame.iloc[:, list(table.positions)])
    said: list[Any] = [*checked.violations, *checked.changes, *checked.flags]
    if said or len(checked.rows) < len(table.frame):
        detail = checked.violations[0].detail if checked.violations else f"{said[0].pointer} {said[0].code}"
        raise GateFailed(
            f"row {said[0].row} of the table does not fit the contract that was inferred from it: {detail}",
            "that is a fault of tenfold; please report the column's dtype",
        )
    return checked.rows


def _refer(served: Served, table: Table, rows: Rows) -> None:
    """Keep medians and modes in the folder, so that ``impute("median")`` has but to be written, and the profile that live
    rows will be compared with."""
    service = served.pipeline.service
    known = reference.measure(service.input, table.frame.iloc[:, list(table.positions)], table.name)
    if known is not None:
        reference.write(service.folder, known)
    profiling.keep(service.folder, profiling.of_training(service.input.form, rows, table.name, service.drift.segments))


def _prove(served: Served, rows: Rows, facts: Facts, table: Table, direct: Direct, progress: Progress) -> Proof:
    """Serve every row and hold the answers against the model's own."""
    batches = []
    for at in range(0, len(rows), ROWS_AT_ONCE):
        progress("serving every row", at, len(rows))
        batches.append(_served_batch(served, rows.take(range(at, min(at + ROWS_AT_ONCE, len(rows)))), at))
    try:
        return compare(Rows.concatenate(batches), direct)
    except GateFailed as error:
        wanted = plain_input(facts, table.frame, table.positions)
        given = served.pipeline.service.preprocess(rows)
        if difference := first_difference(given, wanted, len(rows)):
            error.message += f". The model is given something else: {difference}"
        raise


def _served_batch(served: Served, rows: Rows, at: int) -> Rows:
    """The answers to rows as clients send them: JSON, through the decoder of the front."""
    bodies = requests_of(served.pipeline.form, rows)
    checked = served.check(b"[" + b",".join(bodies) + b"]")
    answer = served.answer(checked)
    if answer.violations:
        row, _, code, detail = answer.violations[0]
        raise GateFailed(f"row {at + row} of the table gets no answer: {detail}", f"tenfold explain {code}")
    return answer.outputs


def _record(served: Served, rows: Rows, wanted: int) -> int:
    """Record rows from all over the table as golden requests; how many."""
    count = min(wanted, len(rows))
    if count:
        chosen = rows.take([k * len(rows) // count for k in range(count)])
        record(served.pipeline.service, requests_of(served.pipeline.form, chosen))
    return count


def _look_at(text: str, inferred: Inferred) -> tuple[str, ...]:
    """The guesses that only a person can judge, with their place in service.py."""
    lines = text.splitlines()
    place = {
        line.split(":")[0].strip(): number for number, line in enumerate(lines, start=1) if line.startswith("    ")
    }
    gaps = [
        f"service.py:{place[guess.field.name]} {guess.field.wire}, missing in {guess.missing:,} rows: optional?"
        for guess in inferred.guesses
        if guess.missing
    ]
    return tuple(gaps)

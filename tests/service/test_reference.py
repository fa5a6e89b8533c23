"""Medians and modes of the training data: measured, kept in the folder, and part of the contract that is served."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest

from tenfold import (
    Alias,
    Contract,
    ContractError,
    Ge,
    InvalidInput,
    Key,
    Le,
    MultipleOf,
    Predicate,
    Private,
    Rows,
    Service,
    ServiceError,
    impute,
    on_invalid,
    on_missing,
    on_unseen,
)
from tenfold.pipeline import Pipeline
from tenfold.service import reference, spec
from tenfold.service.reference import Reference
from tenfold.validation import block
from tenfold.validation.scalar import Decoder


class Home(Contract):
    rooms: Annotated[int, Ge(1)]


class Passenger(Contract):
    ticket: Annotated[str, Key()]
    name: str
    age: Annotated[float, Alias("the age"), Ge(0), Le(120), on_missing(impute("median"))]
    fare: Annotated[float, MultipleOf(0.5)]
    siblings: Annotated[int, on_missing(impute("median")), on_invalid(impute("mode"))]
    adult: Annotated[bool, on_missing(impute("mode"))]
    port: Annotated[Literal["S", "C"], on_unseen(impute("mode"))]
    born: Annotated[date, on_missing(impute("median"))]
    boarded: Annotated[datetime, on_missing(impute("mode"))]
    salary: Annotated[float | None, Private()]
    home: Home | None


NOON = datetime(1912, 4, 10, 12, tzinfo=UTC)
TABLE = pd.DataFrame(
    {
        "ticket": ["a", "b", "c", "d"],
        "name": ["Ann", "Bob", "Cas", "Ann"],
        "the age": [20.0, 31.0, 31.0, 999.0],
        "fare": [1.0, 1.5, 4.0, 4.5],
        "siblings": [2, 0, 1, 0],
        "adult": [True, True, False, None],
        "port": ["S", "Q", "C", "C"],
        "born": [date(1890, 1, 1), date(1900, 1, 2), date(1880, 5, 5), date(1901, 1, 1)],
        "boarded": [NOON, NOON, NOON.replace(hour=9), pd.NaT],
        "salary": [1.0, 1.0, 2.0, 3.0],
        "home.rooms": [3, 3, 0, 5],
        "survived": [0, 1, 0, 1],
    }
)


class Echo(Service):
    input, output, model = Passenger, Home, staticmethod(lambda columns: columns)


class Plain(Service):
    input, output, model = Home, Home, staticmethod(lambda columns: columns)


def _measured(contract: type[Contract] = Passenger, data: Any = TABLE) -> Reference:
    measured = reference.measure(contract, data, "train.csv")
    assert measured is not None
    return measured


def _echo(folder: Path, known: Reference) -> Echo:
    reference.write(folder, known)
    service = Echo()
    service.folder = folder
    service.refer()
    return service


def test_each_kind_has_what_it_can_have() -> None:
    """Values that break their field do not count; integers and dates take the lower of two in the middle."""
    assert _measured() == Reference(
        rows=4,
        source="train.csv",
        fields={
            "the age": {"median": 31.0, "mode": 31.0},
            "fare": {"median": 1.5, "mode": 1.0},
            "siblings": {"median": 0, "mode": 0},
            "adult": {"mode": True},
            "port": {"mode": "C"},
            "born": {"median": "1890-01-01", "mode": "1880-05-05"},
            "boarded": {"median": "1912-04-10T12:00:00Z", "mode": "1912-04-10T12:00:00Z"},
            "home.rooms": {"median": 3, "mode": 3},
        },
    )


def test_a_float_has_the_median_that_pandas_gives() -> None:
    """Whoever imputed in training with a library imputes the same here."""

    class Row(Contract):
        x: float

    values = np.random.default_rng(0).normal(size=100)
    assert _measured(Row, {"x": values}).fields["x"]["median"] == pd.Series(values).median() == np.median(values)


def test_text_is_measured_only_where_the_contract_asks() -> None:
    """Names of people do not get into a file by themselves; 64-bit integers keep their digits."""

    class Row(Contract):
        name: str
        port: Annotated[str, on_missing(impute("mode"))]
        number: int

    table = {"name": ["Ann"] * 2, "port": ["S", "S"], "number": [2**62 + 1] * 2}
    assert _measured(Row, table).fields == {"port": {"mode": "S"}, "number": {"median": 2**62 + 1, "mode": 2**62 + 1}}


def test_the_file_has_a_line_for_each_field(tmp_path: Path) -> None:
    """What a person reads in a diff is one line for a field, and it is read back as it was written."""
    known = _measured()
    reference.write(tmp_path, known)
    text = (tmp_path / "reference.json").read_text("utf-8")
    assert '    "the age": {"median": 31.0, "mode": 31.0},\n' in text
    assert json.loads(text)["source"] == "train.csv"
    assert reference.read(tmp_path) == known


def test_both_compilers_impute_them(tmp_path: Path) -> None:
    """A row of JSON and a row of a table get the same value, and say so with the same change."""
    form = _echo(tmp_path, _measured()).input.form
    given = {"ticket": "t", "name": "n", "fare": 1.0, "port": "Q"}
    outcomes, checked = Decoder(form).one_slow(json.dumps(given).encode()), block.check(form, [given])
    assert outcomes.violations == checked.violations == []
    assert outcomes.changes == checked.changes
    assert {change.pointer: change.value for change in checked.changes} == {
        "/the age": 31.0,
        "/siblings": 0,
        "/adult": True,
        "/port": "C",
        "/born": "1890-01-01",
        "/boarded": "1912-04-10T12:00:00Z",
    }
    assert checked.rows.age.tolist() == [31.0]


def test_training_reads_its_rows_by_the_same_contract(tmp_path: Path) -> None:
    """``Rows.of`` with the input of an instance fills gaps as serving does; the class itself stays as it was written."""
    service = _echo(tmp_path, _measured())
    row = {**TABLE.iloc[0].to_dict(), "the age": None}
    assert Rows.of([row], service.input).age.tolist() == [31.0]
    assert Echo.input is Passenger
    assert Echo().input is Passenger


def test_another_reference_is_another_contract(tmp_path: Path) -> None:
    """The values are part of the release: a changed median changes its contract, and its id."""
    before = spec(_echo(tmp_path, _measured()))
    after = spec(_echo(tmp_path, _measured(data=TABLE.assign(**{"the age": 50.0}))))
    changed = {part for part in before.parts if before.parts[part] != after.parts[part]}
    assert changed == {"contract", "reference"}
    assert before.input.digest != after.input.digest
    assert before.release != after.release


def test_predicates_impute_them_too(tmp_path: Path) -> None:
    """What a predicate refuses is replaced in the replica, by the contract that the instance has."""

    class Row(Contract):
        x: Annotated[float, Predicate(lambda x: x < 10), on_invalid(impute("median"))]

    class Twice(Service):
        input, output, model = Row, Home, staticmethod(lambda columns: columns)

        def postprocess(self, scores: Any) -> Any:
            return {"rooms": scores[:, 0].astype(int)}

    reference.write(tmp_path, _measured(Row, {"x": [1.0, 2.0, 3.0]}))
    pipeline = Pipeline(Twice().start(tmp_path))
    assert pipeline.answer(block.check(pipeline.form, [{"x": 50}])).outputs.rooms.tolist() == [2]


def test_a_median_without_a_reference_is_one_error(tmp_path: Path) -> None:
    """The field is named, and the command that helps."""
    service = Echo()
    service.folder = tmp_path
    for compiled in (Decoder, lambda form: block.check(form, [])):
        with pytest.raises(ContractError, match=r'the age has on_missing\(impute\("median"\)\)') as caught:
            compiled(spec(service).input)
        assert "tenfold record SERVICE --data FILE" in caught.value.hint


@pytest.mark.parametrize(
    ("table", "error", "words"),
    [
        pytest.param(TABLE.drop(columns="the age"), ContractError, "the age has impute", id="no such column"),
        pytest.param(TABLE.assign(adult=None), ContractError, "adult has impute", id="no value"),
        pytest.param(TABLE.assign(siblings=1.5), InvalidInput, "siblings", id="another type"),
    ],
)
def test_a_table_that_gives_no_value_is_refused(
    table: pd.DataFrame, error: type[ContractError | InvalidInput], words: str
) -> None:
    """Nothing is written that would leave the contract as open as before."""
    with pytest.raises(error, match=words):
        _measured(data=table)


def test_a_private_median_is_written_by_hand() -> None:
    """No value of a Private field gets into a file, not even in the middle of them."""

    class Row(Contract):
        salary: Annotated[float, Private(), on_missing(impute("median"))]

    with pytest.raises(ContractError, match="salary has impute") as caught:
        _measured(Row, {"salary": [1.0, 2.0]})
    assert "Private" in caught.value.hint


def test_a_contract_of_text_has_no_reference() -> None:
    """Where no field has a median or a mode there is nothing to keep."""

    class Row(Contract):
        text: str

    assert reference.measure(Row, {"text": ["a", "b"]}) is None


def test_a_damaged_file_is_named_where_it_is_needed(tmp_path: Path) -> None:
    """A service that imputes no median does not even look at the file."""
    (tmp_path / "reference.json").write_text("{", "utf-8")
    Plain().start(tmp_path)
    with pytest.raises(ServiceError, match=r"reference.json cannot be read") as caught:
        Echo().start(tmp_path)
    assert "git" in caught.value.hint
